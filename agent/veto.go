package agent

import (
	"encoding/json"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// approvalCheck is the first pause until a scan looks whether an approval is still needed.
const approvalCheck = time.Minute

// veto asks the planner's guard: about the roots at every part, about everything at the end. An
// approval serves full scans only, until one of them does not need it. A look has its guard in
// any case.
func (c *commit) veto(s *scanning) (halt *plan.Halt, approved bool, err error) {
	questions, err := c.questions(s)
	if err != nil {
		return nil, false, err
	}
	guard := func(approved bool) *plan.Halt {
		for _, totals := range questions {
			limits := plan.Limits{AllowsDeletes: c.d.agent.cfg.Syncs[s.sync()].MaxDelete.Allows, Approved: approved}
			if halt := plan.Guard(totals, limits); halt != nil {
				return halt
			}
		}
		return nil
	}
	needed := guard(false)
	if approved = needed != nil && s.Full && !s.row.Approved.IsZero(); approved {
		return guard(true), true, nil
	}
	return needed, false, nil
}

// questions are the totals that the guard has to look at. Deletions that a person has approved
// and that still wait count no more, neither as deletions nor as something that is known.
func (c *commit) questions(s *scanning) ([]plan.Totals, error) {
	totals := s.Scan.Totals
	known, err := state.CountBaseline(c.tx, s.sync())
	if err != nil {
		return nil, err
	}
	if s.row.EmptiedLocal && totals.Local == plan.RootEmpty {
		totals.Local = plan.RootUnseen
	}
	if s.row.EmptiedRemote && totals.Remote == plan.RootEmpty {
		totals.Remote = plan.RootUnseen
	}
	pending := pendingDeletes{}
	deletes := s.last && (totals.Deletes > 0 || totals.Extra > 0)
	if deletes || suspicious(totals.Local) || suspicious(totals.Remote) {
		if pending, err = c.pendingDeletes(s.sync()); err != nil {
			return nil, err
		}
	}
	now := max(known, totals.Known) - pending.approved
	roots := plan.Totals{
		Direction: totals.Direction, Known: now, Local: totals.Local, Remote: totals.Remote, MarkerMissing: totals.MarkerMissing,
	}
	if !s.last {
		return []plan.Totals{roots}, nil
	}
	if totals.Known = now; !s.whole() {
		// What the scan itself has brought in step was not known before.
		totals.Known = s.progress.Known - pending.approved
	}
	totals.Deletes -= s.progress.Found.Queued
	totals.Extra -= s.progress.Found.QueuedExtra
	if deletes {
		staged, err := c.stagedElsewhere(s)
		if err != nil {
			return nil, err
		}
		totals.PendingDeletes = pending.counted + max(0, staged-totals.Deletes)
	}
	return []plan.Totals{roots, totals}, nil
}

func suspicious(root plan.Root) bool { return root == plan.RootMissing || root == plan.RootEmpty }

// stagedElsewhere returns how many deletions of files the other scan of a sync has staged that
// have passed its guard. They may be the same as those of this one.
func (c *commit) stagedElsewhere(s *scanning) (int, error) {
	other := work.KindScan
	if s.Job.Kind == work.KindScan {
		other = work.KindLook
	}
	job, ok, err := queue.Lookup(c.tx, other, s.sync(), "")
	if err != nil || !ok {
		return 0, err
	}
	if p := progressOf(job); p.Release && !p.Approved {
		return p.Found.Staged, nil
	}
	return 0, nil
}

// pendingDelete is a deletion that waits in the queue.
type pendingDelete struct {
	approved bool
	file     bool
	extra    bool
}

func asPending(job queue.Job) (p pendingDelete, ok bool) {
	op := plan.Op{}
	if job.State == queue.Dead || json.Unmarshal(job.Payload, &op) != nil {
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
	for _, kind := range []plan.Action{plan.DeleteRemote, plan.DeleteLocal} {
		jobs, err := queue.List(c.tx, queue.Filter{Sync: sync, Kind: string(kind)})
		if err != nil {
			return pending, err
		}
		for _, job := range jobs {
			p, ok := asPending(job)
			if ok && p.file && !p.approved {
				pending.counted++
			}
			if ok && p.approved && !p.extra {
				pending.approved++
			}
		}
	}
	return pending, nil
}

// settleApproval writes down what a scan says about an approval. It ends one that a full scan did
// not need. One that was needed stays in force, because the work it lets through is only
// beginning, and another scan finds out when that is done.
func (c *commit) settleApproval(s *scanning, needed bool) error {
	before := s.row
	emptied := func(was bool, now plan.Root) bool {
		return was && now != plan.RootFilled || needed && now == plan.RootEmpty
	}
	s.row.EmptiedLocal = emptied(s.row.EmptiedLocal, s.Scan.Totals.Local)
	s.row.EmptiedRemote = emptied(s.row.EmptiedRemote, s.Scan.Totals.Remote)
	if s.Full && !needed {
		s.row.Approved = time.Time{}
	}
	if s.row == before {
		return nil
	}
	return state.PutSync(c.tx, s.sync(), s.row)
}
