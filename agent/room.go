package agent

import (
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// maxOpen is how many jobs of one sync may be open (due, waiting or running) at a time, whatever the
// size of the tree.
const maxOpen = 10_000

// yieldTime is how long a scan waits that ran out of room, unless there is room before: what waits for
// a server that is away, for example, must not hold up what can be done.
const yieldTime = 10 * time.Second

// bounds are those of the queue, in jobs of one sync.
type bounds struct {
	open int
	// wake is the number of open jobs below which a scan that ran out of room goes on at once.
	wake int
	// part is the room that a scan gets for one part; with less than least it does not begin one.
	part, least int
	// reserve is what a look leaves of all room for deletions, which make room elsewhere, and one of everything twice as much, so
	// that what somebody changes now is not behind all that a scan has found and that fails.
	reserve int
	// release is how many staged operations become jobs in one commit.
	release int
}

// boundsFor divides the room for so many open jobs.
func boundsFor(open int) bounds {
	return bounds{open: open, wake: open / 4, part: open / 5, least: open / 10, reserve: open / 40, release: open / 5}
}

// room is what a scan that is under way may still add to the queue.
type room struct {
	sync string
	size int
	// vetoed: a guard has stopped it, or the next run of a schedule, and nothing that it says counts any more.
	vetoed bool
	// without: transfers are left out, for another scan, because those that are held fill the queue.
	without bool
}

// free is how many more jobs a sync may have. There is always a place for its two jobs that look
// at both sides.
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
		if r.sync == sync && !r.without {
			taken += r.size
		}
	}
	return c.d.agent.bounds.open - taken, nil
}

// allot gives a scan room for its next part, none if there is too little. While transfers are held there is always some for
// the rest: the deletions that it finds may be what ends the hold.
func (c *commit) allot(job queue.Job) (int, error) {
	free, err := c.free(job.Sync)
	if err != nil {
		return 0, err
	}
	bounds, least := c.d.agent.bounds, 1
	free -= bounds.reserve
	if job.Kind != work.KindLook {
		free, least = free-bounds.reserve, bounds.least
	}
	r := room{sync: job.Sync, size: min(free, bounds.part)}
	if free < least {
		if c.held(job.Sync) != queue.HeldTransfers || !slices.ContainsFunc(c.targetsOf(job.Sync), c.heldBack) {
			return 0, nil
		}
		r.size, r.without = bounds.part, true
	}
	c.rooms[job.ID] = r
	return r.size, nil
}

// roomFor allots room to the scan among jobs that are handed out together, of which there is at
// most one: a full scan is handed out alone.
func (c *commit) roomFor(jobs []queue.Job) (int, error) {
	for _, job := range jobs {
		switch {
		case isScanning(job.Kind):
			return c.allot(job)
		case job.Kind == work.KindVerify:
			return c.allotComparison(job), nil
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
		if r.Job.Kind == work.KindVerify {
			if err := c.mayGoOn(r.Job); err != nil {
				return err
			}
			continue
		}
		if _, err := c.allot(r.Job); err != nil {
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
		if counts.Due+counts.Waiting+counts.Running >= c.d.agent.bounds.wake {
			continue
		}
		for _, kind := range work.Scans() {
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
