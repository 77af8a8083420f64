package agent

import (
	"context"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/state"
)

// yearLines are lines of a schedule, and what they mean: which minutes of the clock on the wall, and whether it is the clock that
// counts where that is changed, or the time that passes.
var yearLines = []struct {
	spec  string
	clock bool
	is    func(clock time.Time) bool
}{
	{"30 2 * * *", true, func(c time.Time) bool { return c.Hour() == 2 && c.Minute() == 30 }},
	{"0 0 * * *", true, func(c time.Time) bool { return c.Hour() == 0 && c.Minute() == 0 }},
	{"*/15 1,2 * * 0,6", true, func(c time.Time) bool {
		return (c.Hour() == 1 || c.Hour() == 2) && c.Minute()%15 == 0 && (c.Weekday() == time.Saturday || c.Weekday() == time.Sunday)
	}},
	{"40 * * * *", false, func(c time.Time) bool { return c.Minute() == 40 }},
	{"0 */2 * * *", false, func(c time.Time) bool { return c.Hour()%2 == 0 && c.Minute() == 0 }},
}

// expected goes through all minutes between two times.
func expected(zone *time.Location, from, to time.Time, clock bool, is func(time.Time) bool) (times []time.Time) {
	var offset int
	var until time.Time // it holds, and zero: for ever
	wall := func(at time.Time) time.Time {
		if offset == 0 || !until.IsZero() && !at.Before(until) {
			_, offset = at.In(zone).Zone()
			_, until = at.In(zone).ZoneBounds()
		}
		return at.Add(time.Duration(offset) * time.Second).UTC()
	}
	latest := wall(from)
	for at := from.Add(time.Minute); !at.After(to); at = at.Add(time.Minute) {
		shows := wall(at)
		fires := is(shows)
		if clock {
			fires = false
			for latest.Before(shows) { // also what the clock has left out
				latest = latest.Add(time.Minute)
				fires = fires || is(latest)
			}
		}
		if fires {
			times = append(times, at)
		}
	}
	return times
}

const longestOutage = 30 * time.Hour

// life is a year of an agent, with its record of one line.
type life struct {
	t       *testing.T
	entry   trigger.Entry
	now     time.Time
	fired   map[int64]int // by time, in seconds
	latest  time.Time
	missed  uint64
	outages [][2]time.Time // when nobody looked at the clock
}

// look is what the loop does when it wakes up.
func (l *life) look() {
	fired, ok := l.entry.Due("s", l.now)
	if !ok {
		return
	}
	l.entry.Last = fired.Upto
	l.missed += fired.Missed
	for _, at := range fired.Times {
		if !at.After(l.latest) {
			l.t.Errorf("fired for %v after %v", at, l.latest)
		}
		if begins := at.Add(l.entry.Delay("s", at)); begins.After(l.now) {
			l.t.Errorf("fired at %v for %v, too early", l.now, begins)
		}
		l.latest = at
		l.fired[at.Unix()]++
	}
}

// live goes on until the end, with restarts, sleeps of hours and clocks that are set.
func (l *life) live(random *rand.Rand, end time.Time) {
	for l.now.Before(end) {
		next := l.entry.Following("s", l.now).Add(time.Duration(random.Int64N(int64(30 * time.Second))))
		switch random.IntN(12) {
		case 0: // a sleep, or a restart
			from := l.now
			l.now = l.now.Add(time.Duration(random.Int64N(int64(longestOutage))))
			l.outages = append(l.outages, [2]time.Time{from, l.now})
		case 1: // the clock is set back: what it shows again is not done again
			l.now = l.now.Add(-time.Duration(random.Int64N(int64(2 * time.Hour))))
		case 2: // put forward
			from := l.now
			l.now = l.now.Add(time.Duration(random.Int64N(int64(3 * time.Hour))))
			l.outages = append(l.outages, [2]time.Time{from, l.now})
		default:
			l.now = next
		}
		l.look()
	}
}

// away reports whether nobody was there when a run had to begin.
func (l *life) away(begins time.Time) bool {
	for _, o := range l.outages {
		if !begins.Before(o[0]) && !begins.After(o[1]) {
			return true
		}
	}
	return false
}

// everyYear goes through all lines in all zones under all policies, instead of an eighth of them.
var everyYear = flag.Bool("every-year", false, "try each line of a schedule in each zone under each policy")

func TestAYearOfSchedules(t *testing.T) {
	t.Parallel()
	policies := []string{config.MissedOnce, config.MissedSkip, config.MissedAll}
	for z, zoneName := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata"} {
		zone, err := time.LoadLocation(zoneName)
		if err != nil {
			t.Fatal(err)
		}
		begin, end := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
		for i, c := range yearLines {
			line, err := config.ParseSchedule(c.spec, zone)
			if err != nil {
				t.Fatal(err)
			}
			for j, policy := range policies {
				if (j != (z+i)%len(policies) || (z+2*i)%len(yearLines) > 1) && !*everyYear {
					continue // each zone, each line and each policy has its turns
				}
				t.Run(zoneName+" "+c.spec+" "+policy, func(t *testing.T) {
					want := expected(zone, begin, end.Add(longestOutage), c.clock, c.is)
					line.Missed, line.Jitter = policy, time.Duration(j)*10*time.Minute
					l := &life{t: t, entry: entryOf(line, state.Schedule{Upto: begin}), now: begin, latest: begin, fired: map[int64]int{}}
					l.live(rand.New(rand.NewPCG(uint64(i), uint64(j))), end)
					if l.entry.Last.Before(end.AddDate(0, 0, -8)) {
						t.Errorf("the last time was %v", l.entry.Last)
					}
					l.check(slices.DeleteFunc(want, l.entry.Last.Before), policy)
				})
			}
		}
	}
}

func (l *life) check(want []time.Time, policy string) {
	l.t.Helper()
	runs := 0
	for _, at := range want {
		n := l.fired[at.Unix()]
		delete(l.fired, at.Unix())
		if runs += n; n > 1 {
			l.t.Errorf("fired %d times for %v", n, at)
		}
		if begins := at.Add(l.entry.Delay("s", at)); n == 0 && (policy == config.MissedAll || !l.away(begins)) {
			l.t.Errorf("did not fire for %v", at)
		}
	}
	if len(l.fired) > 0 {
		l.t.Errorf("fired for %d times of its own: %v", len(l.fired), l.fired)
	}
	if runs+int(l.missed) != len(want) {
		l.t.Errorf("%d runs and %d left out, of %d", runs, l.missed, len(want))
	}
	if policy == config.MissedSkip && l.missed == 0 || policy == config.MissedAll && l.missed > 0 {
		l.t.Errorf("%d left out", l.missed)
	}
}

// TestTheLoopAcrossAChangeOfTheClock is the same with the loop itself, which looks at the clock every half minute, for the night
// of each change of each zone, and with a restart now and then.
func TestTheLoopAcrossAChangeOfTheClock(t *testing.T) {
	t.Parallel()
	for zoneName, days := range map[string][]string{
		"Europe/Berlin": {"2026-03-28", "2026-10-24"}, "America/New_York": {"2026-03-07", "2026-10-31"}, "Australia/Lord_Howe": {"2026-04-04", "2026-10-03"},
		"America/Santiago": {"2026-04-04", "2026-09-05"}, "Asia/Kolkata": {"2026-03-28"},
	} {
		for _, day := range days {
			t.Run(zoneName+" "+day, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					zone, err := time.LoadLocation(zoneName)
					if err != nil {
						t.Fatal(err)
					}
					begin, err := time.ParseInLocation(time.DateOnly, day, zone)
					if err != nil {
						t.Fatal(err)
					}
					begin = begin.Add(18 * time.Hour)
					end := begin.Add(14 * time.Hour)
					time.Sleep(time.Until(begin))
					schedule := trigger.Schedule{Sync: "s"}
					want, got := map[string]int{}, map[string]int{}
					for _, c := range yearLines {
						line, err := config.ParseSchedule(c.spec, zone)
						if err != nil {
							t.Fatal(err)
						}
						schedule.Entries = append(schedule.Entries, entryOf(line, state.Schedule{Upto: begin}))
						for _, at := range expected(zone, begin, end, c.clock, c.is) {
							want[c.spec+" "+at.UTC().Format(time.RFC3339)] = 1
						}
					}
					for time.Now().Before(end) {
						ctx, cancel := context.WithDeadline(t.Context(), earlier(end.Add(time.Second), time.Now().Add(7*time.Hour)))
						err := schedule.Run(ctx, func(_ context.Context, e trigger.Event) error {
							for i := range schedule.Entries {
								if schedule.Entries[i].Spec == e.Fired.Spec {
									schedule.Entries[i].Last = e.Fired.Upto
								}
							}
							for _, at := range e.Fired.Times {
								if !at.Equal(time.Now()) {
									t.Errorf("fired at %v for %v", time.Now(), at)
								}
								got[e.Fired.Spec+" "+at.UTC().Format(time.RFC3339)]++
							}
							return nil
						})
						cancel()
						if err != nil {
							t.Fatal(err)
						}
					}
					for at := range want {
						if got[at] != 1 {
							t.Errorf("%s: fired %d times", at, got[at])
						}
					}
					if len(got) != len(want) {
						t.Errorf("fired for %d times, want %d", len(got), len(want))
					}
				})
			})
		}
	}
}
