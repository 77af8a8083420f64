package ftptest

import (
	"net"
	"testing"
)

func TestNobodyCanListenWhereConnectionsAreRefused(t *testing.T) {
	address := RefusedAddress(t)
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Errorf("somebody is at %s", address)
	}
	if listener, err := net.Listen("tcp", address); err == nil {
		listener.Close()
		t.Errorf("somebody else can listen at %s", address)
	}
}
