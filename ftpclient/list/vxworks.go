package list

import "strings"

// readVxWorks reads the format of the servers on VxWorks, as in routers of Nortel:
//
//	  size          date       time       name
//	--------       ------     ------    --------
//	    2048    Feb-28-1998  05:23:30   log               <DIR>
//
// Source: VxWorks, the library usrFsLib (ls with details). Names are padded with blanks at their end.
func readVxWorks(line string, r *reading) (Entry, verdict) {
	if isHead(line, "size", "date", "time", "name") {
		r.headed = true
		return Entry{}, skipped
	}
	if r.headed && (isRule(line) || strings.HasPrefix(line, "value = ")) {
		return Entry{}, skipped
	}
	c := columns{line: line}
	size, ok := decimal(c.next())
	year, month, day, okDate := namedDate(c.next(), true)
	t, okTime := clockTime(c.next())
	if !ok || !okDate || !okTime || month == 0 {
		return Entry{}, rejected
	}
	entry := Entry{Type: File, Size: size, Name: trimBlanks(c.rest())}
	if name, isDir := strings.CutSuffix(entry.Name, "<DIR>"); isDir {
		entry.Type, entry.Name = Dir, trimBlanks(name)
	}
	entry.setTime(year, month, day, t, r.Options)
	return entry, accepted
}
