package extip

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLocatorLeases(t *testing.T) {
	play(t, []story{
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
			if got, err := a.Mapping.Announce(netip.Addr{}, netip.Addr{}); err != nil || got.Port() == a.Mapping.Internal.Port() {
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
			time.Sleep(5*time.Minute - time.Second)
			s.listen(l).Close()
			s.expect(s.pcp, "probe map")
			time.Sleep(2 * time.Second)
			s.pcp.change(func() { s.pcp.started, s.pcp.open = time.Now(), map[netip.AddrPort]Mapping{} })
			s.listen(l).Close()
			s.expect(s.pcp, "map")
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
		{"who is asked can change, and a gateway that may not be asked any more loses nothing but mappings", func(s *scene) {
			l := s.locator()
			stop := s.run(l)
			lent, idle := s.listen(l), s.listen(l)
			idle.Close()
			s.pcp.said()
			l.Ask(false, nil, nil)
			synctest.Wait()
			s.expect(s.pcp, "unmap")
			if _, err := l.Listen(s.t.Context(), us, 0, 0); err == nil {
				s.t.Error("it opens ports")
			}
			lent.Close()
			synctest.Wait()
			s.expect(s.pcp, "unmap")
			l.Ask(true, nil, nil)
			s.listen(l).Close()
			s.expect(s.pcp, "map")
			stop()
		}},
		{"nothing is deleted in another network with the same addresses", func(s *scene) {
			s.network.GatewayMAC = "02:00:00:00:00:01"
			l := s.locator()
			s.listen(l).Close()
			s.pcp.said()
			s.network.GatewayMAC = "02:00:00:00:00:02"
			l.Close(s.t.Context())
			s.expect(s.pcp, "")
			if len(s.saved.Mappings) != 1 {
				s.t.Errorf("saved %v", s.saved.Mappings)
			}
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
	})
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
