package agent

import (
	"context"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// eventsKept is how many events are kept for those who ask late or read slowly, and atOnce how many of them are taken at a
	// time: nobody has to wait for long.
	eventsKept = 1000
	atOnce     = 100
)

// events are the last ones that happened. Their numbers follow on each other.
type events struct {
	kept  []control.Event // a ring: the event with the number n is at n modulo most
	most  uint64
	first uint64 // the number of the first one ever
	next  uint64 // the number of the next one
}

// newEvents keeps so many events. Numbers are made of the time, so that those of the next agent are greater; they stay far below
// 2^53, which is where JavaScript stops counting.
func newEvents(most int, now time.Time) events {
	first := uint64(max(now.UnixMicro(), 1))
	return events{most: uint64(most), first: first, next: first}
}

func (e *events) add(event control.Event) {
	event.ID = e.next
	e.next++
	if uint64(len(e.kept)) < e.most {
		e.kept = append(e.kept, event)
		return
	}
	e.kept[(event.ID-e.first)%e.most] = event
}

// after returns up to most of the events behind the number n, which is one of these, of an agent before, or something else that
// control.Service.Events takes, and the number to go on behind. missed is how many of them are forgotten.
func (e *events) after(n uint64, most int) (found []control.Event, last, missed uint64) {
	oldest := e.next - uint64(len(e.kept))
	from := n + 1
	ago, isLast := control.LastEvents(n)
	switch {
	case isLast:
		from = e.next - min(ago, uint64(len(e.kept)))
	case n == control.EventsRemembered, n >= e.next: // of an agent whose clock was ahead
		from = oldest
	case n < e.first: // what happened between that agent and this one nobody knows
		from = e.first
	}
	if from < oldest {
		missed, from = oldest-from, oldest
	}
	for ; from < e.next && len(found) < most; from++ {
		found = append(found, e.kept[(from-e.first)%e.most])
	}
	return found, from - 1, missed
}

// feed tells what happens to everybody who wants to know. Who adds to it never waits for those who read.
type feed struct {
	mu     sync.Mutex // guards following
	events events
	added  chan struct{} // closed when there is more; nil if nobody waits for that
}

func newFeed(now time.Time) *feed { return &feed{events: newEvents(eventsKept, now)} }

func (f *feed) add(e control.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events.add(e)
	if f.added != nil {
		close(f.added)
		f.added = nil
	}
}

// take is events.after, with what is closed when there is more to take.
func (f *feed) take(n uint64) (found []control.Event, last, missed uint64, added <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.added == nil {
		f.added = make(chan struct{})
	}
	found, last, missed = f.events.after(n, atOnce)
	return found, last, missed, f.added
}

// follow calls each for the events behind the number after, until ctx or over ends it, or each.
func (f *feed) follow(ctx context.Context, over <-chan struct{}, after uint64, each func(control.Event) error) error {
	for {
		found, last, missed, added := f.take(after)
		after = last
		if missed > 0 {
			// It has the number of the last one of them: who goes on behind it is told no more of them.
			e := control.Event{ID: last - uint64(len(found)), When: time.Now(), Kind: control.EventLost, Missed: missed}
			if err := each(e); err != nil {
				return err
			}
		}
		for _, e := range found {
			if err := each(e); err != nil {
				return err
			}
		}
		if len(found) > 0 {
			continue
		}
		select {
		case <-added:
		case <-over:
			return control.ErrGone
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Events implements control.Service.
func (a *Agent) Events(ctx context.Context, after uint64, each func(control.Event) error) error {
	return a.feed.follow(ctx, a.ended, after, each)
}

// event is the activity as it is told to others.
func (a Activity) event(now time.Time) control.Event {
	return control.Event{
		When: now, Kind: string(a.Kind), Sync: a.Sync, Server: a.Server, Path: state.Text(a.Path), Job: a.Job, Action: a.Action,
		Text: a.Text, Bytes: a.Bytes, TookMS: a.Took.Milliseconds(), Verified: a.Verified, Data: a.Method, Already: a.Already,
	}
}
