package agent

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Files that are not complete yet have a note, which says why, and remembers that they were seen to change: then two looks that
// are the settle time apart have to be equal. The note goes with the transfer, or when a look finds nothing to transfer.

// longestPatience is how long a file is left alone at most that somebody has open.
const longestPatience = time.Minute

// patience is when a file is looked at again that has been held for a time, if nothing tells that it is complete.
func patience(settle, held time.Duration) time.Duration {
	return max(settle, time.Second, min(held/4, longestPatience))
}

// patienceWith is patience with a file that is held for a reason. What is seen to change is looked at again after the settle time.
func (c *commit) patienceWith(sync, path, why string) time.Duration {
	settle := c.d.agent.syncs[sync].Settle
	n, noted := state.GetNote(c.tx, sync, path)
	if !noted || n.Kind != state.NoteHeld || n.Text != why || why != scan.Written {
		return patience(settle, 0)
	}
	return patience(settle, c.now.Sub(n.First))
}

// noteHeld writes down why a file is not complete yet, or not old enough.
func (c *commit) noteHeld(sync string, n state.Note) error {
	n.Kind = state.NoteHeld
	news, err := state.PutNote(c.tx, sync, n, c.now)
	if news {
		c.happened(Activity{Kind: ActivityHeld, Sync: sync, Path: n.Path, Text: n.Text})
	}
	c.growsUp(sync, n.Until)
	return err
}

// forgetHeld forgets that files were held where a look has found nothing to hold, and no job is about to take them.
func (c *commit) forgetHeld(s *scanning) error {
	for _, mark := range s.Dirty {
		err := state.DropNotesIn(c.tx, s.sync(), mark.Path, s.progress.Began, func(n state.Note) bool {
			return n.Kind == state.NoteHeld && !c.isWaitedFor(s.sync(), n.Path)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isWaitedFor reports whether there is a job that takes the file when it is complete, or a mark to look at it. A job that nobody can
// read is none.
func (c *commit) isWaitedFor(sync, path string) bool {
	if mark, ok := state.GetDirty(c.tx, sync, path); ok && mark.Path == path {
		return true
	}
	for _, kind := range heldKinds {
		if _, ok, err := queue.Lookup(c.tx, string(kind), sync, path); err == nil && ok {
			return true
		}
	}
	return false
}

// heldKinds are the actions that wait until a file is complete.
var heldKinds = []plan.Action{plan.Upload, plan.Download, plan.SetAsideLocal, plan.SetAsideRemote, plan.Compare}

func mayBeHeld(kind string) bool {
	for _, held := range heldKinds {
		if kind == string(held) {
			return true
		}
	}
	return false
}

// quietAt is when an operation may begin that might at a time, as far as its file is quiet. One that was seen to change is looked at
// twice, the settle time apart, whatever its times say. A job that waits for an earlier version begins anew with this one.
func (c *commit) quietAt(sync string, op plan.Op, at time.Time) (time.Time, error) {
	settle := c.d.agent.syncs[sync].Settle
	if settle <= 0 || op.Ready || !mayBeHeld(string(op.Action)) {
		return at, nil
	}
	if appends := c.d.agent.syncs[sync].Appends; op.Action == plan.Upload && appends != nil && appends(op.Path) {
		return at, nil
	}
	old, ok, err := queue.Lookup(c.tx, string(op.Action), sync, op.Path)
	if err != nil {
		return at, err
	}
	if !ok {
		if n, noted := state.GetNote(c.tx, sync, op.Path); !noted || n.Kind != state.NoteHeld || n.Text == scan.Written || !n.Until.IsZero() {
			return at, nil
		}
		return later(at, c.now.Add(settle)), nil
	}
	before, err := plan.DecodeOp(old.Payload)
	if old.State != queue.Waiting || old.Claims > 0 || old.LastError != "" || err != nil {
		return at, nil
	}
	was, now := before.Local.Entry, op.Local.Entry
	if op.Action == plan.Download || op.Action == plan.SetAsideRemote {
		was, now = before.Remote.Entry, op.Remote.Entry
	}
	if entry.Same(was, now) {
		return at, nil
	}
	n := seeing(state.Note{Path: op.Path, Text: scan.Moving(was, now)}, op.Local, op.Remote, c.now)
	if err := c.noteHeld(sync, n); err != nil {
		return at, err
	}
	return later(at, c.now.Add(settle)), queue.Drop(c.tx, old.ID)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// held names files that are not complete yet, at most as many as asked for (0: all), and counts them: those with a note, and
// those whose transfer waits for its first time.
func (a *Agent) held(tx *state.Tx, sync string, notes *noteSummary, most int) (list []control.PathReason, all int, err error) {
	for _, n := range firstOf(notes.heldNotes, most) {
		list = append(list, control.PathReason{Path: state.Text(n.Path), Reason: n.Text})
	}
	all = notes.held
	settle, appends := a.syncs[sync].Settle, a.syncs[sync].Appends
	err = queue.Each(tx, queue.Filter{Sync: sync, State: queue.Waiting}, func(job queue.Job) (bool, error) {
		if !mayBeHeld(job.Kind) || job.LastError != "" || appends != nil && appends(job.Path) {
			return true, nil
		}
		if n, ok := state.GetNote(tx, sync, job.Path); ok && n.Kind == state.NoteHeld {
			return true, nil
		}
		if all++; most <= 0 || all <= most {
			list = append(list, control.PathReason{Path: state.Text(job.Path), Reason: fmt.Sprintf("changed a moment ago: it has to be quiet for %s", settle)})
		}
		return true, nil
	})
	return list, all, err
}
