package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// without has the server of a rig know nothing of some commands.
func (r *rig) without(verbs ...string) {
	relay := r.behind()
	relay.refuse = func(verb string) string {
		if slices.Contains(verbs, strings.ToUpper(verb)) {
			return "XNON\r\n" // which no server knows
		}
		return ""
	}
}

// listOnly are the commands of RFC 959's time: no facts, no exact times, and no way to set them.
var listOnly = []string{"FEAT", "MLSD", "MLST", "MFMT", "MDTM", "SITE", "OPTS"}

// timesOfAllKinds are those that listings tell in different units, and around the days on which clocks are set.
func timesOfAllKinds() map[string]time.Time {
	now := time.Now()
	times := map[string]time.Time{
		"an hour ago": now.Add(-time.Hour), "years ago": time.Date(2019, 3, 1, 12, 34, 56, 0, time.UTC), "in three days": now.Add(72 * time.Hour),
		"in a year": now.AddDate(1, 0, 0),
	}
	for days := 181; days < 184; days++ { // where listings change from the time of day to the year
		times[fmt.Sprintf("%d days ago", days)] = now.AddDate(0, 0, -days)
	}
	for back := range 2 {
		for _, month := range []time.Month{time.March, time.October} {
			day := time.Date(now.Year()-back, month, 31, 1, 0, 0, 0, time.UTC)
			day = day.AddDate(0, 0, -int(day.Weekday()))
			for _, near := range []time.Duration{-time.Second, time.Hour} {
				times[fmt.Sprintf("%d %s %s", day.Year(), month, near)] = day.Add(near)
			}
		}
	}
	return times
}

// TestNothingIsSentTwice: with servers that tell little of times, and that in a zone of their own, three passes without a change
// transfer nothing. Then a change shows, as far as that is possible.
func TestNothingIsSentTwice(t *testing.T) {
	for _, test := range []struct {
		what, server string
		options      ftptest.RealOptions
		without      []string
		directions   string
		unit         time.Duration // what changes within it on the server, and keeps its size, does not show
	}{
		{"LIST only, half an hour off", "vsftpd", ftptest.RealOptions{TimeZone: "XXX-5:30", LocalTime: true}, listOnly, "up both", time.Minute},
		{"LIST only, on the other side of the world", "proftpd", ftptest.RealOptions{TimeZone: "XXX9:30", LocalTime: true}, listOnly, "down both", time.Minute},
		{"LIST only, with summer time", "pure-ftpd", ftptest.RealOptions{TimeZone: "CET-1CEST,M3.5.0,M10.5.0/3"}, listOnly, "both", time.Minute},
		{"nor sizes", "pyftpdlib", ftptest.RealOptions{TimeZone: "XXX-12:45", LocalTime: true}, append([]string{"SIZE"}, listOnly...), "up down", time.Minute},
		{"LIST with exact times, in summer time", "vsftpd", ftptest.RealOptions{TimeZone: "CET-1CEST,M3.5.0,M10.5.0/3", LocalTime: true}, nil, "both", time.Hour}, // of local times, those of the other half of the year may be an hour off
		{"times cannot be set", "proftpd", ftptest.RealOptions{Deny: []string{"MFMT"}, TimeZone: "XXX-5:30"}, nil, "up both", 0},
		{"commands that are refused, not unknown", "vsftpd", ftptest.RealOptions{Deny: []string{"MDTM", "SIZE"}, TimeZone: "XXX9:30", LocalTime: true}, nil, "up down", 15 * time.Hour}, // as nobody tells the zone,
	} {
		for direction := range strings.FieldsSeq(test.directions) {
			t.Run(test.server+"/"+test.what+"/"+direction, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, test.server, test.options), direction)
				if test.without != nil {
					r.without(test.without...)
				}
				source := r.local
				if direction == "down" {
					source = r.remote
				}
				for name, at := range timesOfAllKinds() {
					fill(t, source, map[string]string{name: name})
					setTime(t, source, name, at)
				}
				first := r.mustBeInStep("the first two passes")
				if want := len(timesOfAllKinds()); first.Transferred != want {
					t.Errorf("%d were transferred, want %d: %+v", first.Transferred, want, first)
				}
				if again := r.mustBeInStep("two more"); again.Transferred+again.Adopted > 0 {
					t.Errorf("nothing has changed: %+v", again)
				}
				changesWithinTheMinute(t, r, source, test.unit)
				if direction == "both" {
					fill(t, r.local, map[string]string{"an hour ago": "another one"})
					r.mustBeInStep("sent once more, and looked at") // which is when its time gets known
					changesWithinTheMinute(t, r, r.remote, test.unit)
				}
			})
		}
	}
}

// changesWithinTheMinute changes a file without a change of its size.
func changesWithinTheMinute(t *testing.T, r *rig, source string, unit time.Duration) {
	t.Helper()
	const name = "an hour ago"
	minute := time.Now().Add(-8*time.Hour - 3*unit).Truncate(time.Minute)
	for i, at := range []time.Time{minute, minute.Add(20 * time.Second), minute.Add(3*unit + 40*time.Second)} {
		want := fmt.Sprintf("%s%d", name[:len(name)-1], i)
		fill(t, source, map[string]string{name: want})
		setTime(t, source, name, at)
		report := r.once()
		// Where coarse times are all that there is, nobody can see the second version. The third one shows.
		shows := source == r.local || i != 1 || unit == 0
		if shows != (report.Transferred == 1) || exitCode(report) != 0 {
			t.Errorf("version %d: %+v", i, report)
		}
		if here, there := tree(t, r.local)[name], tree(t, r.remote)[name]; shows && (here != want || there != want) {
			t.Errorf("version %d: %q here and %q on the server", i, here, there)
		}
	}
	if report := r.once(); report.Transferred > 0 {
		t.Errorf("at the end: %+v", report)
	}
}

// TestServersThatDoNotRename, or not over anything: files arrive all the same, once.
func TestServersThatDoNotRename(t *testing.T) {
	for _, name := range []string{"vsftpd", "pyftpdlib"} {
		for _, direction := range []string{"up", "both"} {
			if direction == "up" { // in both directions, half of a file could come back
				t.Run(name+"/not at all/"+direction, func(t *testing.T) {
					t.Parallel()
					r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction, `upload = { atomic = false }`, "moves = true")
					r.without("RNFR", "RNTO")
					threePasses(t, r)
				})
			}
			t.Run(name+"/not over anything/"+direction, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction)
				r.behind().instead = func(line string) string {
					_, name, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
					if _, err := os.Stat(filepath.Join(r.server.Root, name)); err == nil && strings.HasPrefix(line, "RNTO ") {
						return "RNTO /no such folder/file\r\n"
					}
					return ""
				}
				threePasses(t, r)
			})
		}
	}
}

func threePasses(t *testing.T, r *rig) {
	t.Helper()
	fill(t, r.local, map[string]string{"a": "a", "in/b": "bb", "in/c": "ccc"})
	r.mustBeInStep("first contact")
	r.mustBeInStep("again")
	fill(t, r.local, map[string]string{"a": "A", "in/b": "longer than before"})
	if err := os.Rename(filepath.Join(r.local, "in/c"), filepath.Join(r.local, "d")); err != nil {
		t.Fatal(err)
	}
	if report := r.mustBeInStep("changed and renamed"); report.Transferred+report.Renamed != 3 {
		t.Errorf("%+v", report)
	}
}
