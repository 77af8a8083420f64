package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// maxBatch bounds what goes into one commit.
	maxBatch = 500
	// maxSleep bounds the dispatcher's sleep: timers stand still while a machine sleeps.
	maxSleep = 30 * time.Second
	// historyRows and historyAge bound the history.
	historyRows = 1_000_000
	historyAge  = 90 * 24 * time.Hour
	historyTrim = 10_000 // rows per start
)

// dispatcher is the only writer of the state and the only one who hands out jobs. It folds
// all that is ready (events, reports, requests, claims) into one transaction, and acts on the
// result only after the commit.
type dispatcher struct {
	agent    *Agent
	events   chan trigger.Event
	reports  chan report
	stopWork func()

	servers map[string]*server
	// outstanding are the assignments whose jobs have not all been reported.
	outstanding map[queue.ID]*assigned
	passes      []*pass
	halted      map[string]bool
	wake        time.Time
}

// server is what the dispatcher knows about a server while the agent runs.
type server struct {
	config *config.Server
	jobs   chan assignment
	idle   int // workers without an assignment
	row    state.Server
	facts  ftpclient.Facts
}

type assigned struct {
	server string
	left   int
}

func newDispatcher(a *Agent) (*dispatcher, error) {
	d := &dispatcher{
		agent: a, events: make(chan trigger.Event), servers: map[string]*server{},
		outstanding: map[queue.ID]*assigned{}, halted: map[string]bool{},
	}
	workers := 0
	for name, s := range a.cfg.Servers {
		d.servers[name] = &server{config: s, idle: s.Connections, jobs: make(chan assignment, s.Connections)}
		workers += s.Connections
	}
	d.reports = make(chan report, workers)
	return d, d.begin(time.Now())
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
		close(s.jobs)
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
}

func (b batch) size() int { return len(b.events) + len(b.reports) + len(b.requests) }

// run dispatches until ctx is done and all workers have reported.
func (d *dispatcher) run(ctx context.Context) error {
	stopping, done := false, ctx.Done()
	var grace <-chan time.Time
	for !stopping || len(d.outstanding) > 0 {
		b := batch{claim: !stopping}
		if !d.drain(&b) && (stopping || !d.due(time.Now())) {
			switch d.wait(&b, stopping, done, grace) {
			case wokenByStop:
				stopping, done = true, nil
				grace = time.After(d.agent.cfg.Agent.ShutdownGrace)
				d.agent.logger.Info("stopping", "running_jobs", len(d.outstanding), "grace", d.agent.cfg.Agent.ShutdownGrace)
			case wokenByGrace:
				d.stopWork()
			}
			d.drain(&b)
		}
		if b.size() > 0 || !stopping && d.due(time.Now()) {
			b.now, b.random = time.Now(), rand.Float64()
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

// due reports whether waiting jobs or passes want a look now.
func (d *dispatcher) due(now time.Time) bool { return !d.wake.After(now) }

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
		sleep = min(max(time.Until(d.wake), 0), maxSleep)
	}
	timer := time.NewTimer(sleep)
	defer timer.Stop()
	select {
	case e := <-d.events:
		b.events = append(b.events, e)
	case r := <-d.reports:
		b.reports = append(b.reports, r)
	case r := <-d.agent.requests:
		b.requests = append(b.requests, r)
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
	for _, r := range b.reports {
		a := d.outstanding[r.Job.ID]
		delete(d.outstanding, r.Job.ID)
		if a.left--; a.left == 0 {
			d.servers[a.server].idle++
		}
	}
	for name, row := range t.servers {
		d.servers[name].row = row
	}
	for name, facts := range t.facts {
		d.servers[name].facts = facts
	}
	for name, halted := range t.halted {
		d.halted[name] = halted
	}
	for _, next := range t.assignments {
		a := &assigned{next.server, len(next.jobs)}
		for _, job := range next.jobs {
			d.outstanding[job.ID] = a
		}
		s := d.servers[next.server]
		s.idle--
		next.facts = s.facts
		s.jobs <- next // has room for one assignment per worker
	}
	for _, activity := range t.activities {
		activity.log(ctx, d.agent.logger)
		if d.agent.options.Observe != nil {
			d.agent.options.Observe(activity)
		}
	}
	for _, r := range b.requests {
		if r.pass != nil {
			d.passes = append(d.passes, r.pass)
		}
		r.answer <- nil
	}
	for _, p := range d.passes {
		p.observe(b.reports, t, b.now)
	}
	d.wake = t.wake
	return d.finishPasses(b.now)
}
