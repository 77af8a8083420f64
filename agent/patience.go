package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

const (
	// scanPatience is how long a scan, or a comparison of contents, may be due and wait for small files that keep coming in: then it goes before them.
	scanPatience = 10 * time.Minute
	// deletePatience is the same for deletions, which go after all transfers: a day, as a file that was moved must not go
	// away on the other side before it is there under its new name, however long the transfers take.
	deletePatience = 24 * time.Hour
	// patienceInterval is how often that is looked at.
	patienceInterval = time.Minute
)

// waitingDeletions tell since when the deletions of a sync wait behind transfers that go on, and whether that was too long.
type waitingDeletions struct {
	since   time.Time
	overdue bool
}

// runOutOfPatience finds what has waited for too long behind what keeps coming in.
func (c *commit) runOutOfPatience() error {
	if waits(c.d.nextPatience, c.now, patienceInterval) {
		return nil
	}
	c.deletions, c.patience = map[string]waitingDeletions{}, true
	if err := c.tryParked(); err != nil {
		return err
	}
	for sync := range c.d.agent.syncs {
		server := c.d.agent.cfg.Syncs[sync].Server
		for _, kind := range []string{work.KindScan, work.KindVerify} {
			late, ok, err := queue.Lookup(c.tx, kind, sync, "")
			if err != nil {
				return err
			}
			if ok && late.State == queue.Due && late.Priority > priorityLateScan && c.now.Sub(late.RunAt) >= scanPatience {
				if err := queue.Raise(c.tx, c.now, late.ID, priorityLateScan); err != nil {
					return err
				}
			}
		}
		_, waiting, err := queue.FirstSerial(c.tx, server, sync)
		if err != nil {
			return err
		}
		// While nothing can be sent, no deletion waits for what keeps coming in: after an outage transfers go first again.
		if waiting && !c.mustWait(server) && c.server(server).Failures == 0 && c.held(sync) < queue.HeldSerial {
			was, known := c.d.deletions[sync]
			if !known || was.since.After(c.now) {
				was.since = c.now
			}
			was.overdue = was.overdue || c.now.Sub(was.since) >= deletePatience
			c.deletions[sync] = was
		}
	}
	return nil
}
