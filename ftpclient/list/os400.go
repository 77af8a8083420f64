package list

import "strings"

// readOS400 reads the own format of OS/400 and its successor IBM i (LISTFMT 0):
//
//	QSYS            77824 02/23/00 15:09:55 *DIR       folder/
//	PEP              4019 18.03.04 18:58:16 *STMF      einladung.zip
//	CFT             45056 04/12/14 14:19:31 *FILE      ANTHONY1.FILE
//	CFT                                     *MEM       ANTHONY1.FILE/ANTHONY1.MBR
//
// Source: IBM i documentation, FTP server, "File and directory entries in IBM i format". Owner, size and time may be
// blank. The order of the date is that of the server's job. A database file is a folder of members: where the listing
// of a library shows them, they are skipped and the file is a folder, and otherwise a file, as a save file is.
func readOS400(line string, r *reading) (Entry, verdict) {
	c := columns{line: line}
	var before [4]string
	word, count := c.next(), 0
	for ; count < len(before) && !isObjectType(word); count++ {
		before[count] = word
		word = c.next()
	}
	if !isObjectType(word) {
		return Entry{}, rejected
	}
	kind, known := objectType(word)
	entry := Entry{Type: kind, Size: -1, Name: strings.TrimLeft(c.rest(), " ")}
	dated, ok := os400Columns(&entry, before[:count], r)
	if !ok || !dated && !known {
		return Entry{}, rejected
	}
	if file, _, inFile := strings.Cut(entry.Name, "/"); word == "*MEM" && inFile && file == r.within {
		return Entry{}, skipped
	}
	r.within = ""
	switch {
	case kind == Dir:
		entry.Name = strings.TrimSuffix(entry.Name, "/")
	case word == "*FILE" && hasMember(r.peek(), entry.Name):
		entry.Type, r.within = Dir, entry.Name
	}
	return entry, accepted
}

// isObjectType knows "*FILE" and its like.
func isObjectType(word string) bool {
	return len(word) > 2 && len(word) <= 10 && word[0] == '*' && isAll(word[1:], func(c byte) bool { return isUpper(c) || isDigit(c) })
}

// objectType tells the types that have to do with files. All the others are objects that FTP cannot transfer.
func objectType(word string) (kind Type, known bool) {
	switch word {
	case "*DIR", "*DDIR", "*FLR", "*LIB":
		return Dir, true
	case "*FILE", "*MEM", "*STMF", "*DSTMF", "*DOC":
		return File, true
	case "*SYMLNK":
		return Link, true
	}
	return Other, false
}

// os400Columns reads what stands before the type: the owner, the size, and the date with the time.
func os400Columns(entry *Entry, words []string, r *reading) (dated, ok bool) {
	if last := len(words) - 1; last >= 1 {
		if t, isTime := clockTime(words[last]); isTime {
			if !os400Date(entry, words[last-1], t, r) {
				return false, false
			}
			dated, words = true, words[:last-1]
		}
	}
	if last := len(words) - 1; last >= 0 {
		if size, isSize := decimal(words[last]); isSize {
			entry.Size, words = size, words[:last]
		}
	}
	return dated, len(words) <= 1
}

// os400Date reads a date in the format of a job, DATFMT: three numbers in an order that depends on the country, or the
// year and the number of the day (*JUL).
func os400Date(entry *Entry, word string, t timeOfDay, r *reading) bool {
	if parts, separator, ok := threeNumbers(word); ok {
		prefer := os400Orders
		if separator == '.' {
			prefer = os400Dotted
		}
		year, month, day, ok := r.dates.read(parts, prefer)
		if ok {
			entry.setTime(year, month, day, t, r.Options)
		}
		return ok
	}
	if len(word) != len("24/064") || !strings.Contains("/-.", word[2:3]) {
		return false
	}
	year, okYear := yearOf(word[:2])
	day, okDay := number(word[3:], 3)
	if !okYear || !okDay || day < 1 || day > 366 {
		return false
	}
	entry.setTime(year, 1, day, t, r.Options)
	return true
}

var (
	os400Orders = []order{monthDayYear, dayMonthYear, yearMonthDay}
	os400Dotted = []order{dayMonthYear, monthDayYear, yearMonthDay}
)

// hasMember reports whether a line shows a member of a file.
func hasMember(line, file string) bool {
	_, rest, ok := strings.Cut(line, "*MEM ")
	return ok && strings.HasPrefix(strings.TrimLeft(rest, " "), file+"/")
}
