package extip_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// call connects to what is announced and checks that the listener gets it.
func call(t *testing.T, listener *extip.Listener) {
	t.Helper()
	announced, err := listener.Mapping.Announce(listener.Mapping.External.Addr(), netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	var calling sync.WaitGroup
	defer calling.Wait()
	calling.Go(func() {
		var dialer net.Dialer
		conn, err := dialer.DialContext(t.Context(), "tcp", announced.String())
		if err != nil {
			t.Errorf("call %s: %v", announced, err)
			listener.TCPListener.Close()
			return
		}
		defer conn.Close()
		io.WriteString(conn, "data")
	})
	conn, err := listener.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	if text, err := io.ReadAll(conn); string(text) != "data" {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestLocatorAtGateways(t *testing.T) {
	outside := netip.MustParseAddr("127.9.9.9")
	tests := []struct {
		sentence string
		gateway  ftptest.GatewayOptions
		upnp     bool
		protocol string // "" is none
	}{
		{"PCP", ftptest.GatewayOptions{PCP: true, NATPMP: true, Outside: outside}, true, extip.SourcePCP},
		{"PCP that grants another port", ftptest.GatewayOptions{PCP: true, Outside: outside, OtherPort: true}, false, extip.SourcePCP},
		{"NAT-PMP", ftptest.GatewayOptions{NATPMP: true, Outside: outside}, true, extip.SourceNATPMP},
		{"NAT-PMP that grants another port", ftptest.GatewayOptions{NATPMP: true, Outside: outside, OtherPort: true}, false, extip.SourceNATPMP},
		{"UPnP where the others are silent", ftptest.GatewayOptions{Silent: true}, true, extip.SourceUPnP},
		{"UPnP where the others refuse", ftptest.GatewayOptions{PCP: true, NATPMP: true, Refuse: 3}, true, extip.SourceUPnP},
		{"none where all are silent", ftptest.GatewayOptions{Silent: true}, false, ""},
		{"none where it refuses", ftptest.GatewayOptions{PCP: true, NATPMP: true, Refuse: 3}, false, ""},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			gateway := ftptest.NewGateway(t, test.gateway)
			igd := ftptest.NewIGD(t, ftptest.IGDOptions{Silent: !test.upnp, External: outside})
			var saved extip.Memory
			l := extip.NewLocator(extip.Options{Gateway: true, Router: gateway.Addr, UPnPSearch: igd.Search(),
				Save: func(m extip.Memory) error { saved = m; return nil }})
			listener, err := l.Listen(t.Context(), loopback, 0, 0)
			if test.protocol == "" {
				t.Log(err)
				var refusal *extip.GatewayError
				if !errors.As(err, &refusal) || len(refusal.Reasons) != 3 {
					t.Fatalf("got %v, %v", listener, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := listener.Mapping.Protocol; got != test.protocol {
				t.Errorf("by %s", got)
			}
			var seconds []uint32
			for _, m := range gateway.Mappings() {
				seconds = append(seconds, uint32((time.Until(m.Expires)+time.Minute/2).Truncate(time.Minute)/time.Second))
			}
			for _, m := range igd.Mappings() {
				seconds = append(seconds, m.Lease)
			}
			if len(seconds) != 1 || seconds[0] != 3600 {
				t.Errorf("mappings for %d s, want one for 3600", seconds)
			}
			call(t, listener)
			listener.Close()
			again, err := l.Listen(t.Context(), loopback, 0, 0)
			if err != nil || again.Mapping.External != listener.Mapping.External {
				t.Fatalf("%v, %v", again, err)
			}
			call(t, again)
			again.TCPListener.Close() // and the process is killed

			text, err := json.Marshal(saved)
			if err != nil {
				t.Fatal(err)
			}
			var memory extip.Memory
			if err := json.Unmarshal(text, &memory); err != nil {
				t.Fatal(err)
			}
			next := extip.NewLocator(extip.Options{Gateway: true, Router: gateway.Addr, UPnPSearch: igd.Search(), Memory: memory})
			third, err := next.Listen(t.Context(), loopback, 0, 0)
			if err != nil || third.Mapping.External != listener.Mapping.External {
				t.Fatalf("%v, %v", third, err)
			}
			call(t, third)
			third.Close()
			if n := len(gateway.Mappings()) + len(igd.Mappings()); n != 1 {
				t.Errorf("%d mappings", n)
			}
			if err := next.Close(t.Context()); err != nil || len(gateway.Mappings())+len(igd.Mappings()) != 0 {
				t.Errorf("%v %v left, %v", gateway.Mappings(), igd.Mappings(), err)
			}
		})
	}
}

func TestLocatorAfterRestartOfTheGateway(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, Outside: netip.MustParseAddr("127.9.9.9")})
	l := extip.NewLocator(extip.Options{Gateway: true, Router: gateway.Addr})
	listen := func() *extip.Listener {
		listener, err := l.Listen(t.Context(), loopback, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	lost, other := listen(), listen()
	gateway.Restart()
	l.Void(lost.Mapping.External) // the server's call did not come
	lost.Close()
	other.Close()
	again := listen()
	if again.Mapping.Internal != other.Mapping.Internal {
		t.Errorf("%v, not %v", again.Mapping, other.Mapping)
	}
	call(t, again)
	again.Close()
	if err := l.Close(t.Context()); err != nil || len(gateway.Mappings()) != 0 {
		t.Errorf("%v left, %v", gateway.Mappings(), err)
	}
}

func TestRunOfALocator(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{NATPMP: true})
	l := extip.NewLocator(extip.Options{Gateway: true, Router: gateway.Addr})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- l.Run(ctx) }()
	listener, err := l.Listen(t.Context(), loopback, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	call(t, listener)
	listener.Close()
	cancel()
	if err := <-ended; err != nil || len(gateway.Mappings()) != 0 {
		t.Errorf("%v left, %v", gateway.Mappings(), err)
	}
}

func TestFindings(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, Claim: netip.MustParseAddr("203.0.113.1")})
	first, second := ftptest.NewSTUN(t, ftptest.STUNOptions{}), ftptest.NewSTUN(t, ftptest.STUNOptions{})
	var asked atomic.Int32
	page := func(body string) *httptest.Server {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked.Add(1)
			io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		return server
	}
	good, bad := page("203.0.113.1\n"), page("<html>203.0.113.1</html>")
	secure := &tls.Config{RootCAs: good.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	secure.RootCAs.AddCert(bad.Certificate())
	l := extip.NewLocator(extip.Options{
		Gateway: true, Router: gateway.Addr, STUN: []string{first.Addr.String(), second.Addr.String(), "[::1"},
		HTTP: []string{good.URL, bad.URL}, TLS: secure,
	})
	for range 2 {
		findings, failures := l.Findings(t.Context(), loopback)
		sources := map[string]int{}
		for _, f := range findings {
			sources[f.Source]++
			if f.Source == extip.SourceSTUN && (f.Port == 0 || f.Port != f.LocalPort) {
				t.Errorf("%+v", f)
			}
		}
		if sources[extip.SourcePCP] != 1 || sources[extip.SourceSTUN] != 2 || sources[extip.SourceHTTP] != 1 {
			t.Errorf("got %v", findings)
		}
		delete(failures, extip.SourceNATPMP) // which need not have answered before PCP did
		if len(failures) != 2 ||
			!strings.Contains(failures[extip.SourceSTUN].Error(), "[::1") || !strings.Contains(failures[extip.SourceHTTP].Error(), "html") {
			t.Errorf("got %v", failures)
		}
		if verdict := extip.Rank(loopback, findings); verdict.Ports != extip.PortsKept {
			t.Errorf("got %+v", verdict)
		}
	}
	if asked.Load() != 2 || first.Requests() != 1 || gateway.Requests().Map != 1 {
		t.Errorf("asked again: %d, %d, %+v", asked.Load(), first.Requests(), gateway.Requests())
	}
	quiet := extip.NewLocator(extip.Options{})
	if findings, failures := quiet.Findings(t.Context(), loopback); len(findings)+len(failures) != 0 {
		t.Errorf("nobody was to be asked: %v %v", findings, failures)
	}
}
