package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// A scan of any size is written down in parts: what it has found, and in the same transaction the
// place where it goes on, in this process or in the next. What may be done before the guard has
// seen all of the scan becomes jobs at once; the rest is staged until then.

// scanning is the report of a scan job while it is taken over.
type scanning struct {
	report
	row state.SyncState
	// progress is what this transaction writes down about the job.
	progress work.Progress
	// first: nothing of this scan was written down before. last: all was looked at.
	first, last bool
	// again: another scan was asked for meanwhile, and follows.
	again bool
	// without: see room.
	without bool
	// surveys: nothing is done about what it finds.
	surveys bool
}

// whole reports a scan that comes in one piece: the guard sees it before anything of it is done.
func (s *scanning) whole() bool { return s.first && s.last }

func (s *scanning) sync() string { return s.Job.Sync }

// isScanning reports the jobs that may come in parts.
func isScanning(kind string) bool { return work.IsScan(kind) }

// looksAtAll reports a scan of everything, on the local side at least.
func looksAtAll(job queue.Job) bool { return job.Kind == work.KindScan || job.Kind == work.KindRescan }

// scanned takes over what a scan job reports.
func (c *commit) scanned(r report) error {
	room := c.rooms[r.Job.ID]
	delete(c.rooms, r.Job.ID)
	s, err := c.resume(r)
	switch {
	case err != nil:
		return err
	case room.vetoed && r.partial: // its worker has not ended yet
		c.rooms[r.Job.ID] = room
		return nil
	case room.vetoed:
		return c.abandon(s)
	case s.progress.Release:
		return c.release(s)
	}
	s.without = room.without
	return c.part(s)
}

// resume joins what a worker says with what is written down about its job.
func (c *commit) resume(r report) (*scanning, error) {
	s := &scanning{report: r, surveys: isSurvey(r.Job.New)}
	var err error
	if s.row, err = state.GetSync(c.tx, r.Job.Sync); err != nil {
		return nil, err
	}
	job, _, err := queue.Get(c.tx, r.Job.ID)
	if err != nil {
		return nil, err
	}
	saved := progressOf(job)
	s.again = job.Next != nil
	s.progress = work.Progress{Began: r.Job.Started}
	if r.Progress != nil {
		s.progress = *r.Progress
	}
	if s.Scan == nil {
		s.Scan = &scan.Result{} // nothing to look at
	}
	s.progress.Found = saved.Found
	s.last = !r.partial && s.progress.Cursor == nil
	if len(job.Progress) == 0 || !saved.Began.Equal(s.progress.Began) {
		// What is staged under this number is of a scan that was given up.
		s.first, s.progress.Found = true, work.Found{}
		if s.Full {
			s.progress.Found.Doubts = s.row.Doubts
			s.progress.Found.Rules = trustedUnder(c.d.agent.cfg, c.d.agent.cfg.Syncs[r.Job.Sync])
		}
		return s, state.DropStaged(c.tx, r.Job.Sync, uint64(r.Job.ID))
	}
	return s, nil
}

// progressOf returns how far a scan job has come; what cannot be read begins anew.
func progressOf(job queue.Job) (p work.Progress) {
	if len(job.Progress) > 0 && json.Unmarshal(job.Progress, &p) != nil {
		return work.Progress{}
	}
	return p
}

// part takes over what was found since the last part: the guard first, then what is in step,
// then operations.
func (c *commit) part(s *scanning) error {
	pending, err := c.pendingAmong(s)
	if err != nil {
		return err
	}
	halt, approved, err := c.veto(s)
	if err != nil {
		return err
	}
	found := scanned{sync: s.sync(), full: s.Full, all: looksAtAll(s.Job), began: s.progress.Began, first: s.first, last: s.last, result: s.Scan, halt: halt}
	if halt != nil {
		if waits, err := c.putOff(s, halt); err != nil || waits {
			return err
		}
		c.scans = append(c.scans, found)
		return c.halt(s, halt, approved)
	}
	if err := c.averted(s); err != nil {
		return err
	}
	s.count()
	if s.last {
		if s.surveys { // leaves to others what a person has let pass
			approved = false
		} else if err := c.settleApproval(s, approved); err != nil {
			return err
		}
		took := s.Duration
		if !s.whole() {
			took = c.now.Sub(s.progress.Began)
		}
		c.happened(Activity{
			Kind: ActivityScanned, Sync: s.sync(), Action: s.Job.Kind, Took: took,
			Text: fmt.Sprintf("%d paths looked at, %d operations planned, %d found in step, %d not to be seen",
				s.Scan.Looked, s.progress.Found.Planned, s.progress.Found.Agreed, s.progress.Found.Unseen),
		})
	}
	if err := c.learnFolders(s); err != nil {
		return err
	}
	if err := c.agree(s.sync(), s.report); err != nil {
		return err
	}
	if err := c.operations(s, approved, pending); err != nil {
		return err
	}
	if !s.surveys {
		if err := c.followUp(s.sync(), s.Scan); err != nil {
			return err
		}
		if err := c.lookThere(s); err != nil {
			return err
		}
	}
	if found.result, err = c.deferConflicts(s.sync(), s.Scan); err != nil {
		return err
	}
	found.survey, found.would = s.surveys, s.progress.Found.Would
	c.scans = append(c.scans, found)
	if err := c.notes(s, found.result); err != nil {
		return err
	}
	seen, err := c.notAtWork(s)
	if err != nil {
		return err
	}
	if err := state.ClearDirty(c.tx, s.sync(), seen); err != nil {
		return err
	}
	if err := c.forgetHeld(s); err != nil {
		return err
	}
	if s.last {
		if s.More {
			if err := c.enqueueScan(s.sync(), work.KindLook, "more changes", priorityLook, c.now); err != nil {
				return err
			}
		}
		s.progress.Cursor, s.progress.Release, s.progress.Approved = nil, true, approved
		return c.release(s)
	}
	if err := c.saveProgress(s); err != nil || s.partial {
		return err
	}
	if s.progress.Found.Planned > progressOf(s.Job).Found.Planned { // told once, however often it finds no room
		c.happened(Activity{
			Kind: ActivityScanned, Sync: s.sync(), Action: s.Job.Kind,
			Text: fmt.Sprintf("%d operations planned so far; goes on when fewer are left to be done", s.progress.Found.Planned),
		})
	}
	return c.yield(s, c.d.agent.bounds.open-c.d.agent.bounds.wake)
}

// notAtWork returns the marks that a look has seen to. Where a job is running and nothing else is to be done, the look has
// compared with what was agreed on before that job, and it takes another one when the job has ended: see noticed. What is to be
// done there begins after it anyway.
func (c *commit) notAtWork(s *scanning) ([]state.Dirty, error) {
	if len(s.Dirty) == 0 {
		return nil, nil
	}
	running := map[string]bool{}
	err := queue.Each(c.tx, queue.Filter{Sync: s.sync(), State: queue.Running}, func(job queue.Job) (bool, error) {
		if isOperation(job.Kind) {
			running[job.Path] = true
		}
		return true, nil
	})
	if err != nil || len(running) == 0 {
		return s.Dirty, err
	}
	for _, op := range s.Scan.Plan.Ops {
		delete(running, op.Path)
	}
	return slices.DeleteFunc(slices.Clone(s.Dirty), func(mark state.Dirty) bool { return running[mark.Path] }), nil
}

// noticed asks for a look at a path that was marked while a job was at it. Looks and scans that began before the job ended do not
// clear the mark, because it is another one then. A scan of everything that is under way may have found a path in step that is
// there again and that the job has just deleted on the other side, without a mark if the event was lost.
func (c *commit) noticed(job queue.Job) error {
	mark, ok := state.GetDirty(c.tx, job.Sync, job.Path)
	if !ok && plan.Action(job.Kind).Deletes() {
		var err error
		if ok, err = c.isWalked(job.Sync); err != nil {
			return err
		}
		mark.Why = "deleted during a scan"
	}
	if !ok {
		return nil
	}
	return c.lookAgain(job, mark.Why, c.now.Add(c.settle(job.Sync)), mark.Remote)
}

// isWalked reports whether a scan of everything is under way that has not seen all yet.
func (c *commit) isWalked(sync string) (bool, error) {
	for _, kind := range []string{work.KindScan, work.KindRescan} {
		job, ok, err := queue.Lookup(c.tx, kind, sync, "")
		if err != nil {
			return false, err
		}
		if ok && (job.State == queue.Running || len(job.Progress) > 0) && !progressOf(job).Release {
			return true, nil
		}
	}
	return false, nil
}

// count adds a part to the numbers of its scan.
func (s *scanning) count() {
	found := &s.progress.Found
	found.Planned += len(s.Scan.Plan.Ops)
	for _, op := range s.Scan.Plan.Ops {
		if changedThere(op) {
			found.There++
		}
	}
	found.Agreed += len(s.Scan.Plan.Agree)
	found.Unseen = s.Scan.Unseen
}

// operations turns those of a part into jobs, or stages them.
func (c *commit) operations(s *scanning, approved bool, pending map[string]pendingDelete) error {
	if s.surveys {
		s.survey()
		return nil
	}
	rules := c.d.agent.syncs[s.sync()].Rules
	for _, op := range s.Scan.Plan.Ops {
		if s.without && isTransfer(string(op.Action)) {
			s.progress.Found.Left++
			continue
		}
		if (s.without || !s.whole()) && plan.Guarded(rules, op, s.progress.Known, s.row.Elsewhere) {
			if err := c.stage(s, op); err != nil {
				return err
			}
			continue
		}
		op.Approved = op.Action.Deletes() && (approved || pending[op.Path].approved)
		if err := c.carryOut(s.report, op); err != nil {
			return err
		}
	}
	return nil
}

// finish ends a scan of which nothing is left to be written down.
func (c *commit) finish(s *scanning) error {
	if _, err := queue.Complete(c.tx, c.now, s.Job.ID); err != nil {
		return err
	}
	if s.progress.Found.Left > 0 {
		if err := c.enqueueScan(s.sync(), work.KindScan, "transfers found no room", priorityScan, c.now.Add(laterDelay)); err != nil {
			return err
		}
	}
	regular := isRegular(s.Job)
	if regular {
		s.row.Rescans, s.row.LastRescan, s.row.RescanTook = s.row.Rescans+1, c.now, max(c.now.Sub(s.progress.Began), 0)
	}
	if found := s.progress.Found; found.Planned == 0 && found.Unseen == 0 && found.Left == 0 {
		s.row.LastSuccess = c.now
	}
	if s.progress.Spares {
		s.spared(c.now)
		return state.PutSync(c.tx, s.sync(), s.row)
	}
	if !s.Full && regular {
		return state.PutSync(c.tx, s.sync(), s.row)
	}
	if !s.Full {
		return c.dropSkipped(s)
	}
	if s.surveys {
		return c.surveyed(s)
	}
	s.row.LastFullScan, s.row.Checked = c.now, s.checked()
	if err := c.clearMarks(s); err != nil {
		return err
	}
	s.polled()
	if err := c.listedAll(s); err != nil {
		return err
	}
	if err := c.purge(s); err != nil {
		return err
	}
	if err := state.PutSync(c.tx, s.sync(), s.row); err != nil {
		return err
	}
	if s.progress.Approved {
		again := c.now.Add(min(max(approvalCheck, c.now.Sub(s.row.Approved)), longestWait))
		if err := c.enqueueScan(s.sync(), work.KindScan, approvalCheckWhy, priorityScan, again); err != nil {
			return err
		}
	}
	if unseen, err := c.dropNotes(s); err != nil || unseen {
		return err
	}
	return c.dropObsolete(s.sync(), s.progress.Began)
}

// dropNotes removes those that a full scan has not made again, and reports whether it has not seen all.
func (c *commit) dropNotes(s *scanning) (unseen bool, err error) {
	unseen = s.progress.Found.Unseen > 0 || s.progress.Found.Left > 0
	// What lies where nobody could look is as it was.
	gone := func(n state.Note) bool {
		if n.Kind == state.NoteHeld && c.isWaitedFor(s.sync(), n.Path) {
			return false
		}
		if n.Kind.OfVerify() { // only a comparison takes it back
			_, known, _ := state.GetBaseline(c.tx, s.sync(), n.Path)
			return !known
		}
		return !unseen || n.Kind == state.NoteUnknown
	}
	return unseen, state.DropNotes(c.tx, s.sync(), s.progress.Began, gone)
}

// halt stops the sync. Of a whole scan nothing was done then, of a long one nothing that the
// guard watches over. needed: it went on with what a person has let pass, and came upon something else. When that is let
// pass too, both count.
func (c *commit) halt(s *scanning, halt *plan.Halt, needed bool) error {
	row := s.row
	known := row.Halt == halt.Reason && row.HaltCode == halt.Code // another look has found it a moment ago
	if !known {
		row.HaltedAt = c.now
		c.happened(Activity{Kind: ActivityHalted, Sync: s.sync(), Text: halt.Reason})
		err := state.AppendHistory(c.tx, state.History{
			When: c.now, Sync: s.sync(), Server: s.Job.Server, Op: opGuard, Result: resultHalted, Error: brief(halt.Reason),
		})
		if err != nil {
			return err
		}
	}
	row.Halt, row.HaltCode, row.HaltDeletes, row.Approved = halt.Reason, halt.Code, halt.Deletes, time.Time{}
	if !needed {
		row.ApprovedHalts, row.ApprovedDeletes = "", 0
	}
	c.halted[s.sync()] = true
	delete(c.putOffs, s.sync())
	if err := state.PutSync(c.tx, s.sync(), row); err != nil {
		return err
	}
	if s.partial { // its worker has not ended yet
		c.rooms[s.Job.ID] = room{sync: s.sync(), vetoed: true}
		return nil
	}
	return c.abandon(s)
}

// abandon ends a scan that a guard has stopped: a person's approval begins another one.
func (c *commit) abandon(s *scanning) error {
	if err := state.DropStaged(c.tx, s.sync(), uint64(s.Job.ID)); err != nil {
		return err
	}
	_, err := queue.Complete(c.tx, c.now, s.Job.ID)
	return err
}

func (c *commit) saveProgress(s *scanning) error {
	data, err := json.Marshal(s.progress)
	if err != nil {
		return fmt.Errorf("encode the progress of a scan: %w", err)
	}
	return queue.Save(c.tx, c.now, s.Job.ID, data)
}

// yield gives way until there is room again, unless that is so already; wakeScans may end the wait
// before its time.
func (c *commit) yield(s *scanning, enough int) error {
	at := c.now.Add(yieldTime)
	free, err := c.free(s.sync())
	if err != nil {
		return err
	}
	if free >= enough || !c.b.claim {
		at = c.now // at the end of the agent too: the next one goes on at once
	}
	return queue.Yield(c.tx, c.now, s.Job.ID, at)
}
