package list

import "time"

// calendarDay is a date as a listing has it.
type calendarDay struct {
	year  int // 0 where the listing leaves it out
	month time.Month
	day   int
}

// given is the year that a listing shows. The year 0 stands for a date that the server does not know, as 1601 does.
func given(year int) int { return max(year, 1) }

// instant turns a date as the server writes it, in the zone given, into a time. The time is zero if it is not known; ok
// tells whether the calendar has the date at all.
func (o *Options) instant(date calendarDay, clock timeOfDay, zone *time.Location) (at time.Time, precision Precision, ok bool) {
	const leapYear = 2000
	year := date.year
	if year == 0 {
		year = leapYear
	}
	if !isDate(year, date.month, date.day) {
		return time.Time{}, 0, false
	}
	if !isKnown(year) || date.year == 0 && o.Now.IsZero() {
		return time.Time{}, 0, true
	}
	if date.year == 0 {
		return o.newest(date, clock, zone), clock.precision, true
	}
	precision = clock.precision
	if precision == 0 {
		precision = Day
	}
	return clock.on(date, zone), precision, true
}

// newest gives a date without a year the newest one that is not in the future. A leap day may be up to eight years old,
// since 2100 has none.
func (o *Options) newest(date calendarDay, clock timeOfDay, zone *time.Location) time.Time {
	// A day of tolerance for zones and clocks that differ.
	latest := o.Now.Add(Day)
	for date.year = latest.In(zone).Year(); ; date.year-- {
		if !isDate(date.year, date.month, date.day) {
			continue
		}
		if at := clock.on(date, zone); !at.After(latest) {
			return at
		}
	}
}
