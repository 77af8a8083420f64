package agent

import "time"

// A server that failed gets one job until that was reported. One that takes long would keep all others waiting, and people in doubt, though the
// server works: a transfer that has gone on for a while proves that before its end.

// probeLasts is for how long: bytes still have to move then. A line may be dead behind a connection that opens, and the first of what is sent
// moves no further than this machine.
const probeLasts = 5 * time.Second

// underWayBefore is how many workers of a server that failed are at jobs that they had before. These prove nothing, and may go on for hours.
func (c *commit) underWayBefore(name string) (n int) {
	rested := c.server(name).NotBefore
	if rested.After(c.now) { // the clock was set back: which are which is not known
		return 0
	}
	for _, w := range c.d.servers[name].workers {
		if u := w.current.Load(); u != nil && u.job.Started.Before(rested) {
			n++
		}
	}
	return n
}

// probing reports whether a server that failed is being tried by a job.
func (c *commit) probing(name string) bool {
	s := c.d.servers[name]
	return c.server(name).Failures > 0 && len(s.seats)-len(s.idle) > c.underWayBefore(name)
}

// anyProvenWorks ends the pauses of the servers whose trial is a transfer that has got through to its data.
func (c *commit) anyProvenWorks() error {
	for _, name := range c.d.serverNames() {
		if !c.provenToWork(name) {
			continue
		}
		if err := c.worksAgain(name); err != nil {
			return err
		}
	}
	return nil
}

func (c *commit) provenToWork(name string) bool {
	row := c.server(name)
	if row.Blocked() || !c.probing(name) {
		return false
	}
	for _, w := range c.d.servers[name].workers {
		u := w.current.Load()
		if u == nil || u.job.Started.Before(row.NotBefore) {
			continue
		}
		if live, ok := u.live.At(c.now); ok && live.Flowed >= probeLasts {
			return true
		}
	}
	return false
}

// nextProbe is when to look at what is tried again, at the latest what is given.
func (c *commit) nextProbe(next time.Time) time.Time {
	for name := range c.d.servers {
		if c.probing(name) {
			next = earlier(next, c.now.Add(probeLasts))
		}
	}
	return next
}
