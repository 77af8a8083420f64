package config

import (
	"time"

	"github.com/robfig/cron/v3"
)

// Next returns the first time after t at which the schedule fires, in the schedule's zone, or the zero time if there is none
// within five years.
//
// Where the clock on the wall is changed it does as ISC cron. With FollowsClock a time that the clock leaves out fires right after
// the change, together with all others that are left out, and one that the clock shows twice fires the first time. Without,
// the schedule is about how often, and goes by the time that passes.
func (s Schedule) Next(t time.Time) time.Time {
	t = t.In(s.Zone)
	if _, ofFields := s.Cron.(*cron.SpecSchedule); !ofFields {
		return s.Cron.Next(t)
	}
	if s.FollowsClock {
		return s.nextOnClock(t)
	}
	return s.nextInTime(t)
}

// shown returns what the clock on the wall shows at t, as if it were UTC, which is never changed.
func shown(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.Add(time.Duration(offset) * time.Second).UTC()
}

// nextOnClock goes through the times that the clock shows. Their moments never go backwards.
func (s Schedule) nextOnClock(t time.Time) time.Time {
	for clock := s.Cron.Next(shown(t)); !clock.IsZero(); clock = s.Cron.Next(clock) {
		if at := momentOf(clock, s.Zone); at.After(t) {
			return at
		}
	}
	return time.Time{}
}

// nextInTime goes from one change of the clock to the next.
func (s Schedule) nextInTime(t time.Time) time.Time {
	_, offset := t.Zone()
	from, latest := shown(t), t.AddDate(5, 0, 0)
	for {
		clock := s.Cron.Next(from)
		if clock.IsZero() {
			return time.Time{}
		}
		at := clock.Add(-time.Duration(offset) * time.Second).In(s.Zone)
		_, end := t.ZoneBounds()
		switch {
		case end.IsZero() || at.Before(end):
			return at
		case end.After(latest):
			return time.Time{}
		}
		t = end.In(s.Zone)
		_, offset = t.Zone()
		from = shown(t).Add(-time.Second) // the moment of the change itself may be one
	}
}

// momentOf returns the first moment at which the clock of a zone shows what clock does in UTC, or the moment of the change that
// leaves it out.
func momentOf(clock time.Time, zone *time.Location) time.Time {
	near := time.Date(clock.Year(), clock.Month(), clock.Day(), clock.Hour(), clock.Minute(), clock.Second(), clock.Nanosecond(), zone)
	begin, end := near.ZoneBounds()
	first := near
	for _, change := range []time.Time{begin, end} {
		if change.IsZero() {
			continue
		}
		before, after := change.Add(-1).In(zone), change.In(zone)
		if last := shown(before); !clock.Before(last.Add(1)) && clock.Before(shown(after)) {
			return after
		}
		// The same clock by the offset on the other side of the change.
		for _, side := range []time.Time{before, after} {
			_, offset := side.Zone()
			if other := clock.Add(-time.Duration(offset) * time.Second).In(zone); shown(other).Equal(clock) && other.Before(first) {
				first = other
			}
		}
	}
	return first
}
