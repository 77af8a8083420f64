package agent

import (
	"context"

	"github.com/ftpferry/ftpferry/agent/trigger"
)

// Bound gives the queue room for open jobs of a sync, before Run.
func (a *Agent) Bound(open int) { a.bounds = boundsFor(open) }

// Emit takes the place of a trigger. It reports whether the agent runs.
func (a *Agent) Emit(ctx context.Context, e trigger.Event) bool {
	d := a.running.Load()
	return d != nil && d.emit(ctx, e) == nil
}
