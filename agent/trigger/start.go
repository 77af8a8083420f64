package trigger

import (
	"context"
	"time"
)

// Start asks for one look at everything, to find what has happened while nobody looked.
type Start struct {
	Sync  string
	After time.Duration // how long to wait before
	Local bool          // see Event
}

// Run implements Trigger.
func (s Start) Run(ctx context.Context, emit Emit) error {
	timer := time.NewTimer(s.After)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil
	case <-timer.C:
	}
	return emitted(ctx, emit(ctx, Event{Sync: s.Sync, Why: "start", Local: s.Local}))
}

// Spread returns how long each of n syncs waits at the start of the agent, so that they do not all begin at once: a second after
// one another, and all of them within half a minute.
func Spread(n int) []time.Duration {
	apart := min(time.Second, 30*time.Second/time.Duration(max(n, 1)))
	after := make([]time.Duration, n)
	for k := range after {
		after[k] = time.Duration(k) * apart
	}
	return after
}
