package list

import (
	"io/fs"
	"math"
	"strings"
	"time"
)

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

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

// number reads a part of a date: a decimal with at least one and at most the given number of digits.
func number(s string, digits int) (int, bool) {
	if len(s) > digits {
		return 0, false
	}
	n, ok := decimal(s)
	return int(n), ok
}

// clock reads "15:04" or "15:04:05"; the precision tells which.
func clock(s string) (hour, minute, second int, precision Precision, ok bool) {
	hours, rest, _ := strings.Cut(s, ":")
	minutes, seconds, precise := strings.Cut(rest, ":")
	hour, okHour := number(hours, 2)
	minute, okMinute := number(minutes, 2)
	precision = time.Minute
	okSecond := true
	if precise {
		precision = time.Second
		second, okSecond = number(seconds, 2)
		okSecond = okSecond && len(seconds) == 2
	}
	ok = okHour && okMinute && okSecond && len(minutes) == 2 && hour < 24 && minute < 60 && second <= 60
	return hour, minute, second, precision, ok
}

// isDate reports whether the calendar has this day.
func isDate(year int, month time.Month, day int) bool {
	if month < time.January || month > time.December || day < 1 || day > 31 {
		return false
	}
	return day <= 28 || day <= time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
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
