package ftptest

import (
	"fmt"
	"net"
	"testing"
)

func TestALeasedPortIsNobodyElsesWhileNothingListensOnIt(t *testing.T) {
	port := LeasePort(t)
	if lease, err := holdPort(port); err == nil {
		lease.Close()
		t.Fatalf("port %d was leased twice", port)
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatalf("the holder of the lease cannot listen: %v", err)
	}
	listener.Close()
}

func TestAPortThatSomebodyListensOnIsNotLeased(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if lease, err := holdPort(listener.Addr().(*net.TCPAddr).Port); err == nil {
		lease.Close()
		t.Fatal("a port was leased on which somebody listens")
	}
}

func TestAStoppedServerFindsItsPortAgain(t *testing.T) {
	server := Real(t, "pyftpdlib", RealOptions{})
	server.Stop()
	for range 50 {
		LeasePort(t)
	}
	if lease, err := holdPort(server.setup.Port); err == nil {
		lease.Close()
		t.Fatal("somebody else could have the port of a stopped server")
	}
	server.Start()
}
