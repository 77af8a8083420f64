package list

import (
	"strings"
	"time"
)

// parseEPLF reads the easily parsed list format of D. J. Bernstein (https://cr.yp.to/ftp/list/eplf.html): facts with
// commas behind them, a tab, and the name.
//
//	+i8388621.48594,m825718503,r,s280,up644,	djb.html
//
// Times are in UTC. What may neither be retrieved nor entered is of the type Other.
func parseEPLF(line string, _ *Options) (Entry, bool) {
	facts, name, ok := strings.Cut(line, "\t")
	if !ok || facts == "" || facts[0] != '+' || strings.IndexByte(facts, ' ') >= 0 {
		return Entry{}, false
	}
	entry := Entry{Name: name, Size: -1}
	for fact := range strings.SplitSeq(facts[1:], ",") {
		if fact == "" {
			continue
		}
		switch value := fact[1:]; fact[0] {
		case '/':
			entry.Type = Dir
		case 'r':
			if entry.Type != Dir {
				entry.Type = File
			}
		case 's':
			if size, ok := decimal(value); ok {
				entry.Size = size
			}
		case 'm':
			entry.setSeconds(value)
		case 'i':
			entry.Unique = value
		case 'u':
			if bits, ok := octal(strings.TrimPrefix(value, "p")); ok && value[0] == 'p' {
				entry.Mode, entry.HasMode = unixMode(bits), true
			}
		}
	}
	return entry, true
}

// setSeconds gives an entry a time that counts from 1970 in UTC.
func (entry *Entry) setSeconds(word string) {
	const year10000 = 253402300800
	if seconds, ok := decimal(word); ok && seconds < year10000 {
		entry.ModTime, entry.Precision = time.Unix(seconds, 0).UTC(), time.Second
	}
}
