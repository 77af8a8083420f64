package extip

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func TestLocatorAtOddGateways(t *testing.T) {
	play(t, []story{
		{"a gateway whose clock makes no sense is not asked without end", func(s *scene) {
			s.pcp.epoch = 100_000
			l := s.locator()
			stop := s.run(l)
			for range 3 {
				s.listen(l)
			}
			s.pcp.said()
			time.Sleep(time.Hour)
			if n := strings.Count(s.pcp.said(), "renew"); n < 3 || n > 60 {
				s.t.Errorf("asked %d times in an hour", n)
			}
			stop()
		}},
		{"a mapping for a hundred years is renewed each day all the same", func(s *scene) {
			s.pcp.lifetime = 100 * 365 * 24 * time.Hour
			l := s.locator()
			stop := s.run(l)
			if a := s.listen(l); a.Mapping.Lifetime != longestLifetime {
				s.t.Errorf("got %+v", a.Mapping)
			}
			s.pcp.said()
			time.Sleep(longestLifetime * 3 / 4)
			s.expect(s.pcp, "renew")
			stop()
		}},
		{"a mapping for a second is renewed every few, and not lent when it has ended", func(s *scene) {
			s.pcp.lifetime = time.Second
			l := s.locator()
			stop := s.run(l)
			a := s.listen(l)
			s.pcp.said()
			time.Sleep(time.Minute)
			if n := strings.Count(s.pcp.said(), "renew"); n == 0 || n > 15 {
				s.t.Errorf("asked %d times in a minute", n)
			}
			a.Close()
			time.Sleep(time.Minute)
			s.pcp.said()
			s.listen(l).Close()
			if said := s.pcp.said(); said != "map" && said != "renew" {
				s.t.Errorf("asked %q", said)
			}
			stop()
		}},
		{"when the clock was set back, mappings are renewed and not believed to last until then", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			a := s.listen(l)
			l.mutex.Lock()
			le := l.routers[0].leases[0]
			le.mapping.Granted, le.confirmed, le.due = now().Add(10*time.Hour), now().Add(10*time.Hour), now().Add(11*time.Hour)
			l.mutex.Unlock()
			s.pcp.said()
			time.Sleep(runPause)
			s.expect(s.pcp, "renew")
			a.Close()
			stop()
		}},
		{"the end of a program does not wait for a network that is gone, with and without Run", func(s *scene) {
			l := s.locator()
			for range 3 {
				s.listen(l)
			}
			s.pcp.change(func() { s.pcp.delay = time.Hour })
			begin := time.Now()
			if err := l.Close(s.t.Context()); err == nil || time.Since(begin) > closePatience {
				s.t.Errorf("%v after %v", err, time.Since(begin))
			}
			if len(s.saved.Mappings) != 3 {
				s.t.Errorf("saved %+v", s.saved.Mappings)
			}
		}},
	})
}

// atGateway returns a locator that asks a gateway on loopback.
func atGateway(gateway *ftptest.Gateway) *Locator {
	return NewLocator(Options{Gateway: true, Router: gateway.Addr})
}

func TestTwoProgramsAtOneGateway(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true, NATPMP: true, Outside: netip.MustParseAddr("127.9.9.9")})
	one, other := atGateway(gateway), atGateway(gateway)
	var first, last uint16
	for try := 0; ; try++ { // three ports in a row that are free
		probe, err := listen(netip.AddrPortFrom(us, 0))
		if err != nil {
			t.Fatal(err)
		}
		first = uint16(probe.Addr().(*net.TCPAddr).Port)
		last = first + 2
		probe.Close()
		a, err := one.Listen(t.Context(), us, first, last)
		if err == nil && a.Mapping.Internal.Port() == first && last > first {
			a.Close() // idle: the other program can listen on its port, and the gateway has it mapped for us
			break
		}
		if try == 10 {
			t.Fatal("no free ports")
		}
	}
	b, err := other.Listen(t.Context(), us, first, last)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Mapping.Protocol != SourcePCP || b.Mapping.Internal.Port() == first {
		t.Errorf("got %+v", b.Mapping)
	}
	if err := one.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if left := gateway.Mappings(); len(left) != 1 || left[0].External != b.Mapping.External {
		t.Errorf("left: %v, want %v", left, b.Mapping.External)
	}
	if err := other.Close(t.Context()); err != nil || len(gateway.Mappings()) != 0 {
		t.Errorf("%v left, %v", gateway.Mappings(), err)
	}
}

func TestManyListenAtOnce(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true})
	l := atGateway(gateway)
	const callers = 50
	listeners := make([]*Listener, callers)
	var calling sync.WaitGroup
	for i := range listeners {
		calling.Go(func() {
			var err error
			if listeners[i], err = l.Listen(t.Context(), us, 0, 0); err != nil {
				t.Error(err)
			}
		})
	}
	calling.Wait()
	if t.Failed() {
		t.FailNow()
	}
	ports := map[netip.AddrPort]bool{}
	for _, listener := range listeners {
		ports[listener.Mapping.External] = true
	}
	if len(ports) != callers || len(gateway.Mappings()) != callers || gateway.Requests().Announce != 1 {
		t.Errorf("%d ports, %d mappings, %+v", len(ports), len(gateway.Mappings()), gateway.Requests())
	}
	for _, listener := range listeners {
		calling.Go(func() { listener.Close() })
	}
	calling.Wait()
	if err := l.Close(t.Context()); err != nil || len(gateway.Mappings()) != 0 {
		t.Errorf("%d left, %v", len(gateway.Mappings()), err)
	}
}

func TestCloseWhileOthersListen(t *testing.T) {
	gateway := ftptest.NewGateway(t, ftptest.GatewayOptions{PCP: true})
	l := atGateway(gateway)
	begun := make(chan struct{}, 20)
	var calling sync.WaitGroup
	for range cap(begun) {
		calling.Go(func() {
			for {
				listener, err := l.Listen(t.Context(), us, 0, 0)
				select {
				case begun <- struct{}{}:
				default:
				}
				if err == nil {
					listener.Close()
					continue
				}
				if !errors.Is(err, net.ErrClosed) {
					t.Error(err)
				}
				return
			}
		})
	}
	for range cap(begun) {
		<-begun
	}
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	calling.Wait()
	if left := gateway.Mappings(); len(left) != 0 {
		t.Errorf("%d left", len(left))
	}
}
