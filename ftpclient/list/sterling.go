package list

import "strings"

// parseSterling reads the batches of Sterling Connect:Enterprise, with their flags, origin, owner and number before the
// size:
//
//	-C--E-----FTP B BCC3I1       7670  1294495 Jan 13 07:42 orders
//
// Source: the comments of FileZilla's and Indy's parsers.
func parseSterling(line string, o *Options) (Entry, bool) {
	const flags, origin = len("-C--E-----"), len("FTP")
	if len(line) <= flags+origin || line[0] != '-' || line[flags+origin] != ' ' {
		return Entry{}, false
	}
	isFlag := func(c byte) bool { return c == '-' || isUpper(c) }
	if !isAll(line[:flags], isFlag) || !isAll(line[flags:flags+origin], isUpper) || strings.Trim(line[:flags], "-") == "" {
		return Entry{}, false
	}
	at := flags + origin
	const mostColumns = 6
	for range mostColumns {
		word, end := field(line, at)
		at = end
		if size, ok := decimal(word); ok {
			if date, ok := unixDate(line, end, o); ok {
				return Entry{Type: File, Size: size, ModTime: date.time, Precision: date.precision, Name: date.rest}, true
			}
		}
	}
	return Entry{}, false
}
