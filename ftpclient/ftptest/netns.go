package ftptest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Lab is a network of its own: hosts in network namespaces (Linux), the links between them, and nothing that leads out.
// The namespaces have no names and no processes that hold them, but descriptors of this process: the kernel takes them
// away with the test, however that ends. Links are named "ferry-" and the host at their other end.
//
// A host is entered from a shell by nsenter --net=/proc/PID/fd/N, with what [Host.String] tells.
type Lab struct{ t testing.TB }

func needLab(t testing.TB) {
	t.Helper()
	for _, need := range []string{"netns", "ip", "nft"} {
		Need(t, need)
	}
}

// NewLab begins a network. It needs "netns", "ip" and "nft" (see [Need]). Its hosts end with the test.
func NewLab(t testing.TB) *Lab {
	t.Helper()
	needLab(t)
	return &Lab{t: t}
}

// Host is a machine of a [Lab]. Its methods fail the test where they do not succeed.
type Host struct {
	Name  string
	t     testing.TB
	space *os.File // the network namespace
}

// Host adds a machine. Like a router it hands on what is not for itself; like any machine it has a loopback interface.
// Every port is free for everybody, as servers in tests are not root.
func (l *Lab) Host(name string) *Host {
	l.t.Helper()
	space, err := newNetworkNamespace()
	if err != nil {
		l.t.Fatalf("host %s: %v", name, err)
	}
	l.t.Cleanup(func() { space.Close() })
	h := &Host{Name: name, t: l.t, space: space}
	h.Run("ip", "link", "set", "lo", "up")
	for _, setting := range []string{"ipv4/ip_forward=1", "ipv6/conf/all/forwarding=1", "ipv4/ip_unprivileged_port_start=0",
		// Addresses that are looked for on the link first cost a second or two.
		"ipv6/conf/default/accept_dad=0", "ipv6/conf/all/accept_dad=0"} {
		h.Set(setting)
	}
	return h
}

// Link joins two hosts, each with its addresses there (with their prefix lengths, separated by blanks).
func (l *Lab) Link(a *Host, addressesOfA string, b *Host, addressesOfB string) {
	l.t.Helper()
	a.Run("ip", "link", "add", a.Link(b), "type", "veth", "peer", "name", b.Link(a), "netns", b.path())
	for _, end := range []struct {
		host, other *Host
		addresses   string
	}{{a, b, addressesOfA}, {b, a, addressesOfB}} {
		var batch strings.Builder
		for _, address := range strings.Fields(end.addresses) {
			fmt.Fprintf(&batch, "address add %s dev %s\n", address, end.host.Link(end.other))
		}
		fmt.Fprintf(&batch, "link set %s up\n", end.host.Link(end.other))
		end.host.run(strings.NewReader(batch.String()), "ip", "-batch", "-")
	}
	if strings.Contains(addressesOfA+addressesOfB, ":") {
		a.awaitLink(b)
		b.awaitLink(a)
	}
}

// awaitLink waits until the link is running, which takes the kernel up to a second: IPv6 does nothing before.
func (h *Host) awaitLink(to *Host) {
	h.t.Helper()
	var link *net.Interface
	for deadline := time.Now().Add(linkPatience); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		err := h.Do(func() (err error) { link, err = net.InterfaceByName(h.Link(to)); return err })
		if err != nil {
			h.t.Fatalf("%s: %v", h, err)
		}
		if link.Flags&net.FlagRunning != 0 {
			return
		}
	}
	h.t.Fatalf("%s: link to %s: %s in %s", h, to.Name, link.Flags, linkPatience)
}

// linkPatience is how long a new link may take.
const linkPatience = 2 * time.Minute

// Link is the name of the interface that leads to another host.
func (h *Host) Link(to *Host) string { return "ferry-" + to.Name }

// Route sends what is for destination ("default", a prefix) to the neighbour with the address via.
func (h *Host) Route(destination, via string) {
	h.t.Helper()
	family := "-4"
	if netip.MustParseAddr(via).Is6() {
		family = "-6"
	}
	h.Run("ip", family, "route", "add", destination, "via", via)
}

// Rules adds to the packet filter, in the language of nft(8).
func (h *Host) Rules(rules string) {
	h.t.Helper()
	h.run(strings.NewReader(rules), "nft", "-f", "-")
}

// Set changes a setting of the kernel: "ipv4/ip_forward=1" for /proc/sys/net/ipv4/ip_forward.
func (h *Host) Set(setting string) {
	h.t.Helper()
	name, value, _ := strings.Cut(setting, "=")
	err := h.Do(func() error { return os.WriteFile(filepath.Join("/proc/sys/net", name), []byte(value), 0) })
	if err != nil {
		h.t.Fatalf("%s: set %s: %v", h, setting, err)
	}
}

// Run runs a program on the host to its end, and returns what it wrote.
func (h *Host) Run(name string, args ...string) string {
	h.t.Helper()
	return h.run(nil, name, args...)
}

func (h *Host) run(input io.Reader, name string, args ...string) string {
	h.t.Helper()
	p, err := findProgram(name)
	if err != nil {
		h.t.Fatalf("%s: %s: %v", h, name, err)
	}
	command := exec.Command(p.path, args...)
	command.Env, command.Stdin = p.environment(), input
	output, err := h.output(command)
	if err != nil {
		h.t.Fatalf("%s: %s %s: %v\n%s", h, name, strings.Join(args, " "), err, output)
	}
	return string(output)
}

func (h *Host) output(command *exec.Cmd) ([]byte, error) {
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := h.Start(command); err != nil {
		return nil, err
	}
	err := command.Wait()
	return output.Bytes(), err
}

// Start is command.Start on the host.
func (h *Host) Start(command *exec.Cmd) error { return h.Do(command.Start) }

// Serve runs a program on the host until the end of the test, and shows what it wrote if the test failed. It sees
// folder, if not "", in place of /run.
func (h *Host) Serve(folder, name string, args ...string) {
	h.t.Helper()
	p, err := findProgram(name)
	if err != nil {
		h.t.Fatalf("%s: %s: %v", h, name, err)
	}
	overlays := map[string]string{}
	if folder != "" {
		overlays["/run"] = folder
	}
	command := mortal(overlays, append([]string{p.path}, args...)...)
	command.Env = p.environment()
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	stdin, err := command.StdinPipe()
	if err == nil {
		err = h.Start(command)
	}
	if err != nil {
		h.t.Fatalf("%s: start %s: %v", h, name, err)
	}
	h.t.Cleanup(func() {
		stdin.Close()
		command.Wait() // how it ends is no concern of the test
		if h.t.Failed() {
			h.t.Logf("%s: output of %s:\n%s", h, name, output.Bytes())
		}
	})
}

// Do calls f in a thread that is on the host. Sockets that f makes, files of /proc/sys/net that it opens and processes
// that it starts belong to the host; what goroutines do that it starts does not.
func (h *Host) Do(f func() error) error { return inNetworkNamespace(h.space, f) }

func (h *Host) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), h.space.Fd()) }

// String tells the name and where the namespace is.
func (h *Host) String() string { return fmt.Sprintf("host %s (%s)", h.Name, h.path()) }
