package ftpclient_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

const (
	// contactLimit is how long a transfer may take, or to find out that there is no way: a quarter of a minute, and what machines
	// need that do other things too. That nobody waits in vain where the way is known is seen by the commands.
	contactLimit = 3 * time.Minute
	// networksAtATime bounds what is built and run at once: most of the time they wait.
	networksAtATime = 12
)

// natRow is a network and what has to come of it.
type natRow struct {
	name    string
	layout  ftptest.Layout
	servers []string            // nil for both
	options func(*natTask)      // what the operator has configured
	real    ftptest.RealOptions // of the server
	way     string              // that works, "" if there is none
	tlsWay  string              // the same with TLS, if that differs: nothing for none
	says    []string            // what the error has to say where there is no way
	omits   []string            // and what it must not
	sees    map[string]string   // external addresses by source
	content int                 // bytes of the files; 0 for natContent
	once    bool                // there is no second contact
	only    string              // the only file, "" for all
	fresh   bool                // uploads go under new names, and are renamed
}

// natContent is more than what sockets buffer.
const natContent = 300_000

const nothing = "nothing"

// TestNAT transfers files through networks that are in the way, up and down, plain and with TLS, from a process without
// and from a process with knowledge of the way.
func TestNAT(t *testing.T) {
	for _, need := range []string{"netns", "ip", "nft", "miniupnpd", "turnserver", "vsftpd", "proftpd"} {
		ftptest.Need(t, need)
	}
	t.Parallel()
	places := make(chan struct{}, networksAtATime)
	var running sync.WaitGroup
	defer running.Wait()
	for _, row := range natRows {
		for _, server := range []string{"proftpd", "vsftpd"} {
			if row.servers != nil && !slices.Contains(row.servers, server) {
				continue
			}
			places <- struct{}{}
			// Not by t.Parallel, which has few places, meant for tests that work.
			running.Go(func() {
				defer func() { <-places }()
				t.Run(row.name+"/"+server, func(t *testing.T) { row.test(t, server) })
			})
		}
	}
}

// natFile is a file of the server and how it is transferred.
type natFile struct {
	name        string
	upload, tls bool
}

var natFiles = []natFile{
	{"plain-up", true, false}, {"plain-down", false, false}, {"tls-up", true, true}, {"tls-down", false, true},
}

// old is what is in files that are to be overwritten.
var old = []byte("what was there before")

func (r natRow) test(t *testing.T, server string) {
	n := r.layout.Build(t)
	o := r.real
	o.TLS, o.Host, o.Address, o.PassivePorts = true, n.Server, n.ServerAddress, [2]int{60000, 60100}
	s := ftptest.Real(t, server, o)
	random := rand.New(rand.NewPCG(4, 4))
	content := make([]byte, max(natContent, r.content))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	task := natTask{Address: n.Address, User: s.User, Password: s.Password, CAFile: s.CAFile}
	if r.options != nil {
		r.options(&task)
	}
	for _, file := range natFiles {
		if r.only != "" && r.only != file.name {
			continue
		}
		before := content
		if file.upload {
			before = old
		}
		if err := os.WriteFile(filepath.Join(s.Root, file.name), before, 0o666); err != nil {
			t.Fatal(err)
		}
		x := natTransfer{Name: file.name, Upload: file.upload, TLS: file.tls, Fresh: r.fresh && file.upload}
		x.Guarded = x.Fresh && task.Data.HolePunch
		if file.upload {
			x.Bytes = content
		}
		task.Transfers = append(task.Transfers, x)
	}
	if r.sees != nil {
		task.Look = netip.MustParseAddr("10.10.0.2")
	}
	first := r.contact(t, n, task)
	for source, address := range r.sees {
		if got := first.Seen[source]; got != address {
			t.Errorf("%s sees %q, want %s", source, got, address)
		}
	}
	again := task
	again.Look = netip.Addr{}
	again.Memory, again.Transfers, again.InTurn = first.Memory, nil, true
	for i, x := range task.Transfers {
		if r.check(t, "first contact", s, x, first.Outcomes[i], old, content) && !r.once {
			x.Facts = first.Outcomes[i].Facts
			if x.Upload {
				x.Bytes = slices.Clone(content)
				slices.Reverse(x.Bytes) // to tell it from the first
			}
			again.Transfers = append(again.Transfers, x)
		}
	}
	r.contents(t, s)
	if r.way == "helper PORT" {
		r.hidden(t, n, task, first)
	}
	if len(again.Transfers) == 0 {
		return
	}
	before := dataCommands(s.Log())
	second := r.contact(t, n, again)
	for command, times := range dataCommands(s.Log()) {
		if known := strings.HasSuffix(r.way, " "+command); known != (times > before[command]) {
			t.Errorf("second contact: %d times %s, where %s is known to work", times-before[command], command, r.way)
		}
	}
	for i, x := range again.Transfers {
		r.check(t, "second contact", s, x, second.Outcomes[i], content, content)
	}
}

// contact makes the transfers. A gateway that opens ports has a second to answer in, which is long for a gateway and not for
// one on a machine that does other things too: it may be asked some more times.
func (r natRow) contact(t *testing.T, n *ftptest.Network, task natTask) natReport {
	t.Helper()
	report := runNATClient(t, n.Client, task)
	for try := 0; try < 10 && r.layout.Mapping != "" && r.unanswered(report); try++ {
		report = runNATClient(t, n.Client, task)
	}
	for i, x := range task.Transfers {
		if took := report.Outcomes[i].Took; took > contactLimit {
			t.Errorf("%s: took %s", x.Name, took)
		}
	}
	return report
}

// unanswered reports whether something is not as it has to be, and somebody has waited in vain.
func (r natRow) unanswered(report natReport) bool {
	const silence = "no answer"
	for source, address := range r.sees {
		if seen := report.Seen[source]; seen != address && strings.Contains(seen, silence) {
			return true
		}
	}
	for _, o := range report.Outcomes {
		unsaid := func(word string) bool { return !strings.Contains(o.Error, word) }
		if strings.Contains(o.Error, silence) && (r.way != "" || slices.ContainsFunc(r.says, unsaid)) {
			return true
		}
	}
	return false
}

// dataCommands counts the commands for data connections in what a server logs.
func dataCommands(log string) map[string]int {
	counts := map[string]int{}
	for _, found := range dataCommand.FindAllStringSubmatch(log, -1) {
		counts[found[1]]++
	}
	return counts
}

var dataCommand = regexp.MustCompile(`(?m)(?:^|FTP command: Client "[^"]*", ")(EPSV|PASV|PORT|EPRT)\b`)

// check compares a transfer with what has to come of it, and tells whether there is a way that worked. The
// file had before, or has content for downloads.
func (r natRow) check(t *testing.T, contact string, s *ftptest.RealServer, x natTransfer, o natOutcome, before, content []byte) bool {
	t.Helper()
	want := r.way
	if x.TLS && r.tlsWay != "" {
		want = r.tlsWay
	}
	where := fmt.Sprintf("%s, %s", contact, x.Name)
	way := o.way()
	t.Logf("%s: %.1f s, %s (%s from %s) %s", where, o.Took.Seconds(), way, o.Local, o.Peer, o.Error)
	stored, err := os.ReadFile(filepath.Join(s.Root, x.Name))
	if err != nil {
		t.Error(err)
	}
	if o.Error != "" && x.Upload && !bytes.Equal(stored, before) {
		t.Errorf("%s: it failed, and the file on the server has now %d bytes, want it untouched", where, len(stored))
	}
	switch none := want == "" || want == nothing; {
	case none && o.Error == "":
		t.Errorf("%s: it worked (%s), want an error", where, way)
		return false
	case none:
		for _, word := range r.says {
			if !strings.Contains(o.Error, word) {
				t.Errorf("%s: the error does not say %q", where, word)
			}
		}
		for _, word := range r.omits {
			if strings.Contains(o.Error, word) {
				t.Errorf("%s: the error says %q", where, word)
			}
		}
		return false
	case o.Error != "":
		t.Errorf("%s: failed, want %s", where, want)
		return false
	case way != want:
		t.Errorf("%s: the way was %q, want %q", where, way, want)
	}
	got := o.Bytes
	if x.Upload {
		got, content = stored, x.Bytes
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%s: %d bytes that are not the %d bytes of the file", where, len(got), len(content))
	}
	return true
}

// way is the one that was found, as the facts have it.
func (o natOutcome) way() string {
	for _, channel := range o.Facts.Channels {
		if channel.Way != "" {
			return channel.Way
		}
	}
	return ""
}

// hidden tries TLS with what was learned without: the error knows what TLS hides.
func (r natRow) hidden(t *testing.T, n *ftptest.Network, task natTask, plain natReport) {
	t.Helper()
	for i, x := range task.Transfers {
		if x.TLS {
			x.Facts = plain.Outcomes[0].Facts
			if !x.Facts.Channels[0].PlainHelper {
				t.Errorf("that a helper was seen is not noted: %+v", x.Facts.Channels)
			}
			task.Transfers = task.Transfers[i : i+1 : i+1]
			task.Transfers[0], task.Memory = x, plain.Memory
			break
		}
	}
	if got := runNATClient(t, n.Client, task).Outcomes[0].Error; !strings.Contains(got, "active mode worked from here without TLS") {
		t.Errorf("what TLS hides is not told: %s", got)
	}
}

// contents sees to it that nothing was left beside the files.
func (r natRow) contents(t *testing.T, s *ftptest.RealServer) {
	t.Helper()
	entries, err := os.ReadDir(s.Root)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !slices.ContainsFunc(natFiles, func(f natFile) bool { return f.name == entry.Name() }) {
			t.Errorf("left on the server: %s", entry.Name())
		}
	}
}

// runNATClient does the task in a process of its own on the host: the sockets of a Go program are made by any of its
// threads, so all of it has to be there.
func runNATClient(t *testing.T, host *ftptest.Host, task natTask) natReport {
	t.Helper()
	input, err := json.Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program)
	// The race detector takes a second to end.
	command.Env = append(os.Environ(), natClientVariable+"=1", "GORACE=atexit_sleep_ms=0")
	var output, complaints bytes.Buffer
	command.Stdin, command.Stdout, command.Stderr = bytes.NewReader(input), &output, &complaints
	err = host.Start(command)
	if err == nil {
		err = command.Wait()
	}
	var report natReport
	if err == nil {
		err = json.Unmarshal(output.Bytes(), &report)
	}
	if err != nil {
		t.Fatalf("client: %v\n%s", err, complaints.Bytes())
	}
	return report
}

func forwarding(task *natTask) {
	task.Data.ActivePorts = ftpclient.PortRange{First: 50000, Last: 50010}
}

func askSTUN(task *natTask) { task.STUN = []string{ftptest.STUNAddress + ":3478"} }

// natRows begin with those that take longest.
var natRows = []natRow{
	{
		name:   "a NAT forgets connections after 20 s, and the transfer takes 30",
		layout: ftptest.Layout{NAT: true, Forgets: true}, way: "passive EPSV",
		real: ftptest.RealOptions{Throttle: 50 << 10}, content: 1_500_000, once: true,
	},
	{name: "nothing is in the way", way: "passive EPSV"},
	{name: "server's passive ports are blocked", layout: ftptest.Layout{Blocked: "drop"}, way: "direct PORT"},
	{name: "server's passive ports are refused", layout: ftptest.Layout{Blocked: "reject with tcp reset"}, way: "direct PORT"},
	{name: "NAT", layout: ftptest.Layout{NAT: true}, way: "passive EPSV"},
	{
		name: "NAT and blocked server", layout: ftptest.Layout{NAT: true, Blocked: "drop"},
		says: []string{"198.51.100.10:60", "no answer", "active_ports"},
	},
	{name: "NAT that reads along", layout: ftptest.Layout{NAT: true, Helper: true}, way: "passive EPSV"},
	{
		name: "NAT that reads along and blocked server", layout: ftptest.Layout{NAT: true, Helper: true, Blocked: "drop"},
		way: "helper PORT", tlsWay: nothing,
	},
	{name: "NAT with forwarded ports", layout: ftptest.Layout{NAT: true, Forwarded: 50000}, options: forwarding, way: "passive EPSV"},
	{
		name:   "NAT with forwarded ports and blocked server",
		layout: ftptest.Layout{NAT: true, Forwarded: 50000, Blocked: "drop"}, options: forwarding, way: "forwarded PORT",
	},
	{
		name:   "NAT with forwarded ports, configured address, and blocked server",
		layout: ftptest.Layout{NAT: true, Forwarded: 50000, Blocked: "drop"}, way: "configured PORT",
		options: func(task *natTask) {
			forwarding(task)
			task.Data.ExternalAddress = netip.MustParseAddr("203.0.113.2")
		},
	},
	{
		name:   "NAT with other ports outside than inside, and blocked server",
		layout: ftptest.Layout{NAT: true, Forwarded: 51000, Blocked: "drop"}, way: "forwarded PORT",
		options: func(task *natTask) {
			forwarding(task)
			task.Data.AnnouncedPorts = ftpclient.PortRange{First: 51000, Last: 51010}
		},
	},
	{
		name:   "NAT with forwarded ports and two exits: STUN is wrong",
		layout: ftptest.Layout{NAT: true, Forwarded: 50000, TwoExits: true, STUN: true}, way: "passive EPSV",
		options: func(task *natTask) { forwarding(task); askSTUN(task) },
		sees:    map[string]string{extip.SourceSTUN: "203.0.113.2"},
	},
	{
		name:   "NAT with forwarded ports and two exits, and blocked server: STUN is wrong",
		layout: ftptest.Layout{NAT: true, Forwarded: 50000, TwoExits: true, STUN: true, Blocked: "drop"}, way: "forwarded PORT",
		options: func(task *natTask) { forwarding(task); askSTUN(task) },
		sees:    map[string]string{extip.SourceSTUN: "203.0.113.2"}, // which servers refuse: to them it is 203.0.113.3
	},
	{name: "gateway with PCP", layout: ftptest.Layout{NAT: true, Mapping: "PCP"}, way: "passive EPSV"},
	{
		name: "gateway with PCP and blocked server", layout: ftptest.Layout{NAT: true, Mapping: "PCP", Blocked: "drop"},
		way: "mapped PORT", sees: map[string]string{extip.SourcePCP: "1.2.3.2"},
	},
	{
		name: "gateway with NAT-PMP and blocked server", layout: ftptest.Layout{NAT: true, Mapping: "NAT-PMP", Blocked: "drop"},
		way: "mapped PORT", sees: map[string]string{extip.SourceNATPMP: "1.2.3.2"},
	},
	{
		name: "gateway with UPnP and blocked server", layout: ftptest.Layout{NAT: true, Mapping: "UPnP", Blocked: "drop"},
		way: "mapped PORT", sees: map[string]string{extip.SourceUPnP: "1.2.3.2"},
	},
	{name: "two NATs", layout: ftptest.Layout{NAT: true, TwoNATs: true}, way: "passive EPSV"},
	{
		name: "two NATs and blocked server", layout: ftptest.Layout{NAT: true, TwoNATs: true, Blocked: "drop"},
		says: []string{"198.51.100.10:60", "no answer"},
	},
	{
		name:   "two NATs, a gateway that opens ports, and blocked server",
		layout: ftptest.Layout{NAT: true, TwoNATs: true, Mapping: "PCP", Blocked: "drop"},
		says:   []string{"198.51.100.10:60", "no answer", "10.10.0.1"}, // which refuses, having no public address itself
	},
	{
		name:   "two NATs, a gateway that opens ports in vain, and blocked server",
		layout: ftptest.Layout{NAT: true, TwoNATs: true, Mapping: "PCP", Claims: "1.2.3.9", Blocked: "drop"},
		says:   []string{"198.51.100.10:60", "no answer", "1.2.3.9", "1.2.3.2", "two NATs"},
	},
	{name: "server behind NAT", layout: ftptest.Layout{ServerNAT: true}, way: "passive EPSV"},
	{
		name: "server behind NAT without EPSV, its PASV names a private address", layout: ftptest.Layout{ServerNAT: true},
		real: ftptest.RealOptions{Deny: []string{"EPSV"}}, way: "passive PASV",
	},
	{name: "server behind NAT that forwards port 21 only", layout: ftptest.Layout{ServerNAT: true, Blocked: "drop"}, way: "direct PORT"},
	{
		name:   "both behind NAT",
		layout: ftptest.Layout{NAT: true, ServerNAT: true}, way: "passive EPSV",
	},
	{name: "client's firewall drops calls", layout: ftptest.Layout{Firewall: true}, way: "passive EPSV"},
	{
		name: "client's firewall drops calls, and blocked server", layout: ftptest.Layout{Firewall: true, Blocked: "drop"},
		says: []string{"198.51.100.10:60", "203.0.113.2:", "firewall"},
	},
	{
		name: "PASV names this very machine, and nobody believes it", way: "passive PASV",
		real: ftptest.RealOptions{Deny: []string{"EPSV"}, PassiveAddress: "127.0.0.1"},
	},
	{
		name: "PASV names this very machine, where its word is taken",
		real: ftptest.RealOptions{Deny: []string{"EPSV"}, PassiveAddress: "127.0.0.1"},
		options: func(task *natTask) {
			task.Data.TrustPASVAddress, task.Data.Policy = true, ftpclient.DataPassiveOnly
		},
		says: []string{"the server names another host for data: 127.0.0.1:", "198.51.100.10 has no business to name"},
	},
	{
		name: "a way that ends between its proof and the upload", layout: ftptest.Layout{OneCall: true, Blocked: "reject with tcp reset"},
		only: "plain-up", fresh: true, says: []string{"did not connect"},
	},
	{
		name: "a way that ends between its proof and the upload, with TLS", layout: ftptest.Layout{OneCall: true, Blocked: "reject with tcp reset"},
		only: "tls-up", fresh: true, says: []string{"did not connect"},
	},
	{name: "IPv6 only", layout: ftptest.Layout{IPv6: true}, way: "passive EPSV"},
	{name: "IPv6 only and blocked server", layout: ftptest.Layout{IPv6: true, Blocked: "drop"}, way: "direct EPRT"},
	{name: "NAT that refuses calls", layout: ftptest.Layout{NAT: true, Rejects: "tcp reset"}, way: "passive EPSV"},
	{
		name: "NAT that refuses calls, and blocked server", layout: ftptest.Layout{NAT: true, Rejects: "tcp reset", Blocked: "drop"},
		says: []string{"198.51.100.10:60", "no answer"},
	},
	{
		name:    "NAT that refuses calls by ICMP, forwarded ports are not configured, and blocked server",
		layout:  ftptest.Layout{NAT: true, Rejects: "icmp type admin-prohibited", Blocked: "reject with icmpx type admin-prohibited"},
		options: forwarding, says: []string{"198.51.100.10:60"},
	},
	{
		name: "NAT and blocked server that calls from port 20", layout: ftptest.Layout{NAT: true, Blocked: "drop"},
		servers: []string{"vsftpd"}, real: ftptest.RealOptions{FromPort20: true}, way: "punched PORT", fresh: true,
		options: func(task *natTask) { task.Data.HolePunch = true },
	},
	{
		name:    "NAT that changes ports, and blocked server that calls from port 20",
		layout:  ftptest.Layout{NAT: true, Random: true, STUN: true, Blocked: "drop"},
		servers: []string{"vsftpd"}, real: ftptest.RealOptions{FromPort20: true},
		options: func(task *natTask) { task.Data.HolePunch = true; askSTUN(task) },
		says:    []string{"the NAT does not keep ports: hole punching is pointless"}, omits: []string{"punched"},
	},
	{
		name: "two NATs and blocked server that calls from port 20", layout: ftptest.Layout{NAT: true, TwoNATs: true, Blocked: "drop"},
		servers: []string{"vsftpd"}, real: ftptest.RealOptions{FromPort20: true}, way: "punched PORT", fresh: true,
		options: func(task *natTask) { task.Data.HolePunch = true },
	},
}
