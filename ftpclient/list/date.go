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
	zone := o.Location
	next, nextEnd := field(s, end)
	if day, instant, isISO := strings.Cut(word, "T"); isISO && len(day) == len("2024-01-31") {
		word, nextEnd = day, end
		if next, isISO = strings.CutSuffix(instant, "Z"); isISO {
			zone = time.UTC
		}
	}
	date, ambiguous, ok := splitDate(word)
	if !ok {
		return found, false
	}
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
		year, okYear := yearOf(third)
		date = calendarDay{year: given(year), month: month, day: a}
		return date, false, isName && okA && okYear && len(first) <= 2 && len(third) != 3
	}
	if !okA || !okB {
		return date, false, false
	}
	if !hasThird {
		return dayAndMonth(a, b), false, mark != '.' && len(first) <= 2 && len(second) == 2
	}
	c, okC := yearOf(third)
	switch {
	case len(first) == 4 && len(third) <= 2:
		day, okDay := number(third, 2)
		return calendarDay{given(a), time.Month(b), day}, false, okDay
	case len(first) > 2 || !okC || len(third) == 3:
		return date, false, false
	case mark == '.':
		return calendarDay{given(c), time.Month(b), a}, false, true
	case len(third) == 2:
		return shortDate([3]string{first, second, third})
	}
	date = dayAndMonth(a, b)
	date.year = given(c)
	return date, a <= 12 && b <= 12 && a != b, true
}

// shortDate reads "01-31-24", of which any number may be the year.
func shortDate(parts [3]string) (date calendarDay, ambiguous, ok bool) {
	for _, o := range [...]order{monthDayYear, dayMonthYear, yearMonthDay} {
		year, month, day, fits := inOrder(parts, o)
		other := calendarDay{year, month, day}
		if fits && ok && other != date {
			return date, true, true
		}
		if fits {
			date, ok = other, true
		}
	}
	return date, false, ok
}

// dayAndMonth takes the first number for the month unless it cannot be one.
func dayAndMonth(a, b int) calendarDay {
	if a > 12 {
		a, b = b, a
	}
	return calendarDay{month: time.Month(a), day: b}
}

// yearOf completes a year of two digits, and repairs one of three, which counts from 1900.
func yearOf(word string) (int, bool) {
	year, ok := number(word, 4)
	switch {
	case !ok || len(word) < 2 || len(word) == 3 && year >= 200:
		return 0, false
	case len(word) == 4:
		return year, true
	case len(word) == 2 && year < 70:
		return 2000 + year, true
	}
	return 1900 + year, true
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

// setTime gives an entry its time, which stays unknown where the server had none.
func (entry *Entry) setTime(year int, month time.Month, day int, t timeOfDay, o *Options) {
	if isKnown(year) {
		entry.ModTime, entry.Precision = t.on(calendarDay{year, month, day}, o.Location), t.precision
	}
}

// namedDate reads "31-JAN-2024" and, with the month first, "Jan-31-2024". A word that is no month in any language that
// is known here leaves the time unknown: the month is 0.
func namedDate(word string, monthFirst bool) (year int, month time.Month, day int, ok bool) {
	first, rest, _ := strings.Cut(word, "-")
	second, last, _ := strings.Cut(rest, "-")
	if monthFirst {
		first, second = second, first
	}
	day, okDay := number(first, 2)
	year, okYear := yearOf(last)
	if !okDay || !okYear || len(second) < 3 || len(second) > 12 || isDigit(second[0]) {
		return 0, 0, 0, false
	}
	if month, ok = monthOf(second); !ok {
		return year, 0, day, isAll(second, func(c byte) bool { return isLetter(c) || c >= 0x80 || c == '.' })
	}
	return year, month, day, isDate(year, month, day)
}
