package agent

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// scanned is a part of a scan that was taken over, or vetoed by halt.
type scanned struct {
	sync        string
	full        bool
	all         bool      // looksAtAll
	began       time.Time // of its first part
	first, last bool
	result      *scan.Result
	halt        *plan.Halt
	survey      bool           // it does nothing about what it finds
	would       map[string]int // what it would do otherwise, with all parts before
}

// deferConflicts takes back the conflicts on paths that a job is still at: what looks like
// somebody else's change may be the job's own, which it has not reported yet. The path is
// looked at again. It returns the result without them.
func (c *commit) deferConflicts(sync string, found *scan.Result) (*scan.Result, error) {
	result := *found
	result.Plan.Notes = nil
	for _, n := range found.Plan.Notes {
		busy, at := false, c.now.Add(c.settle(sync))
		for _, kind := range operationsOnOnePath {
			if !n.Conflict {
				break
			}
			job, ok, err := queue.Lookup(c.tx, string(kind), sync, n.Path)
			if err != nil {
				return nil, err
			}
			if ok && job.State != queue.Dead {
				busy = true
				if job.RunAt.After(at) {
					at = job.RunAt
				}
			}
		}
		if !busy {
			result.Plan.Notes = append(result.Plan.Notes, n)
			continue
		}
		job := queue.Job{New: queue.New{Sync: sync, Path: n.Path}}
		if err := c.lookAgain(job, "a job is at it", at, true); err != nil {
			return nil, err
		}
	}
	return &result, nil
}

// operationsOnOnePath are the kinds of jobs that may change what is at their path, or what is known of it.
var operationsOnOnePath = []plan.Action{
	plan.Upload, plan.Download, plan.DeleteRemote, plan.DeleteLocal, plan.SetAsideRemote, plan.SetAsideLocal,
	plan.MoveRemote, plan.MoveLocal, plan.LinkRemote, plan.LinkLocal, plan.Compare,
}

// dropObsolete removes the jobs that were dead before a full scan began and that it did not ask for
// again: what they were to do is not needed any more. Of those whose row says something that nobody understands, a person
// has to say so.
func (c *commit) dropObsolete(sync string, began time.Time) error {
	var obsolete []queue.ID
	err := queue.Each(c.tx, queue.Filter{Sync: sync, State: queue.Dead}, func(job queue.Job) (bool, error) {
		_, unreadable := queue.Poison(c.tx, job.ID)
		if job.Died.Before(began) && job.Wanted.Before(began) && !unreadable && work.Understands(job) {
			obsolete = append(obsolete, job.ID)
		}
		return len(obsolete) < mostObsolete, nil // the next full scan drops others
	})
	if err != nil {
		return err
	}
	for _, id := range obsolete {
		if err := queue.Drop(c.tx, id); err != nil {
			return err
		}
	}
	return nil
}

// mostObsolete bounds what one commit drops.
const mostObsolete = 10_000

// agree writes down what was found in step, and forgets what is gone on both sides.
func (c *commit) agree(sync string, r report) error {
	for _, a := range r.Scan.Plan.Agree {
		same, err := c.baseIs(sync, a.Path, a.Was)
		if err != nil {
			return err
		}
		if !same {
			continue // a job has written it meanwhile, and knows better
		}
		b := state.Baseline{Path: a.Path, Local: a.Base.Local, Remote: a.Base.Remote, When: c.now, Job: uint64(r.Job.ID)}
		if err := state.PutBaseline(c.tx, sync, b); err != nil {
			return err
		}
		if err := c.settled(sync, a.Path); err != nil {
			return err
		}
		if n, ok := state.GetNote(c.tx, sync, a.Path); ok && n.Kind.OfVerify() && a.Was != nil && sameLook(a.Was.Local, a.Base.Local) {
			continue // sizes and times do not show it
		}
		if err := state.DropNote(c.tx, sync, a.Path); err != nil {
			return err
		}
	}
	for _, path := range r.Scan.Plan.Forget {
		row, ok, err := state.GetBaseline(c.tx, sync, path)
		if err != nil {
			return err
		}
		if ok && !row.When.Before(r.Job.Started) && !row.When.After(c.now) {
			continue // a job has written it since the scan began, and not a clock that was ahead
		}
		if err := state.DeleteBaseline(c.tx, sync, path); err != nil {
			return err
		}
	}
	return nil
}

// settled lets a transfer that has failed finish at once when its path was found in step all the same: what is left of it,
// such as having the folder on disk, is done without a transfer, or fails for a reason of today.
func (c *commit) settled(sync, path string) error {
	for _, kind := range []plan.Action{plan.Upload, plan.Download} {
		job, ok, err := queue.Lookup(c.tx, string(kind), sync, path)
		if err == nil && ok && job.State == queue.Waiting && job.LastError != "" {
			err = queue.Retry(c.tx, c.now, job.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) baseIs(sync, path string, was *plan.Base) (bool, error) {
	now, ok, err := state.GetBaseline(c.tx, sync, path)
	if err != nil || !ok || was == nil {
		return err == nil && !ok && was == nil, err
	}
	return sameLook(now.Local, was.Local) && sameLook(now.Remote, was.Remote), nil
}

// sameLook compares two copies of one look, not two looks.
func sameLook(a, b entry.Entry) bool {
	return a.Kind == b.Kind && a.Size == b.Size && a.ModTime.Equal(b.ModTime)
}

// carryOut turns an operation into a job. A path whose baseline changed since it was looked at is
// looked at again instead.
func (c *commit) carryOut(r report, op plan.Op) error {
	sync := r.Job.Sync
	if op.Path != "" {
		same, err := c.baseIs(sync, op.Path, op.Base)
		if err != nil {
			return err
		}
		if !same {
			job := queue.Job{New: queue.New{Sync: sync, Path: op.Path}}
			return c.lookAgain(job, "changed during the scan", c.now.Add(c.settle(sync)), true)
		}
		if waits, err := c.isBeingSent(sync, op); err != nil || waits {
			return err
		}
		if rests, err := c.rests(r, op); err != nil || rests {
			return err
		}
	}
	if err := c.notTold(r.Job, op); err != nil {
		return err
	}
	return c.enqueueOp(r.Job, op, r.Full || isPassFromState(r.Job))
}

// isBeingSent puts off the renaming of a file that was rotated while a job adds to it under its old name.
func (c *commit) isBeingSent(sync string, op plan.Op) (bool, error) {
	if !op.Rotated {
		return false, nil
	}
	job, ok, err := queue.Lookup(c.tx, string(plan.Upload), sync, op.From)
	if err != nil || !ok || job.State != queue.Running {
		return false, err
	}
	later := queue.Job{New: queue.New{Sync: sync, Path: op.Path}}
	return true, c.lookAgain(later, "rotated while it was sent", c.now.Add(c.settle(sync)), true)
}

// followUp enqueues what a scan asks for besides its operations.
func (c *commit) followUp(sync string, found *scan.Result) error {
	for _, path := range found.Again {
		job := queue.Job{New: queue.New{Sync: sync, Path: path}}
		if err := c.lookAgain(job, "vanished during the scan", c.now.Add(c.settle(sync)), true); err != nil {
			return err
		}
	}
	for _, n := range found.Plan.Notes {
		if !n.Again {
			continue
		}
		job := queue.Job{New: queue.New{Sync: sync, Path: n.Path}}
		if err := c.lookAgain(job, n.Text, c.now.Add(c.patienceWith(sync, n.Path, n.Text)), false); err != nil {
			return err
		}
	}
	for _, orphan := range found.Orphans {
		kind := work.KindSweepLocal
		if orphan.Remote {
			kind = work.KindSweepRemote
		}
		_, err := queue.Enqueue(c.tx, c.now, queue.New{
			Kind: kind, Sync: sync, Server: c.d.agent.cfg.Syncs[sync].Server, Path: orphan.Path,
			Priority: prioritySweep, Serial: true, Why: "temporary file without a job",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// enqueueOp makes a job of an operation that one of another job has led to.
func (c *commit) enqueueOp(of queue.Job, op plan.Op, full bool) error {
	sync := of.Sync
	readyAt, err := c.quietAt(sync, op, c.readyAt(sync, op, full))
	if err != nil {
		return err
	}
	op.Planned = c.now.UTC()
	job := queue.New{
		Kind: string(op.Action), Sync: sync, Server: c.d.agent.cfg.Syncs[sync].Server, Path: op.Path,
		Priority: priorityOf(op), Serial: op.Action.Deletes(), Why: op.Reason, Payload: op.Encode(),
		RunAt: readyAt, By: of.By,
	}
	if isMove(op.Action) {
		if err := c.makeWay(sync, op); err != nil {
			return err
		}
	}
	added, err := queue.Enqueue(c.tx, c.now, job)
	if err != nil {
		return err
	}
	for _, id := range append(added.Added, added.Revived...) {
		a := Activity{Kind: ActivityQueued, Sync: sync, Server: job.Server, Path: op.Path, Job: uint64(id), Action: job.Kind, Text: op.Reason}
		if wait := job.RunAt.Sub(c.now); wait > 0 {
			a.Text += fmt.Sprintf(" (not before it was quiet for %s)", c.d.agent.syncs[sync].Settle)
		}
		c.happened(a)
	}
	return nil
}

// leastGone is several times what a watch takes to tell of a change, and a look to plan for it.
const leastGone = 2 * time.Second

func priorityOf(op plan.Op) uint8 {
	switch op.Action {
	case plan.MakeLocalDir, plan.MakeRemoteDir, plan.MoveLocal, plan.MoveRemote:
		return priorityFolder // what goes into a folder that moves waits for it too
	case plan.SetAsideLocal, plan.SetAsideRemote:
		return prioritySmall // whatever the size: nothing is transferred
	case plan.DeleteLocal, plan.DeleteRemote:
		return priorityDelete
	case plan.LinkLocal, plan.LinkRemote:
		return priorityLink
	}
	if max(op.Local.Entry.Size, op.Remote.Entry.Size) > smallFile {
		return priorityBulk
	}
	return prioritySmall
}

// readyAt is when an operation may start: a file must have been quiet for the settle time. A
// time in the future is no proof of anything and gets the full wait. A deletion noticed by an
// event waits as long: programs delete files to write them anew, and rename them for it. With a watch that is leastGone at least,
// even for what a look after a job of ours found: what was renamed is still on its way through the watch under its new name.
// What is set aside must be quiet too, as whoever writes it would go on under the other name.
func (c *commit) readyAt(sync string, op plan.Op, full bool) time.Time {
	settle := c.d.agent.syncs[sync].Settle
	if op.Ready {
		settle = 0
	}
	source := op.Local.Entry
	switch op.Action {
	case plan.Upload:
		if appends := c.d.agent.syncs[sync].Appends; appends != nil && appends(op.Path) {
			return c.nextTail(sync, op)
		}
	case plan.SetAsideLocal:
	case plan.Compare: // what is in step must not be what one of them was a moment ago
		if op.Remote.Entry.ModTime.After(source.ModTime) {
			source = op.Remote.Entry
		}
		settle = max(settle, min(op.Remote.Entry.Precision, time.Second))
	case plan.Download, plan.SetAsideRemote:
		source = op.Remote.Entry
		// A second version within the unit of the server's times would not show.
		settle = max(settle, min(source.Precision, time.Second))
	case plan.DeleteLocal, plan.DeleteRemote, plan.MoveLocal, plan.MoveRemote:
		if full {
			return c.now
		}
		if a := c.d.agent; op.Action.Deletes() && a.options.Triggers && a.cfg.Syncs[sync].Watch {
			settle = max(settle, leastGone)
		}
		return c.now.Add(settle)
	default:
		return c.now
	}
	ready := source.ModTime.Add(settle)
	if op.Touched.After(source.ModTime) {
		ready = op.Touched.Add(settle)
	}
	if latest := c.now.Add(settle); ready.After(latest) {
		return latest
	}
	return ready
}

// nextTail is when more of a file that only ever grows is sent: it is never quiet, so the settle time is how often that happens.
func (c *commit) nextTail(sync string, op plan.Op) time.Time {
	settle := c.d.agent.syncs[sync].Settle
	if op.Base == nil || op.Base.When.After(c.now) {
		return c.now
	}
	return op.Base.When.Add(settle)
}

// clearMarks clears the marks that a full scan has seen to: those of its beginning, but for paths at which a job is running. See
// notAtWork.
func (c *commit) clearMarks(s *scanning) error {
	var kept []state.Dirty
	err := queue.Each(c.tx, queue.Filter{Sync: s.sync(), State: queue.Running}, func(job queue.Job) (bool, error) {
		if mark, ok := state.GetDirty(c.tx, s.sync(), job.Path); ok && isOperation(job.Kind) {
			mark.Path = job.Path
			kept = append(kept, mark)
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, mark := range kept {
		if err := state.MarkDirty(c.tx, s.sync(), mark.Path, mark.Why, mark.Remote, c.now); err != nil {
			return err
		}
	}
	return state.ClearDirtyUpTo(c.tx, s.sync(), s.progress.Mark)
}
