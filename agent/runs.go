package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// runLook is how often it is looked at first whether a run of a schedule is over; the longer it takes, the less often.
const runLook = 2 * time.Second

// run is what a line of a schedule has begun. It is over when nothing is left to be waited for of what its scan has found, as with
// a pass; what is found later, by events for example, is not part of it.
type run struct {
	sync  string
	line  config.Schedule
	begun time.Time
	pass  *pass // of this sync alone
	// cutOff: it has begun in another process, and nobody knows what came of it until this one began.
	cutOff bool
	looked time.Time
	// until is when its scan was over: jobs that were added later are not waited for.
	until time.Time
}

func newRun(sync string, line config.Schedule, begun time.Time) *run {
	r := &run{sync: sync, line: line, begun: begun, pass: newPass([]string{sync}, begun)}
	r.of().run = r
	return r
}

func (r *run) key() string { return r.sync + "\x00" + r.line.Name }

func (r *run) of() *passSync { return r.pass.syncs[r.sync] }

// isAbout reports whether a job is, or may be, one that the run has led to.
func (r *run) isAbout(job queue.Job) bool {
	switch r.line.Do {
	case config.DoVerify:
		return job.Kind == work.KindVerify
	case config.DoPurge:
		return isPurge(job.Kind)
	case config.DoScan:
		return job.Kind == work.KindScan
	}
	return job.Kind != work.KindVerify && (r.until.IsZero() || !job.Enqueued.After(r.until))
}

// ended is when a run that is over came to its end, which is noticed later.
func (r *run) ended(noticed time.Time) time.Time {
	if last := r.of().last; last.After(r.begun) && last.Before(noticed) {
		return last
	}
	return noticed
}

// lookAtRuns finds out which runs are over; the next commit writes that down.
func (d *dispatcher) lookAtRuns(now time.Time) error {
	for _, key := range slices.Sorted(maps.Keys(d.runs)) {
		r := d.runs[key]
		every := min(max(now.Sub(r.begun)/32, runLook), maxSleep)
		if !r.of().over && !waits(r.looked.Add(every), now, every) {
			r.looked = now
			if err := d.look(r.pass, r.of(), now); err != nil {
				return err
			}
		}
		if r.of().over {
			d.wake = now
			continue
		}
		d.wake = earlier(d.wake, r.looked.Add(every))
	}
	return nil
}

// anyRunOver reports whether a commit is needed to write down what came of a run.
func (d *dispatcher) anyRunOver() bool {
	for _, r := range d.runs {
		if r.of().over {
			return true
		}
	}
	return false
}

// runBusy reports whether there is something to wait for of a run whose sync is not stopped.
func (d *dispatcher) runBusy(tx *state.Tx, s *passSync, server state.Server, now time.Time) (bool, error) {
	r := s.run
	switch r.line.Do {
	case config.DoVerify: // each failure may be after hours of work
		_, busy, err := isVerifying(tx, r.sync)
		return busy, err
	case config.DoPurge:
		busy, err := anyToDo(tx, r.sync, work.KindPurgeLocal, work.KindPurgeRemote)
		return busy || !waits(d.nextTrim, now, trimInterval), err
	}
	if r.until.IsZero() {
		looks, err := r.looks(tx)
		if err != nil {
			return false, err
		}
		if !s.scanned || looks {
			return d.busy(tx, s, server, now)
		}
		r.until = now
	}
	if r.line.Do == config.DoScan {
		return false, nil
	}
	if busy, err := d.busy(tx, s, server, now); err != nil || !busy {
		return false, err
	}
	return r.anyOpen(tx, d.agent.syncs[r.sync].Settle, now)
}

// looks reports whether the look at everything of a run is not over.
func (r *run) looks(tx *state.Tx) (bool, error) {
	for _, kind := range lookedBy(r.of().trusting) {
		job, ok, err := queue.Lookup(tx, kind, r.sync, "")
		later := job.State == queue.Waiting && len(job.Progress) == 0
		if err != nil || ok && job.State != queue.Dead && !later {
			return true, err
		}
	}
	return false, nil
}

// lookedBy are the kinds of looks at everything that a pass may have asked for. One that looks at the local folder alone may lead to one at
// both sides.
func lookedBy(trusting bool) []string {
	if trusting {
		return []string{work.KindRescan, work.KindScan}
	}
	return []string{work.KindScan}
}

// anyToDo reports whether one of the jobs of a sync is to be waited for.
func anyToDo(tx *state.Tx, sync string, kinds ...string) (bool, error) {
	for _, kind := range kinds {
		job, ok, err := queue.Lookup(tx, kind, sync, "")
		if err != nil {
			return false, err
		}
		if ok && job.State != queue.Dead && job.Attempts < passTries {
			return true, nil
		}
	}
	return false, nil
}

// anyOpen reports whether a job is left that was there when the scan was over.
func (r *run) anyOpen(tx *state.Tx, settle time.Duration, now time.Time) (open bool, err error) {
	for _, in := range []queue.State{queue.Running, queue.Due, queue.Waiting} {
		err := queue.Each(tx, queue.Filter{Sync: r.sync, State: in}, func(job queue.Job) (bool, error) {
			open = !job.Enqueued.After(r.until) && job.Kind != work.KindVerify &&
				(in != queue.Waiting || job.Attempts < passTries && job.RunAt.Before(now.Add(settle+passPatience)))
			return !open, nil
		})
		if err != nil || open {
			return open, err
		}
	}
	return false, nil
}

// result sums up a run that is over, for people.
func (r *run) result() string {
	s, report := r.of(), r.of().report
	var parts []string
	switch {
	case report.Halt != "":
		parts = append(parts, "halted: "+report.Halt)
	case report.Paused != "":
		parts = append(parts, report.Paused)
	case report.Blocked != "":
		parts = append(parts, "the login is refused: "+report.Blocked)
	case report.Unavailable != "":
		parts = append(parts, "the server is not available: "+report.Unavailable)
	}
	switch r.line.Do {
	case config.DoVerify, config.DoPurge:
		for _, kind := range slices.Sorted(maps.Keys(s.said)) {
			parts = append(parts, s.said[kind])
		}
		for _, dead := range report.Dead {
			if strings.HasPrefix(dead.Reason, r.line.Do+": ") {
				parts = append(parts, "failed for good: "+strings.TrimPrefix(dead.Reason, r.line.Do+": "))
			}
		}
		if r.line.Do == config.DoPurge {
			parts = append(parts, "the history is trimmed")
		}
	case config.DoScan:
		switch {
		case s.surveyed || s.would != nil:
			parts = append(parts, wouldDo(s.would))
		case s.scanned && !r.cutOff:
			parts = append(parts, "a scan that was to act anyway has looked, and it acts")
		}
		parts = append(parts, whatWasFound(report)...)
	default:
		parts = append(append(parts, whatWasDone(report)...), whatWasFound(report)...)
		if report.Unfinished > 0 {
			parts = append(parts, fmt.Sprintf("%d jobs are left for later", report.Unfinished))
		}
		if n := len(report.Dead); n > 0 {
			parts = append(parts, fmt.Sprintf("%d have failed for good", n))
		}
	}
	if looks := r.line.Do == config.DoSync || r.line.Do == config.DoScan; looks && !s.scanned && len(parts) == 0 {
		parts = append(parts, "nothing could be looked at")
	}
	if len(parts) == 0 && !r.cutOff { // else nobody knows what was done before
		parts = append(parts, "nothing was to be done")
	}
	if r.cutOff {
		parts = append(parts, "the agent was started anew in the middle of it")
	}
	return brief(strings.Join(parts, "; "))
}

func whatWasDone(r control.SyncReport) (parts []string) {
	for _, n := range []struct {
		count int
		what  string
	}{{r.Transferred, "transferred"}, {r.Deleted, "deleted"}, {r.Folders, "folders made"}, {r.Renamed, "renamed"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	return parts
}

func whatWasFound(r control.SyncReport) (parts []string) {
	for _, n := range []struct {
		count int
		what  string
	}{{r.Adopted, "found in step"}, {len(r.Conflicts), "in conflict"}, {len(r.Unknown), "not to be seen"}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.what))
		}
	}
	return parts
}
