package list

import (
	"io/fs"
	"strings"
	"time"
)

// mostColumns may stand before the date; names of groups with blanks fill many.
const mostColumns = 32

// parseUnix reads a line in the form of ls -l:
//
//	-rw-r--r--   1 user     group        1234 Jan 31 12:00 name
//
// Only the permissions, the size, the date and what follows it are looked at. The columns between are not counted,
// because some servers leave out the group, or have blanks in the names of users and groups: the leftmost column with
// a size that stands before a date decides. A name never decides, since it follows the date.
func parseUnix(line string, o *Options) (Entry, bool) {
	entry, columns, ok := permissions(line)
	if !ok {
		if entry, ok := unreadable(line); ok {
			return entry, true
		}
		return parseNumericUnix(line)
	}
	// At first the links and the owner must stand before the size, so that an owner called "May" is not a date.
	for _, least := range [...]int{2, 0} {
		at := 0
		for count := 0; ; count++ {
			column, end := field(columns, at)
			at = end
			if column == "" || count > mostColumns {
				break
			}
			if count < least || !isDigit(column[0]) && column[0] != '-' {
				continue
			}
			if isClockLike(column) {
				// What stands before a time of day was no date, so nothing behind it can be trusted.
				break
			}
			if size, ok := sizeColumn(column, entry.Type); ok {
				if date, ok := unixDate(columns, end, o); ok {
					return complete(entry, size, date)
				}
			}
		}
	}
	if entry, ok := crowded(entry, columns, o); ok {
		return entry, true
	}
	return dateless(entry, columns)
}

func complete(entry Entry, size int64, date foundDate) (Entry, bool) {
	entry.Size = size
	entry.ModTime, entry.Precision = date.time, date.precision
	return nameAndTarget(entry, date.rest)
}

// crowded reads a line in which the size is so wide that no blank is left between it and the group.
func crowded(entry Entry, columns string, o *Options) (Entry, bool) {
	at := 0
	for range mostColumns {
		column, end := field(columns, at)
		if column == "" || isClockLike(column) {
			break
		}
		group := strings.TrimRight(column, "0123456789")
		if group != "" && len(group) < len(column) && !isDigit(group[0]) && isLetter(group[len(group)-1]) {
			if date, ok := unixDate(columns, end, o); ok {
				size, _ := sizeColumn(column[len(group):], entry.Type) // these are digits
				return complete(entry, size, date)
			}
		}
		at = end
	}
	return Entry{}, false
}

// dateless reads a line that leaves out the date: links, owner, group, size and a name of one word. A name of several
// words could be a date in a form that is not known.
func dateless(entry Entry, columns string) (Entry, bool) {
	var words [5]string
	at := 0
	for i := range words {
		words[i], at = field(columns, at)
	}
	links, name := words[0], words[4]
	size, ok := decimal(words[3])
	if !ok || !isDigits(links) || at != len(columns) || name == "" || entry.Type == Other {
		return Entry{}, false
	}
	// A line that was cut off ends within the date.
	if isDigit(name[0]) && !strings.ContainsFunc(name, func(r rune) bool { return r < 0x80 && isLetter(byte(r)) }) {
		return Entry{}, false
	}
	if _, isMonth := monthOf(name); isMonth || len(name) < 3 {
		return Entry{}, false
	}
	entry.Size = size
	return nameAndTarget(entry, name)
}

// permissions reads "drwxr-xr-x" with the mark of an access control list behind it, and returns the columns after. The
// columns for the inode and the blocks may stand before. A type that no Unix knows is Other.
func permissions(line string) (entry Entry, columns string, ok bool) {
	const letters = "rwxrwxrwx"
	if line != "" && (line[0] == ' ' || isDigit(line[0])) {
		line = withoutInode(line)
	}
	if len(line) < 1+len(letters)+1 {
		return Entry{}, "", false
	}
	if columns, ok := strings.CutPrefix(line[1:], "-------- "); ok && (line[0] == '-' || line[0] == 'd') {
		// A server of small devices counts eight permissions and shows none.
		entry.Type = File
		if line[0] == 'd' {
			entry.Type = Dir
		}
		return entry, columns, true
	}
	if columns, ok := batchFlags(line); ok {
		return Entry{Type: File}, columns, true
	}
	switch c := line[0]; {
	case c == '-' || c == 'f':
		entry.Type = File
	case c == 'd':
		entry.Type = Dir
	case c == 'l':
		entry.Type = Link
	case isLetter(c):
		entry.Type = Other
	default:
		return Entry{}, "", false
	}
	entry.HasMode = true
	for i := range len(letters) {
		permission := fs.FileMode(1) << (len(letters) - 1 - i)
		switch c := line[1+i]; {
		case c == '-':
		case c == letters[i]:
			entry.Mode |= permission
		case i == 2 && c == 's':
			entry.Mode |= permission | fs.ModeSetuid
		case i == 2 && c == 'S':
			entry.Mode |= fs.ModeSetuid
		case i == 5 && c == 's':
			entry.Mode |= permission | fs.ModeSetgid
		case i == 5 && (c == 'S' || c == 'l' || c == 'L'):
			entry.Mode |= fs.ModeSetgid
		case i == 8 && c == 't':
			entry.Mode |= permission | fs.ModeSticky
		case i == 8 && c == 'T':
			entry.Mode |= fs.ModeSticky
		default:
			return Entry{}, "", false
		}
	}
	columns = line[1+len(letters):]
	if strings.IndexByte("+.@", columns[0]) >= 0 {
		columns = columns[1:]
	}
	// A count of links above 999 leaves no blank.
	return entry, columns, columns != "" && (isBlankAt(columns, 0) || isDigit(columns[0]))
}

// unreadable reads what ls writes for a name of which it could learn no more than the type, if that:
//
//	-????????? ? ?    ?       ?            ? name
func unreadable(line string) (Entry, bool) {
	const marks = "?????????"
	if len(line) <= len(marks) || line[1:1+len(marks)] != marks {
		return Entry{}, false
	}
	entry := Entry{Size: -1}
	switch line[0] {
	case '-':
		entry.Type = File
	case 'd':
		entry.Type = Dir
	case 'l':
		entry.Type = Link
	case '?', 'p', 'c', 'b', 's':
	default:
		return Entry{}, false
	}
	at := 1 + len(marks)
	const columnsBefore = 5 // links, owner, group, size, date
	for range columnsBefore {
		var column string
		if column, at = field(line, at); column != "?" {
			return Entry{}, false
		}
	}
	var ok bool
	entry.Name, ok = afterBlank(line, at)
	return entry, ok
}

// batchFlags reads the flags and the protocol of a batch of Sterling Connect:Enterprise, which are like permissions:
//
//	-C--E-----FTP B BCC3I1       7670  1294495 Jan 13 07:42 orders
func batchFlags(line string) (columns string, ok bool) {
	const flags, protocol = len("-C--E-----"), len("FTP")
	if len(line) <= flags+protocol || line[0] != '-' || line[flags+protocol] != ' ' {
		return "", false
	}
	isFlag := func(c byte) bool { return c == '-' || isUpper(c) }
	return line[flags+protocol:], isAll(line[1:flags], isFlag) && isAll(line[flags:flags+protocol], isUpper)
}

// withoutInode cuts off the columns of ls -i and ls -s.
func withoutInode(line string) string {
	for range 2 {
		line = strings.TrimLeft(line, " ")
		end := 0
		for end < len(line) && isDigit(line[end]) {
			end++
		}
		if end == 0 || !isBlankAt(line, end) {
			break
		}
		line = line[end:]
	}
	return strings.TrimLeft(line, " ")
}

// parseNumericUnix reads the mode and the time as numbers: "0100644   500  101   12345    123456789       name".
func parseNumericUnix(line string) (Entry, bool) {
	const mode, size, modified = 0, 3, 4
	var words [5]string
	at := 0
	for i := range words {
		if words[i], at = field(line, at); !isDigits(words[i]) {
			return Entry{}, false
		}
	}
	entry := Entry{Size: factSize(words[size])}
	var bits int64
	if bits, entry.HasMode = octal(words[mode]); !entry.HasMode || line[0] != '0' || len(words[mode]) < len("040755") {
		return Entry{}, false
	}
	entry.Mode = unixMode(bits)
	switch bits & 0o170000 {
	case 0o100000:
		entry.Type = File
	case 0o040000:
		entry.Type = Dir
	case 0o120000:
		entry.Type = Link
	}
	const farthest = 1 << 36 // seconds, some two thousand years
	if seconds, ok := decimal(words[modified]); ok && seconds < farthest {
		entry.ModTime, entry.Precision = time.Unix(seconds, 0).UTC(), time.Second
	}
	return nameAndTarget(entry, strings.TrimLeft(line[at:], " "))
}

// sizeColumn reads the column before the date. Devices have their numbers there, "8, 1" or "0x2000002", and no size.
func sizeColumn(column string, kind Type) (int64, bool) {
	if size, ok := decimal(column); ok {
		if kind == Other {
			size = -1
		}
		return size, true
	}
	digits := column
	// Servers that count with 32 bits print large sizes as negative numbers: the size is not known.
	if column[0] == '-' {
		digits = column[1:]
	}
	if isDigits(digits) {
		return -1, true
	}
	return -1, isDigit(column[0]) && (kind == Other || isInexact(column))
}

// isInexact reports whether a column is a size of which the bytes are not known: rounded as ls -h does, "33.5k", or
// written in a way that has more than one meaning, "1.234" and "0x4d2".
func isInexact(column string) bool {
	if hexadecimal, ok := strings.CutPrefix(column, "0x"); ok {
		return hexadecimal != "" && strings.Trim(hexadecimal, "0123456789abcdefABCDEF") == ""
	}
	digits := strings.TrimRight(column, "iB")
	if last := len(digits) - 1; last > 0 && strings.IndexByte("kKMGTP", digits[last]) >= 0 {
		digits = digits[:last]
	}
	return digits != "" && isDigit(digits[len(digits)-1]) && strings.Trim(digits, "0123456789.,") == ""
}

const arrow = " -> "

// nameAndTarget splits "name -> target" of a link. Where both may have arrows inside, the size decides, since that of a
// link is the length of its target; where it does not decide, nothing is better than a wrong name.
func nameAndTarget(entry Entry, rest string) (Entry, bool) {
	entry.Name = rest
	if entry.Type != Link {
		// ls -F and ls -p mark directories, and no name has a slash.
		if entry.Type == Dir {
			entry.Name = strings.TrimSuffix(rest, "/")
		}
		return entry, true
	}
	first := strings.Index(rest, arrow)
	if first < 0 {
		return entry, true
	}
	split := first
	if strings.LastIndex(rest, arrow) != first {
		// Only one place leaves a target of the given length.
		split = len(rest) - len(arrow) - int(min(entry.Size, int64(len(rest))))
		if entry.Size < 0 || split < 0 || !strings.HasPrefix(rest[split:], arrow) {
			return Entry{}, false
		}
	}
	entry.Name, entry.Target = rest[:split], rest[split+len(arrow):]
	return entry, true
}
