package trigger

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata"

	"github.com/robfig/cron/v3"
)

func parse(t *testing.T, spec string) func(time.Time) time.Time {
	t.Helper()
	s, err := cron.ParseStandard(spec)
	if err != nil {
		t.Fatal(err)
	}
	return s.Next
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// runSchedule runs s in a bubble from start for as long as given, and returns its Events.
func runSchedule(t *testing.T, s Schedule, start time.Time, long time.Duration) []Event {
	t.Helper()
	time.Sleep(time.Until(start))
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	var events []Event
	err := s.Run(ctx, func(_ context.Context, e Event) error {
		events = append(events, e)
		return nil
	})
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	return events
}

func TestScheduleFiresExactly(t *testing.T) {
	tests := []struct {
		name  string
		spec  string
		start string
		days  int
		last  string
		want  int
		first string
	}{
		{"daily for a week", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T00:00:00Z", 7, "", 7, "2026-06-01T03:00:00Z"},
		{"every five minutes for a week", "CRON_TZ=UTC */5 * * * *", "2026-06-01T00:01:00Z", 7, "", 2016, "2026-06-01T00:05:00Z"},
		{"an interval counts from the start", "@every 90m", "2026-06-01T00:00:30Z", 2, "", 31, "2026-06-01T01:30:30Z"},
		{"never run before, so nothing was missed", "CRON_TZ=UTC 0 3 * * 0", "2026-06-01T00:00:00Z", 7, "", 1, "2026-06-07T03:00:00Z"},
		{"runs missed while down are caught up once, with the latest time", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T12:00:00Z", 2, "2026-05-20T03:00:00Z", 3, "2026-06-01T03:00:00Z"},
		{"stopped after this period's run, so it does not run again", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T03:00:10Z", 2, "2026-06-01T03:00:00Z", 2, "2026-06-02T03:00:00Z"},
		{"the clock was set back by hours, so it waits until the time comes again", "CRON_TZ=UTC 0 * * * *", "2026-06-01T03:30:00Z", 2, "2026-06-01T08:00:00Z", 43, "2026-06-01T09:00:00Z"},
		{"the clock had been years ahead, so it counts from now", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T00:00:00Z", 2, "2031-01-01T03:00:00Z", 2, "2026-06-01T03:00:00Z"},
		{"the hour that spring skips is skipped", "CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-26T00:00:00+01:00", 7, "", 6, "2026-03-26T02:30:00+01:00"},
		{"the hour that autumn repeats is due twice", "CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-22T00:00:00+02:00", 7, "", 8, "2026-10-22T02:30:00+02:00"},
		{"hourly across spring is every hour", "CRON_TZ=Europe/Berlin 0 * * * *", "2026-03-26T00:00:30+01:00", 4, "", 96, "2026-03-26T01:00:00+01:00"},
		{"a zone half an hour off", "CRON_TZ=Asia/Kolkata 0 3 * * *", "2026-06-01T00:00:00Z", 2, "", 2, "2026-06-01T21:30:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				entry := Entry{Spec: test.spec, Next: parse(t, test.spec)}
				if test.last != "" {
					entry.Last = moment(t, test.last)
				}
				start := moment(t, test.start)
				events := runSchedule(t, Schedule{Sync: "s", Entries: []Entry{entry}}, start, time.Duration(test.days)*24*time.Hour-time.Second)
				if len(events) != test.want {
					t.Fatalf("fired %d times, want %d", len(events), test.want)
				}
				first := events[0]
				if first.Sync != "s" || first.Why != "schedule "+test.spec || len(first.Paths) != 0 || first.Fired.Spec != test.spec {
					t.Errorf("got %+v", first)
				}
				if !first.Fired.At.Equal(moment(t, test.first)) {
					t.Errorf("first at %v, want %v", first.Fired.At, test.first)
				}
				for i := range events[1:] {
					if !events[i+1].Fired.At.After(events[i].Fired.At) {
						t.Errorf("fired for %v and then for %v", events[i].Fired.At, events[i+1].Fired.At)
					}
				}
			})
		})
	}
}

func TestScheduleFiresInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(moment(t, "2026-06-01T00:00:07.5Z")))
		s := Schedule{Entries: []Entry{{Spec: "x", Next: parse(t, "CRON_TZ=UTC */7 * * * *")}}}
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		err := s.Run(ctx, func(_ context.Context, e Event) error {
			if late := time.Since(e.Fired.At); late != 0 {
				t.Errorf("%v was %v late", e.Fired.At, late)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestScheduleOfSeveralEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var entries []Entry
		for _, spec := range []string{"CRON_TZ=UTC 0 3 * * *", "CRON_TZ=UTC 0 */3 * * *"} {
			entries = append(entries, Entry{Spec: spec, Next: parse(t, spec)})
		}
		count := map[string]int{}
		for _, e := range runSchedule(t, Schedule{Entries: entries}, moment(t, "2026-06-01T00:30:00Z"), 24*time.Hour) {
			count[e.Fired.Spec]++
		}
		if count[entries[0].Spec] != 1 || count[entries[1].Spec] != 8 {
			t.Errorf("got %v, want one Event per entry that is due", count)
		}
	})
}

func TestScheduleIgnoresAnEntryThatIsNeverDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		stuck := func(at time.Time) time.Time { return at }
		s := Schedule{Logger: slog.New(slog.NewTextHandler(&log, nil)), Entries: []Entry{
			{Spec: "0 0 31 2 *", Next: parse(t, "0 0 31 2 *")},
			{Spec: "hourly", Next: parse(t, "0 * * * *")},
			{Spec: "stuck", Next: stuck},
		}}
		if got := runSchedule(t, s, moment(t, "2026-06-01T00:30:00Z"), 24*time.Hour); len(got) != 24 {
			t.Errorf("fired %d times, want 24", len(got))
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("want one line for each of two entries, got:\n%s", log.String())
		}
		s.Entries = s.Entries[:1]
		began := time.Now()
		if got := runSchedule(t, s, began, time.Hour); len(got) != 0 || time.Since(began) != 0 {
			t.Errorf("with nothing left to wait for: %v after %v", got, time.Since(began))
		}
	})
}

func TestScheduleLooksAtTheClockEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var looks []time.Time
		yearly := func(at time.Time) time.Time {
			if now := time.Now(); len(looks) == 0 || !looks[len(looks)-1].Equal(now) {
				looks = append(looks, now)
			}
			return time.Date(at.Year()+1, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		runSchedule(t, Schedule{Entries: []Entry{{Next: yearly}}}, moment(t, "2026-06-01T00:00:00Z"), time.Hour)
		if len(looks) < 120 {
			t.Errorf("looked %d times in an hour", len(looks))
		}
	})
}

func TestScheduleMakesUpForABusyReceiverOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(moment(t, "2026-06-01T00:30:00Z")))
		s := Schedule{Entries: []Entry{{Spec: "hourly", Next: parse(t, "CRON_TZ=UTC 0 * * * *")}}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Hour)
		defer cancel()
		var hours []int
		err := s.Run(ctx, func(context.Context, Event) error {
			hours = append(hours, time.Now().UTC().Hour())
			if len(hours) == 1 {
				time.Sleep(5*time.Hour + time.Minute)
			}
			return nil
		})
		if err != nil || len(hours) != 6 || hours[1] != 6 || hours[2] != 7 {
			t.Errorf("fired at %v (%v), want 1, once for 2 to 6, 7, 8, 9, 10", hours, err)
		}
	})
}

func TestMissed(t *testing.T) {
	tests := []struct {
		name, spec, last, now, want string
	}{
		{"never run: nothing missed", "0 3 * * *", "", "2026-06-01T12:00:00Z", ""},
		{"one missed", "0 3 * * *", "2026-05-31T03:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T03:00:00Z"},
		{"many missed: the latest", "0 3 * * *", "2019-05-31T03:00:00Z", "2026-06-01T12:00:00Z", "2026-06-01T03:00:00Z"},
		{"a second too early", "0 3 * * *", "2026-05-31T03:00:00Z", "2026-06-01T02:59:59Z", ""},
		{"on the dot", "0 3 * * *", "2026-05-31T03:00:00Z", "2026-06-01T03:00:00Z", "2026-06-01T03:00:00Z"},
		{"already done", "0 3 * * *", "2026-06-01T03:00:00Z", "2026-06-01T12:00:00Z", ""},
		{"the clock was set back", "0 3 * * *", "2026-06-01T03:00:00Z", "2026-05-31T12:00:00Z", ""},
		{"set back and forth again: not twice", "0 3 * * *", "2026-06-01T03:00:00Z", "2026-06-01T03:00:01Z", ""},
		{"the clock jumped ahead by a year", "0 3 1 1 *", "2026-01-01T03:00:00Z", "2027-06-01T00:00:00Z", "2027-01-01T03:00:00Z"},
		{"every minute since 1970", "* * * * *", "1970-01-01T00:00:00Z", "2026-06-01T12:00:30Z", "2026-06-01T12:00:00Z"},
		{"a record from the year one", "0 3 1 1 *", "0001-01-01T00:00:01Z", "2026-06-01T12:00:30Z", "2026-01-01T03:00:00Z"},
		{"an interval keeps its phase", "@every 10m", "2026-06-01T12:03:00Z", "2026-06-01T12:30:00Z", "2026-06-01T12:23:00Z"},
		{"an interval is not early", "@every 48h", "2026-06-01T00:00:00Z", "2026-06-02T23:59:59Z", ""},
		{"never due", "0 0 31 2 *", "2026-06-01T00:00:00Z", "2026-07-01T00:00:00Z", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var last time.Time
			if test.last != "" {
				last = moment(t, test.last)
			}
			next, calls := parse(t, test.spec), 0
			counted := func(at time.Time) time.Time { calls++; return next(at) }
			got, ok := Missed(counted, last, moment(t, test.now))
			if ok != (test.want != "") || ok && !got.Equal(moment(t, test.want)) {
				t.Errorf("got %v, %v, want %q", got, ok, test.want)
			}
			if calls > 200 {
				t.Errorf("asked for %d times", calls)
			}
		})
	}
}

func TestBase(t *testing.T) {
	tests := []struct {
		name       string
		last, want time.Time
	}{
		{"the past counts", noon.Add(-time.Hour), noon.Add(-time.Hour)},
		{"a little ahead is a clock set back, and counts", noon.Add(23 * time.Hour), noon.Add(23 * time.Hour)},
		{"far ahead was a wrong clock", noon.Add(25 * time.Hour), noon},
	}
	for _, test := range tests {
		if got := base(test.last, noon); !got.Equal(test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestRunTellsARefusalFromBeingStopped(t *testing.T) {
	refused := errors.New("refused")
	triggers := map[string]Trigger{
		"start":    Start{},
		"rescan":   Rescan{Every: time.Nanosecond, Random: rand.Float64},
		"poll":     Poll{Next: func(now time.Time) (time.Time, error) { return now, nil }},
		"schedule": Schedule{Entries: []Entry{{Next: parse(t, "* * * * *"), Last: noon.Add(-1000 * time.Hour)}}},
	}
	for name, trigger := range triggers {
		if err := trigger.Run(t.Context(), func(context.Context, Event) error { return refused }); !errors.Is(err, refused) {
			t.Errorf("%s, refused: got %v", name, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		err := trigger.Run(ctx, func(ctx context.Context, _ Event) error { cancel(); return ctx.Err() })
		if err != nil {
			t.Errorf("%s, stopped: got %v", name, err)
		}
	}
}
