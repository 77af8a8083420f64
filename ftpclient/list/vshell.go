package list

import "strings"

// parseVShell reads the format of old versions of VanDyke's VShell, with a slash behind the names of folders:
//
//	206876  Apr 04, 2000 21:06 readme.txt
//	     0  Dec 12, 2002 02:13 docs/
//
// Source: the comments of FileZilla's parser.
func parseVShell(line string, o *Options) (Entry, bool) {
	c := columns{line: line}
	size, ok := decimal(c.next())
	if !ok {
		return Entry{}, false
	}
	monthWord := c.next()
	dayWord, hasComma := strings.CutSuffix(c.next(), ",")
	year, okYear := number(c.next(), 4)
	t, okTime := clockTime(c.next())
	day, okDay := number(dayWord, 2)
	if len(monthWord) != 3 || !hasComma || !okYear || !okTime || !okDay {
		return Entry{}, false
	}
	month, okMonth := englishMonth(monthWord)
	if !okMonth || !isDate(year, month, day) {
		return Entry{}, false
	}
	entry := Entry{Type: File, Size: size, Name: c.name()}
	if folder, isDir := strings.CutSuffix(entry.Name, "/"); isDir {
		entry.Type, entry.Name = Dir, folder
	}
	entry.setTime(year, month, day, t, o)
	return entry, true
}
