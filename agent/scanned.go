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
	pending, err := c.pendingDeletes(sync)
	if err != nil {
		return err
	}
	// An approval serves full scans only, until one of them does not need it. A look has its
	// guard in any case.
	needed, err := c.guard(row, r, pending, false)
	if err != nil {
		return err
	}
	approved := needed != nil && r.Full && !row.Approved.IsZero()
	if done.halt = needed; approved {
		if done.halt, err = c.guard(row, r, pending, true); err != nil {
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
	if err := c.settleApproval(&row, r, approved); err != nil {
		return err
	}
	c.happened(Activity{
		Kind: ActivityScanned, Sync: sync, Action: r.Job.Kind, Took: r.Duration,
		Text: fmt.Sprintf("%d paths looked at, %d operations planned, %d found in step, %d not to be seen",
			r.Scan.Looked, len(r.Scan.Plan.Ops), len(r.Scan.Plan.Agree), len(r.Scan.Unknown)),
	})
	if err := c.agree(sync, r); err != nil {
		return err
	}
	if err := c.enqueueOps(sync, r, func(path string) bool { return approved || pending[path].approved }); err != nil {
		return err
	}
	if err := c.deferConflicts(sync, r); err != nil {
		return err
	}
	if err := state.ClearDirty(c.tx, sync, r.Dirty); err != nil {
		return err
	}
	c.leftAlone(sync, c.scans[len(c.scans)-1].result)
	if r.Full && len(r.Scan.Unknown)+len(r.Scan.Again) == 0 {
		return c.dropObsolete(sync, r.Job.Started)
	}
	return nil
}

// deferConflicts takes back the conflicts on paths that a job is still at: what looks like
// somebody else's change may be the job's own, which it has not reported yet. The path is
// looked at again.
func (c *commit) deferConflicts(sync string, r report) error {
	kept := r.Scan.Plan.Notes[:0:0]
	for _, n := range r.Scan.Plan.Notes {
		busy, at := false, c.now.Add(c.settle(sync))
		for _, kind := range []plan.Action{plan.Upload, plan.Download, plan.DeleteRemote, plan.DeleteLocal} {
			job, ok, err := queue.Lookup(c.tx, string(kind), sync, n.Path)
			if err != nil {
				return err
			}
			if n.Conflict && ok && job.State != queue.Dead {
				busy = true
				if job.RunAt.After(at) {
					at = job.RunAt
				}
			}
		}
		if !busy {
			kept = append(kept, n)
			continue
		}
		job := queue.Job{New: queue.New{Sync: sync, Path: n.Path}}
		if err := c.lookAgain(job, "a job is at it", at, true); err != nil {
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
func (c *commit) dropObsolete(sync string, began time.Time) error {
	dead, err := queue.List(c.tx, queue.Filter{Sync: sync, State: queue.Dead})
	if err != nil {
		return err
	}
	for _, job := range dead {
		if !job.Wanted.Before(began) {
			continue
		}
		if err := queue.Drop(c.tx, job.ID); err != nil {
			return err
		}
	}
	return nil
}

// settleApproval writes down the scan. It ends an approval that a full scan did not need. One
// that was needed stays in force, because the work it lets through is only beginning, and
// another scan finds out when that is done.
func (c *commit) settleApproval(row *state.SyncState, r report, needed bool) error {
	before := *row
	emptied := func(was bool, now plan.Root) bool {
		return was && now != plan.RootFilled || needed && now == plan.RootEmpty
	}
	row.EmptiedLocal = emptied(row.EmptiedLocal, r.Scan.Totals.Local)
	row.EmptiedRemote = emptied(row.EmptiedRemote, r.Scan.Totals.Remote)
	if r.Full {
		row.LastFullScan = c.now
	}
	if r.Full && !needed {
		row.Approved = time.Time{}
	}
	if needed {
		again := c.now.Add(max(approvalCheck, c.now.Sub(row.Approved)))
		if err := c.enqueueScan(r.Job.Sync, work.KindScan, "is the approved work done?", priorityScan, again); err != nil {
			return err
		}
	}
	if *row == before {
		return nil
	}
	return state.PutSync(c.tx, r.Job.Sync, *row)
}

// approvalCheck is the first pause until a scan looks whether an approval is still needed.
const approvalCheck = time.Minute

// pendingDelete is a deletion that waits in the queue.
type pendingDelete struct {
	approved bool
	file     bool
	extra    bool
}

// pendingDeletes returns the deletions of a sync that wait in the queue, by path: a folder
// that is emptied file by file must not slip through one look at a time.
func (c *commit) pendingDeletes(sync string) (map[string]pendingDelete, error) {
	pending := map[string]pendingDelete{}
	for _, kind := range []plan.Action{plan.DeleteRemote, plan.DeleteLocal} {
		jobs, err := queue.List(c.tx, queue.Filter{Sync: sync, Kind: string(kind)})
		if err != nil {
			return nil, err
		}
		for _, job := range jobs {
			op := plan.Op{Action: kind}
			if job.State == queue.Dead || json.Unmarshal(job.Payload, &op) != nil {
				continue
			}
			pending[job.Path] = pendingDelete{op.Approved, op.DeletesFile(), op.Extra}
		}
	}
	return pending, nil
}

// guard asks the planner's guard. Deletions that a person has approved and that still wait
// count no more, neither as deletions nor as something that is known.
func (c *commit) guard(row state.SyncState, r report, pending map[string]pendingDelete, approved bool) (*plan.Halt, error) {
	sync, totals := r.Job.Sync, r.Scan.Totals
	known, err := state.CountBaseline(c.tx, sync)
	if err != nil {
		return nil, err
	}
	totals.Known = max(known, totals.Known)
	if row.EmptiedLocal && totals.Local == plan.RootEmpty {
		totals.Local = plan.RootUnseen
	}
	if row.EmptiedRemote && totals.Remote == plan.RootEmpty {
		totals.Remote = plan.RootUnseen
	}
	if totals.Deletes > 0 || totals.Extra > 0 {
		for _, p := range pending {
			if p.file && !p.approved {
				totals.PendingDeletes++
			}
		}
	}
	for _, op := range r.Scan.Plan.Ops {
		p, again := pending[op.Path]
		if !op.Action.Deletes() || !again {
			continue
		}
		switch {
		case p.approved && op.Extra:
			totals.Extra--
		case p.file && !p.approved:
			totals.PendingDeletes-- // it is among the plan's
		}
		if p.approved && op.DeletesFile() {
			totals.Deletes--
		}
	}
	for _, p := range pending {
		if p.approved && !p.extra {
			totals.Known--
		}
	}
	return plan.Guard(totals, plan.Limits{
		AllowsDeletes: c.d.agent.cfg.Syncs[sync].MaxDelete.Allows, Approved: approved,
	}), nil
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
func (c *commit) enqueueOps(sync string, r report, approved func(path string) bool) error {
	for _, op := range r.Scan.Plan.Ops {
		op.Approved = op.Action.Deletes() && approved(op.Path)
		same := true
		if op.Path != "" {
			var err error
			if same, err = c.baseIs(sync, op.Path, op.Base); err != nil {
				return err
			}
		}
		if !same {
			job := queue.Job{New: queue.New{Sync: sync, Path: op.Path}}
			if err := c.lookAgain(job, "changed during the scan", c.now.Add(c.settle(sync)), true); err != nil {
				return err
			}
			continue
		}
		if rests, err := c.rests(r, op); err != nil || rests {
			if err != nil {
				return err
			}
			continue
		}
		if err := c.enqueueOp(sync, op, r.Full); err != nil {
			return err
		}
	}
	for _, path := range r.Scan.Again {
		job := queue.Job{New: queue.New{Sync: sync, Path: path}}
		if err := c.lookAgain(job, "vanished during the scan", c.now.Add(c.settle(sync)), true); err != nil {
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
	data, err := json.Marshal(op)
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
