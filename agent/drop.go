package agent

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// A job that nobody is at is dropped by removing its row. One that is under way has a worker, who reports it, so its row stays until
// then: the wish is kept in memory, the worker is told to break the job off, and what is reported is written down as a drop, unless
// the job was done before. A crash in between forgets the wish, and the job is back.

// dropped is why a job was not begun, or was broken off, that is to be gone. The connection goes on.
type dropped struct{}

func (dropped) Error() string { return "dropped by a person" }
func (dropped) Unwrap() error { return ftpclient.ErrInterrupted }

// drop is the wish that jobs under way are gone.
type drop struct {
	jobs []queue.ID
	// fates gets one for each of them, and has room for all: at most those of one transaction.
	fates chan fate
}

func newDrop() *drop { return &drop{fates: make(chan fate, changeRows)} }

// drops are those who wait for jobs under way to be gone.
type drops map[queue.ID][]*drop

// fate is what has become of a job that was under way when it was dropped.
type fate struct {
	job queue.ID
	// gone: it is no more, and was not done before.
	gone bool
	// again: another one for the same path has taken its place, which was asked for while it was under way.
	again bool
}

// DropJobs implements control.Service.
func (a *Agent) DropJobs(ctx context.Context, f control.JobFilter) (control.Changed, error) {
	c := change{agent: a, filter: f, drops: true}
	c.do = func(tx *state.Tx, now time.Time, job queue.Job) (bool, error) {
		if job.State == queue.Running { // without an agent it is not: it was when the last one went down
			again, err := dropUnderWay(tx, now, job)
			if again {
				c.changed.Again++
			}
			return true, err
		}
		if err := errors.Join(queue.Drop(tx, job.ID), state.Doubt(tx, job.Sync)); err != nil || !isScanning(job.Kind) {
			return true, err
		}
		return true, state.DropStaged(tx, job.Sync, uint64(job.ID))
	}
	changed, err := c.run(ctx)
	for _, wish := range c.wishes {
		for range wish.jobs {
			if err != nil {
				return changed, err
			}
			var is fate
			if is, err = a.await(ctx, wish.fates); err == nil {
				c.count(is)
				changed = c.changed
			}
		}
	}
	return changed, err
}

// dropUnderWay removes the row of a job that is running, and reports whether another one has taken its place.
func dropUnderWay(tx *state.Tx, now time.Time, job queue.Job) (again bool, err error) {
	if err := state.Doubt(tx, job.Sync); err != nil { // what it has left there may still be there
		return false, err
	}
	if isScanning(job.Kind) {
		if err := state.DropStaged(tx, job.Sync, uint64(job.ID)); err != nil {
			return false, err
		}
	}
	return queue.Complete(tx, now, job.ID)
}

// await waits for one that was under way to be reported. If ctx ends before, it is dropped all the same.
func (a *Agent) await(ctx context.Context, fates <-chan fate) (fate, error) {
	select {
	case is := <-fates:
		return is, nil
	case <-ctx.Done():
		return fate{}, context.Cause(ctx)
	case <-a.ended:
	}
	select {
	case is := <-fates:
		return is, nil
	default:
		return fate{}, control.ErrGone
	}
}

// count adds the fate of a job to the answer.
func (c *change) count(is fate) {
	if !is.gone {
		c.changed.Done++
		c.left(is.job, "was done before it could be dropped")
		return
	}
	c.changed.Jobs++
	c.changed.BrokenOff++
	if is.again {
		c.changed.Again++
	}
}

// isDropped reports whether a job under way is to be gone. Any goroutine may ask.
func (a *Agent) isDropped(id queue.ID) bool {
	all := a.dropping.Load()
	return all != nil && (*all)[id] != nil
}

// drop writes down what was reported of a job that somebody has dropped while it was under way, and reports whether it has. What has
// been done counts as done; but looks and comparisons have changed nothing, and what they have found does not count any more.
func (c *commit) drop(r report) (gone bool, err error) {
	looks := isScanning(r.Job.Kind) || r.Job.Kind == work.KindVerify
	switch {
	case c.d.drops[r.Job.ID] == nil:
		return false, nil
	case r.partial: // its worker has not ended yet
		c.rooms[r.Job.ID] = room{sync: r.Job.Sync, vetoed: true}
		return true, nil
	case r.Result == work.Done && r.Instead == nil && !looks:
		return false, nil
	}
	delete(c.rooms, r.Job.ID)
	again, err := dropUnderWay(c.tx, c.now, r.Job)
	if err != nil {
		return false, err
	}
	c.dropped[r.Job.ID] = fate{gone: true, again: again}
	_, unbegun := r.Err.(dropped) // as it is, and in no other error
	happened := c.activityOf(r, ActivityDropped)
	happened.Text, happened.Bytes = dropped{}.Error(), 0
	c.happened(happened)
	if !isOperation(r.Job.Kind) {
		return true, nil
	}
	if err := c.noticed(r.Job); err != nil || unbegun {
		return true, err
	}
	return true, c.history(r, resultDropped)
}

// followDrops tells who waits what has become of jobs that were to be gone, and has those broken off that are to be from now on.
func (d *dispatcher) followDrops(b batch, t *transition) {
	all, fresh := maps.Clone(d.drops), []queue.ID(nil)
	if all == nil {
		all = drops{}
	}
	for _, r := range b.reports {
		if r.partial || len(all[r.Job.ID]) == 0 {
			continue
		}
		is := t.dropped[r.Job.ID]
		is.job = r.Job.ID
		wishes := all[is.job]
		defer func() { // when nobody finds the wish any more
			for _, wish := range wishes {
				wish.fates <- is
			}
		}()
		delete(all, is.job)
	}
	for _, r := range b.requests {
		if r.drop == nil {
			continue
		}
		for _, id := range r.drop.jobs {
			all[id] = append(slices.Clip(all[id]), r.drop)
			fresh = append(fresh, id)
		}
	}
	if len(all) == 0 && len(d.drops) == 0 {
		return
	}
	d.drops = all
	d.agent.dropping.Store(&all)
	d.interrupt(dropped{}, func(job queue.Job) bool { return slices.Contains(fresh, job.ID) && work.CanBeInterrupted(job.Kind) })
}

// leave tells a pass of a job that was dropped in the middle of it.
func (s *passSync) leave(job queue.Job) {
	s.report.Unfinished++
	s.report.Waiting = appendBounded(s.report.Waiting, control.PathReason{Path: state.Text(job.Path), Reason: job.Kind + ": " + dropped{}.Error()})
}
