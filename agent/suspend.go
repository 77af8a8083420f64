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

// suspended is why a job of a sync that is stopped was not begun, or was broken off. It counts for nothing, and the connection goes
// on.
type suspended struct{}

func (suspended) Error() string { return "broken off, as the sync was stopped" }
func (suspended) Unwrap() error { return ftpclient.ErrInterrupted }

// Pause implements control.Service. Like Resume it works without Run too.
func (a *Agent) Pause(ctx context.Context, r control.PauseRequest) (control.Paused, error) {
	paused := control.Paused{Syncs: []string{}}
	names, err := a.chosen(r.SyncChoice)
	switch {
	case err != nil:
		return paused, err
	case r.For < 0:
		return paused, fmt.Errorf("%w: a pause of %s is none", control.ErrInvalid, r.For)
	case len(r.By) > mostWords || len(r.Reason) > mostWords:
		return paused, fmt.Errorf("%w: a reason has at most %d bytes", control.ErrInvalid, mostWords)
	}
	running := a.running.Load()
	err = a.suspend(ctx, names, r.By, func(tx *state.Tx, now time.Time, name string, row *state.SyncState) error {
		row.Paused = state.Pause{Since: now.UTC(), By: oneLine(r.By), Reason: oneLine(r.Reason)}
		if r.For > 0 {
			row.Paused.Until = now.Add(r.For).UTC()
		}
		counts, err := queue.Summary(tx, name)
		if name == names[0] {
			paused.Running = 0 // the transaction may be tried twice
		}
		if running != nil {
			paused.Running += counts.Running
		}
		return err
	})
	if err != nil {
		return paused, err
	}
	if r.Now && running != nil {
		running.breakOff(names)
	}
	paused.Syncs = names
	return paused, nil
}

// Resume implements control.Service.
func (a *Agent) Resume(ctx context.Context, r control.ResumeRequest) ([]string, error) {
	names, err := a.chosen(r.SyncChoice)
	if err != nil {
		return nil, err
	}
	resumed := []string{}
	err = a.suspend(ctx, names, r.By, func(_ *state.Tx, now time.Time, name string, row *state.SyncState) error {
		if name == names[0] {
			resumed = resumed[:0]
		}
		if row.Paused.Holds(now) {
			resumed = append(resumed, name)
		}
		row.Paused = state.Pause{}
		return nil
	})
	return resumed, err
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

// suspend changes the rows of syncs, in one transaction.
func (a *Agent) suspend(ctx context.Context, names []string, by string, do func(tx *state.Tx, now time.Time, name string, row *state.SyncState) error) error {
	return a.transact(ctx, request{pauses: names, by: oneLine(by), change: func(tx *state.Tx, now time.Time) ([]string, error) {
		for _, name := range names {
			row, err := state.GetSync(tx, name)
			if err != nil {
				return nil, err
			}
			if err := do(tx, now, name, &row); err != nil {
				return nil, err
			}
			if err := state.PutSync(tx, name, row); err != nil {
				return nil, err
			}
		}
		return nil, nil
	}})
}

// pauseOf is a person's word as this transaction leaves it.
func (c *commit) pauseOf(sync string) state.Pause {
	if p, changed := c.paused[sync]; changed {
		return p
	}
	return c.d.paused[sync]
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
	was := c.pauseOf(sync)
	c.paused[sync] = row.Paused
	server := c.d.agent.cfg.Syncs[sync].Server
	switch {
	case row.Paused.Holds(c.now):
		c.happened(Activity{Kind: ActivitySuspended, Sync: sync, Server: server, Text: pauseText(row.Paused)})
	case was.Holds(c.now):
		c.happened(Activity{Kind: ActivityResumed, Sync: sync, Server: server, Text: "resumed" + by(who)})
	}
	return nil
}

// endPauses forgets the pauses whose time is over.
func (c *commit) endPauses() error {
	for _, sync := range slices.Sorted(maps.Keys(c.d.paused)) {
		if !isOver(c.pauseOf(sync), c.now) {
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
	return nil
}

// anyPauseOver reports whether a commit is needed to end a pause.
func (d *dispatcher) anyPauseOver(now time.Time) bool {
	for _, p := range d.paused {
		if isOver(p, now) {
			return true
		}
	}
	return false
}

func isOver(p state.Pause, now time.Time) bool { return !p.Since.IsZero() && !p.Holds(now) }

// tellWorkers has them begin nothing of the syncs that are stopped.
func (d *dispatcher) tellWorkers(now time.Time) {
	stopped := map[string]bool{}
	for name, p := range d.paused {
		if p.Holds(now) {
			stopped[name] = true
		}
	}
	if d.leaving != nil {
		maps.Copy(stopped, d.leaving.syncs)
	}
	d.agent.stopped.Store(&stopped)
}

// isStopped reports whether workers are to begin nothing of a sync. Any goroutine may ask.
func (a *Agent) isStopped(sync string) bool {
	stopped := a.stopped.Load()
	return stopped != nil && (*stopped)[sync]
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
