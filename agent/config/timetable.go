package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timetable says how many bytes per second may go at which time of day. It is sorted, and no time is in it twice.
type Timetable []Rate

// Rate is what holds from a time of day on, until that of the next one.
type Rate struct {
	From           time.Duration // since midnight, by the clock on the wall
	BytesPerSecond int64         // 0: no limit
}

// unlimited is the word for no limit.
const unlimited = "off"

// ParseTimetable reads "512KiB", "off" or "08:00,512KiB 19:00,off". "" is nil, which limits nothing.
func ParseTimetable(text string) (Timetable, error) {
	const form = `write "512KiB" (bytes per second), or "08:00,512KiB 19:00,off"`
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return nil, nil
	}
	if len(fields) == 1 && !strings.Contains(fields[0], ",") {
		rate, problem := parseRate(fields[0])
		if problem != "" {
			return nil, fmt.Errorf("%s: %s", problem, form)
		}
		if rate == 0 {
			return nil, nil
		}
		return Timetable{{BytesPerSecond: rate}}, nil
	}
	var table Timetable
	for _, field := range fields {
		at, rateText, found := strings.Cut(field, ",")
		if !found {
			return nil, fmt.Errorf("%q is not TIME,RATE: %s", field, form)
		}
		from, err := parseClock(at)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", err, form)
		}
		rate, problem := parseRate(rateText)
		if problem != "" {
			return nil, fmt.Errorf("%s: %s", problem, form)
		}
		if slices.ContainsFunc(table, func(r Rate) bool { return r.From == from }) {
			return nil, fmt.Errorf("%s is in it twice: keep one of them", at)
		}
		table = append(table, Rate{from, rate})
	}
	slices.SortFunc(table, func(a, b Rate) int { return cmp.Compare(a.From, b.From) })
	return table, nil
}

// parseRate returns what is wrong, or "".
func parseRate(text string) (bytesPerSecond int64, problem string) {
	if text == unlimited {
		return 0, ""
	}
	var rate size
	if bare := strings.TrimSuffix(text, "/s"); bare != text && rate.set(bare) == "" {
		return 0, fmt.Sprintf("%q is per second as it is, without /s", text)
	}
	if text == "" || rate.set(text) != "" {
		return 0, fmt.Sprintf("%q is not a rate", text)
	}
	if rate == 0 {
		return 0, fmt.Sprintf("%q would let nothing through; no limit is %q", text, unlimited)
	}
	return int64(rate), ""
}

// parseClock reads a time of day, 00:00 to 23:59.
func parseClock(text string) (time.Duration, error) {
	hours, minutes, found := strings.Cut(text, ":")
	h, errH := strconv.ParseUint(hours, 10, 8)
	m, errM := strconv.ParseUint(minutes, 10, 8)
	if !found || errH != nil || errM != nil || len(hours) > 2 || len(minutes) != 2 || h > 23 || m > 59 {
		return 0, fmt.Errorf("%q is not a time of day such as 08:00 or 23:59", text)
	}
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute, nil
}

// At returns the rate at a time, 0 for no limit, and when it changes next; zero: never. Times of day are those of now's
// zone: pass time.Now() for the clock of the machine. Where that clock goes back or is put forward, the rate is always the
// one for what it shows.
func (t Timetable) At(now time.Time) (bytesPerSecond int64, until time.Time) {
	if len(t) == 0 {
		return 0, time.Time{}
	}
	bytesPerSecond = t.rate(now)
	marks := make([]time.Duration, len(t))
	for i, rate := range t {
		marks[i] = rate.From
	}
	return bytesPerSecond, nextChange(now,
		func(at time.Time) time.Time { return nextMark(at, marks...) },
		func(at time.Time) bool { return t.rate(at) != bytesPerSecond })
}

// rate is the last one that began, yesterday if need be.
func (t Timetable) rate(at time.Time) int64 {
	clock, rate := clockOf(at), t[len(t)-1].BytesPerSecond
	for _, r := range t {
		if r.From <= clock {
			rate = r.BytesPerSecond
		}
	}
	return rate
}

// Window is a time of day in which something may be done. One that ends before it begins goes on past midnight.
type Window struct {
	From, To time.Duration  // since midnight, by the clock on the wall; different, To at most 24 h
	Zone     *time.Location // nil: that of the time that is asked about
}

// ParseWindow reads "22:00-06:00"; "24:00" may be its end.
func ParseWindow(text string, zone *time.Location) (Window, error) {
	const form = `write FROM-TO, such as "22:00-06:00"`
	first, last, found := strings.Cut(text, "-")
	if !found {
		return Window{}, fmt.Errorf("%q is not a time window: %s", text, form)
	}
	first, last = strings.TrimSpace(first), strings.TrimSpace(last)
	from, err := parseClock(first)
	to := day
	if last != "24:00" {
		var errTo error
		to, errTo = parseClock(last)
		err = errors.Join(err, errTo)
	}
	if err != nil {
		return Window{}, fmt.Errorf("%s: %s", strings.ReplaceAll(err.Error(), "\n", ", "), form)
	}
	if from == to {
		return Window{}, fmt.Errorf(`%q ends when it begins: write "00:00-24:00" for the whole day`, text)
	}
	return Window{from, to, zone}, nil
}

func (w Window) contains(at time.Time) bool {
	clock := clockOf(w.in(at))
	if w.From < w.To {
		return w.From <= clock && clock < w.To
	}
	return w.From <= clock || clock < w.To
}

func (w Window) in(at time.Time) time.Time {
	if w.Zone == nil {
		return at
	}
	return at.In(w.Zone)
}

// Allowed reports whether a time is in one of the windows, or there are none, and when that changes next; zero: never.
func Allowed(windows []Window, now time.Time) (yes bool, until time.Time) {
	if len(windows) == 0 {
		return true, time.Time{}
	}
	within := func(at time.Time) bool {
		return slices.ContainsFunc(windows, func(w Window) bool { return w.contains(at) })
	}
	yes = within(now)
	next := func(at time.Time) (first time.Time) {
		for _, w := range windows {
			if mark := nextMark(w.in(at), w.From, w.To%day); first.IsZero() || mark.Before(first) {
				first = mark
			}
		}
		return first
	}
	return yes, nextChange(now, next, func(at time.Time) bool { return within(at) != yes })
}

// nextChange goes from mark to mark until something is different there; zero: it never is.
func nextChange(now time.Time, next func(time.Time) time.Time, differs func(time.Time) bool) time.Time {
	now = now.Round(0) // the clock on the wall counts, which may be set
	// Whatever changes by the time of day does so within a day, or within two where the clock is put forward over a mark.
	for at := next(now); at.Sub(now) <= 3*day; at = next(at) {
		if differs(at) {
			return at.In(now.Location())
		}
	}
	return time.Time{}
}

// nextMark returns when the clock on the wall next shows one of the times of day, or is set: what it shows then may be
// beyond one of them, or before it again.
func nextMark(at time.Time, marks ...time.Duration) time.Time {
	clock, wait := clockOf(at), day
	for _, mark := range marks {
		ahead := mark - clock
		if ahead <= 0 {
			ahead += day
		}
		wait = min(wait, ahead)
	}
	next := at.Add(wait)
	if _, end := at.ZoneBounds(); !end.IsZero() && end.Before(next) {
		return end
	}
	return next
}

// clockOf is the time of day that the clock on the wall shows.
func clockOf(at time.Time) time.Duration {
	h, m, s := at.Clock()
	return time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second + time.Duration(at.Nanosecond())
}
