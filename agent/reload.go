package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// difference is what is not the same in two configurations, or is in one of them only. With a server all of its syncs differ.
type difference struct{ servers, syncs map[string]bool }

func differences(was, is *config.Config) difference {
	d := difference{map[string]bool{}, map[string]bool{}}
	for name := range union(was.Servers, is.Servers) {
		if !sameServer(was.Servers[name], is.Servers[name]) || mayAsk(was, name) != mayAsk(is, name) {
			d.servers[name] = true
		}
	}
	for name := range union(was.Syncs, is.Syncs) {
		before, after := was.Syncs[name], is.Syncs[name]
		if before == nil || after == nil || d.servers[before.Server] || d.servers[after.Server] || !reflect.DeepEqual(before, after) {
			d.syncs[name] = true
		}
	}
	return d
}

// mayAsk reports whether the connections to a server may have to find out this machine's external address, and have whom to ask.
func mayAsk(cfg *config.Config, server string) bool {
	s := cfg.Servers[server]
	return s != nil && mayCall(s) && wantsLocator(cfg)
}

func union[V any](a, b map[string]V) map[string]V {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}

func sameServer(was, is *config.Server) bool {
	if was == nil || is == nil {
		return was == is
	}
	before, after := *was, *is
	if (was.RootCAs == nil) != (is.RootCAs == nil) || was.RootCAs != nil && !was.RootCAs.Equal(is.RootCAs) {
		return false
	}
	before.RootCAs, after.RootCAs = nil, nil // which holds functions, and those are never equal
	return reflect.DeepEqual(before, after)
}

// reload asks the dispatcher for another configuration; answer gets a value when it is in force.
type reload struct {
	cfg    *config.Config
	answer chan int // how many servers and syncs have changed
}

// Reload implements control.Service.
func (a *Agent) Reload(ctx context.Context) (control.Reloaded, error) {
	if a.options.Reload == nil {
		return control.Reloaded{}, fmt.Errorf("%w: the agent that is running makes a pass and ends, and reads no configuration again", control.ErrInvalid)
	}
	return a.options.Reload(ctx)
}

// Reconfigure takes another configuration while Run works. Servers and syncs that are the same in both go on as if nothing had
// happened: their transfers, connections and watches. Of the others nothing new is begun; what is under way may go on for
// shutdown_grace, and then they begin anew, as after a start. Alerts, the heartbeat and all else beside the work go on by the new one.
// It returns when the configuration is in force, with the number of servers and syncs that have changed. One that cannot be taken, as
// another program has the address of listen, changes nothing; the error says why, and people are told (see Refused).
func (a *Agent) Reconfigure(ctx context.Context, cfg *config.Config) (changes int, err error) {
	a.reconfiguring.Lock()
	defer a.reconfiguring.Unlock()
	if err := refusalOf(a.current.Load().cfg, cfg); err != nil {
		a.Refused(err)
		return 0, err
	}
	show := func(bool) {}
	if a.options.Listen {
		if show, err = a.prepareWeb(ctx, cfg); err != nil {
			return 0, err
		}
	}
	changes, err = a.hand(ctx, cfg)
	show(err == nil)
	if err == nil {
		a.onDisk.Store(&onDisk{taken: time.Now()})
	}
	return changes, err
}

// prepareWeb finds out whether the address of listen can be had. end has to be called when that is known: with true the configuration is in
// force, with false it has been given up.
func (a *Agent) prepareWeb(ctx context.Context, cfg *config.Config) (end func(taken bool), err error) {
	c := webChange{to: cfg.Agent, opened: make(chan error, 1), taken: make(chan *Agent, 1), done: make(chan struct{})}
	select {
	case a.webChanges <- c:
	case <-a.ended:
		return nil, control.ErrGone
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if err := <-c.opened; err != nil {
		err = problem(cfg, "agent.listen", fmt.Sprintf("%q cannot be had: %v", cfg.Agent.Listen, err))
		a.Refused(err)
		return nil, err
	}
	return func(taken bool) {
		var next *Agent
		if taken {
			next = a.current.Load()
		}
		c.taken <- next
		<-c.done
	}, nil
}

// hand has the dispatcher take a configuration, and returns when it is in force.
func (a *Agent) hand(ctx context.Context, cfg *config.Config) (changes int, err error) {
	r := reload{cfg: cfg, answer: make(chan int, 1)}
	select {
	case a.reloads <- r:
	case <-a.ended:
		return 0, control.ErrGone
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	select {
	case changes := <-r.answer:
		return changes, nil
	case <-a.ended:
		return 0, control.ErrGone
	}
}

// onDisk is whether the configuration on disk is in force, as far as somebody has had it read.
type onDisk struct {
	taken time.Time // when the one in force was
	err   error     // why the one on disk is not; nil if it is
	since time.Time // of that
	times int       // how many have been refused in a row, each for other reasons
}

// Refused has people told that a configuration was read and is not the one in force, for the reason of err, until another one is taken:
// by alerts, status and metrics. The same reason again is no news. It may be called before Run, and not while Reconfigure works.
func (a *Agent) Refused(err error) {
	is := onDisk{taken: a.started}
	if was := a.onDisk.Load(); was != nil {
		is = *was
	}
	switch {
	case is.err == nil:
		is.since = time.Now()
	case is.err.Error() == err.Error():
		return
	}
	is.err = err
	is.times++
	a.onDisk.Store(&is)
	a.lookAgain()
}

// inBrief is an error of a configuration in one line.
func inBrief(err error) string {
	if failure, ok := errors.AsType[*config.Error](err); ok {
		return failure.Brief()
	}
	first, _, _ := strings.Cut(err.Error(), "\n")
	return first
}

// leaving is a configuration that comes into force when nothing is under way any more of what differs from the one before.
type leaving struct {
	reload
	difference
	until time.Time // then it is broken off
}

// includes reports whether a sync differs; nil has none.
func (l *leaving) includes(sync string) bool { return l != nil && l.syncs[sync] }

// reloads is where the next configuration comes from; nil while one is being taken.
func (d *dispatcher) reloads() <-chan reload {
	if d.leaving != nil || d.agent.lasting == nil {
		return nil
	}
	return d.agent.lasting.reloads
}

// leave has nothing new begun of what another configuration changes.
func (d *dispatcher) leave(r reload) {
	now := d.now()
	d.leaving = &leaving{reload: r, difference: differences(d.agent.cfg, r.cfg), until: time.Now().Add(d.agent.cfg.Agent.ShutdownGrace)}
	d.tellWorkers(now)
}

// untilGraceEnds shortens a sleep so that what is under way of what leaves is broken off in time.
func (d *dispatcher) untilGraceEnds(sleep time.Duration) time.Duration {
	if d.leaving == nil {
		return sleep
	}
	return min(sleep, max(time.Until(d.leaving.until), time.Second)) // later, once a second: what was just about to begin
}

// changeOver takes the next configuration as soon as it can, and returns the dispatcher to go on with: this one, or another one that
// has taken over all that is the same.
func (d *dispatcher) changeOver(stopping bool) (*dispatcher, error) {
	if stopping {
		return d, nil
	}
	select {
	case r := <-d.reloads():
		d.leave(r)
	default:
	}
	if d.leaving == nil {
		return d, nil
	}
	for _, a := range d.outstanding {
		if !d.leaving.syncs[a.sync] {
			continue
		}
		if !time.Now().Before(d.leaving.until) {
			d.breakOff(slices.Collect(maps.Keys(d.leaving.syncs)))
		}
		return d, nil
	}
	return d.replaced(d.now())
}

// replaced returns a dispatcher for the configuration that was waited for.
func (d *dispatcher) replaced(now time.Time) (*dispatcher, error) {
	l, a := d.leaving, *d.agent
	a.configure(l.cfg)
	next := *d
	next.agent, next.leaving, next.servers = &a, nil, map[string]*server{}
	fresh := map[string]*server{}
	for name, s := range l.cfg.Servers {
		if next.servers[name] = d.servers[name]; l.servers[name] {
			fresh[name] = newServer(s)
			next.servers[name] = fresh[name]
		}
	}
	err := a.db.Update(func(tx *state.Tx) error {
		next.news = nil
		next.forget(d, l.difference)
		if err := next.reconfigure(tx, slices.DeleteFunc(slices.Sorted(maps.Keys(a.syncs)), func(name string) bool { return !l.syncs[name] }), now); err != nil {
			return err
		}
		if err := dropLeftOver(tx); err != nil {
			return err
		}
		if err := next.loadServers(tx, fresh); err != nil {
			return err
		}
		return next.loadPauses(tx)
	})
	if err != nil {
		return d, fmt.Errorf("take another configuration: %w", err)
	}
	for _, tell := range next.news {
		tell()
	}
	next.news = nil
	putOffs := next.putOffs // next has another one after its next commit, while somebody reads this one
	a.lasting.putOffs.Store(&putOffs)
	for _, s := range fresh {
		next.connect(s)
		if next.hire != nil {
			next.hire(s, a.syncs)
		}
	}
	a.lasting.last = &next
	a.lasting.current.Store(&a)
	a.metrics.configure(&a)
	if a.running.Load() != nil {
		a.running.Store(&next)
	}
	for name := range l.servers {
		if gone := d.servers[name]; gone != nil && d.dismiss != nil {
			d.dismiss(gone)
		}
	}
	if err := next.takeOver(d.agent.cfg); err != nil {
		return &next, err
	}
	if next.retrigger != nil {
		if err := next.retrigger(&a, slices.Sorted(maps.Keys(l.syncs))); err != nil {
			return &next, err
		}
	}
	next.wake = now
	next.tellWorkers(now)
	changes := len(l.servers) + len(l.syncs)
	a.logger.Info("the configuration is in force", "config", l.cfg.Path, "changes", changes)
	l.answer <- changes
	return &next, nil
}

// forget takes over what was known to the dispatcher before, without what is about syncs and servers that differ.
func (d *dispatcher) forget(was *dispatcher, differ difference) {
	d.halted, d.paused, d.closed = without(was.halted, differ.syncs), without(was.paused, differ.syncs), without(was.closed, differ.syncs)
	d.holds, d.deletions = without(was.holds, differ.syncs), without(was.deletions, differ.syncs)
	d.untold, d.young, d.putOffs = without(was.untold, differ.syncs), without(was.young, differ.syncs), without(was.putOffs, differ.syncs)
	d.runs, d.trials, d.rooms = map[string]*run{}, map[place]queue.ID{}, map[queue.ID]room{}
	for key, r := range was.runs {
		if !differ.syncs[r.sync] {
			d.runs[key] = r
		}
	}
	for at, id := range was.trials {
		if !differ.syncs[at.sync] && !differ.servers[at.server] {
			d.trials[at] = id
		}
	}
	for id, r := range was.rooms {
		if !differ.syncs[r.sync] {
			d.rooms[id] = r
		}
	}
	for _, p := range d.passes {
		p.leaveOut(d.agent)
	}
}

// leaveOut ends the pass for the syncs that the agent does not have: who asked for it asked another one.
func (p *pass) leaveOut(a *Agent) {
	for name, s := range p.syncs {
		if a.has(name) || s.over {
			continue
		}
		s.over = true
		s.report.Unfinished++
		s.report.Waiting = appendBounded(s.report.Waiting, control.PathReason{Reason: "the configuration has changed meanwhile, and this sync is not in it"})
	}
}

// has reports whether a sync is configured and enabled.
func (a *Agent) has(sync string) bool {
	_, enabled := a.syncs[sync]
	return enabled
}

func without[V any](m map[string]V, names map[string]bool) map[string]V {
	left := map[string]V{}
	for name, v := range m {
		if !names[name] {
			left[name] = v
		}
	}
	return left
}
