package agent

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// approvalCheck is the first pause until a scan looks whether an approval is still needed.
const approvalCheck = time.Minute

// approvalCheckWhy is why that scan is made.
const approvalCheckWhy = "is the approved work done?"

// veto asks the planner's guard: about the roots at every part, about everything at the end. An
// approval serves looks at everything only, until a full scan does not need it. A look at single paths has its guard in any case.
func (c *commit) veto(s *scanning) (halt *plan.Halt, approved bool, err error) {
	totals, err := c.totals(s)
	if err != nil {
		return nil, false, err
	}
	limits := plan.Limits{AllowsDeletes: c.d.agent.cfg.Syncs[s.sync()].MaxDelete.Allows}
	halt = plan.Guard(totals, limits)
	if halt != nil && halt.Code == plan.HaltMaxDelete && limits.AllowsDeletes(totals.Deletes, totals.Known) {
		// What waits elsewhere makes it too many, unless some of it is the same.
		if totals.Deletes, err = c.distinctDeletes(s); err != nil {
			return nil, false, err
		}
		totals.PendingDeletes = 0
		halt = plan.Guard(totals, limits)
	}
	if halt == nil && s.last && !s.whole() && !limits.AllowsDeletes(s.fileDeletes(), totals.Known) {
		// More was staged than was counted in the end, since what is found under a new name is not deleted under the old one. A
		// part knows of the earlier ones by numbers alone, so which it is has to be looked at.
		exact := totals
		if exact.Deletes, err = c.distinctDeletes(s); err != nil {
			return nil, false, err
		}
		exact.PendingDeletes = 0
		halt = plan.Guard(exact, limits)
		totals = exact
	}
	if halt != nil && looksAtAll(s.Job) && !s.row.Approved.IsZero() {
		limits = approvedLimits(s.row, limits)
		first := halt
		halt = plan.Guard(totals, limits)
		// Whether of what a person has let pass something is still needed.
		approved = halt == nil || halt.Code != first.Code
	}
	return halt, approved, nil
}

// fileDeletes counts the deletions of files that this scan has staged or found.
func (s *scanning) fileDeletes() int {
	files := s.progress.Found.Staged
	for _, op := range s.Scan.Plan.Ops {
		if op.DeletesFile() {
			files++
		}
	}
	return files
}

// approvedLimits are limits with what a person has let pass.
func approvedLimits(row state.SyncState, limits plan.Limits) plan.Limits {
	limits.Approved, limits.Halts, limits.Deletes = !row.Approved.IsZero(), row.ApprovedHalts, row.ApprovedDeletes
	return limits
}

// totals are what the guard has to look at. Deletions that a person has approved and that still
// wait count no more, neither as deletions nor as something that is known.
func (c *commit) totals(s *scanning) (plan.Totals, error) {
	totals := s.Scan.Totals
	if s.row.EmptiedLocal && totals.Local == plan.RootEmpty {
		totals.Local = plan.RootUnseen
	}
	if s.row.EmptiedRemote && totals.Remote == plan.RootEmpty {
		totals.Remote = plan.RootUnseen
	}
	if err := c.ownDoing(s.sync(), &totals); err != nil {
		return totals, err
	}
	totals.OtherDevice, totals.Elsewhere = otherDevice(s.Scan.Device, s.row.Device), s.row.Elsewhere
	if totals.Known = s.progress.Known; s.whole() {
		// What a long scan itself has brought in step does not count: a target may well have been
		// empty before that.
		known, err := state.CountBaseline(c.tx, s.sync())
		if err != nil {
			return totals, err
		}
		totals.Known = max(known, totals.Known)
	}
	if !s.last {
		totals = plan.Totals{
			Direction: totals.Direction, Known: totals.Known, Local: totals.Local, Remote: totals.Remote, MarkerMissing: totals.MarkerMissing,
			OtherDevice: totals.OtherDevice,
		}
	}
	deletes := totals.Deletes > 0 || totals.Extra > 0
	if !deletes && !suspicious(totals.Local) && !suspicious(totals.Remote) {
		return totals, nil // spares a look at all jobs
	}
	pending, err := c.pendingDeletes(s.sync())
	if err != nil {
		return totals, err
	}
	totals.Known -= pending.approved
	if !deletes {
		return totals, nil
	}
	totals.Deletes -= s.progress.Found.Queued
	totals.Extra -= s.progress.Found.QueuedExtra
	staged, err := c.stagedElsewhere(s)
	totals.PendingDeletes = pending.counted + staged
	return totals, err
}

// ownDoing takes back that a folder is empty where the jobs of the sync have emptied it, or are about to: what they take out goes from
// the baseline, and a scan that looks for long compares with what was known when it began.
func (c *commit) ownDoing(sync string, totals *plan.Totals) error {
	if totals.Local != plan.RootEmpty && totals.Remote != plan.RootEmpty {
		return nil
	}
	known, err := state.CountBaseline(c.tx, sync)
	if err != nil {
		return err
	}
	local, remote := known, known
	consumes := c.d.agent.syncs[sync].Rules.Consume
	err = queue.Each(c.tx, queue.Filter{Sync: sync, State: queue.Running}, func(job queue.Job) (bool, error) {
		switch kind := plan.Action(job.Kind); {
		case kind == plan.DeleteLocal, kind == plan.Upload && consumes:
			local--
		case kind == plan.DeleteRemote, kind == plan.Download && consumes:
			remote--
		}
		return true, nil
	})
	if totals.Local == plan.RootEmpty && local < plan.EmptyRootAlarm {
		totals.Local = plan.RootUnseen
	}
	if totals.Remote == plan.RootEmpty && remote < plan.EmptyRootAlarm {
		totals.Remote = plan.RootUnseen
	}
	return err
}

// otherDevice says for the guard that a local folder is on another filesystem than last time, "" if it is not.
func otherDevice(is, was state.Device) string {
	if !is.Other(was) {
		return ""
	}
	return fmt.Sprintf("%s, and it was %s", is, was)
}

func suspicious(root plan.Root) bool { return root == plan.RootMissing || root == plan.RootEmpty }

// passedGuard returns the other scans of a sync of which what they have staged has passed its guard.
func (c *commit) passedGuard(s *scanning) (passed []queue.Job, err error) {
	for _, kind := range work.Scans() {
		if kind == s.Job.Kind {
			continue
		}
		job, ok, err := queue.Lookup(c.tx, kind, s.sync(), "")
		if err != nil {
			return nil, err
		}
		if p := progressOf(job); ok && p.Release && !p.Approved {
			passed = append(passed, job)
		}
	}
	return passed, nil
}

// stagedElsewhere returns how many deletions of files the other scans of a sync have staged that have passed their guard. They
// may be the same as those of this one.
func (c *commit) stagedElsewhere(s *scanning) (staged int, err error) {
	passed, err := c.passedGuard(s)
	for _, job := range passed {
		staged += progressOf(job).Found.Staged
	}
	return staged, err
}

// distinctDeletes counts the files that would be deleted: those that a scan has found, those that wait in the queue, and
// those that other scans have staged, each of them once and none that a person has approved. Reading them all takes its
// time; max_delete bounds them, since each lot alone has passed it.
func (c *commit) distinctDeletes(s *scanning) (int, error) {
	files, approved := map[string]bool{}, 0
	away, err := c.movedFrom(s)
	if err != nil {
		return 0, err
	}
	staged := func(id queue.ID) error {
		return state.EachStaged(c.tx, s.sync(), uint64(id), func(data []byte) error {
			var op stagedOp
			if json.Unmarshal(data, &op) != nil || !op.Op.Action.Deletes() || !op.Op.DeletesFile() || isBelow(string(op.Path), away) {
				return nil // what cannot be read is not carried out
			}
			known, err := c.baseIs(s.sync(), string(op.Path), op.Op.Base)
			if known { // else it is looked at again
				files[string(op.Path)] = true
			}
			return err
		})
	}
	for _, op := range s.Scan.Plan.Ops {
		if op.Action.Deletes() && op.DeletesFile() {
			files[op.Path] = true
		}
	}
	others, err := c.passedGuard(s)
	if err != nil {
		return 0, err
	}
	for _, job := range append(others, s.Job) {
		if err := staged(job.ID); err != nil {
			return 0, err
		}
	}
	err = c.eachPending(s.sync(), func(job queue.Job, p pendingDelete) {
		switch {
		case isBelow(job.Path, away):
		case p.file && !p.approved:
			files[job.Path] = true
		case p.approved && files[job.Path]:
			approved++
		}
	})
	return len(files) - approved, err
}

// pendingDelete is a deletion that waits in the queue.
type pendingDelete struct {
	approved bool
	file     bool
	extra    bool
}

func asPending(job queue.Job) (p pendingDelete, ok bool) {
	op, err := plan.DecodeOp(job.Payload)
	if job.State == queue.Dead || err != nil {
		return p, false
	}
	return pendingDelete{op.Approved, op.DeletesFile(), op.Extra}, true
}

// pendingDelete returns the deletion of the path of op that waits in the queue.
func (c *commit) pendingDelete(sync string, op plan.Op) (p pendingDelete, ok bool, err error) {
	job, ok, err := queue.Lookup(c.tx, string(op.Action), sync, op.Path)
	if err != nil || !ok {
		return p, false, err
	}
	p, ok = asPending(job)
	return p, ok, nil
}

// pendingAmong returns those deletions of a part that wait in the queue already, by path. They
// must not count twice.
func (c *commit) pendingAmong(s *scanning) (map[string]pendingDelete, error) {
	found := map[string]pendingDelete{}
	counts := &s.progress.Found
	for _, op := range s.Scan.Plan.Ops {
		if !op.Action.Deletes() {
			continue
		}
		p, ok, err := c.pendingDelete(s.sync(), op)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		found[op.Path] = p
		if p.approved && op.Extra {
			counts.QueuedExtra++
		}
		if p.approved && op.DeletesFile() || !p.approved && p.file {
			counts.Queued++
		}
	}
	return found, nil
}

// pendingDeletes are the numbers of deletions that wait in the queue: of files, unless they were
// approved, and of what was in step and approved.
type pendingDeletes struct{ counted, approved int }

// pendingDeletes counts the deletions of a sync that wait in the queue: a folder that is emptied
// file by file must not slip through one look at a time.
func (c *commit) pendingDeletes(sync string) (pendingDeletes, error) {
	var pending pendingDeletes
	err := c.eachPending(sync, func(_ queue.Job, p pendingDelete) {
		if p.file && !p.approved {
			pending.counted++
		}
		if p.approved && !p.extra {
			pending.approved++
		}
	})
	return pending, err
}

// eachPending calls fn with the deletions of a sync that wait in the queue.
func (c *commit) eachPending(sync string, fn func(job queue.Job, p pendingDelete)) error {
	for _, kind := range []plan.Action{plan.DeleteRemote, plan.DeleteLocal} {
		err := queue.EachOfKind(c.tx, string(kind), sync, func(job queue.Job) (bool, error) {
			if p, ok := asPending(job); ok {
				fn(job, p)
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// settleApproval writes down what a scan says about an approval. It ends one that a full scan did
// not need. One that was needed stays in force, because the work it lets through is only
// beginning, and another scan finds out when that is done. A scan that began before the person's word leaves it to the one
// that follows: what the person has let pass may lie behind it. The device is that of this scan, which the guard has let pass.
func (c *commit) settleApproval(s *scanning, needed bool) error {
	before := s.row
	emptied := func(was bool, now plan.Root) bool {
		return was && now != plan.RootFilled || needed && now == plan.RootEmpty
	}
	s.row.EmptiedLocal = emptied(s.row.EmptiedLocal, s.Scan.Totals.Local)
	s.row.EmptiedRemote = emptied(s.row.EmptiedRemote, s.Scan.Totals.Remote)
	if left := s.again && s.progress.Began.Before(s.row.Approved); s.Full && !needed && !left {
		s.row.Approved, s.row.ApprovedHalts, s.row.ApprovedDeletes = time.Time{}, "", 0
	}
	s.row.Elsewhere = s.row.Elsewhere && !s.Full
	if s.Full && s.Scan.Device.Known() {
		s.row.Device = s.Scan.Device
	}
	if s.row == before {
		return nil
	}
	return state.PutSync(c.tx, s.sync(), s.row)
}
