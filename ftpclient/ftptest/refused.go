package ftptest

import (
	"net"
	"testing"
)

// RefusedAddress returns a TCP address of 127.0.0.1, host:port, that refuses everybody until the end of the test. Unlike one that
// was just closed nobody else can come to listen there: it is the near end of a connection.
func RefusedAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("refused address: %v", err)
	}
	t.Cleanup(func() { listener.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatalf("refused address: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}
