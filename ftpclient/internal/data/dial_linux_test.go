package data

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestDialComesFromTheControlConnectionsAddress, in whatever form that is known, though the system would take another one.
func TestDialComesFromTheControlConnectionsAddress(t *testing.T) {
	six := "::1"
	if l, err := net.Listen("tcp", "[::1]:0"); err != nil {
		six = ""
	} else {
		l.Close()
	}
	for name, test := range map[string]struct{ local, to, want string }{
		"the usual one":                {"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		"another one of this machine":  {"127.0.0.3", "127.0.0.1", "127.0.0.3"},
		"another server":               {"127.0.0.3", "127.0.0.2", "127.0.0.3"},
		"IPv4 in the form of IPv6":     {"::ffff:127.0.0.3", "127.0.0.1", "127.0.0.3"},
		"a server in the form of IPv6": {"127.0.0.3", "::ffff:127.0.0.1", "127.0.0.3"},
		"IPv6":                         {six, six, six},
		"nobody knows it":              {"", "127.0.0.1", "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.to == "" {
				t.Skip("no IPv6 on loopback")
			}
			l, err := net.Listen("tcp", net.JoinHostPort(test.to, "0"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			var local netip.Addr
			if test.local != "" {
				local = netip.MustParseAddr(test.local)
			}
			to := netip.AddrPortFrom(netip.MustParseAddr(test.to), l.Addr().(*net.TCPAddr).AddrPort().Port())
			pending, err := dial(t.Context(), Endpoints{Local: netip.AddrPortFrom(local, 40000), Server: to}, to, Options{Patience: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			defer pending.Close()
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			from := server.RemoteAddr().(*net.TCPAddr)
			if from.IP.String() != test.want || from.Port == 40000 {
				t.Errorf("from %s", from)
			}
		})
	}
}

// TestDialEndsInTime: at the end of the patience, or of the context.
func TestDialEndsInTime(t *testing.T) {
	ftptest.Need(t, "deaf port")
	to := netip.AddrPortFrom(loopback, uint16(ftptest.DeafPort(t)))
	stopped, stop := context.WithCancelCause(t.Context())
	stop(errors.New("stopped"))
	for name, test := range map[string]struct {
		ctx      context.Context
		patience time.Duration
		timeout  bool
	}{
		"nobody answers":        {t.Context(), 50 * time.Millisecond, true},
		"nobody waits any more": {stopped, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := dial(test.ctx, ends, to, Options{Patience: test.patience})
			var failed dialError
			if !errors.As(err, &failed) {
				t.Fatalf("%v, want a failure to dial", err)
			}
			var late net.Error
			if got := errors.As(err, &late) && late.Timeout(); got != test.timeout {
				t.Errorf("%v is a timeout: %v", err, got)
			}
		})
	}
}
