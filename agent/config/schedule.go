package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones by name also where the system has no database: Windows, small containers

	"github.com/robfig/cron/v3"
)

// minEvery is the shortest time between two runs. A pass looks at the whole tree, so more often is a job for watch.
const minEvery = time.Minute

// What a schedule does when its time has come.
const (
	DoSync   = "sync"   // compares both sides in full, and does what follows
	DoScan   = "scan"   // compares them, and does nothing about it
	DoVerify = "verify" // compares what the files hold, and does nothing about it
	DoPurge  = "purge"  // empties the trash of what is old enough, and the history
)

// What a schedule does about times at which the agent was not there, or not awake.
const (
	MissedOnce = "run-once"
	MissedSkip = "skip"
	MissedAll  = "all"
)

// What a schedule does when its time has come and its last run is not over.
const (
	OverlapSkip   = "skip"
	OverlapQueue  = "queue-one"
	OverlapCancel = "cancel-old"
)

// Schedule is one cron line in a time zone, and what to do then.
type Schedule struct {
	// Name is what the schedule is called in the state and by people; no other one of its sync has it.
	Name string
	Spec string // as written, without spaces around it
	Cron cron.Schedule
	Zone *time.Location
	// FollowsClock: an hour is named, so that the line is about the clock on the wall. See [Schedule.Next].
	FollowsClock bool

	Do      string        // a Do...
	Missed  string        // a Missed...
	Grace   time.Duration // what is missed for longer is not made up for; 0: no limit
	Overlap string        // an Overlap...
	Jitter  time.Duration // each run begins up to this much later; less than the time between two of them
}

// cronParser knows a field for seconds in front of the usual five.
var cronParser = cron.NewParser(cron.SecondOptional | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// ParseSchedule reads a cron line of five fields (minute, hour, day of month, month, day of week), or of six with seconds first,
// or one of @hourly, @daily, @weekly, @monthly, @yearly, "@every 1h30m". A line that never fires, or not as it reads, is an error.
// The schedule does what it does by default.
func ParseSchedule(spec string, zone *time.Location) (Schedule, error) {
	spec = strings.TrimSpace(spec)
	if spec == "" {
		return Schedule{}, errors.New(`an empty schedule: write a cron line such as "0 3 * * *"`)
	}
	// The parser panics on "TZ=UTC" with nothing behind it (robfig/cron issue 554), and one place for the zone is enough.
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		return Schedule{}, fmt.Errorf("%q: a zone in front of a schedule is not supported; use time_zone", spec)
	}
	parsed, err := cronParser.Parse(spec)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q is not a schedule: %w; write five fields (minute, hour, day of month, month, "+
			`day of week with Sunday as 0), @daily or "@every 1h"`, spec, err)
	}
	if err := asItReads(spec); err != nil {
		return Schedule{}, err
	}
	if neverFires(parsed) {
		return Schedule{}, fmt.Errorf("%q never fires: there is no such date", spec)
	}
	schedule := Schedule{
		Name: spec, Spec: spec, Cron: parsed, Zone: zone, FollowsClock: namesAnHour(spec, parsed),
		Do: DoSync, Missed: MissedOnce, Overlap: OverlapSkip,
	}
	if schedule.shortest() < minEvery {
		return Schedule{}, tooOften(spec)
	}
	return schedule, nil
}

func tooOften(spec string) error {
	return fmt.Errorf("%q is too often: the shortest interval is 1m; watch = true is there for less", spec)
}

// cronFields are the fields of a line that has all six, with the number of values that each can have.
var cronFields = [...]struct {
	name   string
	values int
}{{"second", 60}, {"minute", 60}, {"hour", 24}, {"day of month", 31}, {"month", 12}, {"day of week", 7}}

// asItReads refuses what the parser accepts and takes for something else.
func asItReads(spec string) error {
	if interval, every := strings.CutPrefix(spec, "@every "); every {
		// The parser has rounded the interval to seconds, and up to one; what was written counts.
		written, err := time.ParseDuration(interval)
		switch {
		case err != nil || written < minEvery:
			return tooOften(spec)
		case written%time.Second != 0:
			return fmt.Errorf("%q: an interval is in whole seconds", spec)
		}
	}
	if strings.HasPrefix(spec, "@") {
		return nil
	}
	fields := strings.Fields(spec)
	for i, field := range fields {
		is := cronFields[i+len(cronFields)-len(fields)]
		for part := range strings.SplitSeq(field, ",") {
			values, step, _ := strings.Cut(part, "/")
			n, err := strconv.ParseUint(step, 10, 64)
			switch {
			case part == "":
				return fmt.Errorf("%q: nothing stands beside a comma in the field of the %s", spec, is.name)
			case strings.HasPrefix(values, "*-") || strings.HasPrefix(values, "?-"):
				return fmt.Errorf(`%q: %q is all values already: write two numbers, such as "1-5", in the field of the %s`, spec, values, is.name)
			case err == nil && n > uint64(is.values):
				return fmt.Errorf("%q: a step of %d in the field of the %s, which has %d values, is none: write a smaller one, or two fields", spec, n, is.name, is.values)
			}
		}
	}
	return nil
}

// namesAnHour reports a line that is about certain hours of the clock, such as "0 3 * * *" and @daily, unlike "*/5 * * * *" and
// "0 */2 * * *". The parser forgets the star of the latter.
func namesAnHour(spec string, parsed cron.Schedule) bool {
	const star = 1 << 63
	fields, ok := parsed.(*cron.SpecSchedule)
	if !ok || strings.HasPrefix(spec, "@") {
		return ok && fields.Hour&star == 0
	}
	written := strings.Fields(spec)
	hour := written[len(written)-4]
	return !strings.ContainsAny(hour, "*?")
}

func neverFires(schedule cron.Schedule) bool {
	if fields, ok := schedule.(*cron.SpecSchedule); ok {
		// A field of commas only parses to nothing; Next would look for it second by second.
		if fields.Second == 0 || fields.Minute == 0 || fields.Hour == 0 || fields.Dom == 0 || fields.Month == 0 || fields.Dow == 0 {
			return true
		}
	}
	return schedule.Next(anyYear).IsZero()
}

// anyYear begins one with a 29 February: Next looks five years ahead.
var anyYear = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// shortest returns the shortest time between two of a good many runs, regardless of what the clock on the wall does.
func (s Schedule) shortest() time.Duration {
	const enough = 200
	shortest := time.Duration(1<<63 - 1)
	at := s.Cron.Next(anyYear)
	for range enough {
		next := s.Cron.Next(at)
		if next.IsZero() {
			break
		}
		shortest = min(shortest, next.Sub(at))
		at = next
	}
	return shortest
}
