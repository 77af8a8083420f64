package list

import (
	"strings"
	"time"
)

// readDOS reads the format of IIS, which is that of the command DIR:
//
//	04-27-00  12:09PM       <DIR>          licensed
//	04-14-2000  15:47                  589 readme.htm
//	06/02/2026  23:08    <JUNCTION>     web [H:\web\public]
//
// Sources: the documentation of IIS (MS-DOS directory listing style, four-digit years) and of DIR; Windows CE has 24
// hours. IIS writes the month first whatever the language of Windows is, others follow the language.
func readDOS(line string, r *reading) (Entry, verdict) {
	if isDOSHead(line) {
		return Entry{}, skipped
	}
	if line == "" || !isDigit(line[0]) {
		return Entry{}, rejected
	}
	c := columns{line: line}
	parts, separator, ok := threeNumbers(c.next())
	if !ok {
		return Entry{}, rejected
	}
	year, month, day, ok := dosDate(parts, separator, r)
	if !ok {
		return Entry{}, rejected
	}
	clock, ok := dosClock(&c)
	if !ok {
		return Entry{}, rejected
	}
	entry := Entry{Size: -1}
	entry.setTime(year, month, day, clock, r.Options)
	kind := c.next()
	if size, ok := groupedSize(kind); ok {
		entry.Type, entry.Size, entry.Name = File, size, c.name()
		return entry, accepted
	}
	if entry.Type, ok = dosType(kind); !ok {
		return Entry{}, rejected
	}
	// Tags are padded to the width of the column of sizes. More blanks than that belong to the name.
	const width = 15
	entry.Name = c.rest()
	if pad := max(width-len(kind), 0); len(entry.Name) > pad && strings.Trim(entry.Name[:pad], " ") == "" {
		entry.Name = entry.Name[pad:]
	} else {
		entry.Name = strings.TrimLeft(entry.Name, " \t")
	}
	return dosTarget(entry)
}

// dosDate reads a date with the year at the end, or at the start if it has four digits there.
func dosDate(parts [3]string, separator byte, r *reading) (year int, month time.Month, day int, ok bool) {
	switch {
	case len(parts[0]) == 4:
		return inOrder(parts, yearMonthDay)
	case separator == '.':
		return r.dates.read(parts, dayFirst)
	}
	return r.dates.read(parts, monthFirst)
}

var (
	monthFirst = []order{monthDayYear, dayMonthYear}
	dayFirst   = []order{dayMonthYear, monthDayYear}
)

// dosClock reads "03:47PM", "3:47 PM", "3:47p" and "15:47".
func dosClock(c *columns) (dayTime, bool) {
	word := c.next()
	digits := strings.TrimRight(word, "AaPpMm.")
	half := word[len(digits):]
	if half == "" {
		after := *c
		if next := after.next(); len(next) > 1 && !isDigit(next[0]) && isHalf(next) {
			half, *c = next, after
		}
	}
	t, ok := clockTime(digits)
	if half == "" || !ok {
		return t, ok
	}
	const noon = 12 * time.Hour
	if !isHalf(half) || t.Duration >= noon+time.Hour {
		return t, false
	}
	t.Duration %= noon
	if half[0]|0x20 == 'p' {
		t.Duration += noon
	}
	return t, true
}

// isHalf reports whether a word tells the half of a day.
func isHalf(word string) bool {
	for _, half := range [...]string{"am", "pm", "a", "p", "a.m.", "p.m."} {
		if strings.EqualFold(word, half) {
			return true
		}
	}
	return false
}

// dosType reads "<DIR>" and its like.
func dosType(word string) (Type, bool) {
	if len(word) < 3 || word[0] != '<' || word[len(word)-1] != '>' {
		return Other, false
	}
	switch strings.ToUpper(word[1 : len(word)-1]) {
	case "DIR", "REP":
		return Dir, true
	case "JUNCTION", "SYMLINKD", "SYMLINK":
		return Link, true
	}
	return Other, true
}

// dosTarget splits "name [target]". With more than one bracket nothing tells where the name ends.
func dosTarget(entry Entry) (Entry, verdict) {
	if entry.Type != Link || !strings.HasSuffix(entry.Name, "]") {
		return entry, accepted
	}
	name, target, found := strings.Cut(entry.Name[:len(entry.Name)-1], " [")
	if strings.Contains(target, " [") {
		return Entry{}, rejected
	}
	if found {
		entry.Name, entry.Target = name, target
	}
	return entry, accepted
}

// groupedSize reads a number which may have marks between its groups of three digits.
func groupedSize(word string) (int64, bool) {
	if size, ok := decimal(word); ok {
		return size, true
	}
	if digits, ok := strings.CutPrefix(word, "-"); ok {
		_, ok := decimal(digits) // a size that was too large for 32 bits
		return -1, ok
	}
	const longest = 40
	if len(word) > longest {
		return -1, false
	}
	for _, mark := range [...]string{",", ".", "'", "\u00a0", "\u202f", "\xa0", "\xff"} {
		if first, rest, found := strings.Cut(word, mark); found {
			for group := range strings.SplitSeq(rest, mark) {
				if len(group) != 3 || len(first) == 0 {
					return -1, false
				}
			}
			if len(first) <= 3 {
				return decimal(strings.ReplaceAll(word, mark, ""))
			}
		}
	}
	return -1, false
}

// isDOSHead knows the lines that DIR writes around its entries.
func isDOSHead(line string) bool {
	if line == "" || line[0] != ' ' {
		return false
	}
	c := columns{line: line}
	first, second := c.next(), c.next()
	switch {
	case first == "Volume":
		return second == "in" && c.next() == "drive" || second == "Serial" && c.next() == "Number"
	case first == "Directory":
		path := c.next()
		return second == "of" && len(path) > 2 && isLatin(path[0]) && path[1:3] == `:\`
	}
	_, isCount := groupedSize(first)
	return isCount && (second == "File(s)" || second == "Dir(s)")
}
