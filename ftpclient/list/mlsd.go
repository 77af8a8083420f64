package list

import (
	"io/fs"
	"strings"
	"time"
)

// ParseFacts reads one line of facts as MLST and MLSD send it (RFC 3659 section 7.2), without its line end:
// "type=file;size=3; name". The blank before the facts in an MLST reply may be there or not. The name is everything
// after the blank behind the facts, and may be a path; Parse is the one that takes single names only. The types cdir
// and pdir become [Dir]. Values that cannot be understood count as unknown; a line without any of the facts of the
// standard is refused.
func ParseFacts(line string) (Entry, bool) {
	entry, ok := parseFacts(line)
	if !ok || entry.Name == "" || !isClean(line) {
		return Entry{}, false
	}
	if entry.Type == listed {
		entry.Type = Dir
	}
	return entry, true
}

func parseMLSD(line string, _ *Options) (Entry, bool) { return parseFacts(line) }

func parseFacts(line string) (Entry, bool) {
	found := facts{Entry: Entry{Size: -1}, directorySize: -1}
	understood := false
	rest := strings.TrimLeft(line, " ")
	for {
		// A fact ends with ";", which some servers leave out behind the last one; the blank ends them all.
		if name, ok := strings.CutPrefix(rest, " "); ok {
			if found.Size < 0 {
				found.Size = found.directorySize
			}
			found.Name = name
			return found.Entry, understood
		}
		equals := strings.IndexByte(rest, '=')
		if equals <= 0 || strings.IndexByte(rest[:equals], ' ') >= 0 || strings.IndexByte(rest[:equals], ';') >= 0 {
			return Entry{}, false
		}
		kind := factOf(rest[:equals])
		rest = rest[equals+1:]
		end := valueEnd(rest, kind)
		if end < 0 {
			return Entry{}, false
		}
		found.set(kind, rest[:end])
		understood = understood || kind != vendorFact
		if rest[end] == ';' {
			end++
		}
		rest = rest[end:]
	}
}

// valueEnd returns where the value at the start of a string ends, or -1. The standard knows no blanks in values, but
// servers send the targets of links and the names of owners as they are.
func valueEnd(s string, kind fact) int {
	for end := range len(s) {
		if s[end] == ';' {
			return end
		}
		if s[end] == ' ' {
			if semicolon := strings.IndexByte(s, ';'); semicolon >= 0 && (kind == vendorFact || isTarget(s[:end])) {
				return semicolon
			}
			return end
		}
	}
	return -1
}

type facts struct {
	Entry
	directorySize int64 // sizd, as Pure-FTPd calls the size of a directory
}

func (f *facts) set(kind fact, value string) {
	switch kind {
	case typeFact:
		f.Type, f.Target = factType(value)
	case sizeFact:
		f.Size = factSize(value)
	case directorySizeFact:
		f.directorySize = factSize(value)
	case modifyFact:
		f.ModTime, f.Precision = factTime(value)
	case uniqueFact:
		f.Unique = value
	case permFact:
		f.Perm = value
	case modeFact:
		f.Mode, f.HasMode = factMode(value)
	}
}

type fact uint8

const (
	vendorFact fact = iota // any that is not listed here, so that it does not show that a line consists of facts
	typeFact
	sizeFact
	directorySizeFact
	modifyFact
	createFact
	uniqueFact
	permFact
	modeFact
)

// factOf finds a fact by its name, in upper or lower case.
func factOf(name string) fact {
	var buffer [16]byte
	switch string(lower(&buffer, name)) {
	case "type":
		return typeFact
	case "size":
		return sizeFact
	case "sizd":
		return directorySizeFact
	case "modify":
		return modifyFact
	case "create":
		return createFact
	case "unique":
		return uniqueFact
	case "perm":
		return permFact
	case "unix.mode":
		return modeFact
	}
	return vendorFact
}

// systemPrefix marks types that only one system has (RFC 3659 section 7.5.1.5): "OS.unix=slink:target".
const systemPrefix = "os.unix="

func factType(value string) (Type, string) {
	kind, target, _ := strings.Cut(value, ":")
	if hasSystemPrefix(kind) {
		kind = kind[len(systemPrefix):]
	}
	var buffer [16]byte
	switch string(lower(&buffer, kind)) {
	case "file":
		return File, ""
	case "dir":
		return Dir, ""
	case "cdir", "pdir":
		return listed, ""
	case "slink", "symlink", "link":
		return Link, target
	}
	return Other, ""
}

// isTarget reports whether a value, of which the end is not known yet, goes on with the target of a link.
func isTarget(value string) bool {
	return hasSystemPrefix(value) && strings.IndexByte(value, ':') > 0
}

func hasSystemPrefix(value string) bool {
	return len(value) >= len(systemPrefix) && strings.EqualFold(value[:len(systemPrefix)], systemPrefix)
}

func factSize(value string) int64 {
	if size, ok := decimal(value); ok {
		return size
	}
	return -1
}

// factTime reads "20240131120000" with any number of decimals of a second (RFC 3659 section 2.3), always in UTC.
func factTime(value string) (time.Time, Precision) {
	whole, fraction, hasFraction := strings.Cut(value, ".")
	stamp, ok := decimal(whole)
	if !ok || len(whole) != len("20240131120000") {
		return time.Time{}, 0
	}
	two := func() int {
		n := int(stamp % 100)
		stamp /= 100
		return n
	}
	second, minute, hour, day, month := two(), two(), two(), two(), time.Month(two())
	year := int(stamp)
	// A leap second has the number 60.
	if !isKnown(year) || !isDate(year, month, day) || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, 0
	}
	precision, nanoseconds := time.Second, time.Duration(0)
	if hasFraction {
		for i := range len(fraction) {
			if !isDigit(fraction[i]) {
				return time.Time{}, 0
			}
			if precision > time.Nanosecond {
				precision /= 10
				nanoseconds += time.Duration(fraction[i]-'0') * precision
			}
		}
	}
	return time.Date(year, month, day, hour, minute, second, int(nanoseconds), time.UTC), precision
}

// factMode reads octal permissions: "0644", "4755", and "100644" from servers that leave the type bits in.
func factMode(value string) (fs.FileMode, bool) {
	if value == "" || len(value) > 7 {
		return 0, false
	}
	var bits int64
	for i := range len(value) {
		if value[i] < '0' || value[i] > '7' {
			return 0, false
		}
		bits = bits<<3 | int64(value[i]-'0')
	}
	return unixMode(bits), true
}

// lower writes a short word in lower case into the buffer; a word that is too long becomes an empty one.
func lower(buffer *[16]byte, word string) []byte {
	if len(word) > len(buffer) {
		return nil
	}
	for i := range len(word) {
		c := word[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		buffer[i] = c
	}
	return buffer[:len(word)]
}
