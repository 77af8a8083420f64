package extip

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// prober is what PCP and NAT-PMP gateways have in common.
type prober interface {
	Mapper
	Probe(ctx context.Context) error
}

var loopback = netip.MustParseAddr("127.0.0.1")

// bothProtocols runs a test with each.
func bothProtocols(t *testing.T, run func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober)) {
	t.Run("PCP", func(t *testing.T) {
		run(t, ftptest.GatewayOptions{PCP: true}, func(g *ftptest.Gateway) prober { return NewPCP(g.Addr, loopback) })
	})
	t.Run("NAT-PMP", func(t *testing.T) {
		run(t, ftptest.GatewayOptions{NATPMP: true}, func(g *ftptest.Gateway) prober { return NewNATPMP(g.Addr, loopback) })
	})
}

func listenTCP(t *testing.T, address netip.Addr) *net.TCPListener {
	t.Helper()
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func requestFor(listener *net.TCPListener) Request {
	return Request{Internal: listener.Addr().(*net.TCPAddr).AddrPort(), Lifetime: time.Hour, Nonce: Nonce{1, 2, 3}}
}

// passes sends bytes through a mapping, both ways, and returns from where the listener saw them come.
func passes(t *testing.T, listener *net.TCPListener, mapping Mapping) string {
	t.Helper()
	outer, err := net.DialTimeout("tcp", mapping.External.String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer outer.Close()
	listener.SetDeadline(time.Now().Add(time.Minute))
	inner, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer inner.Close()
	io.WriteString(outer, "150 there\n")
	outer.(*net.TCPConn).CloseWrite()
	if got, err := io.ReadAll(inner); string(got) != "150 there\n" || err != nil {
		t.Fatalf("inside: %q, %v", got, err)
	}
	io.WriteString(inner, "226 and back\n")
	inner.Close()
	if got, err := io.ReadAll(outer); string(got) != "226 and back\n" || err != nil {
		t.Fatalf("outside: %q, %v", got, err)
	}
	host, _, _ := net.SplitHostPort(inner.RemoteAddr().String())
	return host
}

func TestAMappingIsMadeUsedRenewedAndDeleted(t *testing.T) {
	bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
		gateway := ftptest.NewGateway(t, options)
		mapper, listener := ask(gateway), listenTCP(t, loopback)
		request := requestFor(listener)
		first, err := mapper.Map(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if first.Protocol != mapper.Name() || first.Gateway != loopback || first.Internal != request.Internal || first.External.Addr() != loopback ||
			first.Nonce != request.Nonce || first.Epoch < 1000 || first.Lifetime != time.Hour || time.Since(first.Granted) > time.Minute {
			t.Errorf("granted: %+v", first)
		}
		if from := passes(t, listener, first); from != "127.0.0.1" {
			t.Errorf("the listener sees %s", from)
		}
		request.External = first.External
		second, err := mapper.Map(t.Context(), request)
		if err != nil || second.External != first.External || len(gateway.Mappings()) != 1 {
			t.Errorf("renewed: %+v, %v; open: %+v", second, err, gateway.Mappings())
		}
		passes(t, listener, second)
		if err := mapper.Unmap(t.Context(), second); err != nil || len(gateway.Mappings()) != 0 {
			t.Errorf("deleted: %v; open: %+v", err, gateway.Mappings())
		}
		if conn, err := net.Dial("tcp", second.External.String()); err == nil {
			conn.Close()
			t.Error("the port is still open")
		}
		if err := mapper.Unmap(t.Context(), second); err != nil {
			t.Errorf("deleted again: %v", err)
		}
	})
}

func TestWhatIsGrantedMayDifferFromWhatWasAsked(t *testing.T) {
	bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
		options.OtherPort, options.Lifetime, options.Claim = true, 2*time.Minute, netip.MustParseAddr("203.0.113.9")
		gateway := ftptest.NewGateway(t, options)
		request := requestFor(listenTCP(t, loopback))
		request.External = request.Internal
		mapping, err := ask(gateway).Map(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if open := gateway.Mappings(); mapping.External != open[0].External || mapping.External.Port() == request.External.Port() ||
			mapping.External.Addr() != options.Claim || mapping.Lifetime != 2*time.Minute {
			t.Errorf("have %+v, open %+v", mapping, open)
		}
	})
}

func TestProbeAndLookupLeaveNothingOpen(t *testing.T) {
	bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
		gateway := ftptest.NewGateway(t, options)
		mapper := ask(gateway)
		if err := mapper.Probe(t.Context()); err != nil || gateway.Requests().Map != 0 {
			t.Errorf("probe: %v, %+v", err, gateway.Requests())
		}
		finding, err := mapper.Lookup(t.Context())
		want := Finding{Source: mapper.Name(), Address: loopback, Detail: "gateway 127.0.0.1", Lifetime: 10 * time.Minute}
		if err != nil || finding != want {
			t.Errorf("lookup: %+v, %v", finding, err)
		}
		if requests := gateway.Requests(); len(gateway.Mappings()) != 0 || requests.Map != requests.Delete {
			t.Errorf("%+v, open: %+v", requests, gateway.Mappings())
		}
		for code, spoken := range map[int]bool{1: false, 3: true, 4: true} { // 4 is UNSUPP_OPCODE in PCP: no ANNOUNCE
			gateway.Change(func(o *ftptest.GatewayOptions) { o.Refuse = code })
			if err := mapper.Probe(t.Context()); (err == nil) != spoken || err != nil && !errors.Is(err, ErrUnsupported) {
				t.Errorf("probe of one that refuses with %d: %v", code, err)
			}
		}
	})
}

// TestPacketsGetLost also shows that answers to other requests are passed over: those come with the noise.
func TestPacketsGetLost(t *testing.T) {
	bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
		options.Drop, options.Noise = 2, true
		gateway := ftptest.NewGateway(t, options)
		mapping, err := ask(gateway).Map(t.Context(), requestFor(listenTCP(t, loopback)))
		if err != nil || len(gateway.Mappings()) != 1 || mapping.External != gateway.Mappings()[0].External {
			t.Errorf("have %+v, %v; open: %+v", mapping, err, gateway.Mappings())
		}
		want := 3
		if options.NATPMP {
			want = 4 // the address first
		}
		if got := gateway.Requests().Packets; got < want {
			t.Errorf("%d packets, want %d or more", got, want)
		}
	})
}

func TestGatewaysThatDoNotHelp(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*ftptest.GatewayOptions)
		want   error
		text   string // part of the error
		atOnce bool
	}{
		"silent":                     {change: func(o *ftptest.GatewayOptions) { o.Silent = true }, want: ErrNoGateway, text: "in 1s"},
		"answers from another port":  {change: func(o *ftptest.GatewayOptions) { o.Elsewhere = true }, want: ErrNoGateway, text: "in 1s"},
		"refuses":                    {change: func(o *ftptest.GatewayOptions) { o.Refuse = 2 }, want: ErrRefused, text: "its rules forbid", atOnce: true},
		"speaks the other protocol":  {change: func(o *ftptest.GatewayOptions) { o.PCP, o.NATPMP = o.NATPMP, o.PCP }, want: ErrUnsupported, text: "it speaks", atOnce: true},
		"grants no time":             {change: func(o *ftptest.GatewayOptions) { o.Lifetime = 1 }, want: ErrRefused, text: "for 0 s", atOnce: true},
		"has no address outside yet": {change: func(o *ftptest.GatewayOptions) { o.Claim = netip.IPv4Unspecified() }, want: ErrRefused, text: "no external address", atOnce: true},
	} {
		t.Run(name, func(t *testing.T) {
			bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
				t.Parallel()
				test.change(&options)
				gateway := ftptest.NewGateway(t, options)
				mapping, err := ask(gateway).Map(t.Context(), requestFor(listenTCP(t, loopback)))
				if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) || mapping != (Mapping{}) {
					t.Errorf("have %+v, %v, want %v %q", mapping, err, test.want, test.text)
				}
				if packets := gateway.Requests().Packets; !test.atOnce && packets != 3 {
					t.Errorf("asked %d times, want 3", packets)
				}
			})
		})
	}
}

func TestNobodyAtTheGateway(t *testing.T) {
	socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0)))
	if err != nil {
		t.Fatal(err)
	}
	closed := socket.LocalAddr().(*net.UDPAddr).AddrPort()
	socket.Close()
	for _, mapper := range []prober{NewPCP(closed, loopback), NewNATPMP(closed, loopback)} {
		if err := mapper.Probe(t.Context()); !errors.Is(err, ErrNoGateway) {
			t.Errorf("%s: %v", mapper.Name(), err)
		}
	}
}

func TestTheEndOfTheContextEndsTheAsking(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true})
	cause := errors.New("the agent ends")
	ctx, cancel := context.WithCancelCause(t.Context())
	waits := func([]byte) (struct{}, error) {
		cancel(cause)
		return struct{}{}, errForeign
	}
	_, err := askGateway(ctx, loopback, gateway.Addr, appendPCPAnnounce(nil, loopback), waits)
	if !errors.Is(err, cause) || errors.Is(err, ErrNoGateway) {
		t.Error(err)
	}
	packets := gateway.Requests().Packets
	if err := NewPCP(gateway.Addr, loopback).Probe(ctx); !errors.Is(err, cause) {
		t.Errorf("begun after the end: %v", err)
	}
	if gateway.Requests().Packets > packets+1 {
		t.Errorf("asked on after the end")
	}
}

func TestTheEndOfTheContextEndsTheWaiting(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{Silent: true})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := exchange(ctx, netip.AddrPortFrom(loopback, 0), gateway.Addr, time.Minute, ErrNoGateway, []byte{0, 0}, parsePMPAddress)
	if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNoGateway) || took > 30*time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestAPCPMappingBelongsToItsNonce(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true})
	mapper, request := NewPCP(gateway.Addr, loopback), requestFor(listenTCP(t, loopback))
	mapping, err := mapper.Map(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	stranger := mapping
	stranger.Nonce[0]++
	request.Nonce[0]++
	if _, err := mapper.Map(t.Context(), request); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "NOT_AUTHORIZED") {
		t.Errorf("map: %v", err)
	}
	if err := mapper.Unmap(t.Context(), stranger); !errors.Is(err, ErrRefused) || len(gateway.Mappings()) != 1 {
		t.Errorf("unmap: %v", err)
	}
}

func TestARestartedGatewayShowsItByItsEpoch(t *testing.T) {
	bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
		gateway := ftptest.NewGateway(t, options)
		mapper, listener := ask(gateway), listenTCP(t, loopback)
		before, err := mapper.Map(t.Context(), requestFor(listener))
		if err != nil {
			t.Fatal(err)
		}
		gateway.Restart()
		after, err := mapper.Map(t.Context(), requestFor(listener))
		if err != nil || after.Epoch >= before.Epoch || len(gateway.Mappings()) != 1 {
			t.Errorf("before %+v, after %+v, %v", before, after, err)
		}
	})
}

// TestTheDeletionOfNothing is as miniupnpd 2.3.1 does it.
func TestTheDeletionOfNothing(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, Refuse: 8})
	mapping := Mapping{Internal: netip.MustParseAddrPort("127.0.0.1:50000"), Nonce: Nonce{1}}
	if err := NewPCP(gateway.Addr, loopback).Unmap(t.Context(), mapping); err != nil {
		t.Error(err)
	}
}

func TestRequestsThatWouldMeanSomethingElse(t *testing.T) {
	bothProtocols(t, func(t *testing.T, options ftptest.GatewayOptions, ask func(*ftptest.Gateway) prober) {
		gateway := ftptest.NewGateway(t, options)
		for name, request := range map[string]Request{
			"no lifetime":   {Internal: netip.MustParseAddrPort("127.0.0.1:50000"), Nonce: Nonce{1}},
			"all ports":     {Internal: netip.MustParseAddrPort("127.0.0.1:0"), Lifetime: time.Hour, Nonce: Nonce{1}},
			"all addresses": {Internal: netip.MustParseAddrPort("0.0.0.0:50000"), Lifetime: time.Hour, Nonce: Nonce{1}},
			"no address":    {Lifetime: time.Hour, Nonce: Nonce{1}},
		} {
			if _, err := ask(gateway).Map(t.Context(), request); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if err := ask(gateway).Unmap(t.Context(), Mapping{Internal: netip.MustParseAddrPort("127.0.0.1:0")}); err == nil {
			t.Error("all ports deleted")
		}
		request := Request{Internal: netip.MustParseAddrPort("127.0.0.1:50000"), Lifetime: time.Hour}
		if _, err := NewPCP(gateway.Addr, loopback).Map(t.Context(), request); err == nil || !strings.Contains(err.Error(), "nonce") {
			t.Errorf("no nonce: %v", err)
		}
		if requests := gateway.Requests(); requests.Packets != 0 {
			t.Errorf("asked all the same: %+v", requests)
		}
	})
}

func TestAPinholeForIPv6(t *testing.T) {
	ftptest.Need(t, "IPv6")
	six := netip.IPv6Loopback()
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, NATPMP: true, Address: six, Outside: six, OtherPort: true})
	listener := listenTCP(t, six)
	mapping, err := NewPCP(gateway.Addr, six).Map(t.Context(), requestFor(listener))
	if err != nil || mapping.External.Addr() != six {
		t.Fatalf("have %+v, %v", mapping, err)
	}
	if from := passes(t, listener, mapping); from != "::1" {
		t.Errorf("the listener sees %s", from)
	}
	if err := NewNATPMP(gateway.Addr, six).Probe(t.Context()); !errors.Is(err, ErrUnsupported) {
		t.Errorf("NAT-PMP: %v", err)
	}
}
