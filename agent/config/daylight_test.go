package config

import (
	"testing"
	"time"
)

func TestScheduleIsEvaluatedInItsZone(t *testing.T) {
	for _, c := range []struct{ sentence, zone, spec, after, want string }{
		{"three in the morning of Berlin", "Europe/Berlin", "0 3 * * *", "2026-06-01T12:00:00Z", "2026-06-02T03:00:00+02:00"},
		{"a descriptor begins at midnight of Berlin", "Europe/Berlin", " @daily ", "2026-06-01T12:00:00Z", "2026-06-02T00:00:00+02:00"},
		{"an interval has no zone", "Europe/Berlin", "@every 90s", "2026-06-01T12:00:00Z", "2026-06-01T14:01:30+02:00"},
		{"a second", "Europe/Berlin", "7 30 2 * * *", "2026-06-01T12:00:00Z", "2026-06-02T02:30:07+02:00"},
		{"leap days come", "Europe/Berlin", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00+01:00"},
		{"half past two does not exist when summer time begins: right after", "Europe/Berlin", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-29T03:00:00+02:00"},
		{"what ran right after does not run again that day", "Europe/Berlin", "30 2 * * *", "2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"},
		{"all that is left out runs at once, together", "Europe/Berlin", "*/10 2,3 * * *", "2026-03-29T03:00:00+02:00", "2026-03-29T03:10:00+02:00"},
		{"half past two happens twice when it ends: the first", "Europe/Berlin", "30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00"},
		{"and not the second", "Europe/Berlin", "30 2 * * *", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		{"asked in between", "Europe/Berlin", "30 2 * * *", "2026-10-25T01:15:00Z", "2026-10-26T02:30:00+01:00"},
		{"at the change itself, which the clock shows twice", "Europe/Berlin", "0 2 * * *", "2026-10-25T02:00:00+02:00", "2026-10-26T02:00:00+01:00"},
		{"three, which the clock shows once", "Europe/Berlin", "0 3 * * *", "2026-10-25T01:30:00Z", "2026-10-25T03:00:00+01:00"},
		{"every hour by the time that passes: spring", "Europe/Berlin", "30 * * * *", "2026-03-29T01:30:00+01:00", "2026-03-29T03:30:00+02:00"},
		{"every hour by the time that passes: autumn", "Europe/Berlin", "30 * * * *", "2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"},
		{"every two hours are not named either", "Europe/Berlin", "0 */2 * * *", "2026-03-29T00:00:00+01:00", "2026-03-29T04:00:00+02:00"},
		{"the moment of the change may be one", "Europe/Berlin", "0 * * * *", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"each hour named: what is left out and what follows are one", "Europe/Berlin", "0 0-23 * * *", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"half an hour of summer time", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00Z", "2026-10-04T02:30:00+11:00"},
		{"half an hour that comes again", "Australia/Lord_Howe", "45 1 * * *", "2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"},
		{"every hour across that", "Australia/Lord_Howe", "0 * * * *", "2026-10-04T01:00:00+10:30", "2026-10-04T03:00:00+11:00"},
		{"midnight is left out", "America/Santiago", "0 0 * * *", "2026-09-05T12:00:00Z", "2026-09-06T01:00:00-03:00"},
		{"midnight is shown twice", "Africa/Cairo", "30 23 * * *", "2026-10-29T23:30:00+03:00", "2026-10-30T23:30:00+02:00"},
		{"a day that never was", "Pacific/Apia", "0 12 * * *", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"and the day after", "Pacific/Apia", "0 12 * * *", "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"},
		{"every hour across a day that never was", "Pacific/Apia", "0 * * * *", "2011-12-29T23:00:00-10:00", "2011-12-31T00:00:00+14:00"},
		{"no changes at all", "UTC", "0 * * * *", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"},
	} {
		schedule, err := ParseSchedule(c.spec, mustZone(t, c.zone))
		if err != nil {
			t.Errorf("%s: %v", c.sentence, err)
			continue
		}
		after, err := time.Parse(time.RFC3339, c.after)
		if err != nil {
			t.Fatal(err)
		}
		if got := schedule.Next(after).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %q after %s is %s, want %s", c.sentence, c.spec, c.after, got, c.want)
		}
	}
}

// TestEveryDayOfTheClockHasItsRun goes through a year of zones that change their clocks at odd times: a line that names an hour
// runs once for each date, and one that does not never waits for longer than the time between two of its runs.
func TestEveryDayOfTheClockHasItsRun(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Casablanca", "Africa/Cairo", "UTC"} {
		zone := mustZone(t, name)
		begin, end := time.Date(2026, 1, 1, 12, 0, 0, 0, zone), time.Date(2027, 1, 1, 12, 0, 0, 0, zone)
		for _, spec := range []string{"0 0 * * *", "30 0 * * *", "15 1 * * *", "30 2 * * *", "0 3 * * *", "59 23 * * *"} {
			daily, err := ParseSchedule(spec, zone)
			if err != nil {
				t.Fatal(err)
			}
			runs := 0
			dates := map[string]bool{}
			for at := daily.Next(begin); at.Before(end); at = daily.Next(at) {
				runs++
				dates[at.Format(time.DateOnly)] = true
			}
			if days := 365; runs != days || len(dates) != days {
				t.Errorf("%s in %s: %d runs on %d dates, want one on each of %d", spec, name, runs, len(dates), days)
			}
		}
		hourly, err := ParseSchedule("*/20 * * * *", zone)
		if err != nil {
			t.Fatal(err)
		}
		for at := begin; at.Before(end); {
			next := hourly.Next(at)
			if wait := next.Sub(at); wait != 20*time.Minute && (name != "Australia/Lord_Howe" || wait > 30*time.Minute) {
				t.Errorf("every 20 minutes in %s: %v follows %v", name, next, at)
			}
			at = next
		}
	}
}
