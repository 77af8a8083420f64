package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
)

// triggersOf are those of one sync; after is its place in the spread at the start.
func (a *Agent) triggersOf(name string, after time.Duration) (all []trigger.Trigger, err error) {
	s := a.cfg.Syncs[name]
	if s.Watch {
		all = append(all, watched{a.watch(a.syncs[name]), trigger.Start{Sync: name, After: after, Local: true}})
	}
	all = append(all, a.looks(s, after)...)
	if len(s.Schedules) == 0 {
		return all, nil
	}
	schedule, err := a.schedule(s)
	if err != nil {
		return nil, err
	}
	schedule.After = after
	return append(all, schedule), nil
}

// triggering are the triggers of syncs that run, and the last ones of those that were taken away, by sync.
type triggering map[string]*triggered

type triggered struct {
	stop  context.CancelFunc
	ended chan struct{}
}

// start stops the triggers of these syncs, as far as there are any, and starts those that the agent has for them. They run in group.
func (t triggering) start(ctx context.Context, group *errgroup.Group, a *Agent, syncs []string, emit trigger.Emit) error {
	after := trigger.Spread(len(syncs))
	for k, name := range syncs {
		before := t[name]
		if before != nil {
			before.stop()
		}
		if _, enabled := a.syncs[name]; !enabled {
			continue // it stays in t: one of the same name that comes back waits for its end, too
		}
		all, err := a.triggersOf(name, after[k])
		if err != nil {
			return err
		}
		own, stop := context.WithCancel(ctx)
		is := &triggered{stop, make(chan struct{})}
		t[name] = is
		group.Go(func() error {
			defer close(is.ended)
			defer stop()
			if before != nil {
				<-before.ended // two watches of one folder would meet each other's canaries
			}
			inner, running := errgroup.WithContext(own)
			for _, one := range all {
				inner.Go(func() error { return one.Run(running, emit) })
			}
			err := inner.Wait()
			if own.Err() != nil && ctx.Err() == nil { // stopped alone
				a.watching.forget(name)
				return nil
			}
			return err
		})
	}
	return nil
}

// looks returns what asks for the looks of a sync that nothing has to happen for. after is its place in the spread at the start.
func (a *Agent) looks(s *config.Sync, after time.Duration) (all []trigger.Trigger) {
	if s.Watch && s.Rescan > 0 {
		all = append(all, trigger.Rescan{Sync: s.Name, Every: s.Rescan, Random: rand.Float64})
	}
	if s.Poll <= 0 {
		return all
	}
	if !s.Watch { // else the watch asks for the first look, which is one at both sides
		all = append(all, trigger.Start{Sync: s.Name, After: after})
	}
	return append(all, trigger.Poll{Sync: s.Name, After: after, Every: s.Poll, Next: func(now time.Time) (at time.Time, err error) {
		err = a.db.View(func(tx *state.Tx) error {
			row, err := state.GetSync(tx, s.Name)
			at = nextPoll(s, row, now)
			return err
		})
		return at, err
	}})
}
