package agent

import (
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// lookAtAll asks for a look at everything: at the local side alone where that is enough to find what the event is about.
func (c *commit) lookAtAll(e trigger.Event) error {
	kind, priority := work.KindScan, uint8(priorityScan)
	if e.Local {
		enough, err := c.localIsEnough(e)
		if err != nil {
			return err
		}
		if enough {
			kind, priority = work.KindRescan, priorityLateScan
		}
	}
	if e.Regular {
		if job, ok, err := queue.Lookup(c.tx, kind, e.Sync, ""); err != nil || ok && job.State != queue.Dead {
			return err
		}
	}
	c.happened(Activity{Kind: ActivityTriggered, Sync: e.Sync, Text: e.Why})
	return c.enqueueScan(e.Sync, kind, e.Why, priority, c.now)
}

// localIsEnough reports whether the server need not be asked for a look at everything. It has to be when it may have changes of its
// own, when it was never asked, and when something is left from before that only a full scan does away with: unless it is only
// time to look again.
func (c *commit) localIsEnough(e trigger.Event) (bool, error) {
	row, err := state.GetSync(c.tx, e.Sync)
	if err != nil || c.d.agent.cfg.Syncs[e.Sync].Direction != config.Up || row.LastFullScan.IsZero() {
		return false, err
	}
	if e.Regular {
		return true, nil
	}
	counts, err := queue.Summary(c.tx, e.Sync)
	if err != nil || counts.Dead > 0 {
		return false, err
	}
	enough := true
	err = state.EachNote(c.tx, e.Sync, func(state.Note) (bool, error) {
		enough = false
		return false, nil
	})
	return enough, err
}
