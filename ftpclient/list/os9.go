package list

import "strings"

// readOS9 reads the format of Microware OS-9, that of its command dir -e:
//
//	                            Directory of . 11:44:44
//	 Owner   Last modified  Attributes Sector Bytecount Name
//	-------  -------------  ---------- ------ --------- ----
//	20.20    07/03/29 1026   d-ewrewr    2650     85920 CMDS
//
// Sources: the manual of OS-9 (dir) and the comments of Indy. The year comes first, the time has no colon.
func readOS9(line string, r *reading) (Entry, verdict) {
	if isHead(line, "Owner", "Last", "modified", "Attributes", "Sector", "Bytecount", "Name") || isOS9Directory(line) {
		r.headed = true
		return Entry{}, skipped
	}
	if r.headed && isRule(line) {
		return Entry{}, skipped
	}
	c := columns{line: line}
	group, user, hasUser := strings.Cut(c.next(), ".")
	parts, separator, okDate := threeNumbers(c.next())
	clock, attributes, sector := c.next(), c.next(), c.next()
	size, okSize := decimal(c.next())
	if !hasUser || !isDigits(group) || !isDigits(user) || !okDate || separator != '/' || len(clock) != 4 ||
		!okSize || !isAll(sector, isHex) || len(attributes) != 8 {
		return Entry{}, rejected
	}
	year, month, day, isDay := inOrder(parts, yearMonthDay)
	t, okTime := clockTime(clock[:2] + ":" + clock[2:])
	isAttribute := func(c byte) bool { return strings.IndexByte("-dsrwe", c) >= 0 }
	if !isDay || !okTime || !isAll(attributes, isAttribute) {
		return Entry{}, rejected
	}
	entry := Entry{Type: File, Size: size, Name: c.name()}
	if attributes[0] == 'd' {
		entry.Type = Dir
	}
	entry.setTime(year, month, day, t, r.Options)
	return entry, accepted
}

// isOS9Directory knows "Directory of . 11:44:44".
func isOS9Directory(line string) bool {
	c := columns{line: line}
	if c.next() != "Directory" || c.next() != "of" || c.next() == "" {
		return false
	}
	_, ok := clockTime(c.next())
	return ok && c.next() == ""
}
