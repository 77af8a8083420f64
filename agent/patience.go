package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

const (
	// scanPatience is how long a scan may be due and wait for small files that keep coming in: then it goes before them.
	scanPatience = 10 * time.Minute
	// deletePatience is the same for deletions, which go after all transfers: a day, as a file that was moved must not go
	// away on the other side before it is there under its new name, however long the transfers take.
	deletePatience = 24 * time.Hour
	// patienceInterval is how often that is looked at.
	patienceInterval = time.Minute
)

// runOutOfPatience finds what has waited for too long behind what keeps coming in.
func (c *commit) runOutOfPatience() error {
	if waits(c.d.nextPatience, c.now, patienceInterval) {
		return nil
	}
	c.overdue, c.patience = map[string]bool{}, true
	for sync := range c.d.agent.syncs {
		scan, ok, err := queue.Lookup(c.tx, work.KindScan, sync, "")
		if err != nil {
			return err
		}
		if ok && scan.State == queue.Due && scan.Priority > priorityLateScan && c.now.Sub(scan.RunAt) >= scanPatience {
			if err := queue.Raise(c.tx, c.now, scan.ID, priorityLateScan); err != nil {
				return err
			}
		}
		deletion, ok, err := queue.FirstSerial(c.tx, c.d.agent.cfg.Syncs[sync].Server, sync)
		if err != nil {
			return err
		}
		if ok && c.now.Sub(deletion.RunAt) >= deletePatience {
			c.overdue[sync] = true
		}
	}
	return nil
}
