package extip

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// searchPatience bounds the search for a protocol that a gateway speaks. One that speaks none is known after
	// less: the UPnP search takes longest.
	searchPatience = 5 * time.Second
	// headStart is how long those that are likely to answer have to themselves.
	headStart = 300 * time.Millisecond
)

// errSlow: there were answers, but they took too long to be of use.
var errSlow = fmt.Errorf("%w that is of use in %v", ErrNoGateway, searchPatience)

// search finds out which protocol a gateway speaks, for all who want to know. It ends early when none
// of them is left. Guarded by Locator.mutex.
type search struct {
	waiting int
	cancel  context.CancelFunc
	done    chan struct{} // closed at its end
}

// choose returns the protocol that the gateway is asked in: always the same one while that works.
// Who comes while it is being found out waits for the result.
func (l *Locator) choose(ctx context.Context, r *router) (*dialect, error) {
	l.mutex.Lock()
	if r.chosen != nil {
		defer l.mutex.Unlock()
		return r.chosen, nil
	}
	if !slices.ContainsFunc(r.dialects, func(d *dialect) bool { return !d.useless() }) {
		defer l.mutex.Unlock()
		return nil, r.reasonsLocked()
	}
	s := r.search
	if s == nil {
		searching, cancel := context.WithCancel(context.WithoutCancel(ctx))
		s = &search{cancel: cancel, done: make(chan struct{})}
		r.search = s
		go l.find(searching, r, s)
	}
	s.waiting++
	l.mutex.Unlock()
	select {
	case <-s.done:
	case <-ctx.Done():
	}
	l.mutex.Lock()
	s.waiting--
	if s.waiting == 0 {
		s.cancel()
		if r.search == s {
			r.search = nil
		}
		l.mutex.Unlock()
		<-s.done
		l.mutex.Lock()
	}
	defer l.mutex.Unlock()
	switch {
	case r.chosen != nil:
		return r.chosen, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return nil, r.reasonsLocked()
}

// find carries out a search.
func (l *Locator) find(ctx context.Context, r *router, s *search) {
	defer close(s.done)
	chosen := l.ask(ctx, r)
	l.mutex.Lock()
	if r.chosen == nil {
		r.chosen = chosen
	}
	l.mutex.Unlock()
	if chosen != nil {
		l.logger.Debug("gateway speaks", "protocol", chosen.name, "gateway", r.gateway)
		if l.learn(r, chosen, false) {
			l.note()
		}
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if r.search == s {
		r.search = nil
	}
}

// ask asks in all protocols of which it is not known whether they are spoken: first in the one that worked in
// this network before, then in the usual ones, then in the late ones. It returns the one to take, nil if there is none.
func (l *Locator) ask(ctx context.Context, r *router) *dialect {
	var asking sync.WaitGroup
	defer asking.Wait()
	ctx, cancel := context.WithTimeoutCause(ctx, searchPatience, errSlow)
	defer cancel()
	favourite, stages := l.stages(r)
	answered := make(chan struct{}, len(r.dialects))
	running := 0
	begin := func(d *dialect) {
		running++
		asking.Go(func() {
			defer func() { answered <- struct{}{} }()
			err := probe(ctx, d.mapper)
			if ctx.Err() != nil && context.Cause(ctx) != errSlow {
				return // which says nothing about the gateway
			}
			l.mutex.Lock()
			defer l.mutex.Unlock()
			d.asked, d.err = now(), err
		})
	}
	var next <-chan time.Time
	for {
		if chosen := l.pick(r, favourite); chosen != nil {
			return chosen
		}
		if running > 0 {
			select {
			case <-answered:
				running--
				continue
			case <-next:
			}
		}
		if len(stages) == 0 || l.spared(r, stages[0]) {
			if running == 0 {
				return nil
			}
			stages, next = nil, nil
			continue
		}
		for _, d := range stages[0] {
			begin(d)
		}
		stages, next = stages[1:], time.After(headStart)
	}
}

// stages returns who is to be asked, in turn, and the one that worked in this network before, if there is one.
func (l *Locator) stages(r *router) (favourite *dialect, stages [][]*dialect) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var first, usual, late []*dialect
	for _, d := range r.dialects {
		if d.name == l.spoken[r.network.Key()] {
			favourite = d
		}
		if d.known() {
			continue
		}
		d.asked, d.err = time.Time{}, nil
		switch {
		case d == favourite:
			first = append(first, d)
		case d.late:
			late = append(late, d)
		default:
			usual = append(usual, d)
		}
	}
	return favourite, slices.DeleteFunc([][]*dialect{first, usual, late}, func(s []*dialect) bool { return len(s) == 0 })
}

// spared reports whether a stage is of those that make noise, and not needed since another protocol is spoken.
func (l *Locator) spared(r *router, stage []*dialect) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return stage[0].late && slices.ContainsFunc(r.dialects, func(d *dialect) bool { return !d.asked.IsZero() && d.err == nil })
}

// pick returns the protocol to take as soon as that is certain: the favourite, or the first that is spoken when
// it is known that those before it are not.
func (l *Locator) pick(r *router, favourite *dialect) *dialect {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if favourite != nil && !favourite.asked.IsZero() && favourite.err == nil {
		return favourite
	}
	for _, d := range r.dialects {
		switch {
		case d == favourite:
		case d.asked.IsZero():
			return nil
		case d.err == nil:
			return d
		}
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

// networksAtOnce bounds Memory.UPnP and Memory.Protocols.
const networksAtOnce = 16

// few returns as much of what an earlier process left as is kept.
func few(left map[string]string) map[string]string {
	kept := map[string]string{}
	for network, what := range left {
		if len(kept) < networksAtOnce {
			kept[network] = what
		}
	}
	return kept
}

// learn keeps what makes the next search in this network short, and reports whether that is new: where a UPnP gateway
// was found, and, once the gateway has opened a port, the protocol.
func (l *Locator) learn(r *router, d *dialect, opened bool) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	key, news := r.network.Key(), false
	keep := func(known map[string]string, what string) {
		if what == "" || known[key] == what {
			return
		}
		maps.DeleteFunc(known, func(network, _ string) bool { // any one: it costs a search
			return network != key && len(known) >= networksAtOnce
		})
		known[key], news = what, true
	}
	if located, ok := d.mapper.(interface{ Location() string }); ok {
		keep(l.locations, located.Location())
	}
	if opened {
		keep(l.spoken, d.name)
	}
	return news
}
