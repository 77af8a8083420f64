package agent

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// scanned takes over the result of a scan: the guard first, then what is in step, then jobs.
func (c *commit) scanned(r report) error {
	sync := r.Job.Sync
	row, err := state.GetSync(c.tx, sync)
	if err != nil {
		return err
	}
	done := scanned{sync: sync, full: r.Full, started: r.Job.Started, result: r.Scan}
	approved := !row.Approved.IsZero()
	needed, err := c.guard(sync, r.Scan, false)
	if err != nil {
		return err
	}
	if done.halt = needed; needed != nil && approved {
		if done.halt, err = c.guard(sync, r.Scan, true); err != nil {
			return err
		}
	}
	c.scans = append(c.scans, done)
	if _, err := queue.Complete(c.tx, c.now, r.Job.ID); err != nil {
		return err
	}
	if done.halt != nil {
		row.Halt, row.HaltCode, row.HaltedAt, row.Approved = done.halt.Reason, done.halt.Code, c.now, time.Time{}
		c.halted[sync] = true
		c.happened(Activity{Kind: ActivityHalted, Sync: sync, Text: done.halt.Reason})
		return state.PutSync(c.tx, sync, row)
	}
	if r.Full {
		row.LastFullScan = c.now
		if needed == nil {
			row.Approved = time.Time{}
		}
		if err := state.PutSync(c.tx, sync, row); err != nil {
			return err
		}
	}
	c.happened(Activity{
		Kind: ActivityScanned, Sync: sync, Action: r.Job.Kind, Took: r.Duration,
		Text: fmt.Sprintf("%d paths looked at, %d operations planned, %d found in step, %d not to be seen",
			r.Scan.Looked, len(r.Scan.Plan.Ops), len(r.Scan.Plan.Agree), len(r.Scan.Unknown)),
	})
	if err := c.agree(sync, r); err != nil {
		return err
	}
	if err := c.enqueueOps(sync, r); err != nil {
		return err
	}
	if err := c.deferConflicts(sync, r); err != nil {
		return err
	}
	if err := state.ClearDirty(c.tx, sync, r.Dirty); err != nil {
		return err
	}
	c.leftAlone(sync, c.scans[len(c.scans)-1].result)
	if r.Full && len(r.Scan.Unknown) == 0 {
		return c.dropObsolete(sync)
	}
	return nil
}

// deferConflicts takes back the conflicts on paths that a job is still at: what looks like
// somebody else's change may be the job's own, which it has not reported yet. The path is
// looked at again.
func (c *commit) deferConflicts(sync string, r report) error {
	kept := r.Scan.Plan.Notes[:0:0]
	for _, n := range r.Scan.Plan.Notes {
		busy := false
		for _, kind := range []plan.Action{plan.Upload, plan.Download, plan.DeleteRemote, plan.DeleteLocal} {
			job, ok, err := queue.Lookup(c.tx, string(kind), sync, n.Path)
			if err != nil {
				return err
			}
			busy = busy || n.Conflict && ok && job.State != queue.Dead
		}
		if !busy {
			kept = append(kept, n)
			continue
		}
		job := queue.Job{New: queue.New{Sync: sync, Path: n.Path}}
		if err := c.lookAgain(job, "a job is at it", c.now); err != nil {
			return err
		}
	}
	result := *r.Scan
	result.Plan.Notes = kept
	c.scans[len(c.scans)-1].result = &result
	return nil
}

// dropObsolete removes the dead jobs that a full scan did not ask for again: what they were
// to do is not needed any more.
func (c *commit) dropObsolete(sync string) error {
	dead, err := queue.List(c.tx, queue.Filter{Sync: sync, State: queue.Dead})
	if err != nil {
		return err
	}
	for _, job := range dead {
		if err := queue.Drop(c.tx, job.ID); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) guard(sync string, result *scan.Result, approved bool) (*plan.Halt, error) {
	totals := result.Totals
	known, err := state.CountBaseline(c.tx, sync)
	if err != nil {
		return nil, err
	}
	totals.Known = max(known, totals.Known)
	if totals.Deletes > 0 {
		if totals.PendingDeletes, err = c.pendingDeletes(sync, result.Plan.Ops); err != nil {
			return nil, err
		}
	}
	return plan.Guard(totals, plan.Limits{
		AllowsDeletes: c.d.agent.cfg.Syncs[sync].MaxDelete.Allows, Approved: approved,
	}), nil
}

// pendingDeletes counts the deletions that wait in the queue and are not in the plan again:
// a folder that is emptied file by file must not slip through one look at a time.
func (c *commit) pendingDeletes(sync string, ops []plan.Op) (int, error) {
	planned := make(map[string]bool, len(ops))
	for _, op := range ops {
		if op.Action.Deletes() {
			planned[op.Path] = true
		}
	}
	pending := 0
	for _, kind := range []plan.Action{plan.DeleteRemote, plan.DeleteLocal} {
		jobs, err := queue.List(c.tx, queue.Filter{Sync: sync, Kind: string(kind)})
		if err != nil {
			return 0, err
		}
		for _, job := range jobs {
			var op plan.Op
			readable := json.Unmarshal(job.Payload, &op) == nil
			if job.State != queue.Dead && !planned[job.Path] && (!readable || op.DeletesFile()) {
				pending++
			}
		}
	}
	return pending, nil
}

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
	}
	for _, path := range r.Scan.Plan.Forget {
		row, ok, err := state.GetBaseline(c.tx, sync, path)
		if err != nil {
			return err
		}
		if ok && !row.When.Before(r.Job.Started) {
			continue // a job has written it since the scan began
		}
		if err := state.DeleteBaseline(c.tx, sync, path); err != nil {
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

// enqueueOps turns the plan into jobs. A path whose baseline changed since it was looked at
// is looked at again instead.
func (c *commit) enqueueOps(sync string, r report) error {
	for _, op := range r.Scan.Plan.Ops {
		same := true
		if op.Path != "" {
			var err error
			if same, err = c.baseIs(sync, op.Path, op.Base); err != nil {
				return err
			}
		}
		if !same {
			job := queue.Job{New: queue.New{Sync: sync, Path: op.Path}}
			if err := c.lookAgain(job, "changed during the scan", c.now); err != nil {
				return err
			}
			continue
		}
		if err := c.enqueueOp(sync, op, r.Full); err != nil {
			return err
		}
	}
	for _, orphan := range r.Scan.Orphans {
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

func (c *commit) enqueueOp(sync string, op plan.Op, full bool) error {
	data, err := payload(op)
	if err != nil {
		return fmt.Errorf("encode operation on %q: %w", op.Path, err)
	}
	job := queue.New{
		Kind: string(op.Action), Sync: sync, Server: c.d.agent.cfg.Syncs[sync].Server, Path: op.Path,
		Priority: priorityOf(op), Serial: op.Action.Deletes(), Why: op.Reason, Payload: data,
		RunAt: c.readyAt(sync, op, full),
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

func priorityOf(op plan.Op) uint8 {
	switch op.Action {
	case plan.MakeLocalDir, plan.MakeRemoteDir:
		return priorityFolder
	case plan.DeleteLocal, plan.DeleteRemote:
		return priorityDelete
	}
	if max(op.Local.Entry.Size, op.Remote.Entry.Size) > smallFile {
		return priorityBulk
	}
	return prioritySmall
}

// readyAt is when an operation may start: a file must have been quiet for the settle time. A
// time in the future is no proof of anything and gets the full wait. A deletion noticed by an
// event waits as long: programs delete files to write them anew.
func (c *commit) readyAt(sync string, op plan.Op, full bool) time.Time {
	settle := c.d.agent.syncs[sync].Settle
	source := op.Local.Entry
	if op.Action == plan.Download {
		source = op.Remote.Entry
		// A second version within the unit of the server's times would not show.
		settle = max(settle, min(source.Precision, time.Second))
	}
	switch {
	case op.Action.Deletes() && !full:
		return c.now.Add(settle)
	case op.Action != plan.Upload && op.Action != plan.Download:
		return c.now
	}
	ready := source.ModTime.Add(settle)
	if latest := c.now.Add(settle); ready.After(latest) {
		return latest
	}
	return ready
}

// leftAlone tells what a scan found and nothing is done about.
func (c *commit) leftAlone(sync string, result *scan.Result) {
	for _, n := range result.Plan.Notes {
		c.happened(Activity{Kind: ActivitySkipped, Sync: sync, Path: n.Path, Text: n.Text})
	}
	for _, u := range result.Unknown {
		c.happened(Activity{Kind: ActivitySkipped, Sync: sync, Path: u.Path, Text: u.Reason})
	}
}
