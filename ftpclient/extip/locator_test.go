package extip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeMapper is a gateway in one protocol. What it was asked is in its log.
type fakeMapper struct {
	name string

	mutex     sync.Mutex
	silent    bool
	failure   error // of Map
	spoken    error // of Probe
	lifetime  time.Duration
	permanent bool
	otherPort bool
	delay     time.Duration
	started   time.Time // of the epoch
	open      map[netip.AddrPort]Mapping
	log       []string
}

func (f *fakeMapper) Name() string { return f.name }

func (f *fakeMapper) answer(ctx context.Context, format string, args ...any) error {
	f.mutex.Lock()
	f.log = append(f.log, fmt.Sprintf(format, args...))
	silent, delay := f.silent, f.delay
	f.mutex.Unlock()
	if silent {
		delay = time.Second
	}
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if silent {
		return fmt.Errorf("%s: %w", f.name, ErrNoGateway)
	}
	return nil
}

func (f *fakeMapper) Probe(ctx context.Context) error {
	if err := f.answer(ctx, "probe"); err != nil {
		return err
	}
	return f.spoken
}

func (f *fakeMapper) Lookup(ctx context.Context) (Finding, error) {
	if err := f.answer(ctx, "lookup"); err != nil {
		return Finding{}, err
	}
	return Finding{Source: f.name, Address: netip.MustParseAddr("203.0.113.1"), Lifetime: 10 * time.Minute}, nil
}

func (f *fakeMapper) Map(ctx context.Context, r Request) (Mapping, error) {
	f.mutex.Lock()
	what := "map"
	if _, known := f.open[r.Internal]; known {
		what = "renew"
	}
	f.mutex.Unlock()
	if err := f.answer(ctx, "%s", what); err != nil {
		return Mapping{}, err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.failure != nil {
		return Mapping{}, fmt.Errorf("%s: %w", f.name, f.failure)
	}
	m := Mapping{
		Protocol: f.name, Gateway: gatewayHere, Internal: r.Internal, Nonce: r.Nonce, Granted: time.Now(), Lifetime: r.Lifetime,
		External: netip.AddrPortFrom(netip.MustParseAddr("203.0.113.1"), r.External.Port()),
		Epoch:    uint32(time.Since(f.started) / time.Second),
	}
	if f.otherPort {
		m.External = netip.AddrPortFrom(m.External.Addr(), r.Internal.Port()^1)
	}
	if f.lifetime > 0 {
		m.Lifetime = f.lifetime
	}
	if f.permanent {
		m.Lifetime = 0
	}
	f.open[r.Internal] = m
	return m, nil
}

func (f *fakeMapper) Unmap(ctx context.Context, m Mapping) error {
	if err := f.answer(ctx, "unmap"); err != nil {
		return err
	}
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.open, m.Internal)
	return nil
}

// said returns the log since the last call.
func (f *fakeMapper) said() string {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	log := strings.Join(f.log, " ")
	f.log = nil
	return log
}

func (f *fakeMapper) mappings() int {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return len(f.open)
}

func (f *fakeMapper) change(change func()) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	change()
}

var (
	gatewayHere = netip.MustParseAddr("192.168.1.1")
	us          = netip.MustParseAddr("127.0.0.1")
)

// scene is a gateway that speaks everything, and what a process leaves for the next.
type scene struct {
	t              *testing.T
	pcp, pmp, upnp *fakeMapper
	network        Network
	saved          Memory
	saves          int
	saveError      error
}

func newScene(t *testing.T) *scene {
	fake := func(name string) *fakeMapper {
		return &fakeMapper{name: name, started: time.Now().Add(-1000 * time.Second), open: map[netip.AddrPort]Mapping{}}
	}
	return &scene{t: t, pcp: fake(SourcePCP), pmp: fake(SourceNATPMP), upnp: fake(SourceUPnP),
		network: Network{Interface: "eth0", Prefix: netip.MustParsePrefix("192.168.1.0/24"), Gateway: gatewayHere}}
}

// locator is a process: it begins with what the one before saved.
func (s *scene) locator() *Locator {
	table := make([]protocol, 0, 3)
	for _, f := range []*fakeMapper{s.pcp, s.pmp, s.upnp} {
		table = append(table, protocol{name: f.name, late: f == s.upnp,
			open: func(Options, netip.Addr, netip.Addr, string) Mapper { return f }})
	}
	save := func(m Memory) error {
		s.saves++
		if s.saveError == nil {
			s.saved = m
		}
		return s.saveError
	}
	return newLocator(Options{Gateway: true, Memory: s.saved, Save: save}, table,
		func(netip.Addr) (Network, error) { return s.network, nil })
}

// run runs a locator until stop, which waits for its end and returns how long that took.
func (s *scene) run(l *Locator) (stop func() time.Duration) {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	synctest.Wait()
	return func() time.Duration {
		begin := time.Now()
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run: %v", err)
		}
		return time.Since(begin)
	}
}

func (s *scene) listen(l *Locator) *Listener {
	s.t.Helper()
	listener, err := l.Listen(s.t.Context(), us, 0, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return listener
}

// expect compares what a gateway was asked since the last look.
func (s *scene) expect(f *fakeMapper, want string) {
	s.t.Helper()
	if got := f.said(); got != want {
		s.t.Errorf("%s was asked %q, want %q", f.name, got, want)
	}
}

func TestLocator(t *testing.T) {
	tests := []struct {
		sentence string
		play     func(s *scene)
	}{
		{"transfers at the same time get ports of their own, later ones those that are idle", func(s *scene) {
			l := s.locator()
			a, b := s.listen(l), s.listen(l)
			if a.Mapping.Internal == b.Mapping.Internal {
				s.t.Errorf("both have %s", a.Mapping.Internal)
			}
			s.expect(s.pcp, "probe map map")
			a.Close()
			a.Close()
			c := s.listen(l)
			if c.Mapping.Internal != a.Mapping.Internal || c.Addr().(*net.TCPAddr).AddrPort() != a.Mapping.Internal {
				s.t.Errorf("%s is not %s again", c.Mapping.Internal, a.Mapping.Internal)
			}
			s.expect(s.pcp, "")
			b.Close()
			c.Close()
			l.Close(s.t.Context())
			s.expect(s.pcp, "unmap unmap")
		}},
		{"what was granted is announced, not what was asked for", func(s *scene) {
			s.pcp.otherPort = true
			l := s.locator()
			a := s.listen(l)
			defer a.Close()
			if got, err := a.Mapping.Announce(netip.Addr{}); err != nil || got.Port() == a.Mapping.Internal.Port() {
				s.t.Errorf("%s, %v", got, err)
			}
			l.Close(s.t.Context())
		}},
		{"an idle mapping whose port another program has taken is left where it is", func(s *scene) {
			l := s.locator()
			a := s.listen(l)
			a.Close()
			squatter, err := listen(a.Mapping.Internal)
			if err != nil {
				s.t.Fatal(err)
			}
			b := s.listen(l)
			if b.Mapping.Internal == a.Mapping.Internal {
				s.t.Error("it cannot be listened on")
			}
			squatter.Close()
			b.Close()
			l.Close(s.t.Context())
			s.expect(s.pcp, "probe map map unmap unmap")
		}},
		{"a mapping that is lent is renewed at half its life, an idle one is deleted then", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			lent, idle := s.listen(l), s.listen(l)
			idle.Close()
			s.expect(s.pcp, "probe map map")
			time.Sleep(mappingLifetime/2 + time.Second)
			s.expect(s.pcp, "renew renew") // the idle one was used since it was granted
			time.Sleep(mappingLifetime / 2)
			synctest.Wait()
			if got := s.pcp.said(); got != "renew unmap" && got != "unmap renew" {
				s.t.Errorf("asked %q", got)
			}
			if len(s.saved.Mappings) != 1 || s.saved.Mappings[0].Internal != lent.Mapping.Internal {
				s.t.Errorf("saved %v", s.saved.Mappings)
			}
			lent.Close()
			if took := stop(); took > time.Second || s.pcp.mappings() != 0 || len(s.saved.Mappings) != 0 {
				s.t.Errorf("%d left, %d saved, after %v", s.pcp.mappings(), len(s.saved.Mappings), took)
			}
		}},
		{"what is granted for a short time is renewed more often", func(s *scene) {
			s.pcp.lifetime = 2 * time.Minute
			l := s.locator()
			stop := s.run(l)
			a := s.listen(l)
			time.Sleep(5*time.Minute + time.Second)
			s.expect(s.pcp, "probe map renew renew renew renew renew")
			a.Close()
			stop()
		}},
		{"a mapping for good is looked after, and deleted in the end", func(s *scene) {
			s.pcp.permanent = true
			l := s.locator()
			stop := s.run(l)
			a := s.listen(l)
			time.Sleep(mappingLifetime + time.Second)
			s.expect(s.pcp, "probe map renew renew")
			a.Close()
			stop()
			s.expect(s.pcp, "unmap")
		}},
		{"a mapping is renewed again and again as its end comes near, until the gateway is back", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			a := s.listen(l)
			s.pcp.said()
			s.pcp.change(func() { s.pcp.silent = true })
			time.Sleep(mappingLifetime*7/8 + 5*time.Second) // at 1/2, 3/4 and 7/8
			s.expect(s.pcp, "renew renew renew")
			s.pcp.change(func() { s.pcp.silent = false })
			time.Sleep(mappingLifetime / 8)
			s.expect(s.pcp, "renew")
			a.Close()
			stop()
		}},
		{"the end does not wait for a silent gateway, and the next process finds what is left", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			s.listen(l).Close()
			s.pcp.change(func() { s.pcp.silent = true })
			if took := stop(); took > closePatience {
				s.t.Errorf("took %v", took)
			}
			s.pcp.change(func() { s.pcp.silent = false })
			s.pcp.said()
			if err := s.locator().Close(s.t.Context()); err != nil || s.pcp.mappings() != 0 || len(s.saved.Mappings) != 0 {
				s.t.Errorf("%d left, %v, %v", s.pcp.mappings(), s.saved.Mappings, err)
			}
			s.expect(s.pcp, "unmap")
		}},
		{"a gateway that has restarted gets all its mappings anew", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			a, b, c := s.listen(l), s.listen(l), s.listen(l)
			s.pcp.said()
			time.Sleep(time.Minute)
			s.pcp.change(func() { s.pcp.started, s.pcp.open = time.Now(), map[netip.AddrPort]Mapping{} })
			s.listen(l).Close() // whose answer gives it away
			synctest.Wait()
			s.expect(s.pcp, "map map map map")
			for _, x := range []*Listener{a, b, c} {
				x.Close()
			}
			stop()
		}},
		{"an idle mapping is asked about after a while, since the gateway may have restarted", func(s *scene) {
			l := s.locator()
			s.listen(l).Close()
			time.Sleep(leaseTrust + time.Second)
			s.pcp.change(func() { s.pcp.started, s.pcp.open = time.Now(), map[netip.AddrPort]Mapping{} })
			s.listen(l).Close()
			s.expect(s.pcp, "probe map map")
			l.Close(s.t.Context())
		}},
		{"without Run, nothing that has expired is lent", func(s *scene) {
			l := s.locator()
			a := s.listen(l)
			a.Close()
			time.Sleep(mappingLifetime)
			s.pcp.change(func() { clear(s.pcp.open) })
			b := s.listen(l)
			s.expect(s.pcp, "probe map map")
			b.Close()
			l.Close(s.t.Context())
		}},
		{"a mapping that does not work is deleted and not lent again, and the others are in doubt", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			a, b := s.listen(l), s.listen(l)
			b.Close()
			s.pcp.said()
			l.Void(a.Mapping.External)
			a.Close()
			synctest.Wait()
			s.expect(s.pcp, "unmap")
			if c := s.listen(l); c.Mapping.Internal != b.Mapping.Internal {
				s.t.Errorf("%v is not %v", c.Mapping, b.Mapping)
			}
			s.expect(s.pcp, "renew")
			stop()
		}},
		{"idle mappings do not pile up", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			var all []*Listener
			for range idleLeases + 4 {
				all = append(all, s.listen(l))
			}
			for _, x := range all {
				x.Close()
			}
			synctest.Wait()
			if n := s.pcp.mappings(); n != idleLeases {
				s.t.Errorf("%d are left", n)
			}
			stop()
		}},
		{"a gateway that speaks NAT-PMP only is asked in NAT-PMP", func(s *scene) {
			s.pcp.spoken = ErrUnsupported
			l := s.locator()
			a := s.listen(l)
			if a.Mapping.Protocol != SourceNATPMP {
				s.t.Errorf("got %+v", a.Mapping)
			}
			a.Close()
			s.expect(s.upnp, "")
			l.Close(s.t.Context())
		}},
		{"a gateway that is silent in PCP and NAT-PMP is asked in UPnP after a second", func(s *scene) {
			s.pcp.silent, s.pmp.silent = true, true
			l := s.locator()
			begin := time.Now()
			if err := l.Prepare(s.t.Context(), us); err != nil || time.Since(begin) != time.Second {
				s.t.Errorf("%v after %v", err, time.Since(begin))
			}
			s.expect(s.upnp, "probe")
			a := s.listen(l)
			if a.Mapping.Protocol != SourceUPnP {
				s.t.Errorf("got %+v", a.Mapping)
			}
			a.Close()
			l.Close(s.t.Context())
			s.expect(s.pcp, "probe")
		}},
		{"a gateway that speaks a protocol and refuses ports in it is asked in the next", func(s *scene) {
			s.pcp.failure, s.pmp.failure = ErrRefused, ErrRefused
			l := s.locator()
			a := s.listen(l)
			if a.Mapping.Protocol != SourceUPnP {
				s.t.Errorf("got %+v", a.Mapping)
			}
			a.Close()
			s.listen(l).Close()
			s.expect(s.pcp, "probe map")
			s.expect(s.upnp, "probe map")
			l.Close(s.t.Context())
		}},
		{"who refuses one port more is not abandoned for it", func(s *scene) {
			l := s.locator()
			a := s.listen(l)
			s.pcp.change(func() { s.pcp.failure = ErrRefused })
			if b, err := l.Listen(s.t.Context(), us, 0, 0); !errors.Is(err, ErrRefused) {
				s.t.Errorf("%v, %v", b, err)
			}
			a.Close()
			s.listen(l).Close()
			s.expect(s.pmp, "probe")
			s.expect(s.upnp, "")
			l.Close(s.t.Context())
		}},
		{"a gateway that does not answer at all is left alone for minutes, and the error says what was asked", func(s *scene) {
			s.pcp.silent, s.pmp.silent, s.upnp.silent = true, true, true
			l := s.locator()
			for range 3 {
				_, err := l.Listen(s.t.Context(), us, 0, 0)
				var refusal *GatewayError
				if !errors.As(err, &refusal) || !errors.Is(err, ErrNoGateway) || len(refusal.Reasons) != 3 {
					s.t.Fatalf("got %v", err)
				}
				want := "gateway 192.168.1.1 opens no port: PCP: no answer from the gateway; NAT-PMP: no answer from the gateway; " +
					"UPnP: no answer from the gateway"
				if err.Error() != want {
					s.t.Errorf("got %q", err)
				}
			}
			s.expect(s.pcp, "probe")
			time.Sleep(refusalLifetime + time.Second)
			s.pcp.change(func() { s.pcp.silent = false })
			s.listen(l).Close()
			l.Close(s.t.Context())
		}},
		{"a gateway that falls silent costs a second once, not with each transfer", func(s *scene) {
			l := s.locator()
			s.listen(l).Close()
			time.Sleep(leaseTrust + time.Second)
			for _, f := range []*fakeMapper{s.pcp, s.pmp, s.upnp} {
				f.change(func() { f.silent = true })
			}
			for _, limit := range []time.Duration{4 * time.Second, 0} {
				begin := time.Now()
				// NAT-PMP was seen to be spoken.
				if _, err := l.Listen(s.t.Context(), us, 0, 0); !errors.Is(err, ErrNoGateway) || time.Since(begin) > limit {
					s.t.Errorf("%v after %v", err, time.Since(begin))
				}
				l.mutex.Lock()
				for _, le := range l.routers[0].leases {
					le.void = true
				}
				l.mutex.Unlock()
			}
		}},
		{"many who ask at the same time make one question of it", func(s *scene) {
			for _, f := range []*fakeMapper{s.pcp, s.pmp} {
				f.delay = 100 * time.Millisecond
			}
			l := s.locator()
			var asking sync.WaitGroup
			for range 10 {
				asking.Go(func() { l.Prepare(s.t.Context(), us) })
			}
			asking.Wait()
			s.expect(s.pcp, "probe")
			s.expect(s.pmp, "probe")
		}},
		{"who gives up while he asks does not spoil it for the others", func(s *scene) {
			s.pcp.delay, s.pmp.delay = 100*time.Millisecond, 100*time.Millisecond
			l := s.locator()
			ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
			defer cancel()
			var asking sync.WaitGroup
			asking.Go(func() {
				if err := l.Prepare(ctx, us); !errors.Is(err, context.DeadlineExceeded) {
					s.t.Errorf("got %v", err)
				}
			})
			synctest.Wait()
			if err := l.Prepare(s.t.Context(), us); err != nil {
				s.t.Error(err)
			}
			asking.Wait()
		}},
		{"a mapping that was asked for by somebody who gave up is deleted", func(s *scene) {
			l := s.locator()
			l.Prepare(s.t.Context(), us)
			s.pcp.change(func() { s.pcp.delay = 100 * time.Millisecond })
			stop := s.run(l)
			ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
			defer cancel()
			if _, err := l.Listen(ctx, us, 0, 0); !errors.Is(err, context.DeadlineExceeded) {
				s.t.Errorf("got %v", err)
			}
			time.Sleep(time.Second)
			s.expect(s.pcp, "probe map unmap")
			stop()
		}},
		{"after the end nothing is opened", func(s *scene) {
			l := s.locator()
			l.Close(s.t.Context())
			if _, err := l.Listen(s.t.Context(), us, 0, 0); !errors.Is(err, net.ErrClosed) {
				s.t.Errorf("got %v", err)
			}
			s.expect(s.pcp, "")
		}},
		{"what was being opened at the end is closed by who opened it", func(s *scene) {
			l := s.locator()
			l.Prepare(s.t.Context(), us)
			s.pcp.change(func() { s.pcp.delay = 100 * time.Millisecond })
			var opening sync.WaitGroup
			opening.Go(func() {
				if _, err := l.Listen(s.t.Context(), us, 0, 0); !errors.Is(err, net.ErrClosed) {
					s.t.Errorf("got %v", err)
				}
			})
			synctest.Wait()
			l.Close(s.t.Context())
			opening.Wait()
			if s.pcp.mappings() != 0 || len(s.saved.Mappings) != 0 {
				s.t.Errorf("%d left, %v", s.pcp.mappings(), s.saved.Mappings)
			}
		}},
		{"the nonce and the port are saved before the gateway is asked", func(s *scene) {
			s.saveError = errors.New("disk full")
			l := s.locator()
			if _, err := l.Listen(s.t.Context(), us, 0, 0); !errors.Is(err, s.saveError) {
				s.t.Errorf("got %v", err)
			}
			s.expect(s.pcp, "probe")
			s.saveError = nil
			s.pcp.failure = errors.New("cut off in the middle")
			l.Listen(s.t.Context(), us, 0, 0)
			if s.saved.Nonce == (Nonce{}) || len(s.saved.Mappings) != 1 {
				s.t.Errorf("saved %+v", s.saved)
			}
		}},
		{"after a crash, the mapping is renewed with the same nonce and lent again", func(s *scene) {
			l := s.locator()
			a := s.listen(l)
			a.TCPListener.Close() // as a killed process does
			s.pcp.said()
			next := s.locator()
			b := s.listen(next)
			if b.Mapping.Internal != a.Mapping.Internal || b.Mapping.Nonce != a.Mapping.Nonce || a.Mapping.Nonce == (Nonce{}) {
				s.t.Errorf("%+v is not %+v", b.Mapping, a.Mapping)
			}
			s.expect(s.pcp, "renew")
			b.Close()
			next.Close(s.t.Context())
			s.expect(s.pcp, "unmap")
		}},
		{"after a crash, what nobody wants is deleted at half its life", func(s *scene) {
			s.listen(s.locator()).TCPListener.Close()
			s.pcp.said()
			stop := s.run(s.locator())
			s.expect(s.pcp, "")
			time.Sleep(mappingLifetime/2 + time.Second)
			s.expect(s.pcp, "unmap")
			stop()
		}},
		{"what an earlier process left in another network is left alone, and forgotten when it has expired", func(s *scene) {
			s.listen(s.locator()).TCPListener.Close()
			s.pcp.said()
			s.network.Gateway = netip.MustParseAddr("10.0.0.1")
			l := s.locator()
			stop := s.run(l)
			stop()
			s.expect(s.pcp, "")
			time.Sleep(mappingLifetime)
			s.network.Gateway = gatewayHere
			s.locator().Close(s.t.Context())
			s.expect(s.pcp, "")
		}},
		{"in another network with the same addresses, nothing is renewed or deleted", func(s *scene) {
			s.network.GatewayMAC = "02:00:00:00:00:01"
			l := s.locator()
			stop := s.run(l)
			a := s.listen(l)
			a.Close()
			s.pcp.said()
			s.network.GatewayMAC = "02:00:00:00:00:02"
			b := s.listen(l)
			if b.Mapping.Internal == a.Mapping.Internal {
				s.t.Error("the mapping is at another gateway")
			}
			s.expect(s.pcp, "probe map")
			time.Sleep(mappingLifetime * 3 / 4)
			s.expect(s.pcp, "renew")
			b.Close()
			stop()
		}},
		{"a hardware address that shows up later makes no other network", func(s *scene) {
			l := s.locator()
			s.listen(l).Close()
			s.network.GatewayMAC = "02:00:00:00:00:01"
			s.listen(l).Close()
			s.expect(s.pcp, "probe map")
			l.Close(s.t.Context())
		}},
		{"ports are those of the range, until none is left", func(s *scene) {
			l := s.locator()
			probe, err := listen(netip.AddrPortFrom(us, 0))
			if err != nil {
				s.t.Fatal(err)
			}
			port := uint16(probe.Addr().(*net.TCPAddr).Port)
			if _, err := l.Listen(s.t.Context(), us, port, port); err == nil || !strings.Contains(err.Error(), "no free port in") {
				s.t.Errorf("got %v", err)
			}
			probe.Close()
			a, err := l.Listen(s.t.Context(), us, port, port)
			if err != nil || a.Mapping.Internal.Port() != port {
				s.t.Fatalf("%v, %v", a, err)
			}
			a.Close()
			b := s.listen(l) // any port is right, so the idle one is
			if _, err := l.Listen(s.t.Context(), us, port, port); err == nil {
				s.t.Error("the only port was lent twice")
			}
			b.Close()
			l.Close(s.t.Context())
		}},
		{"nobody is asked where that is switched off, or where there is no gateway", func(s *scene) {
			off := newLocator(Options{}, protocols, NetworkOf)
			if _, err := off.Listen(s.t.Context(), us, 0, 0); !errors.Is(err, ErrNoGateway) {
				s.t.Errorf("got %v", err)
			}
			s.network = Network{Interface: "ppp0"}
			if err := s.locator().Prepare(s.t.Context(), us); !errors.Is(err, ErrNoGateway) || !strings.Contains(err.Error(), "ppp0") {
				s.t.Errorf("got %v", err)
			}
		}},
		{"the gateway's address is asked for once, and read from a mapping where there is one", func(s *scene) {
			l := s.locator()
			for range 2 {
				findings, failures := l.Findings(s.t.Context(), us)
				if len(findings) != 1 || findings[0].Source != SourcePCP || len(failures) != 0 {
					s.t.Errorf("%v %v", findings, failures)
				}
			}
			s.expect(s.pcp, "probe lookup")
			time.Sleep(11 * time.Minute)
			l.Findings(s.t.Context(), us)
			s.expect(s.pcp, "lookup")
			s.listen(l).Close()
			time.Sleep(time.Minute)
			findings, _ := l.Findings(s.t.Context(), us)
			if len(findings) != 1 || findings[0].Address != netip.MustParseAddr("203.0.113.1") {
				s.t.Errorf("%v", findings)
			}
			s.expect(s.pcp, "map")
			l.Close(s.t.Context())
		}},
		{"each protocol's refusal is told", func(s *scene) {
			s.pcp.spoken, s.pmp.silent, s.upnp.spoken = ErrUnsupported, true, ErrRefused
			l := s.locator()
			findings, failures := l.Findings(s.t.Context(), us)
			if len(findings) != 0 || !errors.Is(failures[SourcePCP], ErrUnsupported) ||
				!errors.Is(failures[SourceNATPMP], ErrNoGateway) || !errors.Is(failures[SourceUPnP], ErrRefused) {
				s.t.Errorf("%v %v", findings, failures)
			}
		}},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test.play(newScene(t)) })
		})
	}
}

func TestLostState(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	tests := []struct {
		sentence      string
		before, epoch uint32
		after         time.Duration
		want          bool
	}{
		{"time goes on for both", 1000, 1600, 600 * time.Second, false},
		{"it went back", 1000, 10, 600 * time.Second, true},
		{"answers overtook each other", 1000, 999, 0, false},
		{"it began anew long ago and is ahead by now", 100, 900, 3600 * time.Second, true},
		{"its clock is a little slow", 1000, 1000 + 3500, 3600 * time.Second, false},
		{"its clock is a little fast", 1000, 1000 + 3700, 3600 * time.Second, false},
		{"it leapt", 1000, 100000, 600 * time.Second, true},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			if got := lostState(test.before, begin, test.epoch, begin.Add(test.after)); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
	if lostState(0, time.Time{}, 5, begin) {
		t.Error("the first answer has nothing to be compared with")
	}
}

func TestAnnounce(t *testing.T) {
	tests := []struct {
		sentence, external, view, want string // want "" is an error
	}{
		{"the server sees what the gateway says", "203.0.113.1:5000", "203.0.113.1", "203.0.113.1:5000"},
		{"nobody told, and the address is public", "203.0.113.1:5000", "", "203.0.113.1:5000"},
		{"the gateway does not know its address, the server does", "0.0.0.0:5000", "203.0.113.1", "203.0.113.1:5000"},
		{"nobody knows", "0.0.0.0:5000", "", ""},
		{"two NATs, as the server sees it", "10.64.0.2:5000", "203.0.113.1", ""},
		{"two NATs, going by the address alone", "100.64.0.2:5000", "", ""},
		{"another exit", "203.0.113.2:5000", "203.0.113.1", ""},
		{"a server in the private network outside of the gateway", "10.64.0.2:5000", "10.64.0.2", "10.64.0.2:5000"},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			view, _ := netip.ParseAddr(test.view)
			got, err := Mapping{External: netip.MustParseAddrPort(test.external), Gateway: gatewayHere}.Announce(view)
			want, _ := netip.ParseAddrPort(test.want)
			if got != want || (err == nil) != want.IsValid() || err != nil && !errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// TestLocatorUnderLoad is for the race detector.
func TestLocatorUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.pcp.lifetime, s.pcp.delay = 20*time.Second, 3*time.Millisecond
		l := s.locator()
		stop := s.run(l)
		var transfers sync.WaitGroup
		var mutex sync.Mutex
		var inUse []netip.AddrPort
		for i := range 12 {
			transfers.Go(func() {
				for range 30 {
					listener := s.listen(l)
					at := listener.Mapping.Internal
					mutex.Lock()
					if slices.Contains(inUse, at) {
						t.Errorf("%s was lent twice", at)
					}
					inUse = append(inUse, at)
					mutex.Unlock()
					time.Sleep(time.Duration(i*97) * time.Millisecond)
					if i%5 == 0 {
						l.Void(listener.Mapping.External)
					}
					l.Findings(t.Context(), us)
					mutex.Lock()
					inUse = slices.DeleteFunc(inUse, func(a netip.AddrPort) bool { return a == at })
					mutex.Unlock()
					listener.Close()
				}
			})
		}
		transfers.Wait()
		stop()
		if s.pcp.mappings() != 0 || len(s.saved.Mappings) != 0 {
			t.Errorf("%d left, %d saved", s.pcp.mappings(), len(s.saved.Mappings))
		}
	})
}
