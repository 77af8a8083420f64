package config

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // zones by name also where the system has no database: Windows, small containers

	"github.com/robfig/cron/v3"
)

// minEvery is the shortest interval of "@every". A pass looks at the whole tree, so more often is a job for watch.
const minEvery = time.Minute

// Schedule is one cron line in a time zone.
type Schedule struct {
	Spec string // as written, without spaces around it
	Cron cron.Schedule
	Zone *time.Location
}

// Next returns the first time after t at which the schedule fires, in the schedule's zone. Around the changes of
// daylight saving time a local time that does not exist is skipped, and one that happens twice fires twice.
func (s Schedule) Next(t time.Time) time.Time { return s.Cron.Next(t.In(s.Zone)) }

// ParseSchedule reads a cron line of five fields (minute, hour, day of month, month, day of week), or one of @hourly,
// @daily, @weekly, @monthly, @yearly, "@every 1h30m". A line that never fires is an error.
func ParseSchedule(spec string, zone *time.Location) (Schedule, error) {
	spec = strings.TrimSpace(spec)
	if spec == "" {
		return Schedule{}, errors.New(`an empty schedule: write a cron line such as "0 3 * * *"`)
	}
	// The parser panics on "TZ=UTC" with nothing behind it (robfig/cron issue 554), and one place for the zone is enough.
	if strings.HasPrefix(spec, "TZ=") || strings.HasPrefix(spec, "CRON_TZ=") {
		return Schedule{}, fmt.Errorf("%q: a zone in front of a schedule is not supported; use time_zone", spec)
	}
	parsed, err := cron.ParseStandard(spec)
	if err != nil {
		return Schedule{}, fmt.Errorf("%q is not a schedule: %w; write five fields (minute, hour, day of month, month, "+
			`day of week with Sunday as 0), @daily or "@every 1h"`, spec, err)
	}
	if interval, every := strings.CutPrefix(spec, "@every "); every {
		// The parser has rounded the interval up to a second; what was written counts.
		if written, err := time.ParseDuration(interval); err != nil || written < minEvery {
			return Schedule{}, fmt.Errorf("%q is too often: the shortest interval is 1m; watch = true is there for less", spec)
		}
	}
	if neverFires(parsed) {
		return Schedule{}, fmt.Errorf("%q never fires: there is no such date", spec)
	}
	return Schedule{Spec: spec, Cron: parsed, Zone: zone}, nil
}

func neverFires(schedule cron.Schedule) bool {
	if fields, ok := schedule.(*cron.SpecSchedule); ok {
		// A field of commas only parses to nothing; Next would look for it second by second.
		if fields.Minute == 0 || fields.Hour == 0 || fields.Dom == 0 || fields.Month == 0 || fields.Dow == 0 {
			return true
		}
	}
	// Next looks five years ahead; from here that includes 29 February.
	return schedule.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero()
}
