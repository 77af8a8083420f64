package list

import "strings"

// readWin16 reads the formats of the servers for Windows 3.1, SuperTCP and Chameleon:
//
//	CMT             <DIR>           11-21-94        10:17
//	DESIGN1.DOC          11264      05-11-95        14:20
//	README.TXT       1045      May 10 1995 11:01   A
//
// Sources: the comments of Mozilla's parser, of Lynx and of mirror.pl. Names are those of DOS, without blanks.
func readWin16(line string, r *reading) (Entry, verdict) {
	c := columns{line: line}
	entry := Entry{Size: -1, Name: c.next()}
	const longest = 12 // eight, a dot, and three
	kind := c.next()
	if size, ok := decimal(kind); ok {
		entry.Type, entry.Size = File, size
	} else if kind == "<DIR>" {
		entry.Type = Dir
	} else {
		return Entry{}, rejected
	}
	date := c.next()
	if len(entry.Name) > longest || line[0] == ' ' || date == "" {
		return Entry{}, rejected
	}
	if parts, _, ok := threeNumbers(date); ok {
		year, month, day, ok := r.dates.read(parts, monthFirst)
		t, okTime := clockTime(c.next())
		if !ok || !okTime || trimBlanks(c.rest()) != "" {
			return Entry{}, rejected
		}
		entry.setTime(year, month, day, t, r.Options)
		return entry, accepted
	}
	day, year := c.next(), c.next()
	year4, month, dayNumber, ok := namedDate(date+"-"+day+"-"+year, true)
	t, okTime := clockTime(c.next())
	attributes := trimBlanks(c.rest())
	if !ok || !okTime || month == 0 || strings.Trim(attributes, "RHSA") != "" {
		return Entry{}, rejected
	}
	entry.setTime(year4, month, dayNumber, t, r.Options)
	return entry, accepted
}
