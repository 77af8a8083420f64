package trigger

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
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
		{"daily", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T00:00:00Z", 3, "", 3, "2026-06-01T03:00:00Z"},
		{"every five minutes", "CRON_TZ=UTC */5 * * * *", "2026-06-01T00:01:00Z", 2, "", 576, "2026-06-01T00:05:00Z"},
		{"an interval counts from the start", "@every 90m", "2026-06-01T00:00:30Z", 2, "", 31, "2026-06-01T01:30:30Z"},
		{"never run before, so nothing was missed", "CRON_TZ=UTC 0 3 * * 0", "2026-06-05T00:00:00Z", 3, "", 1, "2026-06-07T03:00:00Z"},
		{"runs missed while down are caught up once, with the latest time", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T12:00:00Z", 2, "2026-05-20T03:00:00Z", 3, "2026-06-01T03:00:00Z"},
		{"stopped after this period's run, so it does not run again", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T03:00:10Z", 2, "2026-06-01T03:00:00Z", 2, "2026-06-02T03:00:00Z"},
		{"the clock was set back by hours, so it waits until the time comes again", "CRON_TZ=UTC 0 * * * *", "2026-06-01T03:30:00Z", 2, "2026-06-01T08:00:00Z", 43, "2026-06-01T09:00:00Z"},
		{"the clock had been years ahead, so it counts from now", "CRON_TZ=UTC 0 3 * * *", "2026-06-01T00:00:00Z", 2, "2031-01-01T03:00:00Z", 2, "2026-06-01T03:00:00Z"},
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
				if !first.Fired.Times[0].Equal(moment(t, test.first)) {
					t.Errorf("first at %v, want %v", first.Fired.Times[0], test.first)
				}
				for i := range events[1:] {
					if !events[i+1].Fired.Upto.After(events[i].Fired.Upto) {
						t.Errorf("fired for %v and then for %v", events[i].Fired.Upto, events[i+1].Fired.Upto)
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
			if late := time.Since(e.Fired.Times[0]); late != 0 {
				t.Errorf("%v was %v late", e.Fired.Times[0], late)
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

// minutes returns the times that are so many minutes after midnight.
func minutes(day string, after ...int) (times []time.Time) {
	midnight, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err)
	}
	for _, m := range after {
		times = append(times, midnight.Add(time.Duration(m)*time.Minute))
	}
	return times
}

func TestDue(t *testing.T) {
	const long = 1000 * time.Hour
	tests := []struct {
		name, spec, last, now string
		missed                Missed
		grace                 time.Duration
		upto                  string // "": nothing is due
		times                 []time.Time
		left                  uint64
	}{
		{name: "never seen: nothing was missed", spec: "0 3 * * *", now: "2026-06-01T12:00:00Z"},
		{name: "a second too early", spec: "0 3 * * *", last: "2026-05-31T03:00:00Z", now: "2026-06-01T02:59:59Z"},
		{name: "on the dot", spec: "0 3 * * *", last: "2026-05-31T03:00:00Z", now: "2026-06-01T03:00:00Z",
			upto: "2026-06-01T03:00:00Z", times: minutes("2026-06-01", 180)},
		{name: "already done", spec: "0 3 * * *", last: "2026-06-01T03:00:00Z", now: "2026-06-01T12:00:00Z"},
		{name: "the clock was set back", spec: "0 3 * * *", last: "2026-06-01T03:00:00Z", now: "2026-05-31T12:00:00Z"},
		{name: "set back and forth again: not twice", spec: "0 3 * * *", last: "2026-06-01T03:00:00Z", now: "2026-06-01T03:00:01Z"},
		{name: "one was missed", spec: "0 3 * * *", last: "2026-05-31T03:00:00Z", now: "2026-06-01T12:00:00Z",
			upto: "2026-06-01T03:00:00Z", times: minutes("2026-06-01", 180)},
		{name: "several were: one run for all", spec: "0 * * * *", last: "2026-06-01T00:00:00Z", now: "2026-06-01T04:30:00Z",
			upto: "2026-06-01T04:00:00Z", times: minutes("2026-06-01", 240), left: 3},
		{name: "several were: each", spec: "0 * * * *", last: "2026-06-01T00:00:00Z", now: "2026-06-01T04:30:00Z", missed: MissedAll,
			upto: "2026-06-01T04:00:00Z", times: minutes("2026-06-01", 60, 120, 180, 240)},
		{name: "several were: none", spec: "0 * * * *", last: "2026-06-01T00:00:00Z", now: "2026-06-01T04:30:00Z", missed: MissedSkip,
			upto: "2026-06-01T04:00:00Z", left: 4},
		{name: "none, but the last one is on time", spec: "0 * * * *", last: "2026-06-01T00:00:00Z", now: "2026-06-01T04:00:59Z", missed: MissedSkip,
			upto: "2026-06-01T04:00:00Z", times: minutes("2026-06-01", 240), left: 3},
		{name: "noticed at the next look at the clock: not missed", spec: "0 3 * * *", last: "2026-05-31T03:00:00Z", now: "2026-06-01T03:00:30Z", missed: MissedSkip,
			upto: "2026-06-01T03:00:00Z", times: minutes("2026-06-01", 180)},
		{name: "too long ago", spec: "0 3 * * *", last: "2026-05-31T03:00:00Z", now: "2026-06-01T12:00:00Z", grace: time.Hour,
			upto: "2026-06-01T03:00:00Z", left: 1},
		{name: "not too long ago", spec: "0 3 * * *", last: "2026-05-30T03:00:00Z", now: "2026-06-01T03:59:00Z", grace: time.Hour,
			upto: "2026-06-01T03:00:00Z", times: minutes("2026-06-01", 180), left: 1},
		{name: "each that is not too long ago", spec: "0 * * * *", last: "2026-06-01T00:00:00Z", now: "2026-06-01T04:30:00Z", missed: MissedAll, grace: 2 * time.Hour,
			upto: "2026-06-01T04:00:00Z", times: minutes("2026-06-01", 180, 240), left: 2},
		{name: "on time in spite of a short grace", spec: "0 3 * * *", last: "2026-05-31T03:00:00Z", now: "2026-06-01T03:00:30Z", grace: time.Second,
			upto: "2026-06-01T03:00:00Z", times: minutes("2026-06-01", 180)},
		{name: "many years of yearly runs", spec: "0 3 1 1 *", last: "2019-05-31T03:00:00Z", now: "2026-06-01T12:00:00Z", grace: 10 * long,
			upto: "2026-01-01T03:00:00Z", times: minutes("2026-01-01", 180), left: 6},
		{name: "the clock jumped ahead by a year", spec: "0 3 1 1 *", last: "2026-01-01T03:00:00Z", now: "2027-06-01T00:00:00Z",
			upto: "2027-01-01T03:00:00Z", times: minutes("2027-01-01", 180)},
		{name: "a record from the year one", spec: "0 3 1 1 *", last: "0001-01-01T00:00:01Z", now: "2026-06-01T12:00:30Z",
			upto: "2026-01-01T03:00:00Z", times: minutes("2026-01-01", 180), left: 238},
		{name: "an interval keeps its phase", spec: "@every 10m", last: "2026-06-01T12:03:00Z", now: "2026-06-01T12:30:00Z",
			upto: "2026-06-01T12:23:00Z", times: minutes("2026-06-01", 12*60+23), left: 1},
		{name: "an interval is not early", spec: "@every 48h", last: "2026-06-01T00:00:00Z", now: "2026-06-02T23:59:59Z"},
		{name: "never due", spec: "0 0 31 2 *", last: "2026-06-01T00:00:00Z", now: "2026-07-01T00:00:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			next := parse(t, test.spec)
			entry := Entry{Spec: test.spec, Missed: test.missed, Grace: test.grace, Next: func(at time.Time) time.Time { calls++; return next(at) }}
			if test.last != "" {
				entry.Last = moment(t, test.last)
			}
			got, ok := entry.Due("s", moment(t, test.now))
			if ok != (test.upto != "") {
				t.Fatalf("got %+v, %v", got, ok)
			}
			if ok && (!got.Upto.Equal(moment(t, test.upto)) || got.Missed != test.left || !slices.EqualFunc(got.Times, test.times, time.Time.Equal)) {
				t.Errorf("got %+v\nwant up to %s, %v and %d left out", got, test.upto, test.times, test.left)
			}
			if calls > 5*mostCounted {
				t.Errorf("asked for %d times", calls)
			}
		})
	}
}

func TestWhatWasMissedForYearsIsBounded(t *testing.T) {
	calls := 0
	next := parse(t, "* * * * *")
	entry := Entry{Spec: "x", Missed: MissedAll, Next: func(at time.Time) time.Time { calls++; return next(at) }, Last: moment(t, "1970-01-01T00:00:00Z")}
	got, ok := entry.Due("s", moment(t, "2026-06-01T12:00:30Z"))
	if !ok || len(got.Times) != mostMissed || got.Missed < mostCounted-mostMissed || calls > 5*mostCounted {
		t.Fatalf("%d times, %d left out, asked for %d times", len(got.Times), got.Missed, calls)
	}
	for i, at := range got.Times {
		if want := moment(t, "2026-06-01T12:00:00Z").Add(time.Duration(i-mostMissed+1) * time.Minute); !at.Equal(want) {
			t.Fatalf("time %d is %v, want %v", i, at, want)
		}
	}
}

func TestDelayIsAlwaysTheSame(t *testing.T) {
	entry := Entry{Spec: "0 3 * * *", Jitter: 10 * time.Minute, Next: parse(t, "CRON_TZ=UTC 0 3 * * *")}
	delays := map[time.Duration]bool{}
	at := noon
	for range 100 {
		at = entry.Next(at)
		d := entry.Delay("s", at)
		if d < 0 || d >= entry.Jitter || d != entry.Delay("s", at.In(time.FixedZone("x", 3600))) {
			t.Fatalf("delay %v of %v", d, at)
		}
		delays[d] = true
	}
	if len(delays) < 90 {
		t.Errorf("only %d different delays in 100 days", len(delays))
	}
	other := entry
	other.Spec = "0 3 * * 1"
	if entry.Delay("s", at) == entry.Delay("t", at) || entry.Delay("s", at) == other.Delay("s", at) {
		t.Error("two syncs, or two lines, have the same delay")
	}
}

func TestADelayedRunBeginsOnceAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(moment(t, "2026-06-01T00:00:00Z")))
		entry := Entry{Spec: "x", Next: parse(t, "CRON_TZ=UTC 0 * * * *"), Jitter: 50 * time.Minute, Missed: MissedSkip}
		for restart := range 4 { // it does not matter how often the agent starts
			ctx, cancel := context.WithTimeout(t.Context(), 6*time.Hour)
			err := Schedule{Sync: "s", Entries: []Entry{entry}}.Run(ctx, func(_ context.Context, e Event) error {
				if len(e.Fired.Times) != 1 || e.Fired.Missed != 0 {
					t.Errorf("got %+v", e.Fired)
				} else if at := e.Fired.Times[0]; !at.Equal(entry.Next(entry.Last)) && !entry.Last.IsZero() || !time.Now().Equal(at.Add(entry.Delay("s", at))) {
					t.Errorf("start %d: at %v for %v after %v", restart, time.Now(), at, entry.Last)
				}
				entry.Last = e.Fired.Upto
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			cancel()
		}
		if want := moment(t, "2026-06-01T23:00:00Z"); !entry.Last.Equal(want) && !entry.Last.Equal(want.Add(time.Hour)) {
			t.Errorf("the last one was for %v", entry.Last)
		}
	})
}

func TestFollowing(t *testing.T) {
	for _, c := range []struct {
		sentence, spec, last, now, want string
		jitter                          time.Duration
	}{
		{"tomorrow", "0 3 * * *", "2026-06-01T03:00:00Z", "2026-06-01T12:00:00Z", "2026-06-02T03:00:00Z", 0},
		{"what was missed does not follow any more", "0 3 * * *", "2026-01-01T03:00:00Z", "2026-06-01T12:00:00Z", "2026-06-02T03:00:00Z", 0},
		{"a line that is new", "0 3 * * *", "", "2026-06-01T12:00:00Z", "2026-06-02T03:00:00Z", 0},
		{"an interval keeps its phase", "@every 10m", "2026-06-01T11:55:30Z", "2026-06-01T12:00:00Z", "2026-06-01T12:05:30Z", 0},
		{"recorded by a clock that was years ahead", "0 3 * * *", "2031-01-01T03:00:00Z", "2026-06-01T12:00:00Z", "2026-06-02T03:00:00Z", 0},
		{"never", "0 0 31 2 *", "2026-06-01T03:00:00Z", "2026-06-01T12:00:00Z", "", 0},
	} {
		entry := Entry{Spec: c.spec, Next: parse(t, c.spec), Jitter: c.jitter}
		if c.last != "" {
			entry.Last = moment(t, c.last)
		}
		got := entry.Following("s", moment(t, c.now))
		if c.want == "" && !got.IsZero() || c.want != "" && !got.Equal(moment(t, c.want)) {
			t.Errorf("%s: %v, want %s", c.sentence, got, c.want)
		}
	}
	// The delay counts: what is due and has not begun yet follows.
	entry := Entry{Spec: "x", Next: parse(t, "CRON_TZ=UTC 0 * * * *"), Jitter: 30 * time.Minute, Last: noon.Truncate(time.Hour).Add(-time.Hour)}
	at := noon.Truncate(time.Hour)
	begins := at.Add(entry.Delay("s", at))
	if got := entry.Following("s", begins.Add(-1)); !got.Equal(begins) {
		t.Errorf("%v, want %v", got, begins)
	}
	if got := entry.Following("s", begins); !got.After(begins) {
		t.Errorf("%v has begun", got)
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
