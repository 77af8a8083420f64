package agent

import (
	"encoding/json"
	"hash/fnv"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// lookAtAll asks for a look at everything: at the local side alone where that is enough to find what the event is about.
func (c *commit) lookAtAll(e trigger.Event) error {
	kind, priority := work.KindScan, uint8(priorityScan)
	if e.Local {
		enough, err := c.localIsEnough(e)
		if err != nil {
			return err
		}
		if enough {
			kind, priority = work.KindRescan, priorityLateScan
		}
	}
	if e.Regular {
		row, err := state.GetSync(c.tx, e.Sync)
		if rest := min(row.RescanTook, longestRest); err != nil || waits(row.LastRescan.Add(rest), c.now, rest) {
			return err
		}
		if job, ok, err := queue.Lookup(c.tx, kind, e.Sync, ""); err != nil || ok && job.State != queue.Dead && !isForLater(job, c.now) {
			return err
		}
	}
	c.happened(Activity{Kind: ActivityTriggered, Sync: e.Sync, Text: e.Why})
	job := queue.New{Kind: kind, Sync: e.Sync, Priority: priority, RunAt: c.now, Why: e.Why}
	if e.Watched {
		var err error
		if job.Payload, err = c.watchedPayload(kind, e.Sync); err != nil {
			return err
		}
	}
	return c.enqueueLook(c.dueLook(job, e))
}

// dueLook gives a look the payload that says that it was only due. A look that is put off, and that it is joined with, may be for
// more than a poll.
func (c *commit) dueLook(job queue.New, e trigger.Event) queue.New {
	if !e.Regular {
		return job
	}
	look := work.Look{Regular: c.d.agent.cfg.Syncs[e.Sync].Watch, Poll: e.Poll}
	if _, waits, err := queue.Lookup(c.tx, job.Kind, e.Sync, ""); err != nil || waits {
		look.Poll = false
	}
	if look != (work.Look{}) {
		job.Payload, _ = json.Marshal(look) // two booleans
	}
	return job
}

// longestRest bounds how long after a look that was only due no other one begins. It is as long as that took, so that no more than half
// of the time goes into such looks, however often they are due; one that has paused for many hours must not stop them for as long.
const longestRest = time.Hour

// isForLater reports a look that has a time of its own, and has neither begun nor failed: what is due before does not wait for it.
func isForLater(job queue.Job, now time.Time) bool {
	return job.State == queue.Waiting && job.RunAt.After(now) && job.Claims == 0 && job.LastError == "" && len(job.Progress) == 0
}

// localIsEnough reports whether the server need not be asked for a look at everything. It has to be when it may have changes of its
// own, when it was never asked, and when something is left from before that only a full scan does away with: unless it is only
// time to look again.
func (c *commit) localIsEnough(e trigger.Event) (bool, error) {
	row, err := state.GetSync(c.tx, e.Sync)
	if err != nil || row.LastFullScan.IsZero() {
		return false, err
	}
	s := c.d.agent.cfg.Syncs[e.Sync]
	switch {
	case e.Regular && s.Direction == config.Both: // which may come much more often than the server should be listed
		return s.Rescan <= 0 || waits(row.LastFullScan.Add(s.Rescan/2), c.now, s.Rescan/2), nil
	case e.Regular && s.Direction == config.Up:
		return s.Recheck <= 0 || isRecent(row.LastFullScan, s.Recheck, c.now), nil
	case e.Regular:
		return false, nil
	case !e.Watched:
		return c.trusts(e.Sync)
	case s.Direction != config.Up:
		return false, nil
	}
	counts, err := queue.Summary(c.tx, e.Sync)
	if err != nil || counts.Dead > 0 {
		return false, err
	}
	enough := true
	err = state.EachNote(c.tx, e.Sync, func(n state.Note) (bool, error) {
		enough = n.Kind == state.NoteHeld // whose wait has an end of its own
		return enough, nil
	})
	return enough, err
}

func isRegular(job queue.Job) bool { return work.LookOf(job).Regular }

const (
	// untoldWait is how long the event for a change may be on its way before the change counts as missed: the watch holds
	// it back for up to 5 seconds.
	untoldWait = 15 * time.Second
	// mostUntold bounds how many changes of a sync wait for their events; of more, the others are not counted.
	mostUntold = 10_000
)

// untold is a change in a local folder that a look at everything has found, and no event so far.
type untold struct {
	path  string
	until time.Time // then it counts as missed
}

// missed are changes that no event has told of.
type missed struct {
	sync    string
	changes int
	example string
}

// changedHere and changedThere report whether a side is not what it was when both last agreed.
func changedHere(op plan.Op) bool  { return changedSince(op.Local, op.Base, false) }
func changedThere(op plan.Op) bool { return changedSince(op.Remote, op.Base, true) }

func changedSince(side plan.Side, base *plan.Base, remote bool) bool {
	var was entry.Entry
	switch {
	case side.Knowledge != plan.Seen || base != nil && base.Unreadable:
		return false
	case base != nil && remote:
		was = base.Remote
	case base != nil:
		was = base.Local
	}
	return side.Entry.Kind != was.Kind || was.Kind != entry.Absent && !entry.Same(side.Entry, was)
}

// notTold notes the change that an operation is about, if only a regular look has found it: it is neither marked nor known to the
// queue. What has become old enough to take part has not changed, nor has what is as it was when it was left alone, and where the
// watch says itself that it does not see everything, nothing is missed.
func (c *commit) notTold(job queue.Job, op plan.Op) error {
	if watch := c.d.agent.watching.status(job.Sync); watch == nil || watch.State != string(trigger.HealthWatching) {
		return nil
	}
	if !isRegular(job) || !changedHere(op) || op.Base == nil && c.d.agent.cfg.Syncs[job.Sync].MinAge > 0 || len(c.untold[job.Sync]) >= mostUntold {
		return nil
	}
	if _, ok, err := queue.Lookup(c.tx, string(op.Action), job.Sync, op.Path); err != nil || ok {
		return err
	}
	for rel := op.Path; rel != "."; rel = path.Dir(rel) {
		if _, ok := state.GetDirty(c.tx, job.Sync, rel); ok {
			return nil
		}
	}
	if _, ok := state.GetDirty(c.tx, job.Sync, ""); ok {
		return nil
	}
	if n, noted := state.GetNote(c.tx, job.Sync, op.Path); noted && isAsNoted(n, op.Local.Entry) {
		return nil
	}
	c.untold[job.Sync] = append(c.untold[job.Sync], untold{op.Path, c.now.Add(untoldWait)})
	return nil
}

// isAsNoted reports whether a local side is as it was when the path was left alone. A look at the local side alone finds such a path
// every time: only a look at the server says why nothing is done about it. In rows of older versions, nothing says how it was.
func isAsNoted(n state.Note, now entry.Entry) bool {
	if n.Local == nil {
		return n.Kind != state.NoteUnknown && !now.ModTime.After(n.Last)
	}
	return entry.Same(n.Local.Entry, now) && n.Local.Target == now.Target
}

// mostChanged is how many paths a look at the local side has looked at on both; if there are more, everything is.
const mostChanged = 1000

// lookThere asks for a look at both sides of what has changed here and nobody is at.
func (c *commit) lookThere(s *scanning) error {
	counts, look := &s.progress.Found, false
	for _, item := range s.Scan.Changed {
		if known, err := c.isKnownAs(s.sync(), item); err != nil {
			return err
		} else if known {
			continue
		}
		if err := c.notTold(s.Job, plan.Op{Path: item.Path, Local: item.Local, Base: item.Base}); err != nil {
			return err
		}
		switch counts.Changed++; {
		case counts.Changed == mostChanged+1:
			if err := c.enqueueScan(s.sync(), work.KindScan, "much has changed", priorityScan, c.now); err != nil {
				return err
			}
		case counts.Changed <= mostChanged:
			if err := state.MarkDirty(c.tx, s.sync(), item.Path, s.Job.Why, false, c.now); err != nil {
				return err
			}
			look = true
		}
	}
	if !look {
		return nil
	}
	return c.enqueueScan(s.sync(), work.KindLook, s.Job.Why, priorityLook, c.now)
}

// isKnownAs reports whether a changed path is marked, or has a job or a note that came of the same change.
func (c *commit) isKnownAs(sync string, item plan.Item) (bool, error) {
	if mark, marked := state.GetDirty(c.tx, sync, item.Path); marked && !mark.Due {
		return true, nil
	}
	for _, kind := range append([]plan.Action{plan.MakeRemoteDir, plan.MakeLocalDir}, operationsOnOnePath...) {
		job, ok, err := queue.Lookup(c.tx, string(kind), sync, item.Path)
		if err != nil {
			return false, err
		}
		if op, err := plan.DecodeOp(job.Payload); ok && err == nil && sameLook(op.Local.Entry, item.Local.Entry) {
			return true, nil
		}
	}
	n, noted := state.GetNote(c.tx, sync, item.Path)
	return noted && !n.Kind.OfVerify() && item.Local.Entry.Kind != entry.Absent && !item.Local.Entry.ModTime.After(n.Last), nil
}

func cloneUntold(all map[string][]untold) map[string][]untold {
	clone := make(map[string][]untold, len(all))
	for sync, known := range all {
		if len(known) > 0 {
			clone[sync] = slices.Clone(known)
		}
	}
	return clone
}

// toldOf takes out the changes that an event tells of after all.
func (c *commit) toldOf(e trigger.Event) {
	known := c.untold[e.Sync]
	if len(known) == 0 || e.Regular || e.Fired != nil {
		return
	}
	var left []untold
	for _, u := range known {
		told := len(e.Paths) == 0
		for _, rel := range e.Paths {
			told = told || u.path == rel || strings.HasPrefix(u.path, rel+"/")
		}
		if !told {
			left = append(left, u)
		}
	}
	c.untold[e.Sync] = left
}

// countMissed counts the changes whose event has not come in time.
func (c *commit) countMissed() error {
	for sync, known := range c.untold {
		var left []untold
		m := missed{sync: sync}
		for _, u := range known {
			if waits(u.until, c.now, untoldWait) {
				left = append(left, u)
				continue
			}
			m.changes++
			m.example = u.path
		}
		if m.changes == 0 {
			continue
		}
		row, err := state.GetSync(c.tx, sync)
		if err != nil {
			return err
		}
		row.OnlyByRescan += uint64(m.changes)
		if err := state.PutSync(c.tx, sync, row); err != nil {
			return err
		}
		c.untold[sync], c.missed = left, append(c.missed, m)
	}
	return nil
}

// nextMissed is when the next change counts as missed, at the latest what is given.
func (c *commit) nextMissed(next time.Time) time.Time {
	for _, known := range c.untold {
		if len(known) > 0 {
			next = earlier(next, known[0].until)
		}
	}
	return next
}

// polled notes whether a full scan has found anything new on the server. One that has not seen all does not tell.
func (s *scanning) polled() {
	switch found := s.progress.Found; {
	case found.There > 0:
		s.row.Unchanged = 0
	case found.Unseen == 0:
		s.row.Unchanged++
	}
}

// nextPoll is when the server is to be asked again: by what the last full scans have found, whoever asked for them.
func nextPoll(s *config.Sync, row state.SyncState, now time.Time) time.Time {
	last := row.LastFullScan
	if row.Folders.LastPoll.After(last) {
		last = row.Folders.LastPoll
	}
	if last.IsZero() || last.After(now) { // a clock was wrong
		return now
	}
	return last.Add(trigger.PollDelay(s.Poll, row.Unchanged, shareOf(s.Name, last)))
}

// shareOf makes a number in [0, 1) that looks random and is the same whenever it is asked for.
func shareOf(name string, at time.Time) float64 {
	h := fnv.New64a()
	h.Write([]byte(name + at.UTC().Format(time.RFC3339Nano))) // never fails
	return float64(h.Sum64()>>11) / (1 << 53)
}
