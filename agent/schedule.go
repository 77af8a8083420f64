package agent

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// mostWaiting is how many runs of one line may wait to follow.
const mostWaiting = 100

// schedule reads up to when each line of a schedule is dealt with.
func (a *Agent) schedule(s *config.Sync) (trigger.Schedule, error) {
	schedule := trigger.Schedule{Sync: s.Name, Logger: a.logger}
	err := a.db.View(func(tx *state.Tx) error {
		schedule.Entries = nil
		for _, line := range s.Schedules {
			row, err := state.GetSchedule(tx, s.Name, line.Name)
			if err != nil {
				return err
			}
			schedule.Entries = append(schedule.Entries, entryOf(line, row))
		}
		return nil
	})
	return schedule, err
}

func entryOf(line config.Schedule, row state.Schedule) trigger.Entry {
	return trigger.Entry{
		Spec: line.Name, Next: line.Next, Last: row.Passed(),
		Missed: trigger.Missed(line.Missed), Grace: line.Grace, Jitter: line.Jitter,
	}
}

// loadSchedules notes lines that are new as of now, so that even their very first run can be missed and made up for, forgets those
// that are gone, and goes on with the runs that were cut off: their jobs are where they were.
func (d *dispatcher) loadSchedules(tx *state.Tx, s *config.Sync, now time.Time) error {
	rows, err := state.Schedules(tx, s.Name)
	if err != nil {
		return err
	}
	for _, line := range s.Schedules {
		row := rows[line.Name]
		delete(rows, line.Name)
		if row.Passed().IsZero() {
			if err := state.PutSchedule(tx, s.Name, line.Name, state.Schedule{Upto: now}); err != nil {
				return err
			}
		}
		if !row.Begun.IsZero() {
			r := newRun(s.Name, line, row.Begun)
			r.cutOff, r.of().scanned, r.of().moved = true, true, now
			d.runs[r.key()] = r
		}
	}
	for _, gone := range slices.Sorted(maps.Keys(rows)) {
		if err := state.DeleteSchedule(tx, s.Name, gone); err != nil {
			return err
		}
	}
	return nil
}

// fired takes over what the clock says about one line.
func (c *commit) fired(e trigger.Event) error {
	lines := c.d.agent.cfg.Syncs[e.Sync].Schedules
	i := slices.IndexFunc(lines, func(s config.Schedule) bool { return s.Name == e.Fired.Spec })
	if i < 0 {
		return nil
	}
	line := lines[i]
	row, err := state.GetSchedule(c.tx, e.Sync, line.Name)
	if err != nil {
		return err
	}
	before, missed := row.Missed, e.Fired.Missed
	row.Upto, row.Missed = e.Fired.Upto, row.Missed+e.Fired.Missed
	times := slices.Clone(e.Fired.Times)
	switch {
	case len(times) == 0:
	case row.Begun.IsZero():
		row.Waiting = times[1:]
		err = c.beginRun(e.Sync, line, &row, times[0])
	case len(times) > 1: // each of those that were missed is made up for, whatever is under way
		all := append(row.Waiting, times...)
		row.Waiting = all[max(len(all)-mostWaiting, 0):]
		row.Missed += uint64(len(all) - len(row.Waiting))
	case line.Overlap == config.OverlapQueue && len(row.Waiting) == 0:
		row.Waiting = times
	case line.Overlap == config.OverlapCancel:
		row.Missed += uint64(len(row.Waiting))
		row.Waiting = nil
		c.happened(Activity{Kind: ActivityRan, Sync: e.Sync, Action: line.Do, Text: "schedule " + line.Name + ": cut off by the next run"})
		if err = c.cancelRun(e.Sync, line, row.Begun); err == nil {
			err = c.beginRun(e.Sync, line, &row, times[0])
		}
	default:
		row.Missed++
	}
	if err != nil {
		return err
	}
	if left := row.Missed - before; left > 0 {
		c.happened(Activity{Kind: ActivityMissed, Sync: e.Sync, Action: line.Do, Text: leftOut(line.Name, missed, left-missed, len(times) > 0)})
	}
	return state.PutSchedule(c.tx, e.Sync, line.Name, row)
}

// leftOut says how many times of a schedule were left out because nobody could begin them, and because of the run before. makesUp: one of
// them is made up for now.
func leftOut(line string, missed, busy uint64, makesUp bool) string {
	text := "schedule " + line + ": "
	if missed > 0 {
		text += fmt.Sprintf("%d left out, as the agent did not run, the machine slept, or its clock was set", missed)
		if makesUp {
			text += "; a run makes up for them now"
		}
	}
	if missed > 0 && busy > 0 {
		text += "; "
	}
	if busy > 0 {
		text += fmt.Sprintf("%d left out, as the run before was not over", busy)
	}
	return text
}

// beginRun asks for what a line does, and changes its row.
func (c *commit) beginRun(sync string, line config.Schedule, row *state.Schedule, at time.Time) error {
	row.LastFired, row.Begun = at, c.now
	r := newRun(sync, line, c.now)
	c.runs[r.key()] = r
	why := "schedule " + line.Name // also names the run, see cancelRun
	c.happened(Activity{Kind: ActivityTriggered, Sync: sync, Action: line.Do, Text: why, Line: line.Name, Late: max(c.now.Sub(at), 0)})
	switch line.Do {
	case config.DoScan:
		return c.enqueueSurvey(sync, why)
	case config.DoVerify:
		return c.enqueueScan(sync, work.KindVerify, why, priorityVerify, c.now)
	case config.DoPurge:
		c.purges = true
		return c.purgeNow(sync)
	}
	kind, err := c.passOf(sync, false)
	if err != nil {
		return err
	}
	r.of().trusting = kind == work.KindRescan
	return c.enqueueLook(queue.New{Kind: kind, Sync: sync, Priority: priorityScan, RunAt: c.now, Why: why, By: why})
}

// endRuns writes down what came of the runs that are over, and begins those that follow.
func (c *commit) endRuns() error {
	for _, key := range slices.Sorted(maps.Keys(c.d.runs)) {
		r := c.d.runs[key]
		if _, changed := c.runs[key]; changed || !r.of().over {
			continue
		}
		row, err := state.GetSchedule(c.tx, r.sync, r.line.Name)
		if err != nil {
			return err
		}
		ended := r.ended(c.now)
		row.Begun, row.LastFinished, row.Result = time.Time{}, ended, r.result()
		c.runs[key] = nil
		c.happened(Activity{Kind: ActivityRan, Sync: r.sync, Action: r.line.Do, Text: "schedule " + r.line.Name + ": " + row.Result, Took: ended.Sub(r.begun)})
		if len(row.Waiting) > 0 {
			at := row.Waiting[0]
			row.Waiting = row.Waiting[1:]
			if err := c.beginRun(r.sync, r.line, &row, at); err != nil {
				return err
			}
		}
		if err := state.PutSchedule(c.tx, r.sync, r.line.Name, row); err != nil {
			return err
		}
	}
	return nil
}

// cancelRun drops what a run alone has asked for and nobody has begun: the run that follows finds it again, if it is still to
// be done. A scan that is under way is told to stop at its next part; other jobs go on to their end. Nothing is dropped that the
// next run would not find: by a run that only looks no scan that acts, and no operations if the scan of the next run is parked.
func (c *commit) cancelRun(sync string, line config.Schedule, begun time.Time) error {
	var kinds []string
	switch line.Do {
	case config.DoPurge:
		return nil // one job, which starts over
	case config.DoVerify:
		kinds = []string{work.KindVerify}
	case config.DoScan:
		kinds = lookedBy(false)
	case config.DoSync:
		kinds = lookedBy(true)
	}
	for _, kind := range kinds {
		if cancelled, err := c.cancelLook(kind, sync, line); err != nil || !cancelled {
			return err
		}
	}
	if line.Do != config.DoSync {
		return nil
	}
	by, untouched := "schedule "+line.Name, []queue.ID(nil)
	for _, waiting := range []queue.State{queue.Due, queue.Waiting} {
		err := queue.Each(c.tx, queue.Filter{Sync: sync, State: waiting}, func(job queue.Job) (bool, error) {
			if isOperation(job.Kind) && job.Claims == 0 && job.Priority >= queue.Urgent && !job.Enqueued.Before(begun) && job.By == by {
				untouched = append(untouched, job.ID)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	for _, id := range untouched {
		if err := queue.Drop(c.tx, id); err != nil {
			return err
		}
	}
	return nil
}

// cancelLook ends the look that a run has begun with, unless that one is parked, or acts and the run does not.
func (c *commit) cancelLook(kind, sync string, line config.Schedule) (cancelled bool, err error) {
	job, ok, err := queue.Lookup(c.tx, kind, sync, "")
	switch {
	case err != nil || ok && (job.Crashed() || line.Do == config.DoScan && !isSurvey(job.New)):
		return false, err
	case ok && job.State == queue.Running:
		if _, underWay := c.rooms[job.ID]; underWay {
			c.rooms[job.ID] = room{sync: sync, vetoed: true}
		}
	case ok && job.State != queue.Dead:
		err = c.dropScan(job)
	}
	return true, err
}

// dropScan drops a scan in the middle, and leaves what was asked for meanwhile.
func (c *commit) dropScan(job queue.Job) error {
	if err := queue.Drop(c.tx, job.ID); err != nil {
		return err
	}
	if job.Next != nil {
		if _, err := queue.Enqueue(c.tx, c.now, *job.Next); err != nil {
			return err
		}
	}
	return state.DropStaged(c.tx, job.Sync, uint64(job.ID))
}

// surveyPayload marks a scan that does nothing about what it finds.
const surveyPayload = `"survey"`

func isSurvey(job queue.New) bool {
	return job.Kind == work.KindScan && string(job.Payload) == surveyPayload
}

// enqueueSurvey asks for a scan that does nothing about what it finds. One that does is not turned into one that does not: what is
// to be seen is seen by it, too, and at once if it was meant for later.
func (c *commit) enqueueSurvey(sync, why string) error {
	old, ok, err := queue.Lookup(c.tx, work.KindScan, sync, "")
	if err != nil {
		return err
	}
	if ok && isForLater(old, c.now) && !isSurvey(old.New) {
		return c.enqueueScan(sync, work.KindScan, old.Why, priorityScan, c.now)
	}
	if ok && old.State != queue.Dead {
		begun := old.State == queue.Running || len(old.Progress) > 0
		if old.Next != nil && !isSurvey(*old.Next) || !begun && !isSurvey(old.New) {
			return nil
		}
	}
	return c.enqueueLook(queue.New{Kind: work.KindScan, Sync: sync, Priority: priorityScan, Why: why, Payload: json.RawMessage(surveyPayload)})
}

// survey counts the operations of a part that nobody carries out.
func (s *scanning) survey() {
	found := &s.progress.Found
	for _, op := range s.Scan.Plan.Ops {
		if found.Would == nil {
			found.Would = map[string]int{}
		}
		found.Would[string(op.Action)]++
	}
}

// surveyed ends a scan that does nothing about what it finds: the marks of what has changed stay for the next look, and a full scan
// is as far away as before.
func (c *commit) surveyed(s *scanning) error {
	_, err := c.dropNotes(s)
	return err
}

// schedulesOf is how the lines of a schedule stand.
func (a *Agent) schedulesOf(tx *state.Tx, s *config.Sync, now time.Time) ([]control.Schedule, error) {
	var lines []control.Schedule
	for _, line := range s.Schedules {
		row, err := state.GetSchedule(tx, s.Name, line.Name)
		if err != nil {
			return nil, err
		}
		shown := control.Schedule{
			Spec: strings.TrimPrefix(line.Name, line.Do+" "), Do: line.Do, Fired: row.LastFired, Missed: row.Missed,
			Finished: row.LastFinished, Result: row.Result,
		}
		if !row.Begun.IsZero() {
			shown.Finished, shown.Result = time.Time{}, "under way"
			if n := len(row.Waiting); n > 0 {
				shown.Result += fmt.Sprintf(", and %d to follow", n)
			}
		}
		if _, enabled := a.syncs[s.Name]; enabled {
			shown.Next = entryOf(line, row).Following(s.Name, now)
		}
		lines = append(lines, shown)
	}
	return lines, nil
}

// wouldDo tells what a survey has found, the most important first.
func wouldDo(would map[string]int) string {
	var parts []string
	for _, action := range append([]plan.Action{plan.Upload, plan.Download, plan.DeleteRemote, plan.DeleteLocal}, otherActions(would)...) {
		if n := would[string(action)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, strings.ReplaceAll(string(action), "_", " ")))
		}
	}
	if len(parts) == 0 {
		return "a sync would do nothing"
	}
	return "a sync would do: " + strings.Join(parts, ", ")
}

func otherActions(would map[string]int) (others []plan.Action) {
	for _, action := range slices.Sorted(maps.Keys(would)) {
		switch plan.Action(action) {
		case plan.Upload, plan.Download, plan.DeleteRemote, plan.DeleteLocal:
		default:
			others = append(others, plan.Action(action))
		}
	}
	return others
}
