package extip

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLocatorRemembers(t *testing.T) {
	play(t, []story{
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
	})
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
		sentence, external, view, others, want string // want "" is an error
	}{
		{"the server sees what the gateway says", "203.0.113.1:5000", "203.0.113.1", "", "203.0.113.1:5000"},
		{"in another form", "[::ffff:203.0.113.1]:5000", "::ffff:203.0.113.1", "", "203.0.113.1:5000"},
		{"nobody told, and the address is public", "203.0.113.1:5000", "", "", "203.0.113.1:5000"},
		{"the gateway does not know its address", "0.0.0.0:5000", "203.0.113.1", "203.0.113.1", ""},
		{"two NATs, as the server sees it", "10.64.0.2:5000", "203.0.113.1", "", ""},
		{"two NATs, going by the address alone", "100.64.0.2:5000", "", "", ""},
		{"two NATs, going by the address alone, though others see the same", "100.64.0.2:5000", "", "100.64.0.2", ""},
		{"another exit", "203.0.113.2:5000", "203.0.113.1", "", ""},
		{"another exit, as others see it", "203.0.113.2:5000", "", "203.0.113.1", ""},
		{"the server's word counts more than that of others", "203.0.113.1:5000", "203.0.113.1", "203.0.113.2", "203.0.113.1:5000"},
		{"a server in the private network outside of the gateway", "10.64.0.2:5000", "10.64.0.2", "", "10.64.0.2:5000"},
		{"a port that servers refuse", "203.0.113.1:1023", "203.0.113.1", "", ""},
		{"no port", "203.0.113.1:0", "203.0.113.1", "", ""},
		{"the server itself", "127.0.0.1:5000", "127.0.0.1", "", ""},
		{"a group", "224.0.0.251:5000", "224.0.0.251", "", ""},
		{"everybody", "255.255.255.255:5000", "255.255.255.255", "", ""},
		{"an address of the link", "169.254.7.7:5000", "169.254.7.7", "", ""},
		{"another family", "[2001:db8::1]:5000", "", "", ""},
	}
	for _, test := range tests {
		t.Run(test.sentence, func(t *testing.T) {
			view, _ := netip.ParseAddr(test.view)
			others, _ := netip.ParseAddr(test.others)
			mapping := Mapping{
				Internal: netip.MustParseAddrPort("192.168.1.7:5000"), External: netip.MustParseAddrPort(test.external), Gateway: gatewayHere,
			}
			got, err := mapping.Announce(view, others)
			want, _ := netip.ParseAddrPort(test.want)
			if got != want || (err == nil) != want.IsValid() || err != nil && !errors.Is(err, ErrUnreachable) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
