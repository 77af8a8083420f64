package list

import "strings"

// readNortel reads the format of the routers of Bay Networks and Nortel (Wellfleet):
//
//	Volume - drive 1:
//	Directory of 1:
//
//	File Name            Size    Date     Day       Time
//	------------------------------------------------------
//	startup.cfg          2116  03/06/03  Thur.    07:38:50
//
//	33554432 bytes - Total size
//
// Source: Nortel, Contivity Secure IP Services Gateway configuration guide CG040301.
func readNortel(line string, r *reading) (Entry, verdict) {
	if isHead(line, "File", "Name", "Size", "Date", "Day", "Time") || strings.HasPrefix(trimBlanks(line), "Volume - drive ") {
		r.headed = true
		return Entry{}, skipped
	}
	c := columns{line: line}
	entry := Entry{Type: File, Name: c.next()}
	second := c.next()
	if r.headed && (isRule(line) || second == "bytes" && c.next() == "-" || entry.Name == "Directory" && second == "of") {
		return Entry{}, skipped
	}
	var ok bool
	if entry.Size, ok = decimal(second); !ok {
		return Entry{}, rejected
	}
	parts, separator, okDate := threeNumbers(c.next())
	year, month, day, isDay := inOrder(parts, monthDayYear)
	weekday := strings.TrimSuffix(c.next(), ".")
	t, okTime := clockTime(c.next())
	if !okDate || separator != '/' || !isDay || !okTime || !isAll(weekday, isLetter) || trimBlanks(c.rest()) != "" {
		return Entry{}, rejected
	}
	entry.setTime(year, month, day, t, r.Options)
	return entry, accepted
}
