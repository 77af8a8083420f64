package list

import "strings"

// readNonStop reads the files of the Guardian system of HP NonStop (Tandem):
//
//	File         Code             EOF  Last Modification    Owner  RWEP
//	ALV           101             2522 27-Aug-02 13:57:10 155,106 "nnnn"
//
// Source: HP NonStop TCP/IP applications manual (FTP, the format of FILEINFO). The end of file is the size in bytes. A
// code may have a mark behind it. The subvolume may be named below the head.
func readNonStop(line string, r *reading) (Entry, verdict) {
	if isHead(line, "File", "Code", "EOF", "Last", "Modification", "Owner", "RWEP") {
		r.headed = true
		return Entry{}, skipped
	}
	c := columns{line: line}
	entry := Entry{Type: File, Name: c.next()}
	if r.headed && entry.Name != "" && strings.IndexByte(`$\`, entry.Name[0]) >= 0 && c.next() == "" {
		return Entry{}, skipped
	}
	code, size := c.next(), c.next()
	date, clock := c.next(), c.next()
	year, month, day, okDate := namedDate(date, false)
	t, okTime := clockTime(clock)
	entry.Size, _ = decimal(size)
	if !isDigits(size) || !isDigits(strings.TrimRight(code, "+?POL")) || !okDate || !okTime {
		return Entry{}, rejected
	}
	// The owner is "155,106" or "255, 0", and the four letters of the security stand in quotes.
	security := trimBlanks(c.rest())
	if comma, quote := strings.IndexByte(security, ','), strings.IndexByte(security, '"'); comma < 1 || quote < comma {
		return Entry{}, rejected
	}
	if month != 0 {
		entry.setTime(year, month, day, t, r.Options)
	}
	return entry, accepted
}
