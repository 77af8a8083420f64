package extip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

const (
	// mappingLifetime is what is asked for: long enough not to be a burden, short enough for a
	// gateway to be rid of a mapping whose owner has died.
	mappingLifetime = time.Hour
	// leaseTrust is how long a gateway is believed to know a mapping without being asked: it may
	// have restarted.
	leaseTrust = 5 * time.Minute
	// idleLeases bounds the mappings of a gateway that nobody uses at the moment.
	idleLeases = 8
)

// lease is a mapping that can be lent. It is guarded by Locator.mutex; the mapping's internal address
// never changes.
type lease struct {
	router  *router
	dialect *dialect
	mapping Mapping
	// lent: somebody listens. busy: somebody asks the gateway about it. void: it is to be
	// deleted.
	lent, busy, void bool
	used             time.Time // lent or given back last
	confirmed        time.Time // granted by the gateway last; zero if unsure
	due              time.Time // when it is renewed or deleted
}

// expired reports whether the gateway has forgotten the mapping.
func (le *lease) expired(now time.Time) bool {
	return le.mapping.Lifetime > 0 && !now.Before(le.mapping.Granted.Add(le.mapping.Lifetime))
}

// halfLife is half of what was granted; mappings that never end are looked after all the same.
func halfLife(m Mapping) time.Duration {
	if m.Lifetime == 0 {
		return mappingLifetime / 2
	}
	return m.Lifetime / 2
}

// adoptLocked takes over what an earlier process left at the router. It is asked about before it
// is lent.
func (l *Locator) adoptLocked(r *router) {
	l.inherited = slices.DeleteFunc(l.inherited, func(m Mapping) bool {
		if m.Internal.Addr().Unmap() != r.local || m.Gateway.Unmap().WithZone("") != r.gateway.WithZone("") {
			return false
		}
		m.Granted = m.Granted.Round(0)
		for _, d := range r.dialects {
			if le := (&lease{router: r, dialect: d, mapping: m, due: m.Granted.Add(halfLife(m))}); d.name == m.Protocol && !le.expired(now()) {
				r.leases = append(r.leases, le)
			}
		}
		return true
	})
}

// lend listens behind a mapping that is there and idle. The listener is nil if there is none.
func (l *Locator) lend(ctx context.Context, r *router, first, last uint16) (*Listener, error) {
	var tried []*lease
	for {
		lease := l.takeIdle(r, first, last, tried)
		if lease == nil {
			return nil, nil
		}
		tried = append(tried, lease)
		listener, err := listen(lease.mapping.Internal)
		if err != nil {
			l.done(lease) // somebody else has the port
			continue
		}
		if err := l.confirm(ctx, lease); err != nil {
			listener.Close()
			l.doubt(lease, err)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			if errors.Is(err, ErrNoGateway) {
				l.disqualify(r, lease.dialect, err)
				return nil, nil // nor will it answer about the others
			}
			continue
		}
		return l.handOut(ctx, lease, listener)
	}
}

// takeIdle marks the lease that was used last as busy and returns it.
func (l *Locator) takeIdle(r *router, first, last uint16, but []*lease) *lease {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var best *lease
	for _, le := range r.leases {
		port := le.mapping.Internal.Port()
		switch {
		case le.lent || le.busy || le.void || le.expired(now()) || slices.Contains(but, le):
		case le.dialect.useless(): // silent only just now
		case first != 0 && (port < first || port > max(first, last)):
		case best == nil || le.used.After(best.used):
			best = le
		}
	}
	if best != nil {
		best.busy = true
	}
	return best
}

func (l *Locator) done(le *lease) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.busy = false
}

// doubt is for a busy lease that the gateway did not confirm.
func (l *Locator) doubt(le *lease, err error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.busy, le.confirmed = false, time.Time{}
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrUnsupported) {
		le.void, le.due = true, time.Time{}
		l.wakeRun()
	}
}

// confirm asks the gateway about a busy lease, unless it has done so lately.
func (l *Locator) confirm(ctx context.Context, le *lease) error {
	l.mutex.Lock()
	known := recent(le.confirmed, min(leaseTrust, halfLife(le.mapping)))
	l.mutex.Unlock()
	if known {
		return nil
	}
	err := l.renew(ctx, le)
	if err == nil {
		l.note()
	}
	return err
}

// open listens behind a new mapping.
func (l *Locator) open(ctx context.Context, r *router, first, last uint16) (*Listener, error) {
	var taken []uint16
	for {
		d, err := l.choose(ctx, r)
		if err != nil {
			return nil, err
		}
		lease, listener, err := l.intend(r, d, first, last, taken)
		if err != nil {
			return nil, err
		}
		if err := l.remember(); err != nil { // the nonce, and what a crash would leave behind
			listener.Close()
			l.forget(lease)
			return nil, fmt.Errorf("save the mapping of port %d before it is asked for: %w", lease.mapping.Internal.Port(), err)
		}
		if err = l.renew(ctx, lease); err == nil {
			l.learn(r, d, true)
			l.note()
			l.logger.Info("port opened at the gateway", "protocol", d.name, "gateway", r.gateway,
				"internal", lease.mapping.Internal, "external", lease.mapping.External, "lifetime", lease.mapping.Lifetime)
			return l.handOut(ctx, lease, listener)
		}
		listener.Close()
		l.giveUp(lease, err)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		l.logger.Info("gateway opens no port", "protocol", d.name, "gateway", r.gateway, "error", err)
		if port := lease.mapping.Internal.Port(); belongsToOthers(err) && len(taken) < othersTried && (first == 0 || port < max(first, last)) {
			taken = append(taken, port)
			continue
		}
		if !l.disqualify(r, d, err) {
			return nil, &GatewayError{Gateway: r.gateway, Reasons: []error{err}}
		}
	}
}

// portTries is how often the system is asked for a port that no idle mapping has.
const portTries = 16

// othersTried is how many ports may turn out to belong to another client on this machine, which has as many idle
// mappings as we may have, before the gateway is believed to refuse everything.
const othersTried = idleLeases + 2

// belongsToOthers reports whether a refusal may be about the one port.
func belongsToOthers(err error) bool {
	var refusal pcpRefusal
	return errors.As(err, &refusal) && (refusal == pcpNotAuthorized || refusal == pcpExternalTaken)
}

// intend listens on a port without a mapping, none of those taken, and makes a busy lease for it, which nobody has
// granted yet.
func (l *Locator) intend(r *router, d *dialect, first, last uint16, taken []uint16) (*lease, *net.TCPListener, error) {
	from, to := int(first), int(max(first, last))
	if first == 0 {
		from, to = 0, portTries
	}
	var failure error
	for port := from; port <= to; port++ {
		wanted := uint16(port)
		if first == 0 {
			wanted = 0
		} else if slices.Contains(taken, wanted) {
			continue
		}
		listener, err := listen(netip.AddrPortFrom(r.local, wanted))
		if err != nil {
			failure = err
			continue
		}
		internal := netip.AddrPortFrom(r.local, listener.Addr().(*net.TCPAddr).AddrPort().Port())
		if le, ok := l.claim(r, d, internal); ok {
			return le, listener, nil
		}
		// Held until the end, so that the system does not offer it again.
		defer listener.Close()
	}
	if failure == nil {
		failure = errors.New("all of them belong to mappings that cannot be used now")
	}
	if first == 0 {
		return nil, nil, fmt.Errorf("listen on %s: %w", r.local, failure)
	}
	return nil, nil, fmt.Errorf("no free port in %d-%d: %w", from, to, failure)
}

// claim adds a lease for a port that has none at any gateway.
func (l *Locator) claim(r *router, d *dialect, internal netip.AddrPort) (*lease, bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	for _, other := range r.leases {
		if other.mapping.Internal.Port() == internal.Port() {
			return nil, false
		}
	}
	le := &lease{router: r, dialect: d, busy: true, mapping: Mapping{
		Protocol: d.name, Gateway: r.gateway, Internal: internal,
		External: netip.AddrPortFrom(netip.Addr{}, internal.Port()),
		Nonce:    l.nonce, Granted: now(), Lifetime: mappingLifetime,
	}}
	r.leases = append(r.leases, le)
	if !slices.Contains(l.routers, r) {
		l.routers = append(l.routers, r) // dropped as unused in between
	}
	return le, true
}

// giveUp is for a busy lease that was not granted. Unless the gateway said so, it may be there
// all the same.
func (l *Locator) giveUp(le *lease, err error) {
	if errors.Is(err, ErrRefused) || errors.Is(err, ErrUnsupported) {
		l.forget(le)
		l.note()
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.busy, le.void, le.due = false, true, time.Time{}
	l.wakeRun()
}

func (l *Locator) forget(le *lease) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.router.leases = slices.DeleteFunc(le.router.leases, func(other *lease) bool { return other == le })
}

// handOut lends a busy lease, or deletes it if there is nobody left to do it.
func (l *Locator) handOut(ctx context.Context, le *lease, listener *net.TCPListener) (*Listener, error) {
	l.mutex.Lock()
	if l.closed {
		l.mutex.Unlock()
		listener.Close()
		err := l.remove(ctx, le)
		l.note()
		return nil, errors.Join(net.ErrClosed, err)
	}
	defer l.mutex.Unlock()
	le.busy, le.lent, le.used = false, true, now()
	l.wakeRun()
	return &Listener{TCPListener: listener, Mapping: le.mapping, giveBack: func() { l.takeBack(le) }}, nil
}

func (l *Locator) takeBack(le *lease) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.lent, le.used = false, now()
	if le.void || idle(le.router) > idleLeases {
		l.wakeRun()
	}
}

func idle(r *router) int {
	n := 0
	for _, le := range r.leases {
		if !le.lent && !le.busy && !le.void {
			n++
		}
	}
	return n
}

// listen listens on exactly that address.
func listen(address netip.AddrPort) (*net.TCPListener, error) {
	return net.ListenTCP("tcp", net.TCPAddrFromAddrPort(address))
}
