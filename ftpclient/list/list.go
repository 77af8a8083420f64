// Package list turns the text of a directory listing into entries: MLSD and MLST facts (RFC 3659 section 7) and the
// LIST output of Unix servers, which no standard describes. It does no I/O and keeps no state.
//
// A line that cannot be read is never dropped. It is returned in [Listing.Unparsed], because a file that could not be
// seen must not be taken for a file that is not there.
package list

import (
	"bytes"
	"io/fs"
	"strings"
	"time"
)

// Type is what an entry is. The zero value is Other, so that what is not known is not taken for a file.
type Type uint8

const (
	// Other is whatever is none of the rest: devices, sockets, pipes, and what the server does not tell.
	Other Type = iota
	File
	Dir
	// Link is a symbolic link. Some servers list links as the file or directory they point to.
	Link

	// listed is the listed directory itself or its parent, type=cdir and type=pdir. It does not leave this package.
	listed
)

// String returns "file", "dir", "link" or "other".
func (t Type) String() string {
	switch t {
	case File:
		return "file"
	case Dir, listed:
		return "dir"
	case Link:
		return "link"
	default:
		return "other"
	}
}

// Precision is the unit to which a time is known: two times agree if they differ by less than the coarser precision.
type Precision = time.Duration

// Day is the precision of LIST dates that show a year and no time of day.
const Day Precision = 24 * time.Hour

// Entry is one line of a listing.
type Entry struct {
	// Name holds the bytes the server sent, which need not be valid UTF-8; blanks at both ends belong to it. From
	// [Parse] it is a single path element that is not empty, ".", or ".." and has no '/', CR, LF or NUL.
	Name string
	Type Type
	// Size is in bytes, -1 when unknown. Only that of a file is of use: links tell the length of their target or the
	// size of what they point to, directories anything.
	Size int64
	// ModTime is in UTC, and zero when unknown.
	ModTime time.Time
	// Precision of ModTime: [Day], a minute, a second, or less where the server told fractions; 0 without ModTime.
	Precision Precision
	// Mode holds permission bits, setuid, setgid and sticky, without type bits. It counts only if HasMode.
	Mode    fs.FileMode
	HasMode bool
	// Target is where a link points to, as far as the server tells.
	Target string
	// Unique and Perm are the MLSD facts of these names (RFC 3659 sections 7.5.2 and 7.5.5).
	Unique string
	Perm   string
}

// Options tell what the listing itself does not.
type Options struct {
	// Now gives dates without a year the newest year that puts them at most one day into the future. With a zero Now
	// such times stay unknown.
	Now time.Time
	// Location is the zone of the times in LIST output; nil means UTC. MLSD times are in UTC always.
	Location *time.Location
	// System is the server's answer to SYST, a hint for lines that more than one format could read.
	System string
	// Format forces a format by its name, "mlsd" or "unix"; "" means to detect it. No line parses in a format of
	// another name.
	Format string
}

// Listing is the content of one directory, in the order of the server. Its strings share one copy of the whole text:
// clone those that are kept for long.
type Listing struct {
	Entries []Entry
	// Unparsed holds, without their line ends, the lines that are neither entries nor known to say nothing. The
	// listing is complete only if there are none.
	Unparsed []string
	// Format is the name of the format of all entries; "" if none was forced and no line parsed.
	Format string
}

// format is one way to write a listing. Its parse function sees lines without line end, CR, LF and NUL.
type format struct {
	name  string
	parse func(line string, o *Options) (Entry, bool)
}

// formats in the order they are tried: the strict ones first, so that no line is read by accident.
var formats = []format{
	{"mlsd", parseMLSD},
	{"unix", parseUnix},
}

// Parse reads the text of a whole listing, with CRLF or LF line ends. The first line that parses fixes the format for
// all others. Blank lines, "total N" and the entries for the directory itself and its parent are left out; every other
// line is either an entry or unparsed.
func Parse(text []byte, o Options) Listing {
	if o.Location == nil {
		o.Location = time.UTC
	}
	candidates := formats
	if o.Format != "" {
		candidates = only(o.Format)
	}
	result := Listing{Format: o.Format}
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if says := strings.Trim(line, " \t"); says == "" || isTotal(says) {
			continue
		}
		entry, reader, verdict := parseLine(line, candidates, &o)
		switch verdict {
		case rejected:
			result.Unparsed = append(result.Unparsed, line)
			continue
		case accepted:
			if result.Entries == nil {
				result.Entries = make([]Entry, 0, capacity(text))
			}
			result.Entries = append(result.Entries, entry)
		}
		if len(candidates) > 1 {
			candidates = candidates[reader : reader+1]
			result.Format = candidates[0].name
		}
	}
	return result
}

// capacity is the number of entries to make room for, bounded for texts of nothing but line feeds.
func capacity(text []byte) int {
	const shortLine = 32
	return min(bytes.Count(text, []byte("\n")), len(text)/shortLine) + 1
}

func only(name string) []format {
	for i := range formats {
		if formats[i].name == name {
			return formats[i : i+1]
		}
	}
	return nil
}

type verdict uint8

const (
	rejected verdict = iota
	skipped
	accepted
)

// parseLine returns the entry of the first candidate that reads the line, and the index of that candidate.
func parseLine(line string, candidates []format, o *Options) (Entry, int, verdict) {
	if !isClean(line) {
		return Entry{}, 0, rejected
	}
	for i := range candidates {
		if entry, ok := candidates[i].parse(line, o); ok {
			if verdict := judge(&entry); verdict != rejected {
				return entry, i, verdict
			}
		}
	}
	return Entry{}, 0, rejected
}

// judge keeps names that lead out of the listed directory away from the caller.
func judge(entry *Entry) verdict {
	switch {
	case entry.Type == listed:
		return skipped
	case entry.Name == "." || entry.Name == "..":
		if entry.Type == Dir {
			return skipped
		}
		return rejected
	case entry.Name == "" || strings.IndexByte(entry.Name, '/') >= 0:
		return rejected
	}
	return accepted
}

// isClean reports whether a line is free of the bytes that no name may have, because a command cannot carry them.
func isClean(line string) bool {
	return strings.IndexByte(line, '\r') < 0 && strings.IndexByte(line, '\n') < 0 && strings.IndexByte(line, 0) < 0
}
