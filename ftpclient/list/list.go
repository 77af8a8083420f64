// Package list turns the text of a directory listing into entries: MLSD and MLST facts (RFC 3659 section 7) and the
// LIST output of Unix, Windows and many other servers, which no standard describes. It does no I/O and keeps
// no state.
//
// A line that cannot be read is never dropped. It is returned in [Listing.Unparsed], because a file that could not be
// seen must not be taken for a file that is not there.
package list

import (
	"io/fs"
	"slices"
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
	// Size is in bytes, -1 when unknown, as it is where servers count in blocks, tracks or records. Only that of a file
	// is of use: links tell the length of their target or the size of what they point to, directories anything.
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
	// Unique and Perm are the MLSD facts of these names (RFC 3659 sections 7.5.2 and 7.5.5). In other formats Unique is
	// what EPLF calls the identifier, and on VMS and TOPS-20 the name with its version, "FILE.TXT;3".
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
	// System is the server's answer to SYST. It is only a hint: the formats it points to are tried first.
	System string
	// Format forces a format by its name; "" means to detect it. The names are mlsd, unix (which Macs, WFTPD and
	// Windows servers in their Unix mode use too), dos, eplf, vms, mvs (data sets), pds (members), jes, os400, netware
	// (and Hellsoft), nonstop, os2, vm, vxworks, nortel, win16, tops20, os9 and vshell. No line
	// parses in a format of another name.
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

// format is one way to write a listing. It has one of parse and read, which see lines without line end, CR, LF and NUL.
type format struct {
	name string
	// systems are words in the answer to SYST that point to the format.
	systems []string
	// parse reads a line by itself.
	parse func(line string, o *Options) (Entry, bool)
	// read reads a line with regard to the others. It skips the heads and feet of its format.
	read func(line string, r *reading) (Entry, verdict)
	// saysNothing reports whether a line says nothing, and nothing about the format either; nil if no line does.
	saysNothing func(line string) bool
	// settle goes over the entries at the end; nil if they stay as they are.
	settle func(entries []Entry) []Entry
}

// formats in the order they are tried: the usual and strict ones first, so that no line is read by accident.
var formats = []format{
	{name: "mlsd", parse: parseMLSD},
	{name: "vms", read: readVMS, settle: newestVersions, systems: []string{"VMS"}},
	{name: "unix", parse: parseUnix, saysNothing: isTotal, systems: []string{"UNIX", "MACOS"}},
	{name: "dos", read: readDOS, systems: []string{"WINDOWS"}},
	{name: "eplf", parse: parseEPLF},
	{name: "mvs", read: readMVS, systems: []string{"MVS", "Z/OS"}},
	{name: "pds", read: readPDS, systems: []string{"MVS", "Z/OS"}},
	{name: "jes", read: readJES, systems: []string{"MVS", "Z/OS"}},
	{name: "os400", read: readOS400, systems: []string{"OS/400", "OS400", "AS/400", "IBM I"}},
	{name: "netware", parse: parseNetWare, systems: []string{"NETWARE"}},
	{name: "nonstop", read: readNonStop, systems: []string{"NONSTOP", "GUARDIAN", "TANDEM"}},
	{name: "os2", read: readOS2, systems: []string{"OS/2"}},
	{name: "vm", read: readVM, systems: []string{"VM/CMS", "Z/VM", "VM IS"}},
	{name: "vxworks", read: readVxWorks, systems: []string{"VXWORKS"}},
	{name: "nortel", read: readNortel},
	{name: "win16", read: readWin16},
	{name: "tops20", read: readTOPS20, settle: newestVersions, systems: []string{"TOPS20", "TOPS-20"}},
	{name: "os9", read: readOS9, systems: []string{"OS9", "OS-9"}},
	{name: "vshell", parse: parseVShell},
}

// reading is a listing in the course of being read.
type reading struct {
	*Options
	after string // the text behind the line at hand
	memory
}

// memory is what the lines so far told. A line that a format rejects leaves nothing behind in it.
type memory struct {
	headed bool   // the head of the format was there
	joined bool   // the next line was part of this one
	within string // the folder or job that the lines at hand are about
	dates  dates
}

// peek returns the next line, without taking it.
func (r *reading) peek() string {
	line, _, _ := strings.Cut(r.after, "\n")
	return strings.TrimSuffix(line, "\r")
}

// Parse reads the text of a whole listing, with CRLF or LF line ends; a byte order mark may stand before. Some
// servers leave out the last line end, so a text that was cut off may end in a wrong name: it must have been received
// whole, which is for the caller to know. The first line that parses, or that is a head
// which only one format has, fixes the format for all others. Blank lines, the heads and feet of the format, older
// versions of a file and the entries for the directory itself and its parent are left out; every other line is an
// entry or unparsed.
//
// Where a date could be read in several orders, one date of the listing that allows only one decides for all; if there
// is none, the month comes first where '-' or '/' stand between the numbers, and the day where dots do.
func Parse(text []byte, o Options) Listing {
	if o.Location == nil {
		o.Location = time.UTC
	}
	const byteOrderMark = "\ufeff"
	whole := strings.TrimPrefix(string(text), byteOrderMark)
	result, order := readAll(whole, &o, 0)
	if order != 0 {
		result, _ = readAll(whole, &o, order)
	}
	return result
}

// readAll reads a listing with the dates in a known order, or returns in which order it should be read again.
func readAll(text string, o *Options, settled order) (Listing, order) {
	candidates := candidates(o)
	result := Listing{Format: o.Format}
	r := reading{Options: o, after: text}
	r.dates = newDates(settled, o.Now)
	for more := true; more; {
		var line string
		line, r.after, more = strings.Cut(r.after, "\n")
		line = strings.TrimSuffix(line, "\r")
		if says := trimBlanks(line); says == "" || saysNothing(says, candidates) {
			continue
		}
		entry, reader, verdict := r.readLine(line, candidates)
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
		if r.joined {
			_, r.after, more = strings.Cut(r.after, "\n")
			r.joined = false
		}
		if len(candidates) > 1 {
			candidates = candidates[reader : reader+1]
			result.Format = candidates[0].name
		}
	}
	if len(candidates) == 1 && candidates[0].settle != nil {
		result.Entries = candidates[0].settle(result.Entries)
	}
	if settled != 0 {
		return result, 0
	}
	return result, r.dates.order()
}

// candidates are the formats to try: the one that is forced, or all, with those first that the system points to.
func candidates(o *Options) []format {
	if o.Format != "" {
		return only(o.Format)
	}
	if o.System == "" {
		return formats
	}
	system := strings.ToUpper(o.System)
	var likely, others []format
	for _, f := range formats {
		if slices.ContainsFunc(f.systems, func(word string) bool { return strings.Contains(system, word) }) {
			likely = append(likely, f)
		} else {
			others = append(others, f)
		}
	}
	return append(likely, others...)
}

// saysNothing asks the candidates about a line without the blanks at its ends.
func saysNothing(says string, candidates []format) bool {
	for i := range candidates {
		if known := candidates[i].saysNothing; known != nil && known(says) {
			return true
		}
	}
	return false
}

// capacity is the number of entries to make room for, bounded for texts of nothing but line feeds.
func capacity(text string) int {
	const shortLine = 32
	return min(strings.Count(text, "\n"), len(text)/shortLine) + 1
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

// readLine returns the entry of the first candidate that reads the line, and the index of that candidate.
func (r *reading) readLine(line string, candidates []format) (Entry, int, verdict) {
	if !isClean(line) {
		return Entry{}, 0, rejected
	}
	for i := range candidates {
		if parse := candidates[i].parse; parse != nil {
			if entry, ok := parse(line, r.Options); ok {
				if verdict := judge(&entry); verdict != rejected {
					return entry, i, verdict
				}
			}
			continue
		}
		before := r.memory
		entry, verdict := candidates[i].read(line, r)
		if verdict == accepted {
			verdict = judge(&entry)
		}
		if verdict != rejected {
			return entry, i, verdict
		}
		r.memory = before
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
