package trigger

import (
	"context"
	"time"
)

// Rescan asks for a look at the whole local folder every now and then, since no watch is known that misses nothing.
type Rescan struct {
	Sync string
	// Every is how often, give or take a tenth; it has to be positive. The first look is that long after the beginning of Run.
	Every  time.Duration
	Random func() float64 // in [0, 1)
}

// Run implements Trigger.
func (r Rescan) Run(ctx context.Context, emit Emit) error {
	for {
		if !pause(ctx, Jitter(r.Every, r.Random())) {
			return nil
		}
		if err := emit(ctx, Event{Sync: r.Sync, Why: "rescan", Local: true, Regular: true}); err != nil {
			return emitted(ctx, err)
		}
	}
}

// Jitter returns d give or take a tenth, for a random share in [0, 1): what begins together does not stay together.
func Jitter(d time.Duration, random float64) time.Duration {
	return d + time.Duration(float64(d)*(random-0.5)/5)
}

// pause waits for d, also while the machine sleeps, and returns false if ctx is done before.
func pause(ctx context.Context, d time.Duration) bool {
	began := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-timer.C:
		}
		left := d - elapsed(began, time.Now())
		if left <= 0 {
			return true
		}
		timer.Reset(min(left, lookAtClock))
	}
}

// elapsed is the time since began by the clock that says more: that of the machine stands still while it sleeps, and the one on
// the wall may be set back.
func elapsed(began, now time.Time) time.Duration {
	return max(now.Sub(began), now.Round(0).Sub(began.Round(0)))
}
