package ftptest

import (
	"net"
	"syscall"
	"testing"
	"time"
)

// DeafPort returns a port of 127.0.0.1 that leaves all who call without an answer, as behind a firewall, until the end of
// the test.
func DeafPort(t testing.TB) int {
	t.Helper()
	return DeafAddress(t, "127.0.0.1:0")
}

// DeafAddress is DeafPort for an address of this machine, host:port; port 0 is any that is free.
func DeafAddress(t testing.TB, address string) int {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatalf("deaf port: %v", err)
	}
	t.Cleanup(func() { listener.Close() })
	raw, err := listener.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatalf("deaf port: %v", err)
	}
	var again error
	if err := raw.Control(func(fd uintptr) { again = syscall.Listen(int(fd), 0) }); err != nil || again != nil {
		t.Fatalf("deaf port: %v, %v", err, again)
	}
	// The system answers until its queue of those who were not accepted yet is full.
	for range 10 {
		conn, err := net.DialTimeout("tcp", listener.Addr().String(), 100*time.Millisecond)
		if err != nil {
			return listener.Addr().(*net.TCPAddr).Port
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("deaf port: it answers all the time")
	return 0
}

func probeDeafPort() error { return nil }
