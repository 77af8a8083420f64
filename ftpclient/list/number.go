package list

import (
	"io/fs"
	"math"
	"strings"
	"time"
)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// decimal reads a number that consists of digits alone and fits an int64. Unlike package strconv it allocates nothing
// for what is no number, and most columns are none.
func decimal(s string) (int64, bool) {
	if s == "" {
		return 0, false
	}
	var n int64
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		digit := int64(s[i] - '0')
		if n > (math.MaxInt64-digit)/10 {
			return 0, false
		}
		n = n*10 + digit
	}
	return n, true
}

// isDigits reports whether a word consists of digits alone, be the number as large as it may.
func isDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// number reads a part of a date: a decimal with at least one and at most the given number of digits.
func number(s string, digits int) (int, bool) {
	if len(s) > digits {
		return 0, false
	}
	n, ok := decimal(s)
	return int(n), ok
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

// clock reads "15:04", "15.04" as some languages write it, "15:04:05" and "15:04:05.000000000". The end of a day may be
// written as 24:00.
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
	isMidnight := t.hour == 24 && t.minute == 0 && t.second == 0
	ok = okHour && okMinute && okSecond && len(minutes) == 2 && (t.hour < 24 || isMidnight) && t.minute < 60 && t.second <= 60
	return t, ok
}

// isDate reports whether the calendar has this day.
func isDate(year int, month time.Month, day int) bool {
	if month < time.January || month > time.December || day < 1 {
		return false
	}
	if month == time.February && day == 29 {
		return year%4 == 0 && (year%100 != 0 || year%400 == 0)
	}
	lengths := [...]int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	return day <= lengths[month-1]
}

// isKnown tells a date from the stand-in of a server that has none: the year 0, or 1601, where the clock of Windows
// begins.
func isKnown(year int) bool { return year >= 1900 }

// unixMode turns the twelve low bits of a Unix mode into the constants of package fs.
func unixMode(bits int64) fs.FileMode {
	mode := fs.FileMode(bits & 0o777)
	for bit, flag := range [...]fs.FileMode{fs.ModeSticky, fs.ModeSetgid, fs.ModeSetuid} {
		if bits&(0o1000<<bit) != 0 {
			mode |= flag
		}
	}
	return mode
}
