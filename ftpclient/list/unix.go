package list

import (
	"io/fs"
	"strings"
	"time"
)

// parseUnix reads a line in the form of ls -l:
//
//	-rw-r--r--   1 user     group        1234 Jan 31 12:00 name
//
// Only the permissions, the size, the date and what follows it are looked at. The columns between are not counted,
// because some servers leave out the group, or have blanks in the names of users and groups: the leftmost column with
// a size that stands before a date decides. A name never decides, since it follows the date.
func parseUnix(line string, o *Options) (Entry, bool) {
	entry, columns, ok := permissions(line)
	if !ok {
		return Entry{}, false
	}
	// At first the links and the owner must stand before the size, so that an owner called "May" is not a date.
	for _, least := range [...]int{2, 0} {
		at := 0
		for count := 0; ; count++ {
			column, end := field(columns, at)
			if column == "" {
				break
			}
			if size, ok := sizeColumn(column, entry.Type); ok && count >= least {
				if date, ok := unixDate(columns, end, o); ok {
					entry.Size = size
					entry.ModTime, entry.Precision = date.time, date.precision
					return nameAndTarget(entry, date.rest)
				}
			}
			at = end
		}
	}
	return Entry{}, false
}

// permissions reads "drwxr-xr-x" with the mark of an access control list behind it, and returns the columns after.
func permissions(line string) (entry Entry, columns string, ok bool) {
	const letters = "rwxrwxrwx"
	if len(line) < 1+len(letters)+1 {
		return Entry{}, "", false
	}
	switch line[0] {
	case '-':
		entry.Type = File
	case 'd':
		entry.Type = Dir
	case 'l':
		entry.Type = Link
	case 'b', 'c', 'p', 's', 'D', 'P':
		entry.Type = Other
	default:
		return Entry{}, "", false
	}
	for i := range len(letters) {
		permission := fs.FileMode(1) << (len(letters) - 1 - i)
		switch c := line[1+i]; {
		case c == '-':
		case c == letters[i]:
			entry.Mode |= permission
		case i == 2 && c == 's':
			entry.Mode |= permission | fs.ModeSetuid
		case i == 2 && c == 'S':
			entry.Mode |= fs.ModeSetuid
		case i == 5 && c == 's':
			entry.Mode |= permission | fs.ModeSetgid
		case i == 5 && (c == 'S' || c == 'l' || c == 'L'):
			entry.Mode |= fs.ModeSetgid
		case i == 8 && c == 't':
			entry.Mode |= permission | fs.ModeSticky
		case i == 8 && c == 'T':
			entry.Mode |= fs.ModeSticky
		default:
			return Entry{}, "", false
		}
	}
	entry.HasMode = true
	columns = line[1+len(letters):]
	if strings.IndexByte("+.@", columns[0]) >= 0 {
		columns = columns[1:]
	}
	return entry, columns, strings.HasPrefix(columns, " ")
}

// field returns the next word at or behind a position, and where it ends.
func field(s string, at int) (word string, end int) {
	for at < len(s) && s[at] == ' ' {
		at++
	}
	end = at
	for end < len(s) && s[end] != ' ' {
		end++
	}
	return s[at:end], end
}

// sizeColumn reads the column before the date. Devices have their numbers there, "8, 1" or "0x2000002", and no size.
func sizeColumn(column string, kind Type) (int64, bool) {
	if size, ok := decimal(column); ok {
		if kind == Other {
			size = -1
		}
		return size, true
	}
	// Servers that count with 32 bits print large sizes as negative numbers: the size is not known.
	if column[0] == '-' {
		_, ok := decimal(column[1:])
		return -1, ok
	}
	return -1, kind == Other && isDigit(column[0])
}

type foundDate struct {
	time      time.Time
	precision Precision
	rest      string // what follows the one blank behind the date
}

// unixDate reads the date at a position: "Jan 31 12:00", "Jan 31  2024" or "2024-01-31 12:00".
func unixDate(s string, at int, o *Options) (found foundDate, ok bool) {
	word, end := field(s, at)
	switch len(word) {
	case len("Jan"):
		month, okMonth := englishMonth(word)
		if !okMonth {
			return found, false
		}
		dayWord, dayEnd := field(s, end)
		day, okDay := number(dayWord, 2)
		if !okDay {
			return found, false
		}
		word, end = field(s, dayEnd)
		if found.time, found.precision, ok = yearOrClock(word, month, day, o); !ok {
			return found, false
		}
	case len("2024-01-31"):
		date := word
		word, end = field(s, end)
		if found.time, found.precision, ok = isoTime(date, word, o); !ok {
			return found, false
		}
	default:
		return found, false
	}
	found.rest, ok = strings.CutPrefix(s[end:], " ")
	return found, ok
}

// yearOrClock completes a month and day with the column that has the year of old files and the time of recent ones.
func yearOrClock(word string, month time.Month, day int, o *Options) (time.Time, Precision, bool) {
	if year, ok := number(word, 4); ok {
		if len(word) != 4 || !isDate(year, month, day) {
			return time.Time{}, 0, false
		}
		if !isKnown(year) {
			return time.Time{}, 0, true
		}
		return time.Date(year, month, day, 0, 0, 0, 0, o.Location).UTC(), Day, true
	}
	hour, minute, _, precision, ok := clock(word)
	const leapYear = 2000
	if !ok || precision != time.Minute || !isDate(leapYear, month, day) {
		return time.Time{}, 0, false
	}
	if o.Now.IsZero() {
		return time.Time{}, 0, true
	}
	// A day of tolerance for zones and clocks that differ.
	latest := o.Now.Add(Day)
	for year := latest.In(o.Location).Year(); ; year-- {
		if !isDate(year, month, day) {
			continue
		}
		if date := time.Date(year, month, day, hour, minute, 0, 0, o.Location); !date.After(latest) {
			return date.UTC(), precision, true
		}
	}
}

// isoTime reads "2024-01-31" and "12:00" or "12:00:05".
func isoTime(date, timeOfDay string, o *Options) (time.Time, Precision, bool) {
	if date[4] != '-' || date[7] != '-' {
		return time.Time{}, 0, false
	}
	year, okYear := number(date[:4], 4)
	month, okMonth := number(date[5:7], 2)
	day, okDay := number(date[8:], 2)
	hour, minute, second, precision, okClock := clock(timeOfDay)
	if !okYear || !okMonth || !okDay || !okClock || !isDate(year, time.Month(month), day) {
		return time.Time{}, 0, false
	}
	if !isKnown(year) {
		return time.Time{}, 0, true
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, 0, o.Location).UTC(), precision, true
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

const arrow = " -> "

// nameAndTarget splits "name -> target" of a link. Where both may have arrows inside, the size decides, since that of a
// link is the length of its target; where it does not decide, nothing is better than a wrong name.
func nameAndTarget(entry Entry, rest string) (Entry, bool) {
	entry.Name = rest
	if entry.Type != Link {
		return entry, true
	}
	first := strings.Index(rest, arrow)
	if first < 0 {
		return entry, true
	}
	split := first
	if strings.LastIndex(rest, arrow) != first {
		// Only one place leaves a target of the given length.
		split = len(rest) - len(arrow) - int(min(entry.Size, int64(len(rest))))
		if entry.Size < 0 || split < 0 || !strings.HasPrefix(rest[split:], arrow) {
			return Entry{}, false
		}
	}
	entry.Name, entry.Target = rest[:split], rest[split+len(arrow):]
	return entry, true
}
