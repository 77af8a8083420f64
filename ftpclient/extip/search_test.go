package extip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// prepare measures how long it takes to find a protocol.
func (s *scene) prepare(l *Locator, want error) time.Duration {
	s.t.Helper()
	begin := time.Now()
	if err := l.Prepare(s.t.Context(), us); !errors.Is(err, want) {
		s.t.Errorf("got %v, want %v", err, want)
	}
	return time.Since(begin)
}

// took compares how long something took.
func (s *scene) took(took, want time.Duration) {
	s.t.Helper()
	if took != want {
		s.t.Errorf("it took %v, want %v", took, want)
	}
}

func TestLocatorSearches(t *testing.T) {
	play(t, []story{
		{"the protocol that worked is asked alone by the next process, which waits for no other", func(s *scene) {
			s.pcp.silent = true
			l := s.locator()
			s.listen(l).Close()
			l.Close(s.t.Context())
			s.pcp.said()
			next := s.locator()
			s.took(s.prepare(next, nil), 0)
			a := s.listen(next)
			if a.Mapping.Protocol != SourceNATPMP {
				s.t.Errorf("got %+v", a.Mapping)
			}
			a.Close()
			next.Close(s.t.Context())
			s.expect(s.pcp, "")
			s.expect(s.upnp, "")
		}},
		{"so is UPnP", func(s *scene) {
			s.pcp.silent, s.pmp.silent = true, true
			l := s.locator()
			s.listen(l).Close()
			l.Close(s.t.Context())
			s.took(s.prepare(s.locator(), nil), 0)
			s.expect(s.pcp, "probe")
		}},
		{"a protocol that was spoken but opened no port is not preferred", func(s *scene) {
			s.pcp.spoken = ErrUnsupported
			s.prepare(s.locator(), nil)
			s.pcp.spoken = nil
			l := s.locator()
			if a := s.listen(l); a.Mapping.Protocol != SourcePCP {
				s.t.Errorf("got %+v", a.Mapping)
			}
		}},
		{"what worked in one network is not asked first in another", func(s *scene) {
			s.pcp.silent = true
			l := s.locator()
			s.listen(l).Close()
			l.Close(s.t.Context())
			s.network.GatewayMAC = "02:00:00:00:00:02"
			s.pcp.silent = false
			if a := s.listen(s.locator()); a.Mapping.Protocol != SourcePCP {
				s.t.Errorf("got %+v", a.Mapping)
			}
		}},
		{"if the protocol that worked is silent now, the others are asked soon", func(s *scene) {
			s.pcp.silent = true
			l := s.locator()
			s.listen(l).Close()
			l.Close(s.t.Context())
			s.pcp.silent, s.pmp.silent = false, true
			next := s.locator()
			s.took(s.prepare(next, nil), headStart)
			if a := s.listen(next); a.Mapping.Protocol != SourcePCP || s.saved.Protocols[s.network.Key()] != SourcePCP {
				s.t.Errorf("got %+v, saved %v", a.Mapping, s.saved.Protocols)
			}
		}},
		{"if the protocol that worked refuses now, the others are asked", func(s *scene) {
			s.pcp.silent = true
			l := s.locator()
			s.listen(l).Close()
			l.Close(s.t.Context())
			s.pcp.silent, s.pmp.failure = false, ErrRefused
			if a := s.listen(s.locator()); a.Mapping.Protocol != SourcePCP {
				s.t.Errorf("got %+v", a.Mapping)
			}
		}},
		{"a better protocol that answers does not wait for the worse ones", func(s *scene) {
			s.pmp.silent, s.upnp.silent = true, true
			s.took(s.prepare(s.locator(), nil), 0)
		}},
		{"UPnP is searched for while the others are silent, and taken when they were for long enough", func(s *scene) {
			s.pcp.silent, s.pmp.silent = true, true
			s.took(s.prepare(s.locator(), nil), time.Second)
			s.upnp.delay = 2 * time.Second
			s.took(s.prepare(s.locator(), nil), headStart+2*time.Second)
		}},
		{"UPnP is not taken where a better protocol answers late", func(s *scene) {
			s.pcp.silent, s.pmp.delay = true, 800*time.Millisecond
			l := s.locator()
			s.took(s.prepare(l, nil), time.Second)
			if a := s.listen(l); a.Mapping.Protocol != SourceNATPMP {
				s.t.Errorf("got %+v", a.Mapping)
			}
		}},
		{"a gateway that is silent to everything is known after the UPnP search", func(s *scene) {
			s.pcp.silent, s.pmp.silent = true, true
			s.upnp.delay, s.upnp.spoken = upnpSearchTime, ErrNoGateway
			s.took(s.prepare(s.locator(), ErrNoGateway), headStart+upnpSearchTime)
		}},
		{"a gateway that takes forever is given up", func(s *scene) {
			s.pcp.silent, s.pmp.silent, s.upnp.delay = true, true, time.Hour
			l := s.locator()
			s.took(s.prepare(l, ErrNoGateway), searchPatience)
			s.took(s.prepare(l, ErrNoGateway), 0)
		}},
		{"after silence a gateway is asked again soon, after a refusal later", func(s *scene) {
			s.pcp.silent, s.pmp.spoken, s.upnp.silent = true, ErrUnsupported, true
			l := s.locator()
			s.prepare(l, ErrNoGateway)
			time.Sleep(silenceLifetime - 2*time.Second)
			s.prepare(l, ErrNoGateway)
			s.expect(s.pcp, "probe")
			time.Sleep(3 * time.Second)
			s.pcp.change(func() { s.pcp.silent = false })
			s.prepare(l, nil)
			s.expect(s.pcp, "probe")
			s.expect(s.pmp, "probe")
		}},
		{"four at a time wait once, all as long as the first, though that one gives up", func(s *scene) {
			s.pcp.silent, s.pmp.silent = true, true
			s.upnp.delay, s.upnp.spoken = upnpSearchTime, ErrNoGateway
			l := s.locator()
			first, cancel := context.WithTimeout(s.t.Context(), 2*time.Second)
			defer cancel()
			var asking sync.WaitGroup
			asking.Go(func() {
				if err := l.Prepare(first, us); !errors.Is(err, context.DeadlineExceeded) {
					s.t.Errorf("got %v", err)
				}
			})
			synctest.Wait()
			for range 3 {
				asking.Go(func() { s.took(s.prepare(l, ErrNoGateway), headStart+upnpSearchTime) })
			}
			asking.Wait()
			s.expect(s.upnp, "probe")
		}},
		{"when all have given up, nobody is asked any more, and the next starts anew", func(s *scene) {
			s.pcp.delay, s.pmp.delay = 200*time.Millisecond, 200*time.Millisecond
			l := s.locator()
			var asking sync.WaitGroup
			for range 2 {
				asking.Go(func() {
					ctx, cancel := context.WithTimeout(s.t.Context(), 100*time.Millisecond)
					defer cancel()
					begin := time.Now()
					if err := l.Prepare(ctx, us); !errors.Is(err, context.DeadlineExceeded) {
						s.t.Errorf("got %v", err)
					}
					s.took(time.Since(begin), 100*time.Millisecond)
				})
			}
			asking.Wait()
			s.took(s.prepare(l, nil), 200*time.Millisecond)
			s.expect(s.pcp, "probe probe")
		}},
		{"who comes too late for an answer gets what is known all the same", func(s *scene) {
			l := s.locator()
			s.prepare(l, nil)
			ctx, cancel := context.WithCancel(s.t.Context())
			cancel()
			if err := l.Prepare(ctx, us); err != nil {
				s.t.Error(err)
			}
		}},
	})
}

func TestMemoryOfOthers(t *testing.T) {
	many := map[string]string{}
	for i := range 1000 {
		many[fmt.Sprint("network ", i)] = SourceUPnP
	}
	play(t, []story{
		{"a memory without protocols, of an older version, is as good as none", func(s *scene) {
			var old Memory
			if err := json.Unmarshal([]byte(`{"nonce":[1,2,3,4,5,6,7,8,9,10,11,12],"upnp":{"eth0":"http://192.168.1.1/x"}}`), &old); err != nil {
				s.t.Fatal(err)
			}
			s.saved = old
			l := s.locator()
			s.listen(l).Close()
			if s.saved.Nonce != old.Nonce || s.saved.UPnP["eth0"] == "" {
				s.t.Errorf("saved %+v", s.saved)
			}
			l.Close(s.t.Context())
		}},
		{"protocols that nobody knows are not asked, and what is too much is dropped", func(s *scene) {
			many[s.network.Key()] = "TELEPATHY"
			s.saved = Memory{UPnP: many, Protocols: many}
			l := s.locator()
			s.listen(l).Close()
			if n := len(s.saved.Protocols); n > networksAtOnce || len(s.saved.UPnP) > networksAtOnce {
				s.t.Errorf("saved %d protocols", n)
			}
			if s.saved.Protocols[s.network.Key()] != SourcePCP {
				s.t.Errorf("saved %v", s.saved.Protocols)
			}
			l.Close(s.t.Context())
		}},
		{"mappings that cannot be are forgotten, and the clock of an earlier process need not have been right", func(s *scene) {
			good := Mapping{
				Protocol: SourcePCP, Gateway: gatewayHere, Internal: netip.AddrPortFrom(us, 40001), Nonce: Nonce{1},
				External: netip.MustParseAddrPort("203.0.113.1:40001"), Granted: time.Now(), Lifetime: time.Hour,
			}
			with := func(change func(m *Mapping)) Mapping {
				m := good
				change(&m)
				return m
			}
			s.saved = Memory{Nonce: Nonce{1}, Mappings: []Mapping{
				with(func(m *Mapping) { m.Internal = netip.AddrPort{} }),
				with(func(m *Mapping) { m.Internal = netip.AddrPortFrom(us, 0) }),
				with(func(m *Mapping) { m.Gateway = netip.Addr{} }),
				with(func(m *Mapping) { m.Lifetime = -time.Hour }),
				with(func(m *Mapping) { m.Lifetime = 0 }), // only UPnP gateways map for good
				with(func(m *Mapping) { m.Protocol = "TELEPATHY" }),
				with(func(m *Mapping) { m.Granted = time.Now().AddDate(20, 0, 0) }),
			}}
			l := s.locator()
			stop := s.run(l)
			l.mutex.Lock()
			if n := len(l.routers); n != 1 || len(l.routers[0].leases) != 1 {
				s.t.Errorf("%d routers", n)
			}
			l.mutex.Unlock()
			time.Sleep(mappingLifetime)
			s.expect(s.pcp, "unmap") // which nobody wanted
			stop()
			if len(s.saved.Mappings) != 0 {
				s.t.Errorf("saved %+v", s.saved.Mappings)
			}
		}},
	})
}
