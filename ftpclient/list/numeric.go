package list

// parseNumeric reads a Unix listing of numbers: the mode, the owner and group, the size, the seconds since 1970.
//
//	0100644   500  101   12345    123456789       readme.txt
//
// Source: the comments of FileZilla's parser. Times are in UTC.
func parseNumeric(line string, _ *Options) (Entry, bool) {
	c := columns{line: line}
	mode := c.next()
	if len(mode) < len("040755") || mode[0] != '0' {
		return Entry{}, false
	}
	bits, ok := octal(mode)
	if !ok || !isAll(c.next(), isDigit) || !isAll(c.next(), isDigit) {
		return Entry{}, false
	}
	size, ok := decimal(c.next())
	seconds := c.next()
	if !ok || !isAll(seconds, isDigit) {
		return Entry{}, false
	}
	entry := Entry{Size: size, Mode: unixMode(bits), HasMode: true, Name: trimBlanks(c.rest())}
	switch bits >> 12 {
	case 0o10:
		entry.Type = File
	case 0o04:
		entry.Type = Dir
	case 0o12:
		entry.Type = Link
	}
	entry.setSeconds(seconds)
	return entry, true
}
