package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
)

// Pulse is what the dispatcher tells of itself each time that it shows that it works.
type Pulse struct {
	Running int // jobs that workers have
	Halted  int // syncs that wait for a person
}

// stuckAfter is far longer than the dispatcher sleeps, and longer than a commit to a disk in trouble takes.
const stuckAfter = 5 * time.Minute

// Health implements control.Service.
func (a *Agent) Health(context.Context) error { return a.stuck() }

// stuck returns why the dispatcher gives no sign of life, control.ErrNotRunning before the first one.
func (a *Agent) stuck() error {
	last := a.alive.Load()
	if last == nil {
		return control.ErrNotRunning
	}
	if silent := time.Since(*last); silent > stuckAfter {
		return fmt.Errorf("the agent is stuck: it gave its last sign of life %s ago", silent.Round(time.Second))
	}
	return nil
}

// signOfLife is given by the dispatcher, and for it before anybody can ask.
func (a *Agent) signOfLife(now time.Time) { a.alive.Store(&now) }

// beat shows that the dispatcher works, when it is time for that.
func (d *dispatcher) beat() {
	now := time.Now() // not d.now: nobody who waits for a sign of life cares what time it is
	d.agent.signOfLife(now)
	if d.agent.options.Pulse == nil {
		return
	}
	if now.Before(d.nextPulse) {
		return
	}
	d.nextPulse = now.Add(d.agent.options.PulseInterval)
	p := Pulse{Running: len(d.outstanding)}
	for _, halted := range d.halted {
		if halted {
			p.Halted++
		}
	}
	d.agent.options.Pulse(p)
}

// untilPulse shortens a sleep so that the next pulse is not late.
func (d *dispatcher) untilPulse(sleep time.Duration) time.Duration {
	if d.agent.options.Pulse == nil {
		return sleep
	}
	return min(sleep, max(time.Until(d.nextPulse), 0))
}
