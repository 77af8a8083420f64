package list

import (
	"strings"
	"time"
)

// readVM reads the minidisks, shared and byte file systems of VM/CMS and z/VM:
//
//	Filename FileType  Fm Format Lrecl  Records Blocks Date      Time
//	LASTING  GLOBALV   A1 V      41     21     1       9/16/91   15:10:32
//	WELCOME  EREADME      F         80         21          1 1999-12-27 16:19:00 -
//	AUTHORS               DIR        -          -          - 1999-09-20 10:31:11 -
//	05/20/2000 13:38:19      F        1      65758 'bfsline.cpy'
//
// Source: z/VM TCP/IP User's Guide (DIR, LISTFORMAT). A file of the minidisk is called "WELCOME.EREADME". Files with
// records of a fixed length have a known size, as the guide says; that of others is not known.
func readVM(line string, r *reading) (Entry, verdict) {
	if isHead(line, "Filename", "FileType", "Fm", "Format", "Lrecl", "Records", "Blocks", "Date", "Time") {
		return Entry{}, skipped
	}
	if strings.HasSuffix(line, "'") {
		return readBFS(line, r)
	}
	var buffer [wordsAtMost]string
	words, ok := splitWords(line, &buffer)
	if !ok {
		return Entry{}, rejected
	}
	for at := 1; at <= 3 && at+5 < len(words); at++ {
		if entry, ok := cmsFile(words, at, r.Options); ok {
			return entry, accepted
		}
	}
	return Entry{}, rejected
}

// cmsFile reads a line that has the format of the records at a position.
func cmsFile(words []string, at int, o *Options) (Entry, bool) {
	entry := Entry{Type: File, Size: -1, Name: words[0]}
	if words[at] != "F" && words[at] != "V" && words[at] != "DIR" {
		return Entry{}, false
	}
	typeEnd := at
	if at > 1 && len(words[at-1]) == 2 && isUpper(words[at-1][0]) && isDigit(words[at-1][1]) {
		typeEnd-- // the file mode
	}
	switch {
	case typeEnd == 2:
		entry.Name += "." + words[1]
	case typeEnd != 1:
		return Entry{}, false
	}
	year, month, day, okDate := cmsDate(words[at+4])
	t, okTime := clockTime(words[at+5])
	if !okDate || !okTime || t.precision != time.Second {
		return Entry{}, false
	}
	entry.setTime(year, month, day, t, o)
	if words[at] == "DIR" {
		entry.Type = Dir
		return entry, words[at+1] == "-" && words[at+2] == "-" && words[at+3] == "-"
	}
	length, okLength := number(words[at+1], 9)
	records, okRecords := number(words[at+2], 9)
	if words[at] == "F" {
		entry.Size = int64(length) * int64(records)
	}
	return entry, okLength && okRecords && isDigits(words[at+3])
}

// cmsDate reads "1999-12-27", "9/16/91", and "1/03/102" for 2002.
func cmsDate(word string) (year int, month time.Month, day int, ok bool) {
	parts, separator, ok := threeNumbers(word)
	order := monthDayYear
	if separator == '-' {
		order = yearMonthDay
	}
	year, month, day, isDay := inOrder(parts, order)
	return year, month, day, ok && isDay
}

// readBFS reads a line of the byte file system.
func readBFS(line string, r *reading) (Entry, verdict) {
	c := columns{line: line}
	year, month, day, okDate := cmsDate(c.next())
	t, okTime := clockTime(c.next())
	kind := c.next()
	c.next()
	size := c.next()
	name, quoted := strings.CutPrefix(trimBlanks(c.rest()), "'")
	if !okDate || !okTime || !quoted {
		return Entry{}, rejected
	}
	entry := Entry{Size: -1, Name: strings.TrimSuffix(name, "'")}
	entry.setTime(year, month, day, t, r.Options)
	if n, ok := decimal(size); ok {
		entry.Size = n
	} else if size != "-" {
		return Entry{}, rejected
	}
	switch kind {
	case "F":
		entry.Type = File
	case "D":
		entry.Type = Dir
	default:
		if len(kind) != 1 || !isUpper(kind[0]) {
			return Entry{}, rejected
		}
	}
	return entry, accepted
}
