package ftptest

import (
	"net"
	"testing"
)

// RefusedAddress returns a TCP address on the loopback at which connections are refused until the test ends. Nobody else can
// come to listen there meanwhile: a connection that leads elsewhere has the port, where that of a closed listener is free for anybody.
func RefusedAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}
