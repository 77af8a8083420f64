package agent

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// Priorities of jobs; lower goes first.
const (
	priorityRequest  = 1   // a person waits
	priorityLook     = 20  // finds out what changed; costs little
	priorityLateScan = 25  // a whole tree that has waited for long
	priorityFolder   = 30  // before what goes into it
	prioritySmall    = 50  // files up to smallFile
	priorityBulk     = 60  // bigger ones
	priorityScan     = 80  // a whole tree
	priorityVerify   = 85  // reads all of a tree
	priorityLink     = 70  // after what it may point at
	prioritySweep    = 190 // left-over temporary files, before the folders they are in
	priorityDelete   = 200

	smallFile = 1 << 20
)

// refusal is what a server said that had too many connections, or transfers on those it took.
type refusal struct {
	words     string
	connected bool
}

// commit is one transaction of the dispatcher. It reads the dispatcher and changes nothing
// but the transaction and its transition, because it may be run twice.
type commit struct {
	*transition
	d   *dispatcher
	tx  *state.Tx
	now time.Time
	b   batch
}

func (d *dispatcher) commit(b batch) (*transition, error) {
	var t *transition
	update := func(tx *state.Tx) error {
		t = newTransition()
		t.activities = make([]Activity, 0, b.size())
		t.rooms = maps.Clone(d.rooms)
		t.deletions, t.untold, t.young = d.deletions, cloneUntold(d.untold), maps.Clone(d.young)
		maps.Copy(t.putOffs, d.putOffs)
		return (&commit{transition: t, d: d, tx: tx, now: b.now, b: b}).run()
	}
	err := d.mended(b.now, func() error { return d.agent.db.Update(update) })
	return t, err
}

func (c *commit) run() error {
	for _, e := range c.b.events {
		if err := c.event(e); err != nil {
			return fmt.Errorf("take event for sync %s: %w", e.Sync, err)
		}
	}
	learned := map[string]bool{}
	for _, r := range c.b.reports {
		if !learned[r.Job.Server] { // once for all of them; who learns more meanwhile reports after that
			learned[r.Job.Server] = true
			c.learn(r.Job.Server)
		}
		if err := c.report(r); err != nil {
			return fmt.Errorf("take report of job %d: %w", r.Job.ID, err)
		}
	}
	for _, r := range c.b.requests {
		if err := c.request(r); err != nil {
			return fmt.Errorf("take request: %w", err)
		}
	}
	if err := c.keepLooking(); err != nil {
		return err
	}
	if err := c.anyProvenWorks(); err != nil {
		return fmt.Errorf("end the pause of a server: %w", err)
	}
	if err := c.endPauses(); err != nil {
		return fmt.Errorf("end pauses: %w", err)
	}
	if err := c.endRuns(); err != nil {
		return fmt.Errorf("end runs of schedules: %w", err)
	}
	if err := c.saveServers(); err != nil {
		return err
	}
	if err := c.saveSuccess(); err != nil {
		return err
	}
	if err := c.countMissed(); err != nil {
		return err
	}
	if err := c.lookAtGrownUps(); err != nil {
		return err
	}
	if !waits(c.d.nextTrim, c.now, trimInterval) {
		if err := c.trimHistory(); err != nil {
			return err
		}
	}
	if err := c.wakeScans(); err != nil {
		return err
	}
	if err := c.answerParts(); err != nil {
		return err
	}
	if c.b.claim {
		if err := c.claim(); err != nil {
			return err
		}
	}
	return c.planWake()
}

// saveSuccess notes when something was last done, to the second.
func (c *commit) saveSuccess() error {
	for sync := range c.succeeded {
		row, err := state.GetSync(c.tx, sync)
		if err != nil {
			return err
		}
		if row.HaltCode == state.HaltUnreadable || c.now.Sub(row.LastSuccess).Abs() < time.Second {
			continue
		}
		row.LastSuccess = c.now
		if err := state.PutSync(c.tx, sync, row); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) happened(a Activity) { c.activities = append(c.activities, a) }

// event notes why to look, before anybody looks: it survives a crash.
func (c *commit) event(e trigger.Event) error {
	if _, ok := c.d.agent.syncs[e.Sync]; !ok {
		return nil
	}
	if e.Fired != nil {
		return c.fired(e)
	}
	c.toldOf(e)
	if len(e.Paths) == 0 {
		return c.lookAtAll(e)
	}
	for _, path := range e.Paths {
		c.happened(Activity{Kind: ActivityTriggered, Sync: e.Sync, Path: path, Text: e.Why})
		var err error
		if e.Regular {
			err = state.MarkDue(c.tx, e.Sync, path, e.Why, c.now)
		} else {
			err = state.MarkDirty(c.tx, e.Sync, path, e.Why, false, c.now)
		}
		if err != nil {
			return err
		}
	}
	return c.enqueueScan(e.Sync, work.KindLook, e.Why, priorityLook, c.now)
}

// enqueueScan asks for a look. One that took the agent down three times has to wait, but for a person: see parked.go.
func (c *commit) enqueueScan(sync, kind, why string, priority uint8, at time.Time) error {
	return c.enqueueLook(queue.New{Kind: kind, Sync: sync, Priority: priority, RunAt: at, Why: why})
}

func (c *commit) enqueueLook(job queue.New) error {
	old, ok, err := queue.Lookup(c.tx, job.Kind, job.Sync, "")
	if err != nil {
		return err
	}
	job.Server = c.d.agent.cfg.Syncs[job.Sync].Server
	if ok && old.Crashed() && job.Priority >= queue.Urgent {
		return c.wantParked(old, job)
	}
	_, err = queue.Enqueue(c.tx, c.now, job)
	return err
}

func (c *commit) request(r request) error {
	if r.change != nil {
		servers, err := r.change(c.tx, c.now)
		for _, name := range servers {
			if _, ok := c.d.servers[name]; ok {
				err = errors.Join(err, c.tryAtOnce(name))
			}
		}
		for _, name := range r.pauses {
			if err == nil {
				err = c.tellPause(name, r.by)
			}
		}
		for _, name := range r.pausedServers {
			if err == nil {
				err = c.tellServerPause(name, r.by)
			}
		}
		return err
	}
	if r.approve != nil {
		return c.approve(r.approve)
	}
	kinds := map[string]string{}
	for sync := range r.pass.syncs { // all of them first: what made a server doubtful is over then
		if !c.d.agent.has(sync) {
			continue
		}
		var err error
		if kinds[sync], err = c.passOf(sync, r.pass.full); err != nil {
			return err
		}
	}
	for sync, kind := range kinds {
		c.trusting[sync] = kind == work.KindRescan
		if err := c.tryAtOnce(c.d.agent.cfg.Syncs[sync].Server); err != nil {
			return err
		}
		if err := c.enqueueScan(sync, kind, "request", priorityRequest, c.now); err != nil {
			return err
		}
	}
	return nil
}

// report writes down what came of a job.
func (c *commit) report(r report) error {
	if err := c.reachable(r); err != nil {
		return err
	}
	if gone, err := c.drop(r); err != nil || gone {
		return err
	}
	if r.Instead != nil {
		return c.instead(r)
	}
	switch r.Result {
	case work.Failed:
		delete(c.rooms, r.Job.ID)
		return c.failed(r)
	case work.Stale:
		return c.stale(r)
	}
	if isScanning(r.Job.Kind) {
		return c.scanned(r)
	}
	if r.Job.Kind == work.KindVerify {
		return c.compared(r)
	}
	replan, err := c.remember(r)
	if err != nil {
		return err
	}
	if _, err := queue.Complete(c.tx, c.now, r.Job.ID); err != nil {
		return err
	}
	kind := ActivityDone
	if r.leaves() {
		kind = ActivitySkipped
	}
	c.happened(c.activityOf(r, kind))
	if isPurge(r.Job.Kind) {
		return c.purged(r)
	}
	if !isOperation(r.Job.Kind) {
		return nil
	}
	c.succeeded[r.Job.Sync] = true
	if err := c.noticed(r.Job); err != nil {
		return err
	}
	for _, path := range r.Also {
		other := queue.Job{New: queue.New{Sync: r.Job.Sync, Path: path}}
		if err := c.lookAgain(other, "after "+r.Job.Kind, c.now, true); err != nil {
			return err
		}
	}
	if r.Replan || replan {
		if err := c.lookAgain(r.Job, "after "+r.Job.Kind, c.now, true); err != nil {
			return err
		}
	}
	if n := r.Conflict; n != nil {
		return c.tell(r.Job.Sync, seeing(state.Note{Path: n.Path, Text: n.Text, Compared: n.Compared}, n.Local, n.Remote, c.now))
	}
	if err := state.DropNote(c.tx, r.Job.Sync, r.Job.Path); err != nil {
		return err
	}
	if r.leaves() {
		if _, err := state.PutNote(c.tx, r.Job.Sync, state.Note{Path: r.Job.Path, Kind: state.NoteSkipped, Text: r.Base.Left}, c.now); err != nil {
			return err
		}
		return c.history(r, resultSkipped)
	}
	return c.history(r, resultDone)
}

// leaves reports a job that has found out that its path has to be left alone.
func (r report) leaves() bool { return r.Base != nil && r.Base.Left != "" }

func isOperation(kind string) bool {
	switch kind {
	case work.KindSweepLocal, work.KindSweepRemote, work.KindVerify:
		return false
	}
	return !isScanning(kind) && !isPurge(kind)
}

// remember makes both sides as they are now the baseline of the path. A deletion that was
// overtaken by a transfer of the same path forgets nothing: replan asks what is there now.
func (c *commit) remember(r report) (replan bool, err error) {
	switch {
	case r.Job.Path == "":
		return false, nil
	case r.Forget:
		if op, err := plan.DecodeOp(r.Job.Payload); err == nil {
			if same, err := c.baseIs(r.Job.Sync, r.Job.Path, op.Base); err != nil || !same {
				return true, err
			}
		}
		return false, state.DeleteBaseline(c.tx, r.Job.Sync, r.Job.Path)
	case r.Base != nil:
		if r.Moved != "" {
			if err := c.moved(r); err != nil {
				return false, err
			}
		}
		err := state.PutBaseline(c.tx, r.Job.Sync, state.Baseline{
			Path: r.Job.Path, Local: r.Base.Local, Remote: r.Base.Remote, When: c.now, Job: uint64(r.Job.ID), Left: r.Base.Left,
		})
		if err != nil || r.Moved != "" {
			return false, err
		}
		return false, c.appended(r)
	}
	return false, nil
}

// appended keeps what was sent of a file that only ever grows. What any other transfer has put there is nothing to add to.
func (c *commit) appended(r report) error {
	if r.Appended == nil {
		return state.DeleteAppended(c.tx, r.Job.Sync, r.Job.Path)
	}
	return state.PutAppended(c.tx, r.Job.Sync, r.Job.Path, *r.Appended)
}

func (c *commit) activityOf(r report, kind ActivityKind) Activity {
	return Activity{
		Kind: kind, Sync: r.Job.Sync, Server: r.Job.Server, Path: r.Job.Path, Job: uint64(r.Job.ID), Action: r.Job.Kind,
		Text: r.Reason, Bytes: r.Bytes, Took: r.Duration, Verified: r.Verified, Method: r.Method, Already: r.Already,
	}
}

// stale ends a job whose plan was overtaken, and asks for a new look at both sides.
func (c *commit) stale(r report) error {
	if r.NotEmpty {
		content, ok, err := queue.Below(c.tx, r.Job.Kind, r.Job.Sync, r.Job.Path)
		if err != nil {
			return err
		}
		if ok {
			return c.waitForContent(r, content)
		}
	}
	c.happened(c.activityOf(r, ActivityStale))
	if _, err := queue.Complete(c.tx, c.now, r.Job.ID); err != nil {
		return err
	}
	if r.Held == "" && !r.Settling { // something is not as it was seen last, on the server perhaps, and more than that may be
		if err := state.Doubt(c.tx, r.Job.Sync); err != nil {
			return err
		}
	}
	at := c.now.Add(c.settle(r.Job.Sync))
	for _, path := range r.Also {
		other := queue.Job{New: queue.New{Sync: r.Job.Sync, Path: path}}
		if err := c.lookAgain(other, r.Reason, at, true); err != nil {
			return err
		}
	}
	if r.Held != "" {
		at = c.now.Add(c.patienceWith(r.Job.Sync, r.Job.Path, r.Held))
		if err := c.noteHeld(r.Job.Sync, state.Note{Path: r.Job.Path, Text: r.Held}); err != nil {
			return err
		}
	}
	return c.lookAgain(r.Job, r.Reason, at, !r.Settling)
}

// waitForContent lets the deletion of a folder wait for one in it that has failed, or die of the same. To look again would
// find what is known, and bring the failed deletion back before its time, over and over. A folder goes behind content that came
// into the queue after it: many of them would be due again whenever jobs are handed out, and no content ever be.
func (c *commit) waitForContent(r report, content queue.Job) error {
	r.Err = fmt.Errorf("%s: %q could not be deleted yet", r.Reason, content.Path)
	failure := queue.Failure{Reason: r.Err.Error(), RetryAt: content.RunAt, Dead: content.State == queue.Dead, Behind: &content}
	if soonest := c.now.Add(c.settle(r.Job.Sync)); failure.RetryAt.Before(soonest) {
		failure.RetryAt = soonest
	}
	next, err := queue.Fail(c.tx, c.now, r.Job.ID, failure)
	if err != nil {
		return err
	}
	activity := c.activityOf(r, ActivityRetry)
	activity.Text, activity.Cause = r.Err.Error(), r.Err
	if next == queue.Dead {
		activity.Kind = ActivityDead
		c.happened(activity)
		return c.history(r, resultDead)
	}
	c.happened(activity)
	return c.failureHistory(r, failure)
}

func (c *commit) lookAgain(job queue.Job, why string, at time.Time, remote bool) error {
	if err := state.MarkDirty(c.tx, job.Sync, job.Path, why, remote, c.now); err != nil {
		return err
	}
	return c.enqueueScan(job.Sync, work.KindLook, why, priorityLook, at)
}

// settle is never less than a second here, so that a file in motion makes no busy loop.
func (c *commit) settle(sync string) time.Duration {
	return max(c.d.agent.syncs[sync].Settle, time.Second)
}

func (c *commit) failed(r report) (err error) {
	if r.Err, err = c.awaits(r.Err, r.Job); err != nil {
		return err
	}
	row := c.server(r.Job.Server)
	v := judge(r.Err, r.Job, row.Failures, c.now, share(c.b.random, r.Job.ID))
	v.failure.Unbegun = r.unbegun
	told := v.pause > 0 || v.blocked // by pause and block: it is the server's failure, not that of each job
	switch {
	case v.busy:
		_, told = c.busy[r.Job.Server]
		// What was behind the refused job in its stream was not tried, and reached nobody.
		c.busy[r.Job.Server] = refusal{r.Err.Error(), r.reached || c.busy[r.Job.Server].connected}
	case v.blocked:
		if err := c.block(r.Job.Server, r.Err); err != nil {
			return err
		}
	case v.pause > 0:
		if err := c.pause(r.Job.Server, r.Err, v); err != nil {
			return err
		}
	case v.full:
		if told, err = c.noRoom(r); err != nil {
			return err
		}
	}
	next, err := queue.Fail(c.tx, c.now, r.Job.ID, v.failure)
	if err != nil {
		return err
	}
	activity := c.activityOf(r, ActivityRetry)
	activity.Text, activity.Cause = summaryOf(r.Err), r.Err
	if next == queue.Dead {
		activity.Kind = ActivityDead
		c.happened(activity)
		return c.history(r, resultDead)
	}
	if !told && classify(r.Err) != ftpclient.ClassCancelled { // the stop of the agent is no news
		c.happened(activity)
	}
	return c.failureHistory(r, v.failure)
}
