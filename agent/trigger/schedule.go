package trigger

import (
	"context"
	"log/slog"
	"slices"
	"time"
)

const (
	// lookAtClock bounds every wait, because timers stand still while the machine sleeps and do not
	// notice that the clock was set (robfig/cron#26, #352).
	lookAtClock = 30 * time.Second
	// farAhead is how far in the future a recorded run may be. Less is a clock that was set back, and
	// nothing must run twice; more is a record made while the clock was wrong, which would silence
	// the entry until then.
	farAhead = 24 * time.Hour
)

// Entry is one line of a schedule.
type Entry struct {
	Spec string // as the user wrote it; names the entry in Fired
	// Next returns the first time after its argument, or the zero time if there is none. It has to be
	// pure. The time zone, and what happens at a change to or from summer time, is its business:
	// with robfig/cron "30 2 * * *" is skipped in spring and due twice in autumn.
	Next func(time.Time) time.Time
	// Last is Fired.At of the last Event. Zero means never: nothing was missed, and the entry counts
	// from the start of Run. To catch up even the very first run, store the time at which the entry
	// was first seen.
	Last time.Time
}

// Schedule emits an Event for everything whenever one of its entries is due. Runs missed while the agent
// was down, the machine asleep or the receiver busy are made up for by one Event per entry.
type Schedule struct {
	Sync    string
	Entries []Entry
	Logger  *slog.Logger // nil: silent
}

// Run implements Trigger. It ends early if no entry will ever be due.
func (s Schedule) Run(ctx context.Context, emit Emit) error {
	logger := orDiscard(s.Logger).With("sync", s.Sync)
	entries := slices.Clone(s.Entries)
	for i := range entries {
		if entries[i].Last.IsZero() {
			entries[i].Last = wallClock()
		}
		// robfig/cron takes the zone of a spec that names none from this argument.
		entries[i].Last = entries[i].Last.Local()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		waiting, wait := entries[:0], lookAtClock
		for _, e := range entries {
			now := wallClock()
			if last := base(e.Last, now); !last.Equal(e.Last) {
				logger.Warn("last scheduled run is far in the future, counting from now", "schedule", e.Spec, "last", e.Last)
				e.Last = last
			}
			next := e.Next(e.Last)
			if !next.After(now) {
				if at, ok := Missed(e.Next, e.Last, now); ok {
					e.Last, next = at, e.Next(at)
					err := emit(ctx, Event{Sync: s.Sync, Why: "schedule " + e.Spec, Fired: &Fired{Spec: e.Spec, At: at}})
					if err != nil {
						return emitted(ctx, err)
					}
				}
			}
			if !next.After(e.Last) {
				logger.Warn("schedule entry will never be due, ignored", "schedule", e.Spec)
				continue
			}
			waiting = append(waiting, e)
			wait = min(wait, next.Sub(wallClock()))
		}
		if entries = waiting; len(entries) == 0 {
			return nil
		}
		timer.Reset(wait)
	}
}

// wallClock returns the time without its monotonic part, so that differences follow the clock on the wall.
func wallClock() time.Time { return time.Now().Round(0) }

// base returns the time from which an entry counts that was last due at last.
func base(last, now time.Time) time.Time {
	if last.Sub(now) > farAhead {
		return now
	}
	return last
}

// Missed returns the latest time after last and not after now at which next says a run was due. It is
// false if there is none or if last is zero.
//
// It looks back from now in growing steps, so that years of downtime, or a last run recorded by a clock
// that stood in 1970, cost no more than a day. For intervals ("@every 10m") the phase may shift by that.
func Missed(next func(time.Time) time.Time, last, now time.Time) (time.Time, bool) {
	if last.IsZero() {
		return time.Time{}, false
	}
	for back := time.Hour; ; back *= 2 {
		from := last
		all := now.Sub(last) <= back || back <= 0 // not positive: doubled beyond the range, after 200 years
		if !all {
			from = now.Add(-back)
		}
		var latest time.Time
		for at := next(from); at.After(from) && !at.After(now); at = next(from) {
			latest, from = at, at
		}
		if all || !latest.IsZero() {
			return latest, !latest.IsZero()
		}
	}
}
