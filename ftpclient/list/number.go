package list

import (
	"io/fs"
	"math"
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

// hexadecimal reads a number of at most eight digits.
func hexadecimal(word string) (int64, bool) {
	if len(word) > 8 || !isAll(word, isHex) {
		return 0, false
	}
	var n int64
	for i := range len(word) {
		digit := int64(word[i] - '0')
		if !isDigit(word[i]) {
			digit = int64(word[i]&^0x20-'A') + 10
		}
		n = n<<4 | digit
	}
	return n, true
}

// octal reads the bits of a Unix mode, of at most seven digits.
func octal(word string) (int64, bool) {
	if len(word) > 7 || !isAll(word, func(c byte) bool { return '0' <= c && c <= '7' }) {
		return 0, false
	}
	var n int64
	for i := range len(word) {
		n = n<<3 | int64(word[i]-'0')
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
