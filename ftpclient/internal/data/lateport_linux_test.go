package data

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// Each small file takes a connection, and leaves its local port behind for a minute.
func TestDataConnectionsShareLocalPorts(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "::1"} {
		t.Run(address, func(t *testing.T) {
			host := ftptest.NewLab(t).Host("client")
			host.Set("ipv4/ip_local_port_range=50000 50001")
			from := netip.MustParseAddr(address)
			for port := range uint16(6) {
				to := netip.AddrPortFrom(from, 2000+port)
				err := host.Do(func() error {
					listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(to))
					if err != nil {
						return err
					}
					t.Cleanup(func() { listener.Close() })
					pending, err := dial(context.Background(), Endpoints{Local: netip.AddrPortFrom(from, 40000)}, to, Options{})
					if err != nil {
						return fmt.Errorf("connection %d with two local ports: %w", port+1, err)
					}
					t.Cleanup(func() { pending.Close() })
					if local := pending.(connected).LocalAddr().(*net.TCPAddr).AddrPort().Addr(); local != from {
						t.Errorf("connected from %s", local)
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
