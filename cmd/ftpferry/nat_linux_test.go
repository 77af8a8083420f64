package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// groundsAtATime bounds the networks that are there at once: most of the time they wait.
const groundsAtATime = 12

// TestNAT has the program work in networks that are in the way. Each story has a network of its own.
func TestNAT(t *testing.T) {
	for _, need := range []string{"netns", "ip", "nft", "miniupnpd", "vsftpd", "proftpd"} {
		ftptest.Need(t, need)
	}
	t.Parallel()
	places := make(chan struct{}, groundsAtATime)
	var telling sync.WaitGroup
	defer telling.Wait()
	play := func(name string, story func(t *testing.T)) {
		places <- struct{}{}
		// Not by t.Parallel, which has few places, meant for tests that work.
		telling.Go(func() {
			defer func() { <-places }()
			t.Run(name, story)
		})
	}
	for _, secured := range []bool{false, true} {
		// Those that take longest come first.
		for _, story := range []struct {
			name string
			tell func(t *testing.T, secured bool)
		}{
			{"a NAT forgets idle connections while a file is sent", idleConnection},
			{"a NAT loses the connection that the final reply comes by", lostReply},
			{"there is no way, and later there is one", noPath},
			{"a gateway opens ports", gatewayOpensPorts},
			{"a gateway that opens ports gets another address", anotherAddress},
			{"ports are forwarded", forwardedPorts},
		} {
			name := story.name + map[bool]string{false: "/plain", true: "/TLS"}[secured]
			play(name, func(t *testing.T) { story.tell(t, secured) })
		}
	}
	for _, row := range doctorRows {
		play("doctor: "+row.name, row.test)
	}
}

// ground is a network with a server and, on the client's host, the program.
type ground struct {
	*ftptest.Network
	t       *testing.T
	server  *ftptest.RealServer
	dir     string            // of the program: configuration, state, files
	folders map[string]string // by "SIDE/SYNC", such as "local/up"
}

// newGround builds a network with a server that takes calls on few passive ports: proftpd in clear, or vsftpd by TLS.
func newGround(t *testing.T, layout ftptest.Layout, secured bool, o ftptest.RealOptions) *ground {
	t.Helper()
	n := layout.Build(t)
	name := "proftpd"
	if secured {
		name = "vsftpd"
	}
	o.RequireTLS, o.Host, o.Address, o.PassivePorts = secured, n.Server, n.ServerAddress, [2]int{60000, 60100}
	g := &ground{Network: n, t: t, server: ftptest.Real(t, name, o), dir: t.TempDir(), folders: map[string]string{}}
	for _, sync := range []string{"up", "down"} {
		g.folders["local/"+sync], g.folders["remote/"+sync] = filepath.Join(g.dir, sync), filepath.Join(g.server.Root, sync)
	}
	for _, folder := range g.folders {
		if err := os.Mkdir(folder, 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(folder, 0o777)
	}
	return g
}

// section is the table of the server in a configuration.
func (g *ground) section(data string) string {
	secured := `tls = "none"`
	if g.server.CAFile != "" {
		secured = fmt.Sprintf("tls_ca = %q\ntls_server_name = \"localhost\"", g.server.CAFile)
	}
	return fmt.Sprintf("[server.real]\naddress = %q\nuser = %q\npassword = %q\nconnections = 1\n%s\ndata = { %s }\n",
		g.Address, g.server.User, g.server.Password, secured, data)
}

// configure writes a configuration, whose state is its own, and returns where it is.
func (g *ground) configure(name, section string) string {
	g.t.Helper()
	config := filepath.Join(g.dir, name+".toml")
	text := fmt.Sprintf("[agent]\nstate_dir = %q\nlog = { level = \"info\", format = \"json\" }\n%s", name+"-state", section)
	for _, sync := range []string{"up", "down"} {
		text += fmt.Sprintf("[sync.%s]\nserver = \"real\"\nlocal = %q\nremote = %q\ndirection = %q\nwatch = %v\nsettle = \"0s\"\n",
			sync, sync, sync, sync, sync == "up")
		if sync == "down" {
			text += "schedule = [\"@every 1m\"]\n"
		}
	}
	write(g.t, config, text)
	return config
}

// put makes a file with bytes that differ from name to name.
func (g *ground) put(folder, name string, size int) {
	g.t.Helper()
	path := filepath.Join(g.folders[folder], name)
	text := strings.Repeat(name+" ", size/len(name)+1)[:size]
	// In one step, so that a watch sees all of it.
	write(g.t, path+".new", text)
	os.Chmod(path+".new", 0o666)
	if err := os.Rename(path+".new", filepath.Join(filepath.Dir(path), name)); err != nil {
		g.t.Fatal(err)
	}
}

// inStep reports whether both syncs are.
func (g *ground) inStep() bool {
	for _, sync := range []string{"up", "down"} {
		local, remote := g.hashes("local/"+sync), g.hashes("remote/"+sync)
		if len(local) != len(remote) {
			return false
		}
		for name, hash := range local {
			if remote[name] != hash {
				return false
			}
		}
	}
	return true
}

// has reports whether the server has a file.
func (g *ground) has(folder, name string) bool {
	_, err := os.Stat(filepath.Join(g.folders["remote/"+folder], name))
	return err == nil
}

func (g *ground) hashes(folder string) map[string]string {
	g.t.Helper()
	return hashes(g.t, g.folders[folder])
}

// running is the program at work on the client's host. Its log grows in a file.
type running struct {
	*exec.Cmd
	t       *testing.T
	out     bytes.Buffer
	logFile string
	began   time.Time
	took    time.Duration // once it has ended
}

func (g *ground) start(config string, arguments ...string) *running {
	g.t.Helper()
	r := &running{Cmd: command(g.t, config, arguments...), t: g.t, began: time.Now()}
	r.Env = append(r.Env, "GORACE=atexit_sleep_ms=0") // the race detector takes a second to end
	log, err := os.CreateTemp(g.dir, "*.log")
	if err != nil {
		g.t.Fatal(err)
	}
	defer log.Close()
	r.logFile = log.Name()
	r.Stdout, r.Stderr = &r.out, log
	if err := g.Client.Start(r.Cmd); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() {
		if r.ProcessState == nil {
			r.Process.Kill()
			r.Wait()
		}
		if g.t.Failed() {
			g.t.Logf("%v: %s\n%s%s", arguments, r.ProcessState, r.out.Bytes(), r.log())
		}
	})
	return r
}

// log is what the program has logged so far.
func (r *running) log() string {
	text, err := os.ReadFile(r.logFile)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// events are the entries of the log with a message.
func (r *running) events(message string) (found []map[string]any) {
	for line := range strings.Lines(r.log()) {
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) == nil && event["msg"] == message {
			found = append(found, event)
		}
	}
	return found
}

// end waits for the end, which has to come with an exit code.
func (r *running) end(code int) {
	r.t.Helper()
	err := r.Wait()
	r.took = time.Since(r.began)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		r.t.Fatal(err)
	}
	if got := r.ProcessState.ExitCode(); got != code {
		r.t.Errorf("%v: exit code %d after %s, want %d\n%s%s", r.Args[1:], got, r.took, code, r.out.Bytes(), r.log())
	}
}

// await fails the test when something does not come true in time.
func (g *ground) await(within time.Duration, what string, isTrue func() bool) time.Duration {
	g.t.Helper()
	began := time.Now()
	for !isTrue() {
		if time.Since(began) > within {
			g.t.Fatalf("not within %s: %s", within, what)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(began)
}

// view looks into the state of a configuration, while no program works with it.
func (g *ground) view(name string, look func(tx *state.Tx) error) {
	g.t.Helper()
	db, err := state.Open(filepath.Join(g.dir, name+"-state", stateFile), state.Options{ReadOnly: true})
	if err != nil {
		g.t.Fatal(err)
	}
	defer db.Close()
	if err := db.View(look); err != nil {
		g.t.Fatal(err)
	}
}

// memory is what the state has about the gateway.
func (g *ground) memory(name string) (memory extip.Memory) {
	g.t.Helper()
	g.view(name, func(tx *state.Tx) error {
		data, err := state.GetLocatorMemory(tx)
		if err != nil || len(data) == 0 {
			return err
		}
		return json.Unmarshal(data, &memory)
	})
	return memory
}

var mappingRule = regexp.MustCompile(`th dport (\d+) dnat ip to (10\.10\.0\.2:\d+)`)

// mappings are the ports that the gateway has open, as "OUTSIDE to ADDRESS".
func (g *ground) mappings() (open []string) {
	g.t.Helper()
	for _, match := range mappingRule.FindAllStringSubmatch(g.Gateway.Run("nft", "list", "table", "inet", "mapping"), -1) {
		open = append(open, match[1]+" to "+match[2])
	}
	slices.Sort(open)
	return open
}

// sent counts the uploads that the server began.
func (g *ground) sent() int {
	stor := `(?m)^STOR `
	if g.server.Name == "vsftpd" {
		stor = `FTP command: Client "[^"]*", "STOR `
	}
	return len(regexp.MustCompile(stor).FindAllString(g.server.Log(), -1))
}

// leftovers fails the test if there is anything on the server but whole files under their own names.
func (g *ground) leftovers(want ...string) {
	g.t.Helper()
	var found []string
	for _, folder := range []string{"remote/up", "remote/down"} {
		entries, err := os.ReadDir(g.folders[folder])
		if err != nil {
			g.t.Fatal(err)
		}
		for _, entry := range entries {
			if info, err := entry.Info(); err != nil || info.Size() == 0 {
				g.t.Errorf("%s/%s: empty, or %v", folder, entry.Name(), err)
			}
			found = append(found, filepath.Base(folder)+"/"+entry.Name())
		}
	}
	if slices.Sort(found); !slices.Equal(found, want) {
		g.t.Errorf("on the server: %q, want %q", found, want)
	}
}

const fileSize = 300_000 // more than what sockets buffer

// blockedMapping is a server that can only call, and a gateway that opens ports for that.
var blockedMapping = ftptest.Layout{NAT: true, Mapping: "PCP", Blocked: "drop"}

// gatewayOpensPorts: the mapping is there while the program runs, survives its death, and goes with its end.
func gatewayOpensPorts(t *testing.T, secured bool) {
	g := newGround(t, blockedMapping, secured, ftptest.RealOptions{})
	config := g.configure("agent", g.section(""))
	g.put("local/up", "a.bin", fileSize)
	g.put("remote/down", "b.bin", fileSize)
	first := g.start(config, "run")
	g.await(40*time.Second, "the file goes up", func() bool { return g.has("up", "a.bin") })
	once := g.start(config, "once") // through the running one
	once.end(0)
	if !g.inStep() {
		t.Error("not in step after the pass")
	}
	mapped := g.mappings()
	if len(mapped) != 1 {
		t.Fatalf("open at the gateway: %q, want one port", mapped)
	}
	first.Process.Kill()
	first.end(-1)
	known := g.memory("agent")
	if len(known.Mappings) != 1 || known.Nonce == (extip.Nonce{}) || known.Mappings[0].Nonce != known.Nonce ||
		fmt.Sprintf("%d to %s", known.Mappings[0].External.Port(), known.Mappings[0].Internal) != mapped[0] {
		t.Errorf("the state has %+v, the gateway %q", known, mapped)
	}

	second := g.start(config, "run")
	g.put("local/up", "c.bin", fileSize)
	g.await(20*time.Second, "the next file goes up", func() bool { return g.has("up", "c.bin") })
	if again := g.mappings(); !slices.Equal(again, mapped) {
		t.Errorf("open after the restart: %q, before %q", again, mapped)
	}
	second.Process.Signal(syscall.SIGTERM)
	second.end(0)
	if left := g.mappings(); len(left) > 0 {
		t.Errorf("still open at the end: %q", left)
	}
	if after := g.memory("agent"); len(after.Mappings) > 0 || after.Nonce != known.Nonce {
		t.Errorf("the state has %+v at the end, before it had the nonce %x", after, known.Nonce)
	}
	g.leftovers("down/b.bin", "up/a.bin", "up/c.bin")
}

// anotherAddress: what was found out about the one before does not last.
func anotherAddress(t *testing.T, secured bool) {
	g := newGround(t, blockedMapping, secured, ftptest.RealOptions{})
	g.put("local/up", "a.bin", fileSize)
	agent := g.start(g.configure("agent", g.section("")+"reply_timeout = \"5s\"\n"), "run")
	g.await(40*time.Second, "the file goes up", func() bool { return g.has("up", "a.bin") })
	time.Sleep(6 * time.Second) // a port that was opened a moment ago is believed in
	g.Gateway.Run("ip", "address", "flush", "dev", "ferry-internet")
	g.Gateway.Run("ip", "address", "add", "1.2.3.7/24", "dev", "ferry-internet")
	g.Gateway.Route("default", "1.2.3.1")
	g.Gateway.Rules(`flush chain ip gateway postrouting
		add rule ip gateway postrouting oifname ferry-internet snat to 1.2.3.7`)
	g.Internet.Rules("table ip gone { chain forward { type filter hook forward priority -5\nip saddr 1.2.3.2 drop\nip daddr 1.2.3.2 drop\n}\n}")
	g.put("local/up", "b.bin", fileSize)
	took := g.await(60*time.Second, "the next file goes up", func() bool { return g.has("up", "b.bin") })
	t.Logf("it took %s", took)
	agent.Process.Signal(syscall.SIGTERM)
	agent.end(0)
	if left := g.mappings(); len(left) > 0 {
		t.Errorf("still open at the end: %q", left)
	}
	g.leftovers("up/a.bin", "up/b.bin")
}

// forwardedPorts: the second process knows what the first has found out.
func forwardedPorts(t *testing.T, secured bool) {
	const forwarding = `active_ports = "50000-50010"`
	blocked := newGround(t, ftptest.Layout{NAT: true, Forwarded: 50000, Blocked: "drop"}, secured, ftptest.RealOptions{})
	open := newGround(t, ftptest.Layout{NAT: true, Forwarded: 50000}, secured, ftptest.RealOptions{})
	var configs []string
	for _, g := range []*ground{blocked, open} {
		configs = append(configs, g.configure("agent", g.section(forwarding)))
		g.put("local/up", "a.bin", fileSize)
		g.put("remote/down", "b.bin", fileSize)
	}
	first := blocked.start(configs[0], "once", "-v")
	open.start(configs[1], "once").end(0)
	first.end(0)
	if ways := first.events("data connections work in another way"); len(ways) == 0 || ways[0]["way"] != "forwarded PORT" {
		t.Errorf("the log does not tell the way: %v", ways)
	}
	var direct, remembered time.Duration
	for try := range 4 { // other tests are running
		name := fmt.Sprintf("c%d.bin", try)
		for _, g := range []*ground{blocked, open} {
			g.put("local/up", name, fileSize)
			g.put("remote/down", name, fileSize)
		}
		unblocked := open.start(configs[1], "once")
		unblocked.end(0)
		second := blocked.start(configs[0], "once")
		second.end(0)
		direct, remembered = unblocked.took, second.took
		if remembered < direct+time.Second {
			break
		}
	}
	if remembered >= direct+time.Second {
		t.Errorf("the second pass took %s, %s where nothing is blocked", remembered, direct)
	}
	t.Logf("first %s, second %s, unblocked %s", first.took, remembered, direct)
	if !blocked.inStep() || !open.inStep() {
		t.Error("not in step")
	}
}

// noPath: nothing is touched and nothing is given up; a running agent goes on by itself once there is a way.
func noPath(t *testing.T, secured bool) {
	g := newGround(t, ftptest.Layout{NAT: true, Blocked: "drop"}, secured, ftptest.RealOptions{})
	g.put("remote/up", "old.bin", 1000)
	g.put("local/down", "old.bin", 1000)
	before := [2]map[string]string{g.hashes("remote/up"), g.hashes("local/down")}
	g.put("local/up", "a.bin", fileSize)
	g.put("remote/down", "b.bin", fileSize)
	agent := g.start(g.configure("agent", g.section("")), "run")
	once := g.start(g.configure("once", g.section("")), "once", "-v")
	once.end(69)
	t.Logf("once: %s\n%s", once.took, once.out.String())
	account := regexp.MustCompile(`(?m)^(up|down): server unavailable: no data channel to 198\.51\.100\.10 \(we are 10\.10\.0\.2, the server sees us as 203\.0\.113\.2\); nothing done
      passive EPSV   dialled 198\.51\.100\.10:60\d\d\d, no answer in \S+ -> on the server's side: `)
	if !account.Match(once.out.Bytes()) {
		t.Errorf("the account is not to be found, each way in a line of its own:\n%s", once.out.Bytes())
	}
	if strings.Count(once.out.String(), "passive EPSV") > 1 {
		t.Errorf("the account is repeated:\n%s", once.out.Bytes())
	}
	if n := strings.Count(once.out.String(), "server unavailable"); n != 2 {
		t.Errorf("the server is not available for %d of 2 syncs:\n%s", n, once.out.Bytes())
	}
	g.await(60*time.Second, "the agent pauses the server", func() bool { return len(agent.events("paused")) > 0 })
	for _, r := range []*running{once, agent} {
		for _, event := range r.events("paused") {
			cause, _ := event["cause"].(map[string]any)
			passive, _ := cause["passive_EPSV"].(map[string]any)
			if event["server"] != "real" || cause["host"] != "198.51.100.10" || cause["seen_as"] != "203.0.113.2" || cause["tls"] != secured ||
				!strings.HasPrefix(fmt.Sprint(passive["target"]), "198.51.100.10:60") || passive["cure"] == "" {
				t.Errorf("event %v", event)
			}
		}
	}
	if accounts, tries := strings.Count(once.log(), `"passive_EPSV":`), len(once.events("paused")); accounts != tries || tries < 1 || tries > 2 {
		t.Errorf("%d accounts in the log, of %d tries", accounts, tries)
	}
	if n := g.sent(); n > 0 {
		t.Errorf("STOR was sent %d times", n)
	}
	g.leftovers("down/b.bin", "up/old.bin")
	if now := [2]map[string]string{g.hashes("remote/up"), g.hashes("local/down")}; fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("files were %v, are %v", before, now)
	}
	g.view("once", func(tx *state.Tx) error {
		jobs, err := queue.List(tx, queue.Filter{})
		explained := false
		for _, job := range jobs {
			if job.State == queue.Dead || job.Attempts > 0 {
				t.Errorf("job %+v", job)
			}
			explained = explained || strings.Contains(job.LastError, "\n  passive EPSV")
		}
		if len(jobs) != 2 || !explained {
			t.Errorf("%d jobs are left, want 2, and the account in one: %v", len(jobs), explained)
		}
		return err
	})

	g.Server.Run("nft", "flush", "ruleset")
	healed := g.await(40*time.Second, "the file arrives by itself", func() bool { return g.has("up", "a.bin") })
	t.Logf("healed after %s", healed)
	g.start(filepath.Join(g.dir, "agent.toml"), "once").end(0)
	agent.Process.Signal(syscall.SIGTERM)
	agent.end(0)
	g.leftovers("down/b.bin", "up/a.bin", "up/old.bin")
}

// idleConnection: the control connection would be forgotten in the middle if nobody kept it alive.
func idleConnection(t *testing.T, secured bool) {
	const rate, size = 50 << 10, 1_500_000
	g := newGround(t, ftptest.Layout{NAT: true, Forgets: true}, secured, ftptest.RealOptions{Throttle: rate})
	g.put("local/up", "a.bin", size)
	once := g.start(g.configure("agent", g.section("")), "once", "-v")
	once.end(0)
	if once.took < size/rate*time.Second*8/10 || once.took > 50*time.Second {
		t.Errorf("it took %s", once.took)
	}
	if n := g.sent(); n != 1 || !g.inStep() {
		t.Errorf("sent %d times, in step: %v", n, g.inStep())
	}
	g.leftovers("up/a.bin")
}

// forgetting has a gateway drop what belongs to control connections that are there already, as one does that has lost its
// table: it answers nothing. New connections get through.
const forgetting = `table ip forgetting { chain forward { type filter hook forward priority -5
	tcp dport 21 ct state new ct mark set 7
	tcp dport 21 ct mark != 7 drop
	tcp sport 21 ct mark != 7 drop
}
}`

// lostReply: what was sent in full is not sent again.
func lostReply(t *testing.T, secured bool) {
	const rate, size = 100 << 10, 500_000
	g := newGround(t, ftptest.Layout{NAT: true}, secured, ftptest.RealOptions{Throttle: rate})
	g.put("local/up", "a.bin", size)
	once := g.start(g.configure("agent", g.section("")), "once", "-v")
	g.await(15*time.Second, "the upload begins", func() bool {
		for name := range g.hashes("remote/up") {
			info, err := os.Stat(filepath.Join(g.folders["remote/up"], name))
			if err == nil && info.Size() > 0 {
				return true
			}
		}
		return false
	})
	g.Gateway.Rules(forgetting)
	once.end(0)
	t.Logf("it took %s\n%s", once.took, once.log())
	if n := g.sent(); n != 1 || !g.inStep() {
		t.Errorf("sent %d times, in step: %v", n, g.inStep())
	}
	if !strings.Contains(once.log(), "on a new connection") {
		t.Error("it was not compared on a new connection")
	}
	g.leftovers("up/a.bin")
}
