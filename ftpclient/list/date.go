package list

import (
	"strings"
	"time"
)

// foundDate is a date in the middle of a line.
type foundDate struct {
	time      time.Time
	precision Precision
	rest      string // what follows the one blank behind the date
}

// unixDate reads the date at a position in any of the forms that ls has in any language.
func unixDate(s string, at int, o *Options) (foundDate, bool) {
	if found, ok := plainDate(s, at, o); ok {
		return found, true
	}
	word, end := field(s, at)
	if word == "" {
		return foundDate{}, false
	}
	if isDigit(word[0]) {
		if found, ok := numericDate(s, word, end, o); ok {
			return found, true
		}
	}
	return worded(s, at, o)
}

// plainDate reads what nearly all servers write, " Jan 31 12:00 " and " Jan 31  2024 ", with little effort.
func plainDate(s string, at int, o *Options) (found foundDate, ok bool) {
	const width = len(" Jan 31 12:00 ")
	if len(s)-at < width {
		return found, false
	}
	d := s[at : at+width]
	if d[0] != ' ' || d[4] != ' ' || d[7] != ' ' || d[13] != ' ' {
		return found, false
	}
	month, okMonth := englishMonth(d[1:4])
	day, okDay := twoDigits(d[5], d[6])
	a, okA := twoDigits(d[11], d[12])
	if !okMonth || !okDay || !okA || d[11] == ' ' {
		return found, false
	}
	date := calendarDay{month: month, day: day}
	var t timeOfDay
	switch {
	case d[10] == ':':
		t = timeOfDay{minute: a, precision: time.Minute}
		t.hour, ok = twoDigits(d[8], d[9])
		ok = ok && t.hour < 24 && t.minute < 60
	case d[8] == ' ' && d[9] != ' ':
		date.year, ok = twoDigits(d[9], d[10])
		date.year = given(100*date.year + a)
	}
	if !ok {
		return found, false
	}
	found.rest = s[at+width:]
	found.time, found.precision, ok = o.instant(date, t, o.Location)
	return found, ok
}

// twoDigits reads a number of two digits, of which the first may be a blank.
func twoDigits(tens, ones byte) (int, bool) {
	if tens == ' ' {
		tens = '0'
	}
	return 10*int(tens-'0') + int(ones-'0'), isDigit(tens) && isDigit(ones)
}

func englishMonth(word string) (time.Month, bool) {
	// Upper or lower case: the bit that tells them apart is set in all three letters.
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	for month := range 12 {
		name := names[3*month : 3*month+3]
		if word[0]|0x20 == name[0] && word[1]|0x20 == name[1] && word[2]|0x20 == name[2] {
			return time.Month(month + 1), true
		}
	}
	return 0, false
}

// numericDate reads dates of one word, with a time of day or without: "2024-01-31 12:00", "2024-01-31 12:00:05.123 +0100",
// "31.01.2024", "31-Jan-24", and the ones without a year, "01-31 12:00".
func numericDate(s, word string, end int, o *Options) (found foundDate, ok bool) {
	date, ambiguous, ok := splitDate(word)
	if !ok {
		return found, false
	}
	zone := o.Location
	next, nextEnd := field(s, end)
	t, hasClock := clock(next)
	switch {
	case hasClock && strings.IndexByte(next, ':') > 0:
		end = nextEnd
		if offset, offsetEnd := field(s, end); t.precision <= time.Second && isOffset(offset) {
			zone, end = offsetZone(offset), offsetEnd
		}
		found.rest, ok = afterBlank(s, end)
	case isClockLike(next):
		return found, false
	case date.year == 0:
		// "01-31  2024" is the old file beside "01-31 12:00".
		t = timeOfDay{}
		if date.year, ok = number(next, 4); !ok || len(next) != 4 {
			return found, false
		}
		date.year = given(date.year)
		found.rest, ok = afterBlank(s, nextEnd)
	default:
		// How far such a date is padded, to be as wide as those with a time, differs from server to server.
		t = timeOfDay{}
		found.rest, ok = afterBlank(s, end)
		found.rest = strings.TrimLeft(found.rest, " ")
	}
	if !ok {
		return found, false
	}
	found.time, found.precision, ok = o.instant(date, t, zone)
	if ambiguous {
		found.time, found.precision = time.Time{}, 0
	}
	return found, ok
}

// splitDate reads the numbers of a date. A date that is ambiguous may have its month and its day exchanged.
func splitDate(word string) (date calendarDay, ambiguous, ok bool) {
	separator := strings.IndexAny(word, "-./")
	if separator <= 0 {
		return date, false, false
	}
	mark := word[separator]
	first, rest := word[:separator], word[separator+1:]
	second, third, hasThird := strings.Cut(rest, string(mark))
	a, okA := number(first, 4)
	b, okB := number(second, 2)
	if !okB && hasThird {
		month, isName := monthOf(second)
		year, okYear := number(third, 4)
		date = calendarDay{year: fullYear(year, len(third)), month: month, day: a}
		return date, false, isName && okA && okYear && len(first) <= 2 && (len(third) == 2 || len(third) == 4)
	}
	if !okA || !okB {
		return date, false, false
	}
	if !hasThird {
		return dayAndMonth(a, b), false, mark != '.' && len(first) <= 2 && len(second) == 2
	}
	c, okC := number(third, 4)
	switch {
	case !okC:
		return date, false, false
	case len(first) == 4 && len(third) <= 2:
		return calendarDay{given(a), time.Month(b), c}, false, true
	case len(first) > 2 || len(third) != 4 && !(mark == '.' && len(third) == 2):
		return date, false, false
	case mark == '.':
		return calendarDay{fullYear(c, len(third)), time.Month(b), a}, false, true
	}
	date = dayAndMonth(a, b)
	date.year = given(c)
	return date, a <= 12 && b <= 12 && a != b, true
}

// dayAndMonth takes the first number for the month unless it cannot be one.
func dayAndMonth(a, b int) calendarDay {
	if a > 12 {
		a, b = b, a
	}
	return calendarDay{month: time.Month(a), day: b}
}

// fullYear completes a year of two digits.
func fullYear(year, digits int) int {
	const firstOfUnix = 70
	switch {
	case digits != 2:
		return given(year)
	case year < firstOfUnix:
		return 2000 + year
	}
	return 1900 + year
}

// isClockLike reports whether a word begins as a time of day does: no column but that has a colon after digits.
func isClockLike(word string) bool {
	colon := 0
	for colon < len(word) && isDigit(word[colon]) {
		colon++
	}
	return colon > 0 && colon < len(word) && word[colon] == ':'
}

// isOffset reports whether a word is a zone as numbers, "+0100".
func isOffset(word string) bool {
	return len(word) == len("+0100") && (word[0] == '+' || word[0] == '-') && isDigits(word[1:])
}

func offsetZone(word string) *time.Location {
	hours, _ := number(word[1:3], 2) // isOffset has seen digits
	minutes, _ := number(word[3:], 2)
	seconds := (hours*60 + minutes) * 60
	if word[0] == '-' {
		seconds = -seconds
	}
	return time.FixedZone("", seconds)
}

func isBlankAt(s string, at int) bool { return at < len(s) && (s[at] == ' ' || s[at] == '\t') }

// afterBlank returns what follows the one blank at a position.
func afterBlank(s string, at int) (string, bool) {
	if !isBlankAt(s, at) {
		return "", false
	}
	return s[at+1:], true
}
