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
// until it has answered, see provenToWork.
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
		if c.mustWait(name) || len(s.idle) == 0 || c.probing(name) {
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
	limit, most, err := c.worthConnections(name, due)
	if err != nil {
		return err
	}
	if c.server(name).Failures > 0 {
		limit = min(max(limit, 1), 1+c.underWayBefore(name))
		most = limit
	}
	length, careful := streamLength(due, limit), c.server(name).Failures > 0 || slices.ContainsFunc(c.placesOf(name), c.onTrial)
	if careful {
		length = 1
	}
	after, left := s.lastSync, due
	for seats := c.freeSeats(name, limit, careful); len(seats) > 0; {
		behind, before := seats[0], ""
		seats = seats[1:]
		if behind != nil {
			before = behind.sync
		}
		jobs, err := queue.Claim(c.tx, c.now, queue.Request{
			Server: name, Limit: length, After: after, Hold: c.held, Transfers: transfers, Changes: changes, Alone: takesLong, Weight: sizeOf, Most: streamBytes, Behind: before,
			Prepare: func(job *queue.Job) {
				job.Temp = work.TempPath(c.d.agent.syncs[job.Sync], c.d.agent.db.Instance(), *job)
			},
		})
		if err != nil {
			return err
		}
		if len(jobs) == 0 {
			if behind != nil {
				continue // there may be some for the next one
			}
			return nil
		}
		after, left = jobs[0].Sync, left-len(jobs)
		if behind == nil && limit < most && !followEachOther(jobs) {
			limit, seats = limit+1, append([]*seat{nil}, seats...)
		}
		c.tryOne(jobs)
		if err := c.intend(jobs); err != nil {
			return err
		}
		room, err := c.roomFor(jobs)
		if err != nil {
			return err
		}
		c.assignments = append(c.assignments, assignment{server: name, jobs: jobs, room: room, more: left > 0, behind: behind})
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
		action := plan.Action(job.Kind)
		if action != plan.Upload && action != plan.Download {
			continue
		}
		op, err := plan.DecodeOp(job.Payload)
		if err != nil {
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

// goesAlone reports the jobs that Claim hands out only by themselves.
func goesAlone(job queue.Job) bool { return job.Crashes > 0 || takesLong(job) }

// Bounds of a stream: it costs about two round trips beside those of its files, and whoever is in a hurry waits for the end of one.
const (
	streamJobs  = 64
	streamBytes = 16 << 20
)

// streamLength is how many jobs a worker gets at once: few towards the end, so that all
// workers end together.
func streamLength(due, workers int) int { return min(max(due/(2*workers), 1), streamJobs) }

// freeSeats are the workers of a server that may get jobs, when limit of them may be busy: nil for each that has none to do, those included
// whose last job is among the reports of this commit; then those that just moved on to their last ones, unless careful: what they get is
// begun before anybody has seen how those ended.
func (c *commit) freeSeats(server string, limit int, careful bool) (seats []*seat) {
	s := c.d.servers[server]
	left, failed := map[*seat]int{}, map[*seat]bool{} // of those that report now
	var reporting []*seat
	for _, r := range c.b.reports {
		a := c.d.outstanding[r.Job.ID]
		if r.partial || a.server != server {
			continue
		}
		if _, known := left[a.seat]; !known {
			left[a.seat], reporting = a.seat.left, append(reporting, a.seat)
		}
		left[a.seat]--
		failed[a.seat] = failed[a.seat] || r.Result == work.Failed // the rest of what it has may fail of the same, untried
	}
	idle := len(s.idle)
	for _, seat := range reporting {
		if left[seat] == 0 {
			idle++
		}
	}
	spare := limit - (len(s.seats) - idle) // of the connections; fewer than none when the limit has sunk
	seats = make([]*seat, max(spare, 0))
	for _, seat := range reporting {
		if spare >= 0 && !careful && !failed[seat] && seat.goesOn(left[seat]) {
			seats = append(seats, seat)
		}
	}
	return seats
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
	c.wake = c.nextProbe(c.nextMissed(c.nextGrownUp(c.nextChange(c.nextTry(c.wake)))))
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
