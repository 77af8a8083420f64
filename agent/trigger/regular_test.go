package trigger

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// came is an Event and when it came.
type came struct {
	after time.Duration
	Event Event
}

// during runs a trigger for some time of a bubble. busy is how long the receiver takes for each Event.
func during(t *testing.T, run, busy time.Duration, trigger Trigger) (events []came) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), run)
	defer cancel()
	began := time.Now()
	err := trigger.Run(ctx, func(_ context.Context, e Event) error {
		events = append(events, came{time.Since(began), e})
		time.Sleep(busy)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return events
}

func TestStartAsksForEverythingOnceAfterItsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, local := range []bool{false, true} {
			got := during(t, time.Hour, 0, Start{Sync: "s", After: 3 * time.Second, Local: local})
			if len(got) != 1 || got[0].after != 3*time.Second {
				t.Fatalf("got %+v", got)
			}
			if e := got[0].Event; e.Sync != "s" || e.Why != "start" || len(e.Paths) != 0 || e.Local != local || e.Regular {
				t.Errorf("got %+v", e)
			}
		}
		if got := during(t, time.Second, 0, Start{Sync: "s", After: time.Minute}); len(got) > 0 {
			t.Errorf("stopped before its time: got %+v", got)
		}
	})
}

func TestSpread(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 0, 2: time.Second, 30: 29 * time.Second, 50: 49 * 600 * time.Millisecond} {
		after := Spread(n)
		if len(after) != n || after[0] != 0 || after[n-1] != want || !slices.IsSorted(after) {
			t.Errorf("%d syncs: %v", n, after)
		}
	}
	if got := Spread(0); len(got) > 0 {
		t.Errorf("no sync: %v", got)
	}
}

func TestRescanComesGiveOrTakeATenth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := during(t, 1000*time.Hour, 7*time.Second, Rescan{Sync: "s", Every: time.Hour, Random: rand.Float64})
		last, different := time.Duration(0), map[time.Duration]bool{}
		for i, c := range got {
			if e := c.Event; e.Sync != "s" || e.Why != "rescan" || !e.Local || !e.Regular || len(e.Paths) != 0 {
				t.Fatalf("got %+v", e)
			}
			wait := c.after - last
			if i > 0 {
				wait -= 7 * time.Second
			}
			if wait < 54*time.Minute || wait > 66*time.Minute {
				t.Errorf("waited %s", wait)
			}
			last, different[wait] = c.after, true
		}
		if len(got) < 900 || len(different) < 900 {
			t.Errorf("%d looks, %d different waits", len(got), len(different))
		}
	})
}

func TestTheTimeThatPassesWhileTheMachineSleepsCounts(t *testing.T) {
	began := time.Now()
	slept := began.Round(0).Add(8 * time.Hour) // only the clock on the wall
	for sentence, row := range map[string]struct {
		now  time.Time
		want time.Duration
	}{
		"as long as both clocks say":    {began.Add(time.Minute), time.Minute},
		"the machine was asleep":        {slept, 8 * time.Hour},
		"the clock on the wall is back": {began.Add(time.Minute), time.Minute},
	} {
		if got := elapsed(began, row.now); got != row.want {
			t.Errorf("%s: %s, want %s", sentence, got, row.want)
		}
	}
}

func TestPollDelay(t *testing.T) {
	for _, row := range []struct {
		sentence  string
		every     time.Duration
		unchanged int
		want      time.Duration
	}{
		{"something has changed", 5 * time.Minute, 0, 5 * time.Minute},
		{"a few looks prove nothing", 5 * time.Minute, 3, 5 * time.Minute},
		{"nothing has changed for some looks", 5 * time.Minute, 4, 10 * time.Minute},
		{"for more of them", 5 * time.Minute, 8, 20 * time.Minute},
		{"for long", 5 * time.Minute, 12, 40 * time.Minute},
		{"for ever", 5 * time.Minute, 1 << 40, 40 * time.Minute},
		{"an hour is enough", 20 * time.Minute, 1000, time.Hour},
		{"what is longer by itself stays so", 3 * time.Hour, 1000, 3 * time.Hour},
		{"the longest that can be written", 1<<63 - 1, 1000, 1<<63 - 1},
		{"no number of looks", time.Minute, -1, time.Minute},
	} {
		if got := PollDelay(row.every, row.unchanged, 0.5); got != row.want {
			t.Errorf("%s: %s, want %s", row.sentence, got, row.want)
		}
	}
	for range 1000 {
		got := PollDelay(time.Minute, 12, rand.Float64())
		if least := PollDelay(time.Minute, 0, rand.Float64()); got < 432*time.Second || got > 528*time.Second || least < time.Minute || least > 66*time.Second {
			t.Fatalf("%s, %s", got, least)
		}
	}
}

// TestPollAsksWhenItIsTime: as Next says, but neither at the beginning, where something else looks, nor before a poll can have
// brought Next forward.
func TestPollAsksWhenItIsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for sentence, row := range map[string]struct {
			next time.Duration // after the beginning
			want []time.Duration
		}{
			"it was time long ago":           {-time.Hour, []time.Duration{70 * time.Second, 130 * time.Second, 190 * time.Second}},
			"it is time later":               {150 * time.Second, []time.Duration{150 * time.Second, 210 * time.Second}},
			"it is not time while this runs": {time.Hour, nil},
		} {
			next := time.Now().Add(row.next)
			var at []time.Duration
			for _, c := range during(t, 220*time.Second, 0, Poll{Sync: "s", After: 10 * time.Second, Every: time.Minute, Next: func(time.Time) (time.Time, error) {
				return next, nil
			}}) {
				if e := c.Event; e.Sync != "s" || e.Why != "poll" || e.Local || !e.Regular || len(e.Paths) != 0 {
					t.Errorf("got %+v", e)
				}
				at = append(at, c.after)
			}
			if !slices.Equal(at, row.want) {
				t.Errorf("%s: polled at %v, want %v", sentence, at, row.want)
			}
		}
		broken := errors.New("broken")
		err := Poll{Every: time.Minute, Next: func(time.Time) (time.Time, error) { return time.Time{}, broken }}.Run(t.Context(), nil)
		if !errors.Is(err, broken) {
			t.Errorf("the state cannot be read: %v", err)
		}
	})
}
