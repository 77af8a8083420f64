package ftptest

import (
	"net"
	"testing"
)

func TestARefusedAddressRefusesAndIsNobodyElses(t *testing.T) {
	address := RefusedAddress(t)
	for range 2 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Error("somebody answers")
		}
		if listener, err := net.Listen("tcp", address); err == nil {
			listener.Close()
			t.Error("somebody else can listen there")
		}
	}
}
