package config

import (
	"strings"
	"testing"
	"time"
)

func TestScheduleIsEvaluatedInItsZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ sentence, spec, after, want string }{
		{"three in the morning of Berlin", "0 3 * * *", "2026-06-01T12:00:00Z", "2026-06-02T03:00:00+02:00"},
		{"a descriptor begins at midnight of Berlin", " @daily ", "2026-06-01T12:00:00Z", "2026-06-02T00:00:00+02:00"},
		{"an interval has no zone", "@every 90s", "2026-06-01T12:00:00Z", "2026-06-01T14:01:30+02:00"},
		{"half past two does not exist when summer time begins", "30 2 * * *", "2026-03-28T12:00:00Z", "2026-03-30T02:30:00+02:00"},
		{"half past two happens a second time when it ends", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-25T02:30:00+01:00"},
		{"leap days come", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00+01:00"},
	} {
		schedule, err := ParseSchedule(c.spec, berlin)
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

func TestBadSchedules(t *testing.T) {
	const forms = `; write five fields (minute, hour, day of month, month, day of week with Sunday as 0), @daily or "@every 1h"`
	for spec, want := range map[string]string{
		"":                 `an empty schedule: write a cron line such as "0 3 * * *"`,
		"  ":               `an empty schedule: write a cron line such as "0 3 * * *"`,
		"TZ=UTC":           `"TZ=UTC": a zone in front of a schedule is not supported; use time_zone`,
		"CRON_TZ=UTC":      `"CRON_TZ=UTC": a zone in front of a schedule is not supported; use time_zone`,
		"TZ=UTC 0 3 * * *": `"TZ=UTC 0 3 * * *": a zone in front of a schedule is not supported; use time_zone`,
		"0 0 31 2 *":       `"0 0 31 2 *" never fires: there is no such date`,
		", * * * *":        `", * * * *" never fires: there is no such date`,
		"@every 59s":       `"@every 59s" is too often: the shortest interval is 1m; watch = true is there for less`,
		"@every -5m":       `"@every -5m" is too often: the shortest interval is 1m; watch = true is there for less`,
		"@every 1d":        `"@every 1d" is not a schedule: failed to parse duration @every 1d: time: unknown unit "d" in duration "1d"` + forms,
		"0 3 * * 7":        `"0 3 * * 7" is not a schedule: end of range (7) above maximum (6): 7` + forms,
		"0 0 3 * * *":      `"0 0 3 * * *" is not a schedule: expected exactly 5 fields, found 6: [0 0 3 * * *]` + forms,
		"@reboot":          `"@reboot" is not a schedule: unrecognized descriptor: @reboot` + forms,
	} {
		if _, err := ParseSchedule(spec, time.UTC); err == nil || err.Error() != want {
			t.Errorf("ParseSchedule(%q):\n got %v\nwant %s", spec, err, want)
		}
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, seed := range []string{"0 3 * * *", "*/5 1-7,9 ? jan-dec sun", "@every 1h30m", "@daily", "TZ=UTC", "CRON_TZ=UTC ", "0 0 31 2 *", "* * * * 1/9223372036854775807"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 22, 13, 25, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		schedule, err := ParseSchedule(spec, time.UTC)
		if err != nil {
			return
		}
		if next := schedule.Next(now); !next.After(now) || strings.TrimSpace(spec) != schedule.Spec {
			t.Errorf("%q after %v is %v", schedule.Spec, now, next)
		}
	})
}
