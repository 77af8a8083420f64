package extip

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// renewalPause is the least between two tries to renew a mapping (RFC 6887 section 11.2.1).
	renewalPause = 4 * time.Second
	// deletionPause is between two tries to delete a mapping that would not end by itself.
	deletionPause = 5 * time.Minute
	// runPause is the longest time for which Run looks at nothing: the machine may have slept.
	runPause = time.Minute
	// closePatience is what the deletion of all mappings may take at the end: the network may be gone.
	closePatience = 3 * time.Second
	// lossPause is the least between two losses of a gateway's state for all mappings to be made anew at once: there
	// are gateways whose clock makes no sense. Those that are lent meanwhile are asked about one by one.
	lossPause = 5 * time.Minute
)

// Run renews mappings until ctx ends, then deletes them, within a few seconds. It returns nil
// after that. Run it once.
func (l *Locator) Run(ctx context.Context) error {
	l.adopt()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-timer.C:
			timer.Reset(l.maintain(ctx))
		case <-l.wake:
			timer.Reset(l.maintain(ctx))
		}
	}
	if err := l.Close(context.WithoutCancel(ctx)); err != nil {
		l.logger.Warn("port mappings are left at the gateway", "error", err)
	}
	return nil
}

// Close deletes all mappings, those that are lent and those of an earlier process too. Listen fails from then on.
// Data connections that came in through them go on at most gateways. What could not be deleted in time is
// in the error, and stays in Memory. It takes a few seconds at most.
func (l *Locator) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closePatience)
	defer cancel()
	l.mutex.Lock()
	l.closed = true
	l.mutex.Unlock()
	l.adopt()
	l.mutex.Lock()
	var all []*lease
	for _, r := range l.routers {
		for _, le := range r.leases {
			le.void, le.due = true, time.Time{}
			if !le.busy {
				le.busy = true
				all = append(all, le)
			}
		}
	}
	l.mutex.Unlock()
	if len(all) == 0 {
		return nil
	}
	failures := make([]error, len(all))
	var deleting sync.WaitGroup
	for i, le := range all {
		deleting.Go(func() { failures[i] = l.remove(ctx, le) })
	}
	deleting.Wait()
	return errors.Join(append(failures, l.remember())...)
}

// adopt looks for the gateways of the mappings that an earlier process left.
func (l *Locator) adopt() {
	l.mutex.Lock()
	// Beyond their time they are gone, and so is who would want to know.
	l.inherited = slices.DeleteFunc(l.inherited, func(m Mapping) bool { return (&lease{mapping: m}).expired(now()) })
	left := slices.Clone(l.inherited)
	l.mutex.Unlock()
	for _, m := range left {
		if _, err := l.router(m.Internal.Addr()); err != nil {
			l.logger.Debug("mapping of another network", "internal", m.Internal, "error", err)
		}
	}
}

// maintain renews and deletes what is due, and returns the time until something else is.
func (l *Locator) maintain(ctx context.Context) time.Duration {
	renewals, deletions, gone := l.due()
	var working sync.WaitGroup
	for _, le := range renewals {
		working.Go(func() { l.keep(ctx, le) })
	}
	for _, le := range deletions {
		working.Go(func() {
			if err := l.remove(ctx, le); err != nil {
				l.logger.Debug("mapping not deleted", "internal", le.mapping.Internal, "error", err)
			}
		})
	}
	working.Wait()
	if gone || len(renewals)+len(deletions) > 0 {
		l.note()
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	pause := runPause
	for _, r := range l.routers {
		for _, le := range r.leases {
			// Those that are busy or lent and void come back by a token of their own.
			if !le.busy && !(le.lent && le.void) {
				pause = min(pause, le.due.Sub(now()))
			}
		}
	}
	return max(pause, 0)
}

// due marks what there is to do as busy and returns it. What expired is dropped, and gone says so.
func (l *Locator) due() (renewals, deletions []*lease, gone bool) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := now()
	for _, r := range l.routers {
		before := len(r.leases)
		r.leases = slices.DeleteFunc(r.leases, func(le *lease) bool { return !le.lent && !le.busy && le.expired(now) })
		gone = gone || len(r.leases) < before
		l.retireLocked(r)
		for _, le := range r.leases {
			switch {
			// What was granted in times to come was granted before the clock was set back.
			case le.busy || le.due.After(now) && !le.mapping.Granted.After(now) || le.void && le.lent:
				continue
			case le.void, !le.lent && le.used.Before(le.mapping.Granted): // nobody wanted it since
				le.void = true
				deletions = append(deletions, le)
			default:
				renewals = append(renewals, le)
			}
			le.busy = true
		}
	}
	l.routers = slices.DeleteFunc(l.routers, func(r *router) bool {
		return len(r.leases) == 0 && r.search == nil && !slices.ContainsFunc(r.dialects, func(d *dialect) bool {
			return recent(d.asked, routerMemory)
		})
	})
	return renewals, deletions, gone
}

// routerMemory is how long it is remembered which protocol a gateway speaks that has opened no port.
const routerMemory = 24 * time.Hour

// retireLocked makes those leases void that are too many, the ones first that were idle for longest.
func (l *Locator) retireLocked(r *router) {
	surplus := idle(r) - idleLeases
	if surplus <= 0 {
		return
	}
	byUse := slices.SortedFunc(slices.Values(r.leases), func(a, b *lease) int { return a.used.Compare(b.used) })
	for _, le := range byUse {
		if surplus > 0 && !le.lent && !le.busy && !le.void {
			le.void, le.due = true, time.Time{}
			surplus--
		}
	}
}

// here reports whether this machine still is in the network of a router: in another one, the same
// addresses are other machines.
func (l *Locator) here(r *router) bool {
	network, err := l.networkOf(r.local)
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return err == nil && network.same(r.network)
}

var errElsewhere = errors.New("this machine is in another network now")

// keep renews a busy lease for Run. If that fails, the next try is at half of the time that is left.
func (l *Locator) keep(ctx context.Context, le *lease) {
	err := errElsewhere
	if l.here(le.router) {
		err = l.renew(ctx, le)
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.busy = false
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, ErrRefused), errors.Is(err, ErrUnsupported):
		l.logger.Warn("gateway does not renew a mapping", "internal", le.mapping.Internal, "external", le.mapping.External, "error", err)
		le.void, le.due = true, time.Time{}
	default:
		left := halfLife(le.mapping)
		if le.mapping.Lifetime > 0 {
			left = le.mapping.Granted.Add(le.mapping.Lifetime).Sub(now()) / 2
		}
		le.due, le.confirmed = now().Add(max(left, renewalPause)), time.Time{}
		l.logger.Info("mapping not renewed", "internal", le.mapping.Internal, "external", le.mapping.External, "error", err, "next", le.due)
	}
}

// renew asks for the mapping of a busy lease, for the first time or again.
func (l *Locator) renew(ctx context.Context, le *lease) error {
	l.mutex.Lock()
	request := Request{Internal: le.mapping.Internal, External: le.mapping.External, Lifetime: mappingLifetime, Nonce: le.mapping.Nonce}
	l.mutex.Unlock()
	mapping, err := le.dialect.mapper.Map(ctx, request)
	if err != nil {
		return err
	}
	mapping.Granted = now()
	mapping.Lifetime = min(mapping.Lifetime, longestLifetime)
	mapping.Nonce, mapping.Internal = request.Nonce, request.Internal
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.mapping, le.confirmed = mapping, mapping.Granted
	le.due = mapping.Granted.Add(max(halfLife(mapping), renewalPause))
	l.noticeLocked(le)
	return nil
}

// noticeLocked looks at the epoch of what was just granted. If the gateway has lost its state, all its
// other mappings are gone, and are made anew.
func (l *Locator) noticeLocked(granted *lease) {
	d, mapping := granted.dialect, granted.mapping
	d.asked, d.err = mapping.Granted, nil // it works, whatever was before
	if mapping.Protocol == SourceUPnP {
		return // which has none
	}
	lost := lostState(d.epoch, d.seen, mapping.Epoch, mapping.Granted)
	d.epoch, d.seen = mapping.Epoch, mapping.Granted
	if !lost {
		return
	}
	again := recent(d.lost, lossPause)
	d.lost = mapping.Granted
	if !again {
		l.logger.Warn("gateway has lost its mappings", "protocol", d.name, "gateway", granted.router.gateway)
	}
	for _, le := range granted.router.leases {
		if le == granted || le.dialect != d {
			continue
		}
		le.confirmed = time.Time{}
		if !again {
			le.due = time.Time{}
		}
	}
	l.wakeRun()
}

// lostState compares the epoch that a gateway tells with the one before (seconds, with the times when
// they were told; before is zero when there was none): RFC 6887 section 8.5, which is a little stricter than RFC 6886
// section 3.6. It is pure.
func lostState(before uint32, seen time.Time, epoch uint32, at time.Time) bool {
	if seen.IsZero() {
		return false
	}
	if epoch < before {
		return before-epoch > 1
	}
	server, client := int64(epoch-before), int64(at.Sub(seen)/time.Second)
	return client+2 < server-server/16 || server+2 < client-client/16
}

// remove deletes the mapping of a busy lease. A gateway that refuses does not have it.
func (l *Locator) remove(ctx context.Context, le *lease) error {
	if !l.here(le.router) {
		l.mutex.Lock()
		defer l.mutex.Unlock()
		le.busy, le.due = false, now().Add(deletionPause)
		return nil // it ends by itself, or when we come back
	}
	err := le.dialect.mapper.Unmap(ctx, le.mapping)
	if err == nil || errors.Is(err, ErrRefused) || errors.Is(err, ErrUnsupported) {
		l.logger.Info("port closed at the gateway", "protocol", le.dialect.name, "internal", le.mapping.Internal, "external", le.mapping.External)
		l.forget(le)
		return nil
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	le.busy, le.due = false, now().Add(deletionPause)
	return cmp.Or(err, context.Cause(ctx))
}
