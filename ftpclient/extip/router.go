package extip

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

const (
	// refusalLifetime is how long a gateway that refused is not asked again.
	refusalLifetime = 5 * time.Minute
	// silenceLifetime is how long one that was silent is not: all of a few packets may have been lost.
	silenceLifetime = 30 * time.Second
)

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
	network  Network
	gateway  netip.Addr
	local    netip.Addr
	dialects []*dialect // best first

	// Guarded by Locator.mutex.
	chosen *dialect
	search *search // for the one to choose, nil while nobody searches
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
	lost  time.Time // when it was seen last that the gateway had lost its state
}

// known reports whether it need not be asked whether it is spoken.
func (d *dialect) known() bool { return !d.asked.IsZero() && (d.err == nil || d.useless()) }

// useless reports whether it was found lately not to work.
func (d *dialect) useless() bool {
	lifetime := refusalLifetime
	if errors.Is(d.err, ErrNoGateway) {
		lifetime = silenceLifetime
	}
	return d.err != nil && recent(d.asked, lifetime)
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
	if !l.asked().Gateway {
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
	r := &router{network: network, gateway: gateway, local: local}
	for _, p := range l.protocols {
		mapper := p.open(l.options, gateway, local, l.locations[network.Key()])
		r.dialects = append(r.dialects, &dialect{protocol: p, mapper: mapper})
	}
	l.routers = append(l.routers, r)
	l.adoptLocked(r)
	return r, nil
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

// now is the time by the wall clock, which goes on while the machine sleeps, as gateways do.
func now() time.Time { return time.Now().Round(0) }

// recent reports whether a time is no longer ago than age. A time to come is not: the clock was set.
func recent(t time.Time, age time.Duration) bool {
	since := now().Sub(t)
	return since >= 0 && since <= age
}
