package agent

import "time"

// Pulse is what the dispatcher tells of itself each time that it shows that it works.
type Pulse struct {
	Running int // jobs that workers have
	Halted  int // syncs that wait for a person
}

// beat shows that the dispatcher works, when it is time for that.
func (d *dispatcher) beat() {
	if d.agent.options.Pulse == nil {
		return
	}
	// The clock of the process, not that of the dispatcher: whoever waits for the pulse does not care what time it is.
	now := time.Now()
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
