package agent

import (
	"errors"
	"path"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// mostRebased is how many rows of the baseline go along with a folder that was renamed. The others are found by scans: what
	// is in step under a new name is recognized by what it was under the old one.
	mostRebased = 20_000
)

// moved writes down that a file or folder has another name on both sides: all that is known of it goes along, and what was to
// be done under the old name is not needed any more.
func (c *commit) moved(r report) error {
	sync, from, to := r.Job.Sync, r.Moved, r.Job.Path
	if err := c.dropJobs(sync, from, r.Base.Local.Kind == entry.Dir, func(string) bool { return true }); err != nil {
		return err
	}
	left := mostRebased
	for folders := []string{from}; r.Base.Local.Kind == entry.Dir && len(folders) > 0 && left > 0; folders = folders[1:] {
		rows, err := state.BaselineChildren(c.tx, sync, folders[0])
		if err != nil {
			return err
		}
		for _, row := range rows[:min(left, len(rows))] {
			if row.Local.Kind == entry.Dir {
				folders = append(folders, row.Path)
			}
			old := row.Path
			row.Path = to + old[len(from):]
			if row.Bad == "" {
				if err := errors.Join(state.MoveAppended(c.tx, sync, old, row.Path), state.PutBaseline(c.tx, sync, row)); err != nil {
					return err
				}
			}
			if err := c.forget(sync, old); err != nil {
				return err
			}
		}
		left -= len(rows)
	}
	if err := state.MoveAppended(c.tx, sync, from, to); err != nil {
		return err
	}
	return c.forget(sync, from)
}

// forget removes what is known of a path that is gone.
func (c *commit) forget(sync, path string) error {
	if err := state.DropNote(c.tx, sync, path); err != nil {
		return err
	}
	return state.DeleteBaseline(c.tx, sync, path)
}

// dropJobs removes the operations on a path, and below it if it is a folder, of the kinds that are wanted and that nobody is at.
func (c *commit) dropJobs(sync, path string, folder bool, wanted func(kind string) bool) error {
	var found []queue.ID
	for _, kind := range work.Operations() {
		if !wanted(kind) {
			continue
		}
		job, ok, err := queue.Lookup(c.tx, kind, sync, path)
		if err != nil {
			return err
		}
		if ok && job.State != queue.Running {
			found = append(found, job.ID)
		}
	}
	if folder {
		for _, status := range []queue.State{queue.Waiting, queue.Due, queue.Dead} {
			err := queue.Each(c.tx, queue.Filter{Sync: sync, State: status}, func(job queue.Job) (bool, error) {
				if len(job.Path) > len(path) && job.Path[:len(path)] == path && job.Path[len(path)] == '/' && isOperation(job.Kind) && wanted(job.Kind) {
					found = append(found, job.ID)
				}
				return len(found) < mostObsolete, nil
			})
			if err != nil {
				return err
			}
		}
	}
	for _, id := range found {
		if err := queue.Drop(c.tx, id); err != nil {
			return err
		}
	}
	return nil
}

// makeWay removes the deletions that wait for the old path of what is to be renamed: they were planned when nobody had seen it
// under its new name.
func (c *commit) makeWay(sync string, op plan.Op) error {
	folder := max(op.Local.Entry.Kind, op.Remote.Entry.Kind) == entry.Dir
	return c.dropJobs(sync, op.From, folder, func(kind string) bool {
		return plan.Action(kind).Deletes() || op.Rotated && plan.Action(kind) == plan.Upload
	})
}

// movedFrom are the old paths of what a scan has found under new names, or another one that is not renamed yet.
func (c *commit) movedFrom(s *scanning) (map[string]bool, error) {
	away := map[string]bool{}
	for _, op := range s.Scan.Plan.Ops {
		if isMove(op.Action) {
			away[op.From] = true
		}
	}
	for _, action := range []plan.Action{plan.MoveRemote, plan.MoveLocal} {
		err := queue.EachOfKind(c.tx, string(action), s.sync(), func(job queue.Job) (bool, error) {
			if op, err := plan.DecodeOp(job.Payload); job.State != queue.Dead && err == nil && op.From != "" {
				away[op.From] = true
			}
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return away, nil
}

func isMove(action plan.Action) bool { return action == plan.MoveRemote || action == plan.MoveLocal }

// isBelow reports whether a path is one of those, or in a folder that is.
func isBelow(rel string, paths map[string]bool) bool {
	for ; rel != "." && len(paths) > 0; rel = path.Dir(rel) {
		if paths[rel] {
			return true
		}
	}
	return false
}

// instead ends a job in favour of another one.
func (c *commit) instead(r report) error {
	c.happened(c.activityOf(r, ActivityStale))
	if _, err := queue.Complete(c.tx, c.now, r.Job.ID); err != nil {
		return err
	}
	return c.enqueueOp(r.Job, *r.Instead, true)
}
