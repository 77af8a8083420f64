package extip

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// refusalLifetime is how long a gateway that was silent or refused is not asked again.
const refusalLifetime = 5 * time.Minute

// protocol is a way to ask gateways for ports.
type protocol struct {
	name string
	// late ones are asked only if the others were silent or refused: they make noise.
	late bool
	// open returns the gateway as it is asked in this protocol.
	open func(o Options, gateway, local netip.Addr, location string) Mapper
}

// router is the gateway of a network, as it is asked from a local address.
type router struct {
	network Network
	gateway netip.Addr
	local   netip.Addr
	// turn holds a token while somebody finds out which protocol it speaks.
	turn     chan struct{}
	dialects []*dialect // best first

	// Guarded by Locator.mutex.
	chosen *dialect
	leases []*lease
}

// dialect is a protocol at a router. What changes is guarded by Locator.mutex.
type dialect struct {
	protocol
	mapper Mapper
	asked  time.Time // zero: it is not known whether it is spoken
	err    error     // why it is of no use
	// epoch is what the gateway said last, at the time seen.
	epoch uint32
	seen  time.Time
}

// GatewayError says why no port can be opened: what was asked, and what was answered.
type GatewayError struct {
	Gateway netip.Addr // the zero Addr if there is none
	// Reasons has an error for each protocol.
	Reasons []error
}

func (e *GatewayError) Error() string {
	reasons := make([]string, len(e.Reasons))
	for i, reason := range e.Reasons {
		reasons[i] = reason.Error()
	}
	return fmt.Sprintf("gateway %s opens no port: %s", e.Gateway, strings.Join(reasons, "; "))
}

// Unwrap returns the reasons.
func (e *GatewayError) Unwrap() []error { return e.Reasons }

// router returns the gateway for the local address in the network where it is now.
func (l *Locator) router(local netip.Addr) (*router, error) {
	local = local.Unmap()
	if !l.options.Gateway {
		return nil, fmt.Errorf("%w: asking gateways is switched off", ErrNoGateway)
	}
	network, err := l.networkOf(local)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoGateway, err)
	}
	gateway := network.Gateway
	if asked := l.options.Router.Addr().Unmap(); asked.IsValid() {
		gateway = asked
	}
	if !gateway.IsValid() {
		return nil, fmt.Errorf("%w: no default gateway is known for %s (%s)", ErrNoGateway, local, network.Interface)
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, r := range l.routers {
		if r.local == local && r.network.same(network) {
			if network.GatewayMAC != "" {
				r.network = network
			}
			return r, nil
		}
	}
	r := &router{network: network, gateway: gateway, local: local, turn: make(chan struct{}, 1)}
	for _, p := range l.protocols {
		mapper := p.open(l.options, gateway, local, l.locations[network.Key()])
		r.dialects = append(r.dialects, &dialect{protocol: p, mapper: mapper})
	}
	l.routers = append(l.routers, r)
	l.adoptLocked(r)
	return r, nil
}

// choose returns the protocol that the gateway is asked in: always the same one while that works.
// Who comes while it is being found out waits for the result.
func (l *Locator) choose(ctx context.Context, r *router) (*dialect, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	l.mutex.Lock()
	chosen := r.chosen
	l.mutex.Unlock()
	if chosen != nil {
		return chosen, nil
	}
	for _, late := range []bool{false, true} {
		if err := l.probe(ctx, r, late); err != nil {
			return nil, err
		}
		l.mutex.Lock()
		for _, d := range r.dialects {
			if d.late == late && d.err == nil && r.chosen == nil {
				r.chosen = d
			}
		}
		chosen = r.chosen
		l.mutex.Unlock()
		if chosen != nil {
			l.logger.Debug("gateway speaks", "protocol", chosen.name, "gateway", r.gateway)
			l.learnLocation(r, chosen)
			return chosen, nil
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return nil, r.reasonsLocked()
}

func (r *router) reasonsLocked() error {
	refusal := &GatewayError{Gateway: r.gateway}
	for _, d := range r.dialects {
		if d.err != nil {
			refusal.Reasons = append(refusal.Reasons, d.err)
		}
	}
	return refusal
}

// probe asks, in all protocols of a kind of which it is not known, whether they are spoken. The
// error is that of ctx.
func (l *Locator) probe(ctx context.Context, r *router, late bool) error {
	var asking sync.WaitGroup
	for _, d := range r.dialects {
		l.mutex.Lock()
		known := !d.asked.IsZero() && (d.err == nil || recent(d.asked, refusalLifetime))
		l.mutex.Unlock()
		if known || d.late != late {
			continue
		}
		asking.Go(func() {
			err := probe(ctx, d.mapper)
			if ctx.Err() != nil {
				return // which says nothing about the gateway
			}
			l.mutex.Lock()
			defer l.mutex.Unlock()
			d.asked, d.err = now(), err
		})
	}
	asking.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// probe finds out whether a gateway speaks the protocol of a mapper.
func probe(ctx context.Context, m Mapper) error {
	if p, ok := m.(interface{ Probe(context.Context) error }); ok {
		return p.Probe(ctx)
	}
	_, err := m.Lookup(ctx)
	return err
}

// disqualify has another protocol chosen, and reports whether that makes sense after the error: not
// where this one has opened ports before, since then it is the number of ports or the moment.
func (l *Locator) disqualify(r *router, d *dialect, err error) bool {
	if !errors.Is(err, ErrNoGateway) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrRefused) {
		return false
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, le := range r.leases {
		if le.dialect == d && errors.Is(err, ErrNoGateway) {
			le.confirmed = time.Time{} // it may be gone for good
		}
		if le.dialect == d && !le.void && !le.confirmed.IsZero() {
			return false
		}
	}
	d.asked, d.err = now(), err
	if r.chosen == d {
		r.chosen = nil
	}
	return true
}

// locationsAtOnce bounds Memory.UPnP.
const locationsAtOnce = 16

// learnLocation keeps where a UPnP gateway was found, which makes the next search short.
func (l *Locator) learnLocation(r *router, d *dialect) {
	located, ok := d.mapper.(interface{ Location() string })
	if !ok || located.Location() == "" {
		return
	}
	l.mutex.Lock()
	key := r.network.Key()
	before := l.locations[key]
	for network := range l.locations {
		if network != key && len(l.locations) >= locationsAtOnce {
			delete(l.locations, network) // any one: it costs a search
		}
	}
	l.locations[key] = located.Location()
	l.mutex.Unlock()
	if before != located.Location() {
		l.note()
	}
}

// now is the time by the wall clock, which goes on while the machine sleeps, as gateways do.
func now() time.Time { return time.Now().Round(0) }

// recent reports whether a time is no longer ago than age. A time to come is not: the clock was set.
func recent(t time.Time, age time.Duration) bool {
	since := now().Sub(t)
	return since >= 0 && since <= age
}
