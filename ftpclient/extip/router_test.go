package extip

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestLocatorChooses(t *testing.T) {
	play(t, []story{
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
		{"a protocol is kept as long as it works, though a better one may work again", func(s *scene) {
			s.pcp.silent = true
			l := s.locator()
			a := s.listen(l)
			s.pcp.change(func() { s.pcp.silent = false })
			time.Sleep(refusalLifetime + time.Second)
			b := s.listen(l)
			if b.Mapping.Protocol != SourceNATPMP {
				s.t.Errorf("got %+v", b.Mapping)
			}
			s.expect(s.pcp, "probe")
			a.Close()
			b.Close()
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
			a := s.listen(l)
			s.listen(l).Close()
			a.Close()
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
			}
		}},
		{"a port is never opened in two protocols, of which one could not be closed any more", func(s *scene) {
			l := s.locator()
			a := s.listen(l)
			a.Close()
			port := a.Mapping.Internal.Port()
			time.Sleep(leaseTrust + time.Second)
			for _, f := range []*fakeMapper{s.pcp, s.pmp} {
				f.change(func() { f.silent = true })
			}
			_, err := l.Listen(s.t.Context(), us, port, port)
			if err == nil || !strings.Contains(err.Error(), "all of them belong to mappings that cannot be used now") {
				s.t.Errorf("got %v", err)
			}
			if n := s.upnp.mappings() + s.pmp.mappings(); n != 0 {
				s.t.Errorf("the port was opened %d times more", n)
			}
			time.Sleep(silenceLifetime + time.Second) // NAT-PMP was seen to be spoken, and comes first
			if _, err := l.Listen(s.t.Context(), us, port, port); err == nil {
				s.t.Error("the port was lent though nobody knows about it")
			}
			b, err := l.Listen(s.t.Context(), us, port-min(port-1024, 50), port+min(65535-port, 50))
			if err != nil {
				s.t.Fatal(err)
			}
			if b.Mapping.Protocol != SourceUPnP || b.Mapping.Internal.Port() == port {
				s.t.Errorf("got %+v", b.Mapping)
			}
			b.Close()
			l.Close(s.t.Context())
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
			s.expect(s.upnp, "") // nobody was silent
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
		{"an answer that was cut short is asked for again", func(s *scene) {
			l := s.locator()
			l.Prepare(s.t.Context(), us)
			s.pcp.change(func() { s.pcp.delay = 100 * time.Millisecond })
			ctx, cancel := context.WithTimeout(s.t.Context(), 50*time.Millisecond)
			defer cancel()
			if findings, failures := l.Findings(ctx, us); len(findings) != 0 && failures[SourcePCP] == nil {
				s.t.Errorf("%v %v", findings, failures)
			}
			findings, failures := l.Findings(s.t.Context(), us)
			if len(findings) != 1 || findings[0].Source != SourcePCP || len(failures) != 0 {
				s.t.Errorf("%v %v", findings, failures)
			}
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
	})
}
