package list

import "strings"

// parseNetWare reads the format of NetWare's own server, of Hellsoft's, and of the print services for Unix:
//
//	d [RWCEAFMS] supervisor                      512 Jan 16 18:53 login
//	-[RWCEMFA] rhesus             214059       Oct 20 15:27    cx.exe
//	-[RWCEAFMS] server1          3166     Sept 14, 99 2:30 pm vol$log.err
//
// Sources: Novell's documentation of NetWare FTP Server and of UNIX Print Services, the comments of ftpparse and of
// Mozilla's parser.
func parseNetWare(line string, o *Options) (Entry, bool) {
	entry, columns, ok := trusteeRights(line)
	if !ok {
		return Entry{}, false
	}
	// The leftmost size before a date decides, behind the owner if there is one.
	const mostColumns = 8
	for least := 1; least >= 0; least-- {
		at := 0
		for count := range mostColumns {
			word, end := field(columns, at)
			if word == "" {
				break
			}
			at = end
			size, isSize := decimal(word)
			if !isSize || count < least {
				continue
			}
			entry.Size = size
			if date, ok := unixDate(columns, end, o); ok {
				entry.ModTime, entry.Precision = date.time, date.precision
				entry.Name = strings.TrimLeft(date.rest, " ")
				return entry, true
			}
			if name, ok := printServiceDate(&entry, columns[end:], o); ok {
				entry.Name = name
				return entry, true
			}
		}
	}
	return Entry{}, false
}

// trusteeRights reads "d [RWCEAFMS]" and returns the columns after it.
func trusteeRights(line string) (entry Entry, columns string, ok bool) {
	if line == "" {
		return Entry{}, "", false
	}
	switch line[0] {
	case '-':
		entry.Type = File
	case 'd', 'D':
		entry.Type = Dir
	default:
		return Entry{}, "", false
	}
	rights, ok := strings.CutPrefix(strings.TrimLeft(line[1:], " "), "[")
	end := strings.IndexByte(rights, ']')
	if !ok || end < 7 || end > 8 || !strings.HasPrefix(rights[end+1:], " ") {
		return Entry{}, "", false
	}
	isRight := func(c byte) bool { return strings.IndexByte("-RWCEAFMS", c) >= 0 }
	return entry, rights[end+1:], isAll(rights[:end], isRight)
}

// printServiceDate reads "Sept 14, 99 2:30 pm name" and returns the name.
func printServiceDate(entry *Entry, line string, o *Options) (name string, ok bool) {
	c := columns{line: line}
	monthWord, dayWord, yearWord := c.next(), strings.TrimSuffix(c.next(), ","), c.next()
	if len(monthWord) < 3 || len(monthWord) > 4 {
		return "", false
	}
	month, okMonth := englishMonth(monthWord[:3])
	day, okDay := number(dayWord, 2)
	year, okYear := yearOf(yearWord)
	t, okTime := dosClock(&c)
	if !okMonth || !okDay || !okYear || !okTime || !isDate(year, month, day) {
		return "", false
	}
	entry.setTime(year, month, day, t, o)
	return strings.TrimLeft(c.rest(), " "), true
}
