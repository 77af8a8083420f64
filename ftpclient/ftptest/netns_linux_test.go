package ftptest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// reach connects from a host, with little patience.
func reach(from *Host, address string) error {
	return from.Do(func() error {
		conn, err := net.DialTimeout("tcp", address, 300*time.Millisecond)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// answer listens on a host until the end of the test.
func answer(t *testing.T, on *Host, address string) {
	t.Helper()
	err := on.Do(func() error {
		listener, err := net.Listen("tcp", address)
		if err == nil {
			t.Cleanup(func() { listener.Close() })
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHostsReachEachOtherByLinksAndRoutesAndNothingElse(t *testing.T) {
	lab := NewLab(t)
	near, router, far := lab.Host("near"), lab.Host("router"), lab.Host("far")
	lab.Link(near, "10.1.0.2/24 2001:db8:1::2/64", router, "10.1.0.1/24 2001:db8:1::1/64")
	lab.Link(far, "10.2.0.2/24 2001:db8:2::2/64", router, "10.2.0.1/24 2001:db8:2::1/64")
	answer(t, far, "10.2.0.2:21")
	answer(t, far, "10.2.0.2:22")
	answer(t, far, "[2001:db8:2::2]:21")

	if err := reach(near, "10.2.0.2:21"); !errors.Is(err, syscall.ENETUNREACH) {
		t.Errorf("without a route: %v, want no network", err)
	}
	near.Route("default", "10.1.0.1")
	near.Route("default", "2001:db8:1::1")
	far.Route("10.1.0.0/24", "10.2.0.1")
	far.Route("2001:db8:1::/64", "2001:db8:2::1")
	for _, address := range []string{"10.2.0.2:21", "10.2.0.2:22", "[2001:db8:2::2]:21"} {
		if err := reach(near, address); err != nil {
			t.Errorf("with routes: %v", err)
		}
	}
	router.Rules("table ip filter { chain forward { type filter hook forward priority 0\ntcp dport 22 drop\n}\n}")
	var timeout net.Error
	if err := reach(near, "10.2.0.2:22"); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("with a rule that drops it: %v, want silence", err)
	}
	if err := reach(near, "10.2.0.2:21"); err != nil {
		t.Errorf("beside that rule: %v", err)
	}

	var links []string
	err := near.Do(func() error {
		interfaces, err := net.Interfaces()
		for _, i := range interfaces {
			links = append(links, i.Name)
		}
		return err
	})
	if want := []string{"lo", "ferry-router"}; err != nil || !slices.Equal(links, want) {
		t.Errorf("a host has %v, %v; want %v", links, err, want)
	}
}

func TestServersRunOnHosts(t *testing.T) {
	for _, name := range RealServers {
		for _, address := range []string{"10.1.0.1", "2001:db8::1"} {
			t.Run(name+" "+address, func(t *testing.T) {
				t.Parallel()
				lab := NewLab(t)
				client, server := lab.Host("client"), lab.Host("server")
				lab.Link(server, "10.1.0.1/24 2001:db8::1/64", client, "10.1.0.2/24 2001:db8::2/64")
				s := Real(t, name, RealOptions{Host: server, Address: address, PassivePorts: [2]int{60000, 60009}}) // Pure-FTPd takes half as many users
				if want := net.JoinHostPort(address, "21"); s.Addr != want {
					t.Errorf("it is at %s, want %s", s.Addr, want)
				}
				if err := client.Do(s.greet); err != nil {
					t.Errorf("from a neighbour: %v", err)
				}
			})
		}
	}
}

// doomedVariable is set in a process that builds a lab and is killed.
const doomedVariable = "FTPFERRY_DOOMED_LAB"

func TestAKilledTestLeavesNoNetworkBehind(t *testing.T) {
	if os.Getenv(doomedVariable) != "" {
		lab := NewLab(t)
		host, other := lab.Host("host"), lab.Host("other")
		lab.Link(host, "10.1.0.1/24", other, "10.1.0.2/24")
		host.Serve("", "sleep", "1000")
		var space string
		if err := host.Do(func() (err error) { space, err = os.Readlink(threadNamespace); return err }); err != nil {
			t.Fatal(err)
		}
		fmt.Printf("\nspace %s\n", space)
		time.Sleep(time.Hour)
	}
	needLab(t)
	doomed := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	doomed.Env = append(os.Environ(), doomedVariable+"=1")
	output, err := doomed.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := doomed.Start(); err != nil {
		t.Fatal(err)
	}
	var space string
	for lines := bufio.NewScanner(output); space == "" && lines.Scan(); {
		space, _ = strings.CutPrefix(lines.Text(), "space ")
		if !strings.HasPrefix(space, "net:") {
			space = ""
		}
	}
	if found := inhabitants(space); len(found) == 0 {
		t.Errorf("nobody is in %q while the test runs", space)
	}
	doomed.Process.Kill()
	doomed.Wait()
	var left []string
	for deadline := time.Now().Add(leakPatience); ; time.Sleep(20 * time.Millisecond) {
		if left = inhabitants(space); len(left) == 0 || time.Now().After(deadline) {
			break
		}
	}
	if len(left) > 0 {
		t.Errorf("still in %s: %s", space, left)
	}
}

// inhabitants are the processes in a network namespace.
func inhabitants(space string) (found []string) {
	entries, _ := filepath.Glob("/proc/[0-9]*/ns/net") // the pattern is well formed
	for _, entry := range entries {
		if at, err := os.Readlink(entry); err == nil && at == space {
			found = append(found, entry)
		}
	}
	return found
}
