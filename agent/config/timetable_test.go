package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimetables(t *testing.T) {
	for text, want := range map[string]Timetable{
		"":                        nil,
		"off":                     nil,
		"512KiB":                  {{0, 512 << 10}},
		" 1MB ":                   {{0, 1e6}},
		"08:00,512KiB 19:00,off":  {{8 * time.Hour, 512 << 10}, {19 * time.Hour, 0}},
		"19:30,off  8:00,512 KiB": nil, // no space in a rate: refused
		"23:59,off 00:00,1GiB":    {{0, 1 << 30}, {24*time.Hour - time.Minute, 0}},
	} {
		got, err := ParseTimetable(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil != (text == "19:30,off  8:00,512 KiB") {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
	}
	for text, want := range map[string]string{
		"fast":               `"fast" is not a rate: write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"512":                `"512" is not a rate: write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"0KiB":               `"0KiB" would let nothing through; no limit is "off": write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"512KiB/s":           `"512KiB/s" is per second as it is, without /s: write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"08:00,":             `"" is not a rate: write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"24:00,off":          `"24:00" is not a time of day such as 08:00 or 23:59: write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"8:00,off 9:00":      `"9:00" is not TIME,RATE: write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`,
		"8:00,off 08:00,1KB": `08:00 is in it twice: keep one of them`,
	} {
		if got, err := ParseTimetable(text); err == nil || err.Error() != want || got != nil {
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

// berlin has summer time in 2026 from 29 March, 2:00, to 25 October, 3:00.
func berlin(t *testing.T) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	if text == "" {
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestTheRateOfTheMoment(t *testing.T) {
	zone := berlin(t)
	for _, c := range []struct {
		sentence, table, now string
		rate                 int64
		until                string
	}{
		{"no table", "", "2026-11-23T12:00:00+01:00", 0, ""},
		{"one rate for ever", "1KiB", "2026-11-23T12:00:00+01:00", 1 << 10, ""},
		{"the same rate twice is one for ever", "8:00,1KiB 9:00,1KiB", "2026-11-23T12:00:00+01:00", 1 << 10, ""},
		{"before the first time that of yesterday holds", "8:00,1KiB 19:00,off", "2026-11-23T07:59:59.5+01:00", 0, "2026-11-23T08:00:00+01:00"},
		{"at the time it begins", "8:00,1KiB 19:00,off", "2026-11-23T08:00:00+01:00", 1 << 10, "2026-11-23T19:00:00+01:00"},
		{"after the last one until tomorrow", "8:00,1KiB 19:00,off", "2026-11-23T19:00:00+01:00", 0, "2026-11-24T08:00:00+01:00"},
		{"what does not change is passed over", "8:00,1KiB 12:00,1KiB 19:00,off", "2026-11-23T09:00:00+01:00", 1 << 10, "2026-11-23T19:00:00+01:00"},
		{"a time in the hour that is left out has begun with the next", "2:30,1KiB 19:00,off", "2026-03-29T01:59:00+01:00", 0, "2026-03-29T03:00:00+02:00"},
		{"and holds then", "2:30,1KiB 19:00,off", "2026-03-29T03:00:00+02:00", 1 << 10, "2026-03-29T19:00:00+02:00"},
		{"both in the hour that is left out", "2:10,1KiB 2:50,off", "2026-03-29T01:59:00+01:00", 0, "2026-03-30T02:10:00+02:00"},
		{"the day is an hour shorter", "8:00,1KiB 19:00,off", "2026-03-28T20:00:00+01:00", 0, "2026-03-29T08:00:00+02:00"},
		{"and longer", "8:00,1KiB 19:00,off", "2026-10-24T20:00:00+02:00", 0, "2026-10-25T08:00:00+01:00"},
		{"a time in the hour that comes twice begins", "2:30,1KiB 19:00,off", "2026-10-25T02:00:00+02:00", 0, "2026-10-25T02:30:00+02:00"},
		{"ends when the clock goes back before it", "2:30,1KiB 19:00,off", "2026-10-25T02:30:00+02:00", 1 << 10, "2026-10-25T02:00:00+01:00"},
		{"and begins again", "2:30,1KiB 19:00,off", "2026-10-25T02:00:00+01:00", 0, "2026-10-25T02:30:00+01:00"},
	} {
		table, err := ParseTimetable(c.table)
		if err != nil {
			t.Fatal(err)
		}
		rate, until := table.At(moment(t, c.now).In(zone))
		if want := moment(t, c.until); rate != c.rate || !until.Equal(want) || until.IsZero() != want.IsZero() {
			t.Errorf("%s: %d until %v, want %d until %v", c.sentence, rate, until, c.rate, want)
		}
	}
}

func TestWhatTheWindowsAllow(t *testing.T) {
	zone := berlin(t)
	for _, c := range []struct {
		sentence string
		windows  []string
		now      string
		allowed  bool
		until    string
	}{
		{"no windows are always open", nil, "2026-11-23T12:00:00+01:00", true, ""},
		{"a whole day is always open", []string{"00:00-24:00"}, "2026-11-23T12:00:00+01:00", true, ""},
		{"before it", []string{"9:00-17:00"}, "2026-11-23T08:00:00+01:00", false, "2026-11-23T09:00:00+01:00"},
		{"its begin is in it", []string{"9:00-17:00"}, "2026-11-23T09:00:00+01:00", true, "2026-11-23T17:00:00+01:00"},
		{"its end is not", []string{"9:00-17:00"}, "2026-11-23T17:00:00+01:00", false, "2026-11-24T09:00:00+01:00"},
		{"past midnight, in the evening", []string{"22:00-06:00"}, "2026-11-23T23:00:00+01:00", true, "2026-11-24T06:00:00+01:00"},
		{"past midnight, in the morning", []string{"22:00-06:00"}, "2026-11-24T05:59:59+01:00", true, "2026-11-24T06:00:00+01:00"},
		{"past midnight, at noon", []string{"22:00-06:00"}, "2026-11-24T12:00:00+01:00", false, "2026-11-24T22:00:00+01:00"},
		{"two that meet are one", []string{"20:00-24:00", "00:00-4:00"}, "2026-11-23T21:00:00+01:00", true, "2026-11-24T04:00:00+01:00"},
		{"two that leave no gap", []string{"6:00-18:00", "17:00-7:00"}, "2026-11-23T21:00:00+01:00", true, ""},
		{"the clock on the wall counts, not that of the caller", []string{"9:00-17:00"}, "2026-11-23T09:30:00+05:00", false, "2026-11-23T09:00:00+01:00"},
		{"all of it is in the hour that is left out", []string{"2:10-2:50"}, "2026-03-29T01:00:00+01:00", false, "2026-03-30T02:10:00+02:00"},
		{"half of it is", []string{"2:30-3:30"}, "2026-03-29T01:00:00+01:00", false, "2026-03-29T03:00:00+02:00"},
		{"it comes twice", []string{"2:10-2:50"}, "2026-10-25T02:50:00+02:00", false, "2026-10-25T02:10:00+01:00"},
	} {
		var windows []Window
		for _, text := range c.windows {
			window, err := ParseWindow(text, zone)
			if err != nil {
				t.Fatal(err)
			}
			windows = append(windows, window)
		}
		yes, until := Allowed(windows, moment(t, c.now))
		if want := moment(t, c.until); yes != c.allowed || !until.Equal(want) || until.IsZero() != want.IsZero() {
			t.Errorf("%s: %v until %v, want %v until %v", c.sentence, yes, until, c.allowed, want)
		}
	}
}

// checkUntil walks the minutes up to the change that was announced, where the zone has its changes at full minutes.
func checkUntil(t *testing.T, what string, now, until time.Time, same func(time.Time) bool) {
	t.Helper()
	if !until.IsZero() && (!until.After(now) || same(until)) {
		t.Errorf("%s: nothing changes at %v, announced at %v", what, until, now)
	}
	end := now.Add(26 * time.Hour)
	for at := now.Truncate(time.Minute).Add(time.Minute); at.Before(end); at = at.Add(time.Minute) {
		if !until.IsZero() && !at.Before(until) {
			return
		}
		if !same(at) {
			t.Fatalf("%s: changes at %v, announced at %v was %v", what, at, now, until)
		}
	}
}

func FuzzTimetable(f *testing.F) {
	f.Add("08:00,512KiB 19:00,off", int64(1774746000)) // the day that summer time begins
	f.Add("2:10,1KiB 2:50,off", int64(1792890000))     // and ends
	f.Add("1MB", int64(0))
	f.Add("23:59,1B 00:00,2B", int64(-1<<33))
	f.Fuzz(func(t *testing.T, text string, seconds int64) {
		table, err := ParseTimetable(text)
		if err != nil || len(table) > 20 {
			return
		}
		now := time.Unix(seconds%(1<<33), 0).In(berlin(t))
		rate, until := table.At(now)
		if rate < 0 {
			t.Errorf("%q: %d", text, rate)
		}
		checkUntil(t, text, now, until, func(at time.Time) bool { other, _ := table.At(at); return other == rate })
	})
}

func FuzzWindow(f *testing.F) {
	f.Add("22:00-06:00", "00:00-24:00", int64(1774746000))
	f.Add("2:10-2:50", "2:30-1:00", int64(1792890000))
	f.Add("24:00-24:00", "0:0-1:00", int64(0))
	f.Fuzz(func(t *testing.T, first, second string, seconds int64) {
		var windows []Window
		for _, text := range []string{first, second} {
			if window, err := ParseWindow(text, berlin(t)); err == nil {
				windows = append(windows, window)
			}
		}
		now := time.Unix(seconds%(1<<33), 0)
		yes, until := Allowed(windows, now)
		if len(windows) == 0 && !yes {
			t.Error("no windows, and nothing is allowed")
		}
		checkUntil(t, first+" "+second, now, until, func(at time.Time) bool { other, _ := Allowed(windows, at); return other == yes })
	})
}
