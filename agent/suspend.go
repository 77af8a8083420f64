package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// mostWords bounds the name and the reason that a person gives, in bytes.
const mostWords = 1000

// suspended is why a job of a sync that is stopped, or whose window has closed, was not begun, or was broken off. It counts for nothing, and the connection goes
// on.
type suspended struct{}

func (suspended) Error() string { return "broken off, as the sync was stopped" }
func (suspended) Unwrap() error { return ftpclient.ErrInterrupted }

// Pause implements control.Service. Like Resume it works without Run too. The pause of a server is one of its own: it holds all syncs that
// use it, also those that come later.
func (a *Agent) Pause(ctx context.Context, r control.PauseRequest) (control.Paused, error) {
	paused := control.Paused{Syncs: []string{}, Server: r.Server}
	names, err := a.chosen(r.SyncChoice)
	switch {
	case err != nil:
		return paused, err
	case r.For < 0:
		return paused, fmt.Errorf("%w: a pause of %s is none", control.ErrInvalid, r.For)
	case len(r.By) > mostWords || len(r.Reason) > mostWords:
		return paused, fmt.Errorf("%w: a reason has at most %d bytes", control.ErrInvalid, mostWords)
	}
	about := request{by: oneLine(r.By)}
	about.setPauses(r.SyncChoice, names)
	about.change = func(tx *state.Tx, now time.Time) ([]string, error) {
		p := state.Pause{Since: now.UTC(), By: about.by, Reason: oneLine(r.Reason)}
		if r.For > 0 {
			p.Until = now.Add(r.For).UTC()
		}
		paused.Running = 0 // the transaction may be tried twice
		for _, name := range names {
			counts, err := queue.Summary(tx, name)
			if err != nil {
				return nil, err
			}
			paused.Running += counts.Running
		}
		if r.Server != "" {
			return nil, state.PutServerPause(tx, r.Server, p)
		}
		return nil, a.eachRow(tx, names, func(_ string, row *state.SyncState) { row.Paused = p })
	}
	if err := a.transact(ctx, about); err != nil {
		return paused, err
	}
	running := a.running.Load() // not before: another configuration may have given a server other workers meanwhile
	switch {
	case running == nil:
		paused.Running = 0
	case r.Now:
		running.breakOff(names)
	}
	paused.Syncs = names
	return paused, nil
}

// setPauses says which pauses a request changes: those of syncs, or that of a server.
func (r *request) setPauses(c control.SyncChoice, names []string) {
	if c.Server != "" {
		r.pausedServers = []string{c.Server}
	} else {
		r.pauses = names
	}
}

// Resume implements control.Service. The end of a server's pause is none of those of its syncs, and the other way round; without a
// choice all of them end.
func (a *Agent) Resume(ctx context.Context, r control.ResumeRequest) (control.Resumed, error) {
	resumed := control.Resumed{Syncs: []string{}}
	names, err := a.chosen(r.SyncChoice)
	if err != nil {
		return resumed, err
	}
	about := request{by: oneLine(r.By)}
	about.setPauses(r.SyncChoice, names)
	if r.Server == "" && len(r.Syncs) == 0 {
		about.pausedServers = slices.Sorted(maps.Keys(a.cfg.Servers))
	}
	about.change = func(tx *state.Tx, now time.Time) ([]string, error) {
		resumed = control.Resumed{Syncs: []string{}}
		for _, server := range about.pausedServers {
			p, err := state.GetServerPause(tx, server)
			if err != nil {
				return nil, err
			}
			if p.Holds(now) {
				resumed.Servers = append(resumed.Servers, server)
			}
			if err := state.PutServerPause(tx, server, state.Pause{}); err != nil {
				return nil, err
			}
		}
		err := a.eachRow(tx, about.pauses, func(name string, row *state.SyncState) {
			if row.Paused.Holds(now) {
				resumed.Syncs = append(resumed.Syncs, name)
			}
			row.Paused = state.Pause{}
		})
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			p, _, err := a.pauseIn(tx, name, now)
			if err != nil {
				return nil, err
			}
			if p.Holds(now) {
				resumed.Held = append(resumed.Held, control.HeldSync{Sync: name, Server: p.server})
			}
		}
		return nil, nil
	}
	err = a.transact(ctx, about)
	return resumed, err
}

// pausedBy is a person's word that holds a sync: about its server, if that is named, or about itself.
type pausedBy struct {
	state.Pause
	server string
}

// text says who has paused what, when and why.
func (p pausedBy) text() string {
	if p.server == "" {
		return pauseText(p.Pause)
	}
	return strings.Replace(pauseText(p.Pause), "paused", "paused with its server "+p.server, 1)
}

// longer is the one of the pauses of a sync and its server that holds it for longer; zero if none does.
func longer(own, ofServer state.Pause, server string, now time.Time) pausedBy {
	switch {
	case !ofServer.Holds(now) && !own.Holds(now):
		return pausedBy{}
	case !ofServer.Holds(now), own.Holds(now) && (own.Until.IsZero() || !ofServer.Until.IsZero() && !own.Until.Before(ofServer.Until)):
		return pausedBy{Pause: own}
	}
	return pausedBy{ofServer, server}
}

// pauseIn is what holds a sync as the state has it.
func (a *Agent) pauseIn(tx *state.Tx, sync string, now time.Time) (p pausedBy, row state.SyncState, err error) {
	if row, err = state.GetSync(tx, sync); err != nil {
		return p, row, err
	}
	server := a.cfg.Syncs[sync].Server
	ofServer, err := state.GetServerPause(tx, server)
	return longer(row.Paused, ofServer, server, now), row, err
}

// chosen returns the enabled syncs that are meant, sorted.
func (a *Agent) chosen(c control.SyncChoice) ([]string, error) {
	if c.Server == "" {
		return a.names(c.Syncs)
	}
	if len(c.Syncs) > 0 {
		return nil, fmt.Errorf("%w: syncs are chosen by name or by their server, not by both", control.ErrInvalid)
	}
	if _, ok := a.cfg.Servers[c.Server]; !ok {
		return nil, fmt.Errorf("%w: there is no server %q; there are %q", control.ErrInvalid, c.Server, slices.Sorted(maps.Keys(a.cfg.Servers)))
	}
	names := slices.Sorted(maps.Keys(a.syncs))
	return slices.DeleteFunc(names, func(name string) bool { return a.cfg.Syncs[name].Server != c.Server }), nil
}

// eachRow changes the rows of syncs.
func (a *Agent) eachRow(tx *state.Tx, names []string, do func(name string, row *state.SyncState)) error {
	for _, name := range names {
		row, err := state.GetSync(tx, name)
		if err != nil {
			return err
		}
		do(name, &row)
		if err := state.PutSync(tx, name, row); err != nil {
			return err
		}
	}
	return nil
}

// pauseOf is the person's word that holds a sync as this transaction leaves it.
func (c *commit) pauseOf(sync string) pausedBy {
	server := c.d.agent.cfg.Syncs[sync].Server
	return longer(c.ownPause(sync), c.serverPause(server), server, c.now)
}

func (c *commit) ownPause(sync string) state.Pause {
	if p, changed := c.paused[sync]; changed {
		return p
	}
	return c.d.paused[sync]
}

func (c *commit) serverPause(server string) state.Pause {
	if p, changed := c.pausedServers[server]; changed {
		return p
	}
	return c.d.pausedServers[server]
}

// tellPause takes over what somebody has said about a sync.
func (c *commit) tellPause(sync, who string) error {
	if !c.d.agent.has(sync) {
		return nil
	}
	row, err := state.GetSync(c.tx, sync)
	if err != nil {
		return err
	}
	was := c.ownPause(sync)
	c.paused[sync] = row.Paused
	c.tellChange(was, row.Paused, Activity{Sync: sync, Server: c.d.agent.cfg.Syncs[sync].Server}, "", who)
	return nil
}

// tellServerPause takes over what somebody has said about a server.
func (c *commit) tellServerPause(server, who string) error {
	if c.d.servers[server] == nil {
		return nil
	}
	p, err := state.GetServerPause(c.tx, server)
	if err != nil {
		return err
	}
	was := c.serverPause(server)
	c.pausedServers[server] = p
	c.tellChange(was, p, Activity{Server: server}, "the server was ", who)
	return nil
}

func (c *commit) tellChange(was, is state.Pause, about Activity, what, who string) {
	switch {
	case is.Holds(c.now):
		about.Kind, about.Text = ActivitySuspended, what+pauseText(is)
	case was.Holds(c.now):
		about.Kind, about.Text = ActivityResumed, what+"resumed"+by(who)
	default:
		return
	}
	c.happened(about)
}

// endPauses forgets the pauses whose time is over.
func (c *commit) endPauses() error {
	for _, sync := range slices.Sorted(maps.Keys(c.d.paused)) {
		if !isOver(c.ownPause(sync), c.now) {
			continue
		}
		row, err := state.GetSync(c.tx, sync)
		if err != nil {
			return err
		}
		row.Paused = state.Pause{}
		if err := state.PutSync(c.tx, sync, row); err != nil {
			return err
		}
		c.paused[sync] = row.Paused
		c.happened(Activity{Kind: ActivityResumed, Sync: sync, Server: c.d.agent.cfg.Syncs[sync].Server, Text: "the time of the pause is over"})
	}
	for _, server := range slices.Sorted(maps.Keys(c.d.pausedServers)) {
		if !isOver(c.serverPause(server), c.now) {
			continue
		}
		if err := state.PutServerPause(c.tx, server, state.Pause{}); err != nil {
			return err
		}
		c.pausedServers[server] = state.Pause{}
		c.happened(Activity{Kind: ActivityResumed, Server: server, Text: "the time of the server's pause is over"})
	}
	return nil
}

// loadPauses reads what was said about servers.
func (d *dispatcher) loadPauses(tx *state.Tx) error {
	d.pausedServers = map[string]state.Pause{}
	for server := range d.agent.cfg.Servers {
		p, err := state.GetServerPause(tx, server)
		if err != nil {
			return err
		}
		d.pausedServers[server] = p
	}
	return nil
}

// anyPauseOver reports whether a commit is needed to end a pause.
func (d *dispatcher) anyPauseOver(now time.Time) bool {
	for _, all := range []map[string]state.Pause{d.paused, d.pausedServers} {
		for _, p := range all {
			if isOver(p, now) {
				return true
			}
		}
	}
	return false
}

func isOver(p state.Pause, now time.Time) bool { return !p.Since.IsZero() && !p.Holds(now) }

// tellWorkers has them begin nothing of the syncs that are stopped, and no changes of those whose window has closed.
func (d *dispatcher) tellWorkers(now time.Time) {
	stopped := map[string]queue.Held{}
	for name := range d.agent.syncs {
		s := d.agent.cfg.Syncs[name]
		if d.paused[name].Holds(now) || d.pausedServers[s.Server].Holds(now) || d.leaving.includes(name) {
			stopped[name] = queue.HeldAll
		} else if _, closed := closedUntil(s, now); closed {
			stopped[name] = queue.HeldChanges
		}
	}
	d.agent.stopped.Store(&stopped)
}

// isStopped reports whether workers are not to begin a job that they have. Any goroutine may ask.
func (a *Agent) isStopped(job queue.Job) bool {
	stopped := a.stopped.Load()
	if stopped == nil {
		return false
	}
	switch (*stopped)[job.Sync] {
	case queue.HeldAll:
		return true
	case queue.HeldChanges:
		return job.Serial || changes.Includes(job.Priority)
	}
	return false
}

// breakOff ends what is under way of these syncs. Any goroutine may ask for it.
func (d *dispatcher) breakOff(syncs []string) {
	d.interrupt(suspended{}, func(job queue.Job) bool { return slices.Contains(syncs, job.Sync) })
}

// interrupt ends the jobs at hand that are meant. Any goroutine may ask for it.
func (d *dispatcher) interrupt(cause error, meant func(job queue.Job) bool) {
	for _, s := range d.servers {
		for _, w := range s.workers {
			if u := w.current.Load(); u != nil && meant(u.job) {
				u.cancel(cause)
			}
		}
	}
}

// pauseText says who has paused a sync, when and why.
func pauseText(p state.Pause) string {
	text := "paused" + by(p.By) + " at " + p.Since.Local().Format(time.DateTime)
	if !p.Until.IsZero() {
		text += " until " + p.Until.Local().Format(time.DateTime)
	}
	if p.Reason != "" {
		text += ": " + p.Reason
	}
	return text
}

func by(name string) string {
	if name == "" {
		return ""
	}
	return " by " + name
}

func oneLine(text string) string {
	return strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
}
