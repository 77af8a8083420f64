package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

const (
	// maxOpen is how many jobs of one sync may be open (due, waiting or running) at a time,
	// whatever the size of the tree.
	maxOpen = 10_000
	// wakeBelow is the number of open jobs below which a scan goes on at once that ran out of
	// room, and yieldTime how long it waits otherwise: what waits for a server that is away, for
	// example, must not hold up what can be done.
	wakeBelow = 2_500
	yieldTime = 10 * time.Second
	// partRoom is the room that a scan gets for one part; with less than leastRoom it does not
	// begin one.
	partRoom  = 2_000
	leastRoom = 1_000
	// releaseBatch bounds the staged operations that become jobs in one commit.
	releaseBatch = 2_000
)

// room is what a scan that is under way may still add to the queue.
type room struct {
	sync string
	size int
	// vetoed: a guard has stopped it, and nothing that it says counts any more.
	vetoed bool
}

// free is how many more jobs a sync may have. There is always a place for its two jobs that look.
func (c *commit) free(sync string) (int, error) {
	counts, err := queue.Summary(c.tx, sync)
	if err != nil {
		return 0, err
	}
	taken := counts.Due + counts.Waiting + counts.Running
	for _, kind := range []string{work.KindScan, work.KindLook} {
		job, ok, err := queue.Lookup(c.tx, kind, sync, "")
		if err != nil {
			return 0, err
		}
		if !ok || job.State == queue.Dead {
			taken++
		}
	}
	for _, r := range c.rooms {
		if r.sync == sync {
			taken += r.size
		}
	}
	return maxOpen - taken, nil
}

// allot gives a scan room for its next part, none if there is too little.
func (c *commit) allot(id queue.ID, sync string) (int, error) {
	free, err := c.free(sync)
	if err != nil || free < leastRoom {
		return 0, err
	}
	size := min(free, partRoom)
	c.rooms[id] = room{sync: sync, size: size}
	return size, nil
}

// roomFor allots room to the scan among jobs that are handed out together, of which there is at
// most one: a full scan is handed out alone.
func (c *commit) roomFor(jobs []queue.Job) (int, error) {
	for _, job := range jobs {
		if isScanning(job.Kind) {
			return c.allot(job.ID, job.Sync)
		}
	}
	return 0, nil
}

// answerParts allots room to the scans whose parts are in this commit, and wait for it.
func (c *commit) answerParts() error {
	for _, r := range c.b.reports {
		if !r.partial || !c.b.claim || c.rooms[r.Job.ID].vetoed || c.held(r.Job.Sync) == queue.HeldAll {
			continue
		}
		if _, err := c.allot(r.Job.ID, r.Job.Sync); err != nil {
			return err
		}
	}
	return nil
}

// wakeScans lets scans go on that ran out of room, once their sync has got enough done.
func (c *commit) wakeScans() error {
	seen := map[string]bool{}
	for _, r := range c.b.reports {
		sync := r.Job.Sync
		if seen[sync] {
			continue
		}
		seen[sync] = true
		counts, err := queue.Summary(c.tx, sync)
		if err != nil {
			return err
		}
		if counts.Due+counts.Waiting+counts.Running >= wakeBelow {
			continue
		}
		for _, kind := range []string{work.KindScan, work.KindLook} {
			job, ok, err := queue.Lookup(c.tx, kind, sync, "")
			if err != nil {
				return err
			}
			if !ok || job.State != queue.Waiting || len(job.Progress) == 0 || job.LastError != "" {
				continue
			}
			if err := queue.Retry(c.tx, c.now, job.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
