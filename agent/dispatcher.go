package agent

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// maxBatch bounds what goes into one commit.
	maxBatch = 500
	// maxSleep bounds the dispatcher's sleep: timers stand still while a machine sleeps.
	maxSleep = 30 * time.Second
	// historyTrim is how many rows of the history go in one commit.
	historyTrim = 10_000
	// trimInterval is how often the history is trimmed.
	trimInterval = time.Hour
	// limitRaise is how long a server that refused a connection as one too many is left at the
	// lower number before one more is tried.
	limitRaise = 10 * time.Minute
)

// dispatcher is the only writer of the state and the only one who hands out jobs. It folds
// all that is ready (events, reports, requests, claims) into one transaction, and acts on the
// result only after the commit.
type dispatcher struct {
	agent    *Agent
	events   chan trigger.Event
	reports  chan report
	stopWork func()
	// hire starts the workers of a server, and dismiss ends them and closes the pool, which nobody uses any more.
	hire    func(s *server, syncs map[string]work.Sync)
	dismiss func(s *server)
	// retrigger starts the triggers of syncs anew, as the agent has them; nil if there are none.
	retrigger func(a *Agent, syncs []string) error
	// leaving is what has to end before another configuration is in force; nil if none is about to be.
	leaving *leaving

	servers map[string]*server
	// outstanding are the assignments whose jobs have not all been reported.
	outstanding   map[queue.ID]*assigned
	passes        []*pass
	runs          map[string]*run // of lines of schedules, by run.key
	halted        map[string]bool
	paused        map[string]state.Pause // by a person; those that are over are taken out by the next commit
	pausedServers map[string]state.Pause // those of servers, which are others than those of their syncs
	rooms         map[queue.ID]room      // of the scans under way
	holds         map[string]state.Hold  // of syncs; those of servers are in their rows
	drops         drops                  // of jobs under way; never changed in place
	trials        map[place]queue.ID     // the transfers that find out whether there is room again
	closed        map[string]bool        // syncs that were told to be outside of their windows
	rounds        int                    // of new fingerprints
	now           func() time.Time
	latest        time.Time // the latest that the clock has shown
	wake          time.Time
	nextTrim      time.Time
	deletions     map[string]waitingDeletions
	// untold are changes that no event has told of so far, by sync.
	untold map[string][]untold
	// young is when the first file of a sync is old enough that was too young; zero: that has to be found out.
	young map[string]time.Time
	// putOffs are halts that are put off, by sync.
	putOffs map[string]putOff
	// nextPatience is when that is looked at again.
	nextPatience time.Time

	news    []func() // what to log about the beginning
	memory  extip.Memory
	locator *extip.Locator // asks nobody where nobody is to be asked
	over    chan struct{}  // closed when run has returned, with
	failure error
	// nextPulse is when the pulse is due.
	nextPulse time.Time
}

type assigned struct {
	server string
	seat   *seat
	sync   string
	// transfers are those of files among the jobs left.
	transfers int
}

func newDispatcher(a *Agent) (*dispatcher, error) {
	d := &dispatcher{
		agent: a, events: make(chan trigger.Event), servers: map[string]*server{},
		outstanding: map[queue.ID]*assigned{}, holds: map[string]state.Hold{}, trials: map[place]queue.ID{}, closed: map[string]bool{},
		halted: map[string]bool{}, paused: map[string]state.Pause{}, runs: map[string]*run{}, rooms: map[queue.ID]room{}, untold: map[string][]untold{}, young: map[string]time.Time{}, over: make(chan struct{}), now: time.Now,
		rounds: fingerprintRounds,
	}
	workers := 0
	for name, s := range a.cfg.Servers {
		d.servers[name] = newServer(s)
		workers += s.Connections
	}
	d.reports = make(chan report, workers)
	if err := d.begin(d.now()); err != nil {
		return nil, err
	}
	d.locator = extip.NewLocator(locatorOptions(a.cfg, d.memory, d.saveMemory, a.logger))
	for _, s := range d.servers {
		d.connect(s)
	}
	a.last = d
	return d, nil
}

// connect gives a server, whose facts are known, its pool.
func (d *dispatcher) connect(s *server) {
	s.line = newBandwidth(s.config.Bandwidth, d.now())
	s.pool = newPool(s.config, s.facts, s.line, d.usefulLocator(), d.agent.dial, d.agent.logger)
	s.address = s.pool.InUse()
}

// closePools ends all connections, once no worker has one.
func (d *dispatcher) closePools() {
	var closers sync.WaitGroup
	for _, s := range d.servers {
		closers.Go(func() { s.pool.Close() })
	}
	closers.Wait()
}

// emit is the triggers' way in.
func (d *dispatcher) emit(ctx context.Context, e trigger.Event) error {
	select {
	case d.events <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (d *dispatcher) closeJobs() {
	for _, s := range d.servers {
		for _, seat := range s.seats {
			close(seat.jobs)
		}
	}
}

// batch is what goes into one commit.
type batch struct {
	now      time.Time
	random   float64
	events   []trigger.Event
	reports  []report
	requests []request
	claim    bool
	setBack  bool // the clock was
}

func (b batch) size() int { return len(b.events) + len(b.reports) + len(b.requests) }

// run dispatches until ctx is done and all workers have reported.
func (d *dispatcher) run(ctx context.Context) (err error) {
	defer func() {
		d.failure = err
		close(d.over)
	}()
	stopping, done := false, ctx.Done()
	var grace <-chan time.Time
	for !stopping || len(d.outstanding) > 0 {
		if d, err = d.changeOver(stopping); err != nil {
			return err
		}
		d.beat()
		b := batch{claim: !stopping}
		if !d.drain(&b) && (stopping || !d.due(d.now())) {
			switch d.wait(&b, stopping, done, grace) {
			case wokenByStop:
				stopping, done = true, nil
				grace = time.After(d.agent.cfg.Agent.ShutdownGrace)
				d.agent.logger.Info("stopping", "running_jobs", len(d.outstanding), "grace", d.agent.cfg.Agent.ShutdownGrace.String())
			case wokenByGrace:
				d.stopWork()
			}
			d.drain(&b)
		}
		if !stopping && !d.due(d.now()) {
			d.gather(&b, done)
		}
		b.now, b.random = d.now(), rand.Float64()
		d.followTimetables(b.now)
		b.setBack = d.setBack(b.now)
		if b.size() == 0 && !b.setBack && !stopping && d.due(b.now) {
			ready, next, err := d.anythingDue(b.now)
			if err != nil {
				return err
			}
			if !ready {
				d.wake = next
				if err := d.finishPasses(b.now); err != nil {
					return err
				}
				continue
			}
		}
		if b.size() > 0 || b.setBack || !stopping && d.due(b.now) {
			t, err := d.commit(b)
			if err != nil {
				return err
			}
			if err := d.apply(ctx, b, t); err != nil {
				return err
			}
		}
	}
	return nil
}

// anythingDue looks without writing whether a commit would hand out jobs, and if not, when
// to look again.
func (d *dispatcher) anythingDue(now time.Time) (ready bool, next time.Time, err error) {
	read := func(tx *state.Tx) error {
		next = now.Add(maxSleep)
		counts, err := queue.Summary(tx, "")
		if err != nil {
			return err
		}
		c := &commit{transition: newTransition(), d: d, tx: tx, now: now}
		c.untold, c.young, c.putOffs = d.untold, d.young, d.putOffs
		if ready, err = c.mayClaim(); err != nil {
			return err
		}
		rested, err := c.restedLooks()
		if err != nil {
			return err
		}
		ready = ready || slices.ContainsFunc(d.serverNames(), c.provenToWork) || len(rested) > 0 || d.anyRunOver() || d.anyPauseOver(now) || !waits(d.nextTrim, now, trimInterval) || !c.nextMissed(c.nextGrownUp(now.Add(maxSleep))).After(now)
		next = c.nextProbe(c.nextMissed(c.nextGrownUp(c.nextChange(c.nextTry(next)))))
		if !counts.NextDue.IsZero() {
			ready = ready || !counts.NextDue.After(now)
			next = earlier(next, counts.NextDue)
		}
		return nil
	}
	err = d.mended(now, func() error { return d.agent.db.View(read) })
	return ready, next, err
}

// mended does what reads the queue, and once more if the queue had to be mended for it: a row that nobody can read stops nobody else.
func (d *dispatcher) mended(now time.Time, do func() error) error {
	err := do()
	if !queue.Damaged(err) {
		return err
	}
	d.agent.logger.Error("the queue is damaged, what cannot be read becomes a job that has failed for good", "error", err)
	if err := d.agent.db.Update(func(tx *state.Tx) error { return queue.Repair(tx, now) }); err != nil {
		return err
	}
	return do()
}

// due reports whether waiting jobs or passes want a look now.
func (d *dispatcher) due(now time.Time) bool {
	return !waits(d.wake, now, maxSleep)
}

type woken uint8

const (
	wokenByWork woken = iota
	wokenByStop
	wokenByGrace
)

// wait sleeps until something is there to do, and takes the first of it into b.
func (d *dispatcher) wait(b *batch, stopping bool, done <-chan struct{}, grace <-chan time.Time) woken {
	sleep := maxSleep
	if !stopping {
		sleep = min(max(d.wake.Sub(d.now()), 0), maxSleep)
	}
	sleep = d.untilPulse(d.untilGraceEnds(sleep))
	timer := time.NewTimer(sleep)
	defer timer.Stop()
	select {
	case e := <-d.events:
		b.events = append(b.events, e)
	case r := <-d.reports:
		b.reports = append(b.reports, r)
	case r := <-d.agent.requests:
		b.requests = append(b.requests, r)
	case r := <-d.reloads():
		d.leave(r)
	case <-timer.C:
	case <-done:
		return wokenByStop
	case <-grace:
		return wokenByGrace
	}
	return wokenByWork
}

// drain takes into b what is ready, and reports whether there is anything in b.
func (d *dispatcher) drain(b *batch) bool {
	for b.size() < maxBatch {
		select {
		case e := <-d.events:
			b.events = append(b.events, e)
		case r := <-d.reports:
			b.reports = append(b.reports, r)
		case r := <-d.agent.requests:
			b.requests = append(b.requests, r)
		default:
			return b.size() > 0
		}
	}
	return true
}

// apply acts on a transition that is committed.
func (d *dispatcher) apply(ctx context.Context, b batch, t *transition) error {
	moved := map[string]moment{} // by server
	for _, r := range b.reports {
		a := d.outstanding[r.Job.ID]
		d.servers[a.server].moved = b.now
		moved[a.server] = moved[a.server].add(r)
		if r.reached {
			d.servers[a.server].refusals = 0
		}
		if r.partial {
			r.answer <- t.rooms[r.Job.ID].size
			continue
		}
		delete(d.outstanding, r.Job.ID)
		if isFileTransfer(r.Job.Kind) {
			a.transfers--
			a.seat.transfers--
		}
		a.seat.moved = b.now
		if a.seat.left--; a.seat.left == 0 {
			d.servers[a.server].idle = append(d.servers[a.server].idle, a.seat)
		}
	}
	for name, refusal := range t.busy {
		d.servers[name].refused(b.now, refusal)
	}
	for name, row := range t.servers {
		d.servers[name].row = row
	}
	for name, facts := range t.facts {
		d.servers[name].facts = facts
	}
	for name, address := range t.addresses {
		d.servers[name].address = address
	}
	for name, halted := range t.halted {
		d.halted[name] = halted
	}
	maps.Copy(d.paused, t.paused)
	if maps.Copy(d.pausedServers, t.pausedServers); len(t.paused)+len(t.pausedServers) > 0 {
		d.tellWorkers(b.now)
	}
	d.rooms, d.untold, d.young, d.putOffs = t.rooms, t.untold, t.young, t.putOffs
	d.agent.putOffs.Store(&t.putOffs) // which nobody changes any more
	for _, m := range t.missed {
		d.agent.logger.Warn("only a look at everything has found what no event has told of", "sync", m.sync, "changes", m.changes, "example", m.example)
	}
	d.tellTimes(t.times)
	maps.Copy(d.holds, t.holds)
	maps.Copy(d.trials, t.trials)
	maps.Copy(d.closed, t.closed)
	for name := range t.asked {
		s := d.servers[name]
		s.crowded, s.refusals = time.Time{}, 0 // a person asks: try at once
		s.crowding.Store(nil)
		s.pool.Reopen()
	}
	turns := map[string]*turn{} // by server
	for _, next := range t.assignments {
		s := d.servers[next.server]
		s.lastSync = next.jobs[0].Sync
		if len(s.idle) == len(s.seats) {
			s.moved = b.now
		}
		to := next.behind
		if to == nil {
			to, s.idle = s.idle[0], s.idle[1:]
			to.streamed = 0
			to.moved = b.now
		}
		to.sync, to.streamed = s.lastSync, to.streamed+len(next.jobs)
		to.left, to.more, to.alone = to.left+len(next.jobs), next.more, slices.ContainsFunc(next.jobs, goesAlone)
		a := &assigned{server: next.server, seat: to, sync: s.lastSync, transfers: countTransfers(next.jobs)}
		to.transfers += a.transfers
		next.syncs = d.agent.syncs
		if first := turns[next.server]; next.behind == nil && (first != nil || makesFolders(next.jobs)) {
			next.turn = first.behind()
			turns[next.server] = next.turn
		}
		for _, job := range next.jobs {
			d.outstanding[job.ID] = a
		}
		to.jobs <- next // at most endsSoon assignments are before it, so there is room
	}
	d.learnWorth(b, moved)
	if t.hastened > 0 {
		d.agent.logger.Info(hastenedMessage, "jobs", t.hastened)
	}
	if t.patience {
		d.deletions = t.deletions
		d.nextPatience = b.now.Add(patienceInterval)
	}
	if t.trimmed {
		d.nextTrim = b.now.Add(trimInterval)
	}
	if t.purges {
		d.nextTrim = time.Time{}
	}
	for _, activity := range t.activities {
		activity.log(ctx, d.agent.logger)
		d.agent.feed.add(activity.event(b.now))
		d.agent.metrics.observe(activity)
		if d.agent.options.Observe != nil {
			d.agent.options.Observe(activity)
		}
	}
	for _, r := range b.requests {
		if r.pass != nil {
			r.pass.leaveOut(d.agent)
			r.pass.trust(t.trusting)
			d.passes = append(d.passes, r.pass)
		}
		r.answer <- nil
	}
	d.followDrops(b, t)
	for _, p := range d.passes {
		p.observe(b.reports, t, b.now)
	}
	for key, r := range t.runs {
		if d.runs[key] = r; r == nil {
			delete(d.runs, key)
		}
	}
	for _, r := range d.runs {
		r.pass.observe(b.reports, t, b.now)
	}
	d.wake = t.wake
	for name := range t.busy {
		d.wake = earlier(d.wake, d.servers[name].crowded)
	}
	return d.finishPasses(b.now)
}
