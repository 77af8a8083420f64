package list

import (
	"math"
	"time"
)

// order is the order of the numbers in a date, which differs between countries. Orders are bits, to be put into sets.
type order uint8

const (
	monthDayYear order = 1 << iota
	dayMonthYear
	yearMonthDay

	everyOrder = monthDayYear | dayMonthYear | yearMonthDay
)

// dates finds out in which order a server writes its dates: 03-04-24 tells nothing, 03-14-24 in the same listing tells
// all. Where no date of a listing decides, the first preference does. Where dates contradict each other, each is read
// by the first preference that fits it.
type dates struct {
	settled  order   // the order of the whole listing, 0 until that is known
	latest   int     // dates after this one are in the future
	prefer   []order // what the format has, the usual first
	possible order   // those that fit all dates
	past     order   // those that put no date into the future
	used     order   // those by which dates were read
	years    [3]span // that the dates take up, by order
}

type span struct{ first, last int }

// threeNumbers reads three numbers with '-', '/' or '.' between them.
func threeNumbers(word string) (parts [3]string, separator byte, ok bool) {
	start, count := 0, 0
	for i := range len(word) {
		switch c := word[i]; {
		case isDigit(c):
			continue
		case c != '-' && c != '/' && c != '.', count == 2, count == 1 && c != separator:
			return parts, 0, false
		default:
			parts[count] = word[start:i]
			separator, start, count = c, i+1, count+1
		}
	}
	if count != 2 {
		return parts, 0, false
	}
	parts[2] = word[start:]
	return parts, separator, true
}

// inOrder puts the numbers of a date into their places; ok if the calendar has that day.
func inOrder(parts [3]string, o order) (year int, month time.Month, day int, ok bool) {
	monthWord, dayWord, yearWord := parts[0], parts[1], parts[2]
	switch o {
	case dayMonthYear:
		monthWord, dayWord = dayWord, monthWord
	case yearMonthDay:
		yearWord, monthWord, dayWord = parts[0], parts[1], parts[2]
	}
	year, okYear := yearOf(yearWord)
	monthNumber, okMonth := number(monthWord, 2)
	day, okDay := number(dayWord, 2)
	month = time.Month(monthNumber)
	return year, month, day, okYear && okMonth && okDay && isDate(year, month, day)
}

// read reads a date in the order of the listing, as far as that is known, and learns from it.
func (d *dates) read(parts [3]string, prefer []order) (year int, month time.Month, day int, ok bool) {
	fits, chosen := order(0), order(0)
	for i, o := range prefer {
		y, m, thisDay, fitsOrder := inOrder(parts, o)
		if !fitsOrder {
			continue
		}
		fits |= o
		if chosen == 0 || o == d.settled {
			chosen, year, month, day = o, y, m, thisDay
		}
		if sortable(y, m, thisDay) > d.latest {
			d.past &^= o
		}
		if years := &d.years[i]; d.used == 0 || years.first == 0 {
			*years = span{y, y}
		} else {
			years.first, years.last = min(years.first, y), max(years.last, y)
		}
	}
	if fits == 0 {
		return 0, 0, 0, false
	}
	d.prefer = prefer
	d.possible &= fits
	d.used |= chosen
	return year, month, day, true
}

// newDates begins to read a listing, in a known order or with 0 for none.
func newDates(settled order, now time.Time) dates {
	d := dates{settled: settled, possible: everyOrder, past: everyOrder, latest: math.MaxInt}
	if !now.IsZero() {
		d.latest = sortable(now.Add(Day).UTC().Date())
	}
	return d
}

// sortable turns a day into a number that is larger for later ones.
func sortable(year int, month time.Month, day int) int { return (year*100+int(month))*100 + day }

// order returns the order in which the listing has to be read again, 0 if it was read well.
func (d *dates) order() order {
	candidates := d.possible
	if d.possible&d.past != 0 {
		candidates &= d.past
	}
	best, bestYears := order(0), span{}
	for i, o := range d.prefer {
		years := d.years[i]
		// The files of a folder are rather of one year than of several years and one day of them.
		closer := o == yearMonthDay && years.first == years.last && bestYears.first != bestYears.last
		if candidates&o != 0 && (best == 0 || closer) {
			best, bestYears = o, years
		}
	}
	if best == d.used {
		return 0
	}
	return best
}
