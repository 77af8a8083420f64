package agent

import (
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// A look that took the agent down three times would do so again with each event and at each start. So it is parked, for people to
// see. But without it nothing is found any more: what it was asked for meanwhile it does after a rest, once. If that takes the agent
// down too, it is parked again, and the rest is twice as long.

// parkedKinds are what is asked for by events and by the clock, over and over, and comes back by itself.
var parkedKinds = []string{work.KindLook, work.KindRescan, work.KindScan, work.KindVerify}

// firstRest is how long a look rests that was parked for crashes; the longest is deadRest. It is less than an hour, so that a look that
// is asked for every hour is tried by the next time.
const firstRest = 30 * time.Minute

// isResting reports whether a parked look has to stay where it is.
func isResting(job queue.Job, now time.Time) bool {
	rest := firstRest
	for range job.Crashes - queue.FatalCrashes {
		rest = min(2*rest, deadRest)
	}
	return waits(job.Died.Add(rest), now, rest)
}

// wantParked notes what a parked look is to do when it has rested. One that acts upon what it finds stays one.
func (c *commit) wantParked(old queue.Job, wanted queue.New) error {
	if isSurvey(wanted) && !isSurvey(old.New) {
		wanted.Payload = old.Payload
	}
	if err := queue.WantAs(c.tx, c.now, old.ID, wanted); err != nil || isResting(old, c.now) {
		return err
	}
	return queue.TryOnce(c.tx, c.now, old.ID)
}

// restedLooks are the parked looks that have rested and are asked for; nobody looks more often than at the others that wait for long.
func (c *commit) restedLooks() (rested []queue.Job, err error) {
	if waits(c.d.nextPatience, c.now, patienceInterval) {
		return nil, nil
	}
	counts, err := queue.Summary(c.tx, "")
	if err != nil || counts.Dead == 0 {
		return nil, err
	}
	for _, sync := range slices.Sorted(maps.Keys(c.d.agent.syncs)) {
		for _, kind := range parkedKinds {
			job, ok, err := queue.Lookup(c.tx, kind, sync, "")
			if err != nil {
				return nil, err
			}
			if ok && job.Crashed() && !job.Wanted.IsZero() && !isResting(job, c.now) {
				rested = append(rested, job)
			}
		}
	}
	return rested, nil
}

// tryParked tries the parked looks that have rested and are asked for.
func (c *commit) tryParked() error {
	rested, err := c.restedLooks()
	if err != nil {
		return err
	}
	for _, job := range rested {
		if err := queue.TryOnce(c.tx, c.now, job.ID); err != nil {
			return err
		}
		c.happened(Activity{Kind: ActivityTriggered, Sync: job.Sync, Action: job.Kind, Text: job.Why + ", once more after crashes"})
	}
	return nil
}
