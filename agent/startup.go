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

// startLooks starts the looks of a sync that nothing has to happen for. after is its place in the spread at the start.
func (a *Agent) startLooks(ctx context.Context, group *errgroup.Group, s *config.Sync, after time.Duration, emit trigger.Emit) {
	run := func(t trigger.Trigger) { group.Go(func() error { return t.Run(ctx, emit) }) }
	if s.Watch && s.Rescan > 0 {
		run(trigger.Rescan{Sync: s.Name, Every: s.Rescan, Random: rand.Float64})
	}
	if s.Poll <= 0 {
		return
	}
	if !s.Watch { // else the watch asks for the first look, which is one at both sides
		run(trigger.Start{Sync: s.Name, After: after})
	}
	run(trigger.Poll{Sync: s.Name, After: after, Every: s.Poll, Next: func(now time.Time) (at time.Time, err error) {
		err = a.db.View(func(tx *state.Tx) error {
			row, err := state.GetSync(tx, s.Name)
			at = nextPoll(s, row, now)
			return err
		})
		return at, err
	}})
}
