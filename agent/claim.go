package agent

import (
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// claim hands jobs to idle workers. A server that failed last time gets one worker with one job
// until it has answered.
func (c *commit) claim() error {
	if c.b.setBack {
		hastened, err := c.d.hasten(c.tx, c.now)
		if err != nil {
			return err
		}
		c.hastened = hastened
	}
	if _, err := queue.Claim(c.tx, c.now, queue.Request{}); err != nil { // makes waiting jobs due
		return err
	}
	c.tellWindows()
	if err := c.runOutOfPatience(); err != nil {
		return err
	}
	for _, name := range c.d.serverNames() {
		if c.mustWait(name) {
			continue
		}
		if err := c.claimFor(name); err != nil {
			return err
		}
	}
	return nil
}

// mustWait reports whether a server gets no work now.
func (c *commit) mustWait(name string) bool {
	row, s := c.server(name), c.d.servers[name]
	return row.Blocked() || waits(row.NotBefore, c.now, queue.MostDelay) || c.busy[name] != (refusal{}) || waits(s.crowded, c.now, maxCrowded) && !c.asked[name]
}

// mayClaim reports whether a commit might hand out jobs that are due.
func (c *commit) mayClaim() (bool, error) {
	for name, s := range c.d.servers {
		if c.mustWait(name) || len(s.idle) == 0 {
			continue
		}
		if due, err := c.dueAt(name); err != nil || due > 0 {
			return err == nil, err
		}
	}
	return false, nil
}

func (c *commit) claimFor(name string) error {
	s := c.d.servers[name]
	due, err := c.dueAt(name)
	if err != nil {
		return err
	}
	limit, err := c.worthConnections(name, due)
	if err != nil {
		return err
	}
	if c.server(name).Failures > 0 {
		limit = 1
	}
	after, left := s.lastSync, due
	for idle := c.idleSeats(name) - (s.config.Connections - limit); idle > 0; idle-- {
		length := streamLength(due, limit)
		if c.server(name).Failures > 0 || slices.ContainsFunc(c.placesOf(name), c.onTrial) {
			length = 1
		}
		jobs, err := queue.Claim(c.tx, c.now, queue.Request{
			Server: name, Limit: length, After: after, Hold: c.held, Transfers: transfers, Changes: changes, Alone: takesLong, Weight: sizeOf, Most: streamBytes,
			Prepare: func(job *queue.Job) {
				job.Temp = work.TempPath(c.d.agent.syncs[job.Sync], c.d.agent.db.Instance(), *job)
			},
		})
		if err != nil {
			return err
		}
		if len(jobs) == 0 {
			return nil
		}
		after, left = jobs[0].Sync, left-len(jobs)
		c.tryOne(jobs)
		if err := c.intend(jobs); err != nil {
			return err
		}
		room, err := c.roomFor(jobs)
		if err != nil {
			return err
		}
		c.assignments = append(c.assignments, assignment{server: name, jobs: jobs, room: room, more: left > 0})
	}
	return nil
}

// dueAt is how many jobs of a server are due, without those of syncs that are held as a whole.
func (c *commit) dueAt(server string) (due int, err error) {
	for name := range c.d.agent.syncs {
		if c.d.agent.cfg.Syncs[name].Server != server || c.held(name) == queue.HeldAll {
			continue
		}
		counts, err := queue.Summary(c.tx, name)
		if err != nil {
			return 0, err
		}
		due += counts.Due
	}
	return due, nil
}

// intend notes what the transfers among jobs are about to put at their targets, so that
// their result is recognized even if they are cut off before they can report it.
func (c *commit) intend(jobs []queue.Job) error {
	for _, job := range jobs {
		var op plan.Op
		action := plan.Action(job.Kind)
		if action != plan.Upload && action != plan.Download || op.UnmarshalJSON(job.Payload) != nil {
			continue
		}
		source := op.Local.Entry
		if action == plan.Download {
			source = op.Remote.Entry
		}
		if err := state.AddIntent(c.tx, job.Sync, job.Path, state.Intent{Source: source, Down: action == plan.Download}); err != nil {
			return err
		}
	}
	return nil
}

// takesLong keeps bulk transfers and scans out of streams: what is behind them would wait.
func takesLong(job queue.Job) bool {
	return job.Kind == work.KindScan || job.Kind == work.KindRescan || job.Kind == work.KindVerify || job.Priority >= priorityBulk && job.Priority < priorityScan
}

// Bounds of a stream: it costs about two round trips beside those of its files, and whoever is in a hurry waits for the end of one.
const (
	streamJobs  = 64
	streamBytes = 16 << 20
)

// streamLength is how many jobs a worker gets at once: few towards the end, so that all
// workers end together.
func streamLength(due, workers int) int { return min(max(due/(2*workers), 1), streamJobs) }

// idleSeats counts the workers without work, those among them included whose last job is
// among the reports of this commit.
func (c *commit) idleSeats(server string) int {
	idle := len(c.d.servers[server].idle)
	reported := map[*assigned]int{}
	for _, r := range c.b.reports {
		if r.partial {
			continue
		}
		a := c.d.outstanding[r.Job.ID]
		if reported[a]++; a.server == server && reported[a] == a.left {
			idle++
		}
	}
	return idle
}

// held syncs keep their jobs where they are.
func (c *commit) held(sync string) queue.Held {
	halted, changed := c.halted[sync]
	if !changed {
		halted = c.d.halted[sync]
	}
	if _, enabled := c.d.agent.syncs[sync]; halted || !enabled || c.pauseOf(sync).Holds(c.now) || c.d.leaving.includes(sync) {
		return queue.HeldAll
	}
	if _, closed := closedUntil(c.d.agent.cfg.Syncs[sync], c.now); closed {
		return queue.HeldChanges
	}
	waits := c.heldByPutOff(sync)
	if slices.ContainsFunc(c.targetsOf(sync), c.heldBack) || c.deletions[sync].overdue || c.atLimit(sync) {
		if waits != queue.HeldNone { // deletions, and transfers
			return queue.HeldChanges
		}
		return queue.HeldTransfers
	}
	return waits
}

// planWake says when to look again if nothing happens before.
func (c *commit) planWake() error {
	c.wake = c.now.Add(maxSleep)
	if next, ok := queue.NextDue(c.tx); ok && next.Before(c.wake) {
		c.wake = next
	}
	c.wake = c.nextMissed(c.nextGrownUp(c.nextChange(c.nextTry(c.wake))))
	var err error
	c.wake, err = c.nextLogin(c.wake)
	return err
}

// nextTry is when the next pause of a server or wait for room ends, at the latest what is given.
func (c *commit) nextTry(next time.Time) time.Time {
	for name, s := range c.d.servers {
		times := []time.Time{c.server(name).NotBefore, s.crowded}
		for _, at := range c.placesOf(name) {
			times = append(times, c.hold(at).Until)
		}
		for _, at := range times {
			if at.After(c.now) && at.Before(next) {
				next = at
			}
		}
	}
	return next
}
