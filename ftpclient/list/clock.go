package list

import (
	"strings"
	"time"
)

// timeOfDay is what a listing tells of it. The precision is 0 where it tells nothing.
type timeOfDay struct {
	hour, minute, second, nanosecond int
	precision                        Precision
}

func (t timeOfDay) on(date calendarDay, zone *time.Location) time.Time {
	return time.Date(date.year, date.month, date.day, t.hour, t.minute, t.second, t.nanosecond, zone).UTC()
}

// clock reads "15:04", "15.04" as some languages write it, "15:04:05" and "15:04:05.000000000".
func clock(s string) (t timeOfDay, ok bool) {
	separator := 0
	for separator < len(s) && isDigit(s[separator]) {
		separator++
	}
	if separator == len(s) || s[separator] != ':' && s[separator] != '.' {
		return timeOfDay{}, false
	}
	hours, rest := s[:separator], s[separator+1:]
	minutes, seconds, precise := strings.Cut(rest, ":")
	t.precision = time.Minute
	okSecond := true
	if precise {
		whole, decimals, _ := strings.Cut(seconds, ".")
		t.second, okSecond = number(whole, 2)
		var okFraction bool
		t.nanosecond, t.precision, okFraction = fraction(decimals)
		okSecond = okSecond && okFraction && len(whole) == 2 && s[separator] == ':'
	}
	var okHour, okMinute bool
	t.hour, okHour = number(hours, 2)
	t.minute, okMinute = number(minutes, 2)
	return t, okHour && okMinute && okSecond && len(minutes) == 2 && t.isValid()
}

// clockTime reads the forms of systems that are no Unix: "15:04", "15:04:05" and "15:04:05.67", with dots or commas in
// the place of the colons on some.
func clockTime(word string) (t timeOfDay, ok bool) {
	parts := [...]*int{&t.hour, &t.minute, &t.second}
	t.precision = time.Hour
	for i, part := range parts {
		end := 0
		for end < len(word) && isDigit(word[end]) {
			end++
		}
		*part, ok = number(word[:end], 2)
		if !ok || i > 0 && end != 2 {
			return t, false
		}
		if i > 0 {
			t.precision /= 60
		}
		if end == len(word) {
			return t, i > 0 && t.isValid()
		}
		if c := word[end]; c != ':' && c != '.' && c != ',' {
			return t, false
		}
		word = word[end+1:]
	}
	t.nanosecond, t.precision, ok = fraction(word)
	return t, ok && word != "" && t.isValid()
}

// isValid reports whether a day has this time. Its end may be written as 24:00.
func (t timeOfDay) isValid() bool {
	isMidnight := t.hour == 24 && t.minute == 0 && t.second == 0 && t.nanosecond == 0
	return (t.hour < 24 || isMidnight) && t.minute < 60 && t.second <= 60
}

// fraction reads the decimals of a second and tells the unit of the last one. What is below a nanosecond is cut off.
func fraction(s string) (nanoseconds int, precision Precision, ok bool) {
	precision = time.Second
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, 0, false
		}
		if precision > time.Nanosecond {
			precision /= 10
			nanoseconds += int(s[i]-'0') * int(precision)
		}
	}
	return nanoseconds, precision, true
}
