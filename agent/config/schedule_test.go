package config

import (
	"strings"
	"testing"
	"time"
)

func mustZone(t *testing.T, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func TestBadSchedules(t *testing.T) {
	const forms = `; write five fields (minute, hour, day of month, month, day of week with Sunday as 0), @daily or "@every 1h"`
	for spec, want := range map[string]string{
		"":                              `an empty schedule: write a cron line such as "0 3 * * *"`,
		"  ":                            `an empty schedule: write a cron line such as "0 3 * * *"`,
		"TZ=UTC":                        `"TZ=UTC": a zone in front of a schedule is not supported; use time_zone`,
		"CRON_TZ=UTC":                   `"CRON_TZ=UTC": a zone in front of a schedule is not supported; use time_zone`,
		"TZ=UTC 0 3 * * *":              `"TZ=UTC 0 3 * * *": a zone in front of a schedule is not supported; use time_zone`,
		"0 0 31 2 *":                    `"0 0 31 2 *" never fires: there is no such date`,
		"0 0 0 30 2 *":                  `"0 0 0 30 2 *" never fires: there is no such date`,
		", * * * *":                     `", * * * *": nothing stands beside a comma in the field of the minute`,
		"0 1, * * *":                    `"0 1, * * *": nothing stands beside a comma in the field of the hour`,
		"*/90 * * * *":                  `"*/90 * * * *": a step of 90 in the field of the minute, which has 60 values, is none: write a smaller one, or two fields`,
		"0 1/9223372036854775807 * * *": `"0 1/9223372036854775807 * * *": a step of 9223372036854775807 in the field of the hour, which has 24 values, is none: write a smaller one, or two fields`,
		"0 0 * * */8":                   `"0 0 * * */8": a step of 8 in the field of the day of week, which has 7 values, is none: write a smaller one, or two fields`,
		"*-5 * * * *":                   `"*-5 * * * *": "*-5" is all values already: write two numbers, such as "1-5", in the field of the minute`,
		"@every 59s":                    `"@every 59s" is too often: the shortest interval is 1m; watch = true is there for less`,
		"@every 500ms":                  `"@every 500ms" is too often: the shortest interval is 1m; watch = true is there for less`,
		"@every 0s":                     `"@every 0s" is too often: the shortest interval is 1m; watch = true is there for less`,
		"@every -5m":                    `"@every -5m" is too often: the shortest interval is 1m; watch = true is there for less`,
		"@every 90.5s":                  `"@every 90.5s": an interval is in whole seconds`,
		"@every 1d":                     `"@every 1d" is not a schedule: failed to parse duration @every 1d: time: unknown unit "d" in duration "1d"` + forms,
		"*/30 * * * * *":                `"*/30 * * * * *" is too often: the shortest interval is 1m; watch = true is there for less`,
		"0,20 0 3 1 1 *":                `"0,20 0 3 1 1 *" is too often: the shortest interval is 1m; watch = true is there for less`,
		"0 3 * * 7":                     `"0 3 * * 7" is not a schedule: end of range (7) above maximum (6): 7` + forms,
		"60 3 * * *":                    `"60 3 * * *" is not a schedule: end of range (60) above maximum (59): 60` + forms,
		"0 0 0 3 * * *":                 `"0 0 0 3 * * *" is not a schedule: expected 5 to 6 fields, found 7: [0 0 0 3 * * *]` + forms,
		"@reboot":                       `"@reboot" is not a schedule: unrecognized descriptor: @reboot` + forms,
	} {
		if _, err := ParseSchedule(spec, time.UTC); err == nil || err.Error() != want {
			t.Errorf("ParseSchedule(%q):\n got %v\nwant %s", spec, err, want)
		}
	}
}

// scheduleTable: what schedule may say, and exactly what Load says about it; "" is nothing.
var scheduleTable = []struct{ sentence, schedule, want string }{
	{"a line", `"0 3 * * *"`, ""},
	{"a table", `{ cron = "0 3 * * *" }`, ""},
	{"a list of both", `["0 3 * * *", { cron = "0 4 * * *" }]`, ""},
	{"a list over several lines", "[\n{ cron = \"0 3 * * *\" },\n{ cron = \"0 4 * * *\" },\n]", ""},
	{"a field for seconds", `"30 0 3 * * *"`, ""},
	{"one time in two zones", `["0 3 * * *", { cron = "0 3 * * *", time_zone = "Asia/Tokyo" }]`, ""},
	{"one time for two things", `["0 3 * * *", { cron = "0 3 * * *", do = "verify" }]`, ""},
	{"one time twice", `["0 3 * * *", { cron = "0 3 * * *", jitter = "1m" }]`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *" is in the list twice: keep one of them`},
	{"a number", `3`,
		`agent.toml:8: sync.web.schedule: must be a cron line such as "0 3 * * *", a table such as { cron = "0 3 * * *", do = "verify" }, or a list of such, not a whole number`},
	{"a table without a line", `{ do = "verify" }`,
		`agent.toml:8: sync.web.schedule: a table without its line: write { cron = "0 3 * * *" } and what else there is to say`},
	{"a key that is nearly known", `{ cron = "0 3 * * *", jiter = "1m" }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": unknown key "jiter" (did you mean "jitter"?)`},
	{"a key that is not known", `{ cron = "0 3 * * *", whatever = 1 }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": unknown key "whatever" (known here: cron, do, time_zone, missed, grace, overlap, jitter)`},
	{"a word that is not known", `{ cron = "0 3 * * *", overlap = "kill" }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": overlap = "kill" is not known: write "skip", "queue-one" or "cancel-old"`},
	{"no word", `{ cron = "0 3 * * *", do = true }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": do must be a string in quotes, not true or false`},
	{"a duration without its unit", `{ cron = "0 3 * * *", jitter = 30 }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": jitter 30 has no unit: write "30s" if seconds are meant`},
	{"a duration of nothing", `{ cron = "0 3 * * *", grace = "0s" }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": grace is not more than zero: leave it out, or write one such as "30s"`},
	{"a grace for nothing", `{ cron = "0 3 * * *", missed = "skip", grace = "1h" }`,
		`agent.toml:8: sync.web.schedule: "0 3 * * *": grace has no meaning with missed = "skip", which makes up for nothing: remove one of them`},
	{"a jitter beyond the next run", `{ cron = "*/10 * * * *", jitter = "10m" }`,
		`agent.toml:8: sync.web.schedule: "*/10 * * * *": jitter is 10m0s, and the next run may be due after 10m0s: write a shorter one`},
	{"a zone that is not known", `{ cron = "0 3 * * *", time_zone = "Lisbon" }`,
		`agent.toml:8: sync.web.schedule.time_zone: "Lisbon" is not known: write an IANA name such as "Europe/Lisbon" or "UTC"`},
	{"a line that never fires", `["0 3 * * *", { cron = "0 0 31 2 *" }]`,
		`agent.toml:8: sync.web.schedule: "0 0 31 2 *" never fires: there is no such date`},
}

func TestScheduleForms(t *testing.T) {
	for _, c := range scheduleTable {
		t.Run(c.sentence, func(t *testing.T) {
			text := server + sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"up\"\nschedule = "+c.schedule+"\n")
			if c.want == "" {
				mustLoad(t, text, nil)
				return
			}
			_, err := load(t, text, nil)
			expectProblems(t, err, c.want)
		})
	}
}

func TestEveryWordOfAScheduleArrives(t *testing.T) {
	cfg := mustLoad(t, server+sync("web", `local = "."
remote = "r"
direction = "up"
time_zone = "Europe/Lisbon"
schedule = [
  "*/5 * * * *",
  { cron = "0 3 * * *", do = "verify", time_zone = "Asia/Tokyo", missed = "all", grace = "1d", overlap = "cancel-old", jitter = "90s" },
]
`), nil)
	schedules := cfg.Syncs["web"].Schedules
	if len(schedules) != 2 {
		t.Fatalf("got %+v", schedules)
	}
	for i, want := range []Schedule{
		{Name: "*/5 * * * *", Spec: "*/5 * * * *", Zone: mustZone(t, "Europe/Lisbon"), Do: DoSync, Missed: MissedOnce, Overlap: OverlapSkip},
		{Name: "verify 0 3 * * * Asia/Tokyo", Spec: "0 3 * * *", Zone: mustZone(t, "Asia/Tokyo"), FollowsClock: true,
			Do: DoVerify, Missed: MissedAll, Grace: day, Overlap: OverlapCancel, Jitter: 90 * time.Second},
	} {
		got := schedules[i]
		if got.Zone.String() != want.Zone.String() || got.Cron == nil {
			t.Errorf("%s: got zone %v, cron %v", want.Name, got.Zone, got.Cron)
		}
		got.Cron, got.Zone, want.Zone = nil, nil, nil
		if got != want {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
	}
}

func TestSchedulesThatDoLittle(t *testing.T) {
	cfg := mustLoad(t, server+sync("web", `local = "."
remote = "r"
direction = "up"
schedule = [{ cron = "@daily", do = "purge" }, { cron = "@daily", do = "scan" }]
`), nil)
	expectProblems(t, &Error{cfg.Warnings}, `agent.toml:3: sync.web: has no watch, and no schedule that does "sync": files go only by "ftpferry once web"
agent.toml:8: sync.web.schedule: "purge @daily": there is no trash to empty without delete = "trash": only the history is trimmed`)
}

func FuzzParseSchedule(f *testing.F) {
	for _, seed := range []string{"0 3 * * *", "*/5 1-7,9 ? jan-dec sun", "@every 1h30m", "@daily", "TZ=UTC", "CRON_TZ=UTC ", "0 0 31 2 *", "* * * * 1/9223372036854775807",
		"30 */5 2 * * *", "30 0-59/9 0,2,4 * * 1-5", "*,1 * * * *"} {
		f.Add(seed)
	}
	zone, err := time.LoadLocation("Australia/Lord_Howe")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 13, 25, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, spec string) {
		schedule, err := ParseSchedule(spec, zone)
		if err != nil {
			return
		}
		at := now
		for range 3 {
			next := schedule.Next(at)
			if !next.After(at) || strings.TrimSpace(spec) != schedule.Spec {
				t.Fatalf("%q after %v is %v", schedule.Spec, at, next)
			}
			at = next
		}
	})
}
