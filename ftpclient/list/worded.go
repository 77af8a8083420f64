package list

import (
	"strings"
	"time"
)

type atomKind uint8

const (
	noAtom     atomKind = iota
	numberAtom          // "31", "31.", "2024"
	monthAtom           // "Jan", "Okt.", "5月"
	dayAtom             // "31日"
	yearAtom            // "2024年"
	clockAtom           // "12:00"
)

// atom is one part of a date.
type atom struct {
	kind   atomKind
	value  int
	digits int  // of a number
	marked bool // with a dot, a comma, or the sign for years, months or days
	clock  timeOfDay
	blanks int // before it
	end    int // in the line
}

func (a *atom) isDay() bool {
	return a.kind == dayAtom || a.kind == numberAtom && a.digits <= 2
}

func (a *atom) isYear() bool {
	return a.kind == yearAtom || a.kind == numberAtom && a.digits == 4
}

// isNumberedMonth tells the month of "29. 2." from other numbers.
func (a *atom) isNumberedMonth() bool { return a.kind == numberAtom && a.marked && a.digits <= 2 }

// worded reads a date of several words in any language and order: "31. Jan 12:00", "févr. 29  2024", "2024年 1月31日",
// "Jan 31 12:00:05 2024", "Wed Jan 31 12:00:05 2024", "Oct 08, 2002 09:47".
func worded(s string, at int, o *Options) (found foundDate, ok bool) {
	const most = 5
	weekday, end := field(s, at)
	if isWeekday(weekday) {
		at = end
	}
	var atoms [most + 1]atom // the last one stays empty
	for i := range most {
		if atoms[i] = nextAtom(s, at); atoms[i].kind == noAtom {
			break
		}
		at = atoms[i].end
	}
	a, b, c := &atoms[0], &atoms[1], &atoms[2]
	date := calendarDay{}
	switch {
	case a.kind == monthAtom && b.isDay():
		date.month, date.day = time.Month(a.value), b.value
	case a.isDay() && b.kind == monthAtom, a.marked && a.isDay() && b.isNumberedMonth():
		date.month, date.day = time.Month(b.value), a.value
	case a.kind == numberAtom && b.kind == numberAtom && c.kind == clockAtom && a.digits <= 2 && b.digits <= 2:
		date = dayAndMonth(a.value, b.value)
	case a.isYear() && b.kind == monthAtom && c.isDay():
		return yearFirst(s, &atoms, o)
	case a.kind == clockAtom && b.isDay() && c.kind == monthAtom:
		date.month, date.day = time.Month(c.value), b.value
		return finish(s, date, a.clock, c.end, o)
	default:
		return found, false
	}
	switch {
	case c.kind == clockAtom:
		// ls -T of BSD has the year behind the seconds, and so has ctime, which begins with the weekday.
		year := &atoms[3]
		if (c.clock.precision < time.Minute || isWeekday(weekday)) && year.kind == numberAtom && year.digits == 4 && !year.marked {
			date.year = given(year.value)
			return finish(s, date, c.clock, year.end, o)
		}
		return finish(s, date, c.clock, c.end, o)
	case c.isYear():
		date.year = given(c.value)
		// A year that is as wide as a time of day stands in the place of one; another may have it behind.
		if t := &atoms[3]; c.blanks <= 1 && t.kind == clockAtom && t.blanks == 1 {
			return finish(s, date, t.clock, t.end, o)
		}
		found, ok = finish(s, date, timeOfDay{}, c.end, o)
		if c.blanks == 1 && strings.HasPrefix(found.rest, " ") && !c.marked {
			found.rest = found.rest[1:] // the year is padded behind, not before
		}
		return found, ok
	}
	return found, false
}

// isWeekday knows the days of "Wed Jan 31 12:00:05 2024", as ctime writes it.
func isWeekday(word string) bool {
	switch word {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// yearFirst reads "2024年 1月31日" and "2024  ots 29". In "500 2024 Jan 31 12:00" the number is not the year but
// the size, and so it is where it makes no year of our times.
func yearFirst(s string, atoms *[6]atom, o *Options) (foundDate, bool) {
	year, month, day, next := &atoms[0], &atoms[1], &atoms[2], &atoms[3]
	date := calendarDay{given(year.value), time.Month(month.value), day.value}
	if year.kind == yearAtom {
		if next.kind == clockAtom && next.blanks <= 1 && isBlankAt(s, next.end) {
			return finish(s, date, next.clock, next.end, o)
		}
	} else if following, _ := field(s, day.end); year.value < 1900 || year.value >= 2200 || isClockLike(following) || next.isYear() && isBlankAt(s, next.end) {
		return foundDate{}, false
	}
	return finish(s, date, timeOfDay{}, day.end, o)
}

func finish(s string, date calendarDay, t timeOfDay, end int, o *Options) (found foundDate, ok bool) {
	if found.rest, ok = afterBlank(s, end); !ok {
		return foundDate{}, false
	}
	found.time, found.precision, ok = o.instant(date, t, o.Location)
	return found, ok
}

// nextAtom reads the part of a date at or behind a position.
func nextAtom(s string, at int) atom {
	start := skipBlanks(s, at)
	if start < len(s) && isDigit(s[start]) {
		a := numberAt(s, start)
		a.blanks = start - at
		return a
	}
	word, end := field(s, start)
	if word == "de" || word == "у" { // Catalan: "5 de gen.", Serbian: "2. нов. у 09:05"
		if start = skipBlanks(s, end); start < len(s) && isDigit(s[start]) {
			return numberAt(s, start)
		}
		word, end = field(s, start)
	}
	if word == "Thg" { // Vietnamese numbers the months: "29 Thg 2"
		word, end = field(s, end)
		month, ok := number(word, 2)
		if !ok {
			return atom{}
		}
		return atom{kind: monthAtom, value: month, blanks: start - at, end: end}
	}
	month, ok := monthOf(word)
	if !ok {
		return atom{}
	}
	return atom{kind: monthAtom, value: int(month), blanks: start - at, end: end}
}

// numberAt reads a part that begins with digits.
func numberAt(s string, start int) atom {
	end := start
	for end < len(s) && isDigit(s[end]) {
		end++
	}
	a := atom{kind: numberAtom, digits: end - start, end: end}
	var ok bool
	if a.value, ok = number(s[start:end], 4); !ok {
		return atom{}
	}
	rest := s[end:]
	if rest == "" || isBlankAt(rest, 0) {
		return a
	}
	if word, wordEnd := field(s, start); isDigit(s[wordEnd-1]) && a.digits <= 2 {
		if a.clock, ok = clock(word); ok {
			a.kind, a.end = clockAtom, wordEnd
			return a
		}
	}
	a.marked = true
	for _, mark := range marks {
		if strings.HasPrefix(rest, mark.text) {
			a.kind, a.end = mark.kind, end+len(mark.text)
			return a
		}
	}
	switch {
	case rest[0] == '.' || rest[0] == ',':
		a.end++
		if rest = rest[1:]; rest != "" && skipBlanks(rest, 0) == 0 && !isDigit(rest[0]) {
			return atom{}
		}
	case rest[0] >= 0x80 && a.value >= 1 && a.value <= 12:
		// The sign for months in an encoding that nobody knows.
		a.kind = monthAtom
		for a.end < len(s) && s[a.end] >= 0x80 {
			a.end++
		}
	default:
		return atom{}
	}
	return a
}

// skipBlanks also skips the one that does not break, in UTF-8 and in ISO 8859: Czech has it behind the day.
func skipBlanks(s string, at int) int {
	for ; at < len(s); at++ {
		switch {
		case s[at] == ' ' || s[at] == '\t' || s[at] == 0xa0:
		case strings.HasPrefix(s[at:], "\u00a0"):
			at++
		default:
			return at
		}
	}
	return at
}
