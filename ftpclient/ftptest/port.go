package ftptest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Leased ports lie below those that systems give out by themselves (from 32768 on Linux, from 49152 elsewhere): no data
// connection and no outgoing one takes them.
const (
	firstLeasedPort = 20000
	leasedPorts     = 12000
)

// LeasePort returns a TCP port of 127.0.0.1 that is free and that no other test, of this process or another one, gets before
// this test ends. A server that is stopped and started again has to find its port as it left it: one that somebody else has
// taken meanwhile would greet as if it were the right one.
func LeasePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		port := firstLeasedPort + rand.IntN(leasedPorts)
		var lease net.PacketConn
		if lease, err = holdPort(port); err == nil {
			t.Cleanup(func() { lease.Close() })
			return port
		}
	}
	t.Fatalf("find a free port: %v", err)
	return 0
}

// holdPort leases a port: whoever holds the UDP port of that number has the right to the TCP port.
func holdPort(port int) (net.PacketConn, error) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	lease, err := net.ListenPacket("udp", address)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		lease.Close()
		return nil, err
	}
	listener.Close()
	return lease, nil
}
