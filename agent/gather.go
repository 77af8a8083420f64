package agent

import (
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
)

// gatherTime is the longest that a report waits for others, to share their commit.
const gatherTime = 100 * time.Millisecond

// usualBatch is about how many reports a commit has where small files go to a server nearby.
const usualBatch = 32

// gather waits for more to go into the next commit as long as nobody waits for that: as long as all in b was reported by workers
// who have more to do. A commit costs as much as a small file, and two waits for the disk; who ends in between of a crash has
// lost nothing, as what was transferred is recognized by the intents.
func (d *dispatcher) gather(b *batch, done <-chan struct{}) {
	if len(b.events)+len(b.requests) > 0 || len(b.reports) == 0 {
		return
	}
	left := map[*seat]int{}
	for _, r := range b.reports {
		if !d.canWait(r, left) {
			return
		}
	}
	b.reports = slices.Grow(b.reports, usualBatch)
	enough := time.NewTimer(min(gatherTime, d.wake.Sub(d.now())))
	defer enough.Stop()
	for b.size() < maxBatch {
		select {
		case r := <-d.reports:
			b.reports = append(b.reports, r)
			if d.canWait(r, left) {
				continue
			}
		case e := <-d.events:
			b.events = append(b.events, e)
		case r := <-d.agent.requests:
			b.requests = append(b.requests, r)
		case <-done:
		case <-enough.C:
		}
		break
	}
	d.drain(b)
}

// canWait reports whether nobody waits for what follows from a report: it says that one job more is done, and its worker has
// others to do. left is how many jobs of a worker are not in the batch.
func (d *dispatcher) canWait(r report, left map[*seat]int) bool {
	if r.partial {
		return false
	}
	s := d.outstanding[r.Job.ID].seat
	if _, ok := left[s]; !ok {
		left[s] = s.left
	}
	left[s]--
	return left[s] > 0 && !s.goesOn(left[s]) && r.Result == work.Done && isOperation(r.Job.Kind) && r.Instead == nil && !r.Replan && len(r.Also) == 0
}
