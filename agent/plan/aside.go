package plan

import (
	"fmt"
	"path"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	// longestName is what most filesystems take, in bytes.
	longestName = 255
	// longestHost is how much of a machine's name goes into names.
	longestHost = 60
	// longestExtension: what is longer behind a dot is no extension.
	longestExtension = 16
	// roomForNumber is kept free in a name for Numbered.
	roomForNumber = len(" 99999")
)

// conflictMark is what ConflictName puts between stem and extension, and what Numbered makes of it.
var conflictMark = regexp.MustCompile(`(?s)^(.+) \(conflict \d{4,}-\d\d-\d\d \d{6}(?: [^()]*)?\)(?: \d+)?$`)

// ConflictName returns the path beside file under which a version of it is kept that lost a conflict:
// "NAME (conflict YYYY-MM-DD HHMMSS HOST).EXT". when is the time of that version, written as it is in its own time zone. If file
// is such a name already, its mark is replaced: the result may even be file itself. No name gets longer than 255 bytes.
func ConflictName(file string, when time.Time, host string) string {
	folder, name := path.Split(file)
	stem, extension := splitName(name)
	if found := conflictMark.FindStringSubmatch(stem); found != nil {
		stem = found[1]
	}
	mark := when.Format(" (conflict 2006-01-02 150405")
	if host = hostInName(host); host != "" {
		mark += " " + host
	}
	return folder + cut(stem, longestName-len(mark)-1-roomForNumber-len(extension)) + mark + ")" + extension
}

// Numbered returns the path beside file with a number before its extension, "NAME 2.EXT", for when the name is taken. No name
// gets longer than 255 bytes. The first one has no number: below 2 it is file.
func Numbered(file string, number int) string {
	if number < 2 {
		return file
	}
	folder, name := path.Split(file)
	stem, extension := splitName(name)
	mark := fmt.Sprintf(" %d", number)
	return folder + cut(stem, longestName-len(mark)-len(extension)) + mark + extension
}

// splitName splits a name before its extension, "" if it has none.
func splitName(name string) (stem, extension string) {
	extension = path.Ext(name)
	stem = strings.TrimSuffix(name, extension)
	if stem == "" || len(extension) < 2 || len(extension) > longestExtension || strings.ContainsAny(extension, " ()") {
		return name, ""
	}
	return stem, extension
}

// cut shortens text to so many bytes, at a rune.
func cut(text string, length int) string {
	if len(text) <= length {
		return text
	}
	for length > 0 && !utf8.RuneStart(text[length]) {
		length--
	}
	return text[:length]
}

// hostInName leaves of a machine's name what can be in a file's name on any side.
func hostInName(host string) string {
	host = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || r != '-' && r != '.' && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return '-'
		}
		return r
	}, host)
	return cut(host, longestHost)
}
