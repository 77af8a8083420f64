package agent

import (
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
)

// triggers returns all that ask for looks, with what they do at the start spread by sync.
func (a *Agent) triggers() ([]trigger.Trigger, error) {
	names := slices.Sorted(maps.Keys(a.syncs))
	after := trigger.Spread(len(names))
	var all []trigger.Trigger
	for k, name := range names {
		s := a.cfg.Syncs[name]
		if s.Watch {
			all = append(all, watched{a.watch(a.syncs[name]), trigger.Start{Sync: name, After: after[k], Local: true}})
		}
		all = append(all, a.looks(s, after[k])...)
		if len(s.Schedules) == 0 {
			continue
		}
		schedule, err := a.schedule(s)
		if err != nil {
			return nil, err
		}
		schedule.After = after[k]
		all = append(all, schedule)
	}
	return all, nil
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
