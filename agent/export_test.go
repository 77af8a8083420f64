package agent

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/agent/trigger"
)

// Bound gives the queue room for open jobs of a sync, before Run.
func (a *Agent) Bound(open int) { a.bounds = boundsFor(open) }

// PutOffAtMost says how long a halt is put off, before Run.
func (a *Agent) PutOffAtMost(d time.Duration) { a.longestPutOff = d }

// Emit takes the place of a trigger. It reports whether the agent runs.
func (a *Agent) Emit(ctx context.Context, e trigger.Event) bool {
	d := a.running.Load()
	return d != nil && d.emit(ctx, e) == nil
}
