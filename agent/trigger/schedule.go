package trigger

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"log/slog"
	"math"
	"slices"
	"time"
)

const (
	// lookAtClock bounds every wait, because timers stand still while the machine sleeps and do not
	// notice that the clock was set (robfig/cron#26, #352).
	lookAtClock = 30 * time.Second
	// onTime is how late a run may be noticed and still was not missed.
	onTime = 2 * lookAtClock
	// farAhead is how far in the future a recorded run may be. Less is a clock that was set back, and
	// nothing must run twice; more is a record made while the clock was wrong, which would silence
	// the entry until then.
	farAhead = 24 * time.Hour
	// mostMissed is how many runs are made up for at most, and mostCounted how many are counted, or twice that.
	mostMissed  = 100
	mostCounted = 1000
)

// Missed says what is done about runs at whose time nobody was there.
type Missed string

// One run makes up for all that were missed (also ""), none does, or each of the last 100 is made up for.
const (
	MissedOnce Missed = "run-once"
	MissedSkip Missed = "skip"
	MissedAll  Missed = "all"
)

// Entry is one line of a schedule.
type Entry struct {
	Spec string // names the entry in Fired
	// Next returns the first time after its argument, or the zero time if there is none. It has to be
	// pure. The time zone, and what happens at a change to or from summer time, is its business.
	Next func(time.Time) time.Time
	// Last is Fired.Upto of the last Event. Zero means never: nothing was missed, and the entry counts
	// from the start of Run. To catch up even the very first run, store the time at which the entry
	// was first seen.
	Last time.Time
	// Missed says what is done about what was missed, for no longer than Grace (0: however long ago).
	Missed Missed
	Grace  time.Duration
	// Jitter is what Delay draws from. It is less than the time between two runs.
	Jitter time.Duration
}

// Schedule emits an Event for everything whenever one of its entries is due, and says in it what was missed while the agent
// was down, the machine asleep or the receiver busy.
type Schedule struct {
	Sync    string
	Entries []Entry
	After   time.Duration // how long to wait at the start, when there may be something to make up for
	Logger  *slog.Logger  // nil: silent
}

// Run implements Trigger. It ends early if no entry will ever be due.
func (s Schedule) Run(ctx context.Context, emit Emit) error {
	logger := orDiscard(s.Logger).With("sync", s.Sync)
	entries := slices.Clone(s.Entries)
	for i := range entries {
		if entries[i].Last.IsZero() {
			entries[i].Last = wallClock()
		}
	}
	timer := time.NewTimer(s.After)
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
			if fired, ok := e.Due(s.Sync, now); ok {
				e.Last = fired.Upto
				if err := emit(ctx, Event{Sync: s.Sync, Why: "schedule " + e.Spec, Fired: &fired}); err != nil {
					return emitted(ctx, err)
				}
			}
			next := e.Next(e.Last)
			if !next.After(e.Last) {
				logger.Warn("schedule entry will never be due, ignored", "schedule", e.Spec)
				continue
			}
			waiting = append(waiting, e)
			wait = min(wait, next.Add(e.Delay(s.Sync, next)).Sub(wallClock()))
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

// Delay is by how much the run for a time begins later: at least 0 and less than Jitter. It is always the same for one time of one
// entry of one sync.
func (e Entry) Delay(sync string, at time.Time) time.Duration {
	if e.Jitter <= 0 {
		return 0
	}
	hash := fnv.New128a()
	hash.Write([]byte(sync + "\x00" + e.Spec + "\x00"))
	var seconds [8]byte
	binary.BigEndian.PutUint64(seconds[:], uint64(at.Unix()))
	hash.Write(seconds[:])
	return time.Duration(binary.BigEndian.Uint64(hash.Sum(nil)[:8]) % uint64(e.Jitter))
}

// Due says what has to be done now about the times after Last; false: no time has come.
func (e Entry) Due(sync string, now time.Time) (Fired, bool) {
	due := e.passed(now)
	late := func(at time.Time) time.Duration { return now.Sub(at.Add(e.Delay(sync, at))) }
	for len(due) > 0 && late(due[len(due)-1]) < 0 {
		due = due[:len(due)-1]
	}
	if len(due) == 0 {
		return Fired{}, false
	}
	newest := due[len(due)-1]
	most := map[Missed]int{MissedSkip: 0, MissedAll: mostMissed}
	keep, ok := most[e.Missed]
	if !ok {
		keep = 1
	}
	var times []time.Time
	for _, at := range due[len(due)-min(keep, len(due)):] {
		if e.Grace <= 0 || late(at) <= e.Grace {
			times = append(times, at)
		}
	}
	if len(times) == 0 && late(newest) <= onTime {
		times = []time.Time{newest}
	}
	return Fired{Spec: e.Spec, Upto: newest, Times: times, Missed: uint64(len(due) - len(times))}, true
}

// Following returns when the next run begins, the delay included; zero: never.
func (e Entry) Following(sync string, now time.Time) time.Time {
	last := base(e.Last, now)
	if passed := e.passed(now); last.IsZero() || len(passed) > 1 {
		last = now.Add(-e.Jitter)
	}
	for at := e.Next(last); at.After(last); at = e.Next(at) {
		if begins := at.Add(e.Delay(sync, at)); begins.After(now) {
			return begins
		}
		last = at
	}
	return time.Time{}
}

// passed returns the times after Last and not after now, or the latest of them, if they are too many to be counted.
//
// Then it looks back from now in growing steps, so that years of downtime, or a last run recorded by a clock
// that stood in 1970, cost no more than a day. For intervals ("@every 10m") the phase may shift by that.
func (e Entry) passed(now time.Time) []time.Time {
	if e.Last.IsZero() {
		return nil
	}
	times, all := e.between(e.Last, now, mostCounted)
	for back := time.Hour; !all && len(times) < mostCounted && back > 0; back *= 2 { // not positive: doubled beyond 200 years
		times, _ = e.between(now.Add(-back), now, math.MaxInt)
	}
	return times
}

// between returns the times after from and not after to, at most so many; all: there are no others.
func (e Entry) between(from, to time.Time, most int) (times []time.Time, all bool) {
	for at := e.Next(from); at.After(from) && !at.After(to); at = e.Next(from) {
		if len(times) == most {
			return nil, false
		}
		times, from = append(times, at), at
	}
	return times, true
}
