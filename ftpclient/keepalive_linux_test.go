package ftpclient

import (
	"net"
	"net/url"
	"syscall"
	"testing"
)

// TestSilentConnectionsAreProbed reads what the kernel was told: NATs forget a control
// connection on which nothing moves during a long transfer.
func TestSilentConnectionsAreProbed(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	direct := Options{}.withDefaults()
	// The connection to a proxy is dialled in the same way.
	proxied := Options{Proxy: &url.URL{Scheme: "socks5", Host: "proxy.example"}}.withDefaults()
	for name, dial := range map[string]Options{"direct": direct, "through a proxy": proxied} {
		conn, err := dial.DialContext(t.Context(), "tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []struct {
			name                 string
			level, option, value int
		}{
			{"SO_KEEPALIVE", syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
			{"TCP_KEEPIDLE", syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
			{"TCP_KEEPINTVL", syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, 5},
			{"TCP_KEEPCNT", syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 4},
		} {
			raw.Control(func(fd uintptr) {
				if got, err := syscall.GetsockoptInt(int(fd), want.level, want.option); err != nil || got != want.value {
					t.Errorf("%s: %s is %d, %v; want %d", name, want.name, got, err, want.value)
				}
			})
		}
	}
}
