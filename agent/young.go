package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/state"
)

// Nothing tells when a file that was too young is old enough. Its note says when that is, across restarts, and it is looked at then.

// growsUp notes that a file of a sync is old enough at a time; zero: it was not too young.
func (c *commit) growsUp(sync string, at time.Time) {
	if first, ok := c.young[sync]; !at.IsZero() && (!ok || at.Before(first)) {
		c.young[sync] = at
	}
}

// nextGrownUp is when the next file is old enough, at the latest what is given.
func (c *commit) nextGrownUp(next time.Time) time.Time {
	for sync, at := range c.young {
		if !c.isYoung(sync, at) {
			return c.now
		}
		next = earlier(next, at)
	}
	return next
}

// isYoung reports whether a file that is old enough at a time has to wait. One that would wait for longer than min_age was dated by
// a clock that was wrong, or under another configuration.
func (c *commit) isYoung(sync string, at time.Time) bool {
	return waits(at, c.now, c.d.agent.cfg.Syncs[sync].MinAge)
}

// lookAtGrownUps has the files looked at that were too young and are old enough now.
func (c *commit) lookAtGrownUps() error {
	for sync, at := range c.young {
		if c.isYoung(sync, at) {
			continue
		}
		delete(c.young, sync)
		var grown []string
		err := state.EachNote(c.tx, sync, func(n state.Note) (bool, error) {
			switch {
			case n.Kind != state.NoteHeld || n.Until.IsZero():
			case c.isYoung(sync, n.Until):
				c.growsUp(sync, n.Until)
			default:
				grown = append(grown, n.Path)
			}
			return true, nil
		})
		for _, path := range grown {
			if err == nil {
				err = state.MarkDirty(c.tx, sync, path, oldEnough, c.d.agent.syncs[sync].Rules.Direction != plan.Up, c.now)
			}
		}
		if err == nil && len(grown) > 0 {
			err = c.enqueueScan(sync, work.KindLook, oldEnough, priorityLook, c.now)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const oldEnough = "old enough now"
