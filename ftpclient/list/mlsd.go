package list

import (
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

// parseMLSD reads a line of a listing. Some servers put a slash behind the names of directories.
func parseMLSD(line string, _ *Options) (Entry, bool) {
	entry, ok := parseFacts(line)
	if entry.Type == Dir {
		entry.Name = strings.TrimSuffix(entry.Name, "/")
	}
	return entry, ok
}

func parseFacts(line string) (Entry, bool) {
	found := facts{Entry: Entry{Size: -1}, directorySize: -1}
	understood := false
	rest := strings.TrimLeft(line, " ")
	for {
		// A fact ends with ";", which some servers leave out behind the last one; the blank ends them all.
		if isBlankAt(rest, 0) {
			found.Name = rest[1:]
			break
		}
		equals := endOfKind(rest)
		if equals < 0 {
			if !isUnseparatedName(rest) {
				return Entry{}, false
			}
			found.Name = rest
			break
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
		} else if strings.HasPrefix(rest[end:], " ;") {
			return Entry{}, false // it is the value that the blank belongs to, rather than the name
		}
		rest = rest[end:]
	}
	if found.Size < 0 {
		found.Size = found.directorySize
	}
	return found.Entry, understood
}

// endOfKind returns where the "=" stands that ends the kind of a fact, or -1.
func endOfKind(s string) int {
	for i := range len(s) {
		switch s[i] {
		case '=':
			if i == 0 {
				return -1
			}
			return i
		case ' ', ';':
			return -1
		}
	}
	return -1
}

// isUnseparatedName reports whether what follows the facts is a name, though without a blank before it, and not the
// begin of a fact in a line that was cut off.
func isUnseparatedName(s string) bool {
	if s == "" || strings.ContainsAny(s, "=;") {
		return false
	}
	for _, kind := range [...]string{
		"type", "size", "sizd", "modify", "create", "unique", "perm", "lang", "media-type", "charset", "unix.ownername", "unix.mode",
		"unix.owner", "unix.groupname", "unix.uid", "unix.gid", "win32.ea",
	} {
		if len(s) <= len(kind) && strings.EqualFold(s, kind[:len(s)]) {
			return false
		}
	}
	return true
}

// valueEnd returns where the value at the start of a string ends, or -1. The standard knows no blanks in values, but
// servers send the targets of links and the names of owners as they are.
func valueEnd(s string, kind fact) int {
	semicolon := strings.IndexByte(s, ';')
	if semicolon < 0 {
		return strings.IndexByte(s, ' ')
	}
	if kind == vendorFact {
		return semicolon
	}
	if blank := strings.IndexByte(s[:semicolon], ' '); blank >= 0 && !isTarget(s[:blank]) {
		return blank
	}
	return semicolon
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
		f.ModTime, f.Precision, _ = ParseTime(value)
	case uniqueFact:
		f.Unique = value
	case permFact:
		f.Perm = value
	case modeFact:
		if bits, ok := octal(strings.TrimPrefix(value, "0o")); ok { // pyftpdlib writes as Python does
			f.Mode, f.HasMode = unixMode(bits), true
		}
	}
}

type fact uint8

const (
	vendorFact fact = iota // any that is not listed here, so that it does not show that a line consists of facts
	typeFact
	sizeFact
	directorySizeFact
	modifyFact
	otherFact // of the standard, and of no use here
	uniqueFact
	permFact
	modeFact
)

// factOf finds a fact by its name, in upper or lower case.
func factOf(name string) fact {
	var buffer [16]byte
	switch len(name) {
	case len("type"), len("modify"), len("charset"), len("unix.mode"), len("media-type"):
	default:
		return vendorFact
	}
	switch string(lower(&buffer, name)) {
	case "type":
		return typeFact
	case "size":
		return sizeFact
	case "sizd":
		return directorySizeFact
	case "modify":
		return modifyFact
	case "unique":
		return uniqueFact
	case "perm":
		return permFact
	case "unix.mode":
		return modeFact
	case "create", "lang", "media-type", "charset":
		return otherFact
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

// ParseTime reads a time as MLSD, MLST and MDTM send it (RFC 3659 section 2.3): "20240131120000", with any number of
// decimals of a second, always in UTC. Tolerated are blanks around it, a "Z" behind it, and the year as servers print it
// that add it to 19 since the year 2000: "191240131120000" is of 2024. ok is false if the time is not known: that is no
// error in a listing.
func ParseTime(value string) (t time.Time, p Precision, ok bool) {
	value = strings.TrimSuffix(strings.Trim(value, " "), "Z")
	whole, decimals, _ := strings.Cut(value, ".")
	stamp, isNumber := decimal(whole)
	if !isNumber {
		return time.Time{}, 0, false
	}
	two := func() int {
		n := int(stamp % 100)
		stamp /= 100
		return n
	}
	second, minute, hour, day, month := two(), two(), two(), two(), time.Month(two())
	year := int(stamp)
	const digits = len("20240131120000")
	switch {
	case len(whole) == digits+1 && whole[:2] == "19":
		year = 1900 + year%1000
	case len(whole) != digits:
		return time.Time{}, 0, false
	}
	nanoseconds, precision, isFraction := fraction(decimals)
	// A leap second has the number 60.
	if !isFraction || !isKnown(year) || !isDate(year, month, day) || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, 0, false
	}
	return time.Date(year, month, day, hour, minute, second, nanoseconds, time.UTC), precision, true
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
