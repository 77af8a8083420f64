package agent

// Bound gives the queue room for open jobs of a sync, before Run.
func (a *Agent) Bound(open int) { a.bounds = boundsFor(open) }
