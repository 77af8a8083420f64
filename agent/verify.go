package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// A comparison of contents (work.KindVerify) changes nothing but notes and marks. It comes in parts, as scans do: what was found and
// the place where it goes on are written down together. It has one worker, as long as nobody else waits for it.

const (
	// mostMarked is how many files that have changed a comparison has looked at one by one; if there are more, all are looked at.
	mostMarked = 1000
	// compareLater is how long a comparison waits between two parts that it has taken others' turns for, and compareClosed how
	// often one that waits for its allowed time looks whether that has come.
	compareLater  = time.Minute
	compareClosed = 15 * time.Minute
)

// compared takes over what a comparison reports.
func (c *commit) compared(r report) error {
	stopped := c.rooms[r.Job.ID]
	delete(c.rooms, r.Job.ID)
	switch {
	case stopped.vetoed && r.partial: // its worker has not ended yet
		c.rooms[r.Job.ID] = stopped
		return nil
	case stopped.vetoed:
		_, err := queue.Complete(c.tx, c.now, r.Job.ID)
		return err
	case r.Compared == nil:
		return c.allCompared(r, time.Time{})
	}
	look := false
	for _, found := range r.Compared.Findings {
		marked, err := c.found(r, found)
		if err != nil {
			return err
		}
		look = look || marked
	}
	if look {
		if err := c.enqueueScan(r.Job.Sync, work.KindLook, foundChanged, priorityLook, c.now); err != nil {
			return err
		}
	}
	progress := r.Compared.Progress
	if r.Compared.All {
		if progress.Changed > mostMarked {
			if err := c.enqueueScan(r.Job.Sync, work.KindScan, foundChanged, priorityScan, c.now); err != nil {
				return err
			}
		}
		return c.allCompared(r, progress.Began)
	}
	data, err := json.Marshal(progress)
	if err != nil {
		return fmt.Errorf("encode the progress of a comparison: %w", err)
	}
	if err := queue.Save(c.tx, c.now, r.Job.ID, data); err != nil || r.partial {
		return err
	}
	return queue.Yield(c.tx, c.now, r.Job.ID, c.nextComparison(r.Job))
}

// foundChanged is why a comparison has a file looked at.
const foundChanged = "changed, as a comparison of contents has found"

// found writes down one finding, and reports whether the path was marked.
func (c *commit) found(r report, found work.Finding) (marked bool, err error) {
	sync, note := r.Job.Sync, state.Note{Path: found.Path, Kind: state.NoteUnread, Text: brief(found.Text)}
	result, kind := resultFailed, ActivityUnknown
	switch found.Kind {
	case work.FoundChanged:
		if r.Compared.Progress.Changed > mostMarked {
			return false, nil
		}
		return true, state.MarkDirty(c.tx, sync, found.Path, foundChanged, true, c.now)
	case work.FoundDifferent:
		note.Kind, result, kind = state.NoteDiffers, resultDiffers, ActivityAlert
		if row, ok, err := state.GetBaseline(c.tx, sync, found.Path); err == nil && ok && row.Bad == "" { // it looked, and they are as they were
			note.Local, note.Remote = &state.Look{Entry: row.Local, When: c.now.UTC()}, &state.Look{Entry: row.Remote, When: c.now.UTC()}
		}
	default:
		if was, ok := state.GetNote(c.tx, sync, found.Path); ok && was.Kind == state.NoteDiffers {
			note = was // it does as long as nobody has seen that it does not
		} else if !ok && r.Compared.Progress.Unreadable > mostNotes {
			return false, nil
		}
	}
	news, err := state.PutNote(c.tx, sync, note, c.now)
	if err != nil || !news {
		return false, err
	}
	c.happened(Activity{Kind: kind, Sync: sync, Server: r.Job.Server, Path: found.Path, Job: uint64(r.Job.ID), Action: r.Job.Kind, Text: note.Text})
	return false, c.comparisonHistory(r, found.Path, result, note.Text)
}

// allCompared ends a comparison. What it has not noted again since it began is the same on both sides by now, or gone.
func (c *commit) allCompared(r report, began time.Time) error {
	var again []string
	if !began.IsZero() {
		err := state.DropNotes(c.tx, r.Job.Sync, began, func(n state.Note) bool {
			if n.Kind == state.NoteDiffers {
				again = append(again, n.Path)
			}
			return n.Kind.OfVerify()
		})
		if err != nil {
			return err
		}
	}
	for _, path := range again {
		c.happened(Activity{Kind: ActivityCleared, Sync: r.Job.Sync, Server: r.Job.Server, Path: path, Action: r.Job.Kind, Text: noDifference})
		if err := c.comparisonHistory(r, path, resultDone, noDifference); err != nil {
			return err
		}
	}
	c.happened(c.activityOf(r, ActivityDone))
	_, err := queue.Complete(c.tx, c.now, r.Job.ID)
	return err
}

// noDifference is what becomes of a difference that is none any more.
const noDifference = "the difference is gone"

func (c *commit) comparisonHistory(r report, path, result, text string) error {
	h := state.History{
		When: c.now, Sync: r.Job.Sync, Server: r.Job.Server, Path: path, Op: r.Job.Kind, Result: result, Job: uint64(r.Job.ID),
	}
	if result == resultDone {
		h.Verified = text
	} else {
		h.Error = text
	}
	return state.AppendHistory(c.tx, h)
}

// nextComparison is when a comparison that has made way goes on: at once as far as it is concerned, with those before it that wait for
// a worker. One that has waited for so long that it goes before files lets them pass for a while after each part.
func (c *commit) nextComparison(job queue.Job) time.Time {
	if until, closed := closedUntil(c.d.agent.cfg.Syncs[job.Sync], c.now); closed {
		if latest := c.now.Add(compareClosed); until.IsZero() || until.After(latest) {
			until = latest
		}
		return until
	}
	if job.Priority <= priorityLateScan && c.b.claim {
		return c.now.Add(compareLater)
	}
	return c.now
}

// allotComparison returns 1 if a comparison may begin now, which reads a lot from the server, and 0 if not.
func (c *commit) allotComparison(job queue.Job) int {
	if _, closed := closedUntil(c.d.agent.cfg.Syncs[job.Sync], c.now); closed {
		return 0
	}
	c.rooms[job.ID] = room{sync: job.Sync, size: 1}
	return 1
}

// mayGoOn lets a comparison go on that has handed over a part, unless its time is over or somebody waits for a worker.
func (c *commit) mayGoOn(job queue.Job) error {
	due, err := c.dueAt(job.Server)
	if err != nil {
		return err
	}
	s := c.d.servers[job.Server]
	if due > 0 && len(c.freeSeats(job.Server, s.limit(c.now), true)) < due {
		return nil
	}
	c.allotComparison(job)
	return nil
}

// isVerifying returns the job that compares a sync, if there is one that is not dead.
func isVerifying(tx *state.Tx, sync string) (job queue.Job, ok bool, err error) {
	job, ok, err = queue.Lookup(tx, work.KindVerify, sync, "")
	if errors.Is(err, state.ErrBadRow) {
		return job, false, nil
	}
	return job, ok && job.State != queue.Dead, err
}
