package agent

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// A halt that nobody but a watch has led to is put off, since whoever has emptied a folder may be about to fill it again. Meanwhile
// nothing of the sync is deleted, the marks stay, and the place is looked at again, until a look passes the guard or plan.PutOff has no
// time left. It is kept in memory alone: a start looks at everything, and halts at once.

// putOff is a halt that is put off.
type putOff struct {
	halt plan.Halt // as the last look has found it
	// since is when it was put off first, and next when there is another look at the latest.
	since, next time.Time
	// found is when a look has found it last. One that began before does not tell that the reason has gone.
	found time.Time
	// all: a look at single paths does not tell that the reason has gone.
	all bool
}

// watchedLook is the payload of looks at everything for which nothing has asked but a watch that has seen something happen.
var watchedLook = json.RawMessage(`{"watched":true}`)

func isWatchedLook(job queue.New) bool {
	return (job.Kind == work.KindScan || job.Kind == work.KindRescan) && string(job.Payload) == string(watchedLook)
}

// watchedPayload is the payload of a look at everything that a watch asks for: none if it becomes part of one that something else has
// asked for.
func (c *commit) watchedPayload(kind, sync string) (json.RawMessage, error) {
	old, ok, err := queue.Lookup(c.tx, kind, sync, "")
	if err != nil || !ok || old.State == queue.Dead {
		return watchedLook, err
	}
	begun := old.State == queue.Running || len(old.Progress) > 0
	if !begun && !isWatchedLook(old.New) || old.Next != nil && !isWatchedLook(*old.Next) {
		return nil, nil
	}
	return watchedLook, nil
}

// watchedOnly reports whether nothing but a watch has led to a look. Marks may be of jobs, too, and those follow from one.
func (c *commit) watchedOnly(job queue.Job) bool {
	a := c.d.agent
	return a.options.Triggers && a.cfg.Syncs[job.Sync].Watch && (job.Kind == work.KindLook || isWatchedLook(job.New))
}

// putOff puts off a halt if that may be, and reports whether it did.
func (c *commit) putOff(s *scanning, halt *plan.Halt) (bool, error) {
	was, begun := c.putOffs[s.sync()]
	took := c.now.Sub(s.progress.Began)
	next, ok := plan.PutOff(*halt, plan.Told{Watched: c.watchedOnly(s.Job), Since: was.since, Took: took}, c.d.agent.longestPutOff, c.now)
	if !ok {
		return false, nil
	}
	is := putOff{halt: *halt, since: was.since, next: next, found: c.now, all: was.all || looksAtAll(s.Job) || !s.whole()}
	if !begun {
		is.since = c.now
		c.happened(Activity{Kind: ActivityPutOff, Sync: s.sync(), Text: "waiting before it halts: " + halt.Reason})
	}
	c.putOffs[s.sync()] = is
	if err := c.lookAfterwards(s, next); err != nil {
		return true, err
	}
	if s.partial { // its worker has not ended yet
		c.rooms[s.Job.ID] = room{sync: s.sync(), vetoed: true}
		return true, nil
	}
	if halt.Code == plan.HaltMaxDelete && s.whole() && !s.without {
		if err := c.meanwhile(s); err != nil {
			return true, err
		}
	}
	return true, c.abandon(s)
}

// lookAfterwards asks for the next look. One at single paths finds its marks again, unless it came in parts.
func (c *commit) lookAfterwards(s *scanning, at time.Time) error {
	switch {
	case looksAtAll(s.Job):
		return c.enqueueWatched(s.Job.Kind, s.sync(), s.Job.Why, at)
	case s.whole():
		return c.enqueueScan(s.sync(), s.Job.Kind, s.Job.Why, priorityLook, at)
	}
	return c.lookAtAllAgain(s.sync(), s.Job.Why, at)
}

// lookAtAllAgain looks at everything, at the server too where nothing else will do.
func (c *commit) lookAtAllAgain(sync, why string, at time.Time) error {
	kind := work.KindScan
	enough, err := c.localIsEnough(trigger.Event{Sync: sync, Local: true, Watched: true})
	if err != nil {
		return err
	}
	if enough {
		kind = work.KindRescan
	}
	return c.enqueueWatched(kind, sync, why, at)
}

func (c *commit) enqueueWatched(kind, sync, why string, at time.Time) error {
	payload, err := c.watchedPayload(kind, sync)
	if err != nil {
		return err
	}
	return c.enqueueLook(queue.New{Kind: kind, Sync: sync, Priority: priorityLateScan, RunAt: at, Why: why, Payload: payload})
}

// keepLooking has another look come where somebody has dropped the one that was to find out whether a sync halts: nothing else would
// end the wait before the next look at everything.
func (c *commit) keepLooking() error {
	for _, sync := range slices.Sorted(maps.Keys(c.putOffs)) {
		was, comes := c.putOffs[sync], false
		for _, kind := range work.Scans() {
			job, ok, err := queue.Lookup(c.tx, kind, sync, "")
			if err != nil {
				return err
			}
			comes = comes || ok && (!was.all || kind != work.KindLook) && !isSurvey(job.New)
		}
		var err error
		switch {
		case comes:
		case was.all:
			err = c.lookAtAllAgain(sync, lookDropped, was.next)
		default:
			err = c.enqueueScan(sync, work.KindLook, lookDropped, priorityLook, was.next)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lookDropped is why a sync is looked at whose halt is put off.
const lookDropped = "the look that was to come was dropped"

// meanwhile does what a look has found besides that at which the guard has stopped it, so that those do not wait who have nothing to do
// with it. What the guard has to see stays marked.
func (c *commit) meanwhile(s *scanning) error {
	rules := c.d.agent.syncs[s.sync()].Rules
	var guarded []string
	for _, op := range s.Scan.Plan.Ops {
		if plan.Guarded(rules, op, s.progress.Known, s.row.Elsewhere) {
			guarded = append(guarded, op.Path)
		}
	}
	if err := c.agree(s.sync(), s.report); err != nil {
		return err
	}
	near := beside(guarded)
	for _, op := range s.Scan.Plan.Ops {
		if near(op.Path) || op.From != "" && near(op.From) {
			continue
		}
		if err := c.carryOut(s.report, op); err != nil {
			return err
		}
	}
	if err := c.followUp(s.sync(), s.Scan); err != nil {
		return err
	}
	if err := c.lookThere(s); err != nil {
		return err
	}
	found, err := c.deferConflicts(s.sync(), s.Scan)
	if err != nil {
		return err
	}
	if err := c.notes(s, found); err != nil {
		return err
	}
	seen, err := c.notAtWork(s)
	if err != nil {
		return err
	}
	return state.ClearDirty(c.tx, s.sync(), slices.DeleteFunc(slices.Clone(seen), func(mark state.Dirty) bool { return near(mark.Path) }))
}

// beside returns whether a path is one of some, above or below one of them.
func beside(some []string) func(rel string) bool {
	are, above := map[string]bool{}, map[string]bool{"": true}
	for _, rel := range some {
		are[rel] = true
		for dir := rel; dir != "." && !above[dir]; dir = path.Dir(dir) {
			above[dir] = true
		}
	}
	return func(rel string) bool {
		if above[rel] {
			return true
		}
		for ; rel != "." && rel != ""; rel = path.Dir(rel) {
			if are[rel] {
				return true
			}
		}
		return are[""]
	}
}

// averted ends the wait with a halt when a look has passed the guard that has seen all that it was about.
func (c *commit) averted(s *scanning) error {
	was, ok := c.putOffs[s.sync()]
	if !ok || !s.last || !looksAtAll(s.Job) && (was.all || s.More) {
		return nil
	}
	if s.surveys || s.progress.Began.Before(was.found) {
		if followed, err := c.isFollowed(s, was); err != nil || followed {
			return err
		}
	}
	delete(c.putOffs, s.sync())
	c.happened(Activity{Kind: ActivityAverted, Sync: s.sync(), Text: "does not halt: what it waited for has come"})
	for _, kind := range work.Scans() { // those that were to look again
		job, ok, err := queue.Lookup(c.tx, kind, s.sync(), "")
		if err == nil && ok && job.ID != s.Job.ID && isForLater(job, c.now) {
			switch {
			case kind == work.KindLook:
				err = queue.Retry(c.tx, c.now, job.ID)
			case isWatchedLook(job.New):
				err = queue.Drop(c.tx, job.ID)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// isFollowed reports whether another look is to come by then that ends the wait with a halt.
func (c *commit) isFollowed(s *scanning, was putOff) (bool, error) {
	for _, kind := range work.Scans() {
		if was.all && kind == work.KindLook {
			continue
		}
		job, ok, err := queue.Lookup(c.tx, kind, s.sync(), "")
		if err != nil {
			return false, err
		}
		next := &job.New
		if job.ID == s.Job.ID {
			next = job.Next
		}
		if ok && job.State != queue.Dead && next != nil && !isSurvey(*next) && !next.RunAt.After(was.next) {
			return true, nil
		}
	}
	return false, nil
}

// heldByPutOff says which jobs stay while a halt is put off: deletions, and while a folder is missing or empty all that changes
// something.
func (c *commit) heldByPutOff(sync string) queue.Held {
	switch was, ok := c.putOffs[sync]; {
	case !ok:
		return queue.HeldNone
	case was.holdsChanges():
		return queue.HeldChanges
	}
	return queue.HeldSerial
}

// holdsChanges: nothing is changed meanwhile, and not only nothing deleted.
func (p putOff) holdsChanges() bool { return p.halt.Code != plan.HaltMaxDelete }

// holdsChanges reports whether a halt of a sync is put off that all wait for that change something.
func (a *Agent) holdsChanges(sync string) bool {
	all := a.putOffs.Load()
	if all == nil {
		return false
	}
	is, ok := (*all)[sync]
	return ok && is.holdsChanges()
}

// putOffStop says that a sync waits before it halts, nil if it does not.
func (a *Agent) putOffStop(sync string) *control.Stop {
	all := a.putOffs.Load()
	if all == nil {
		return nil
	}
	is, ok := (*all)[sync]
	if !ok {
		return nil
	}
	return &control.Stop{By: control.StopWait, Reason: is.halt.Reason, Until: is.next}
}
