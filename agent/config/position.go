package config

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// key is the path of a key, such as sync, website, remote.
type key []string

func (k key) String() string { return toml.Key(k).String() }

func (k key) child(name string) key { return append(k[:len(k):len(k)], name) }

func (k key) id() string { return strings.Join(k, "\x00") }

// source is one file of the configuration.
type source struct {
	name     string // as the user named it, or the file that includes it
	path     string // absolute
	folder   string // absolute; relative paths in the file start here
	isShared bool   // others than the owner can read it
	number   int    // in the order of reading; that of the main file is 0
}

// location is where something stands. The zero location is nowhere in particular.
type location struct {
	source *source
	line   int // from 1
	column int // from 1, in characters
}

// String is FILE:LINE:COLUMN.
func (p location) String() string { return fmt.Sprintf("%s:%d:%d", p.source.name, p.line, p.column) }

func (p location) compare(other location) int {
	if p.source == nil || other.source == nil {
		return cmp.Compare(p.line, other.line)
	}
	return cmp.Or(cmp.Compare(p.source.number, other.source.number), cmp.Compare(p.line, other.line), cmp.Compare(p.column, other.column))
}

// locations are where keys stand, by key.id.
type locations map[string]location

// of returns the place of the key, or of the closest table around it that has one, or the zero location.
func (p locations) of(k key) location {
	for ; len(k) > 0; k = k[:len(k)-1] {
		if found, ok := p[k.id()]; ok {
			return found
		}
	}
	return location{}
}

// positions finds the location of every key in a TOML document, because the decoder does not tell. It relies on the
// document being valid; for others it gives up early, without harm.
type positions struct {
	text       string
	source     *source
	offset     int
	line       int
	counted    int       // an offset in the line, for its column: lines may be long
	columns    int       // in front of counted
	locations  locations // where each key is first mentioned
	statements []statement
	duplicates []duplicate // values that replace an earlier one, which the decoder lets pass for "a.b = 1, a = 2"
	tooDeep    *location   // where it was given up; nil if it was not
}

// statement is the header of a table, or a key with its value, outside of inline tables.
type statement struct {
	key        key
	isHeader   bool
	at         location
	start, end int // offsets
}

type duplicate struct {
	key       key
	at, first location
}

func findPositions(text string, from *source) *positions {
	p := &positions{text: text, source: from, line: 1, locations: locations{}}
	var table key
	for p.skip(" \t\r\n"); p.offset < len(p.text); p.skip(" \t\r\n") {
		s := statement{at: p.here(), start: p.offset, isHeader: p.text[p.offset] == '['}
		if s.isHeader {
			table = p.header()
			s.key = table
		} else {
			s.key = p.assignment(table)
		}
		if s.end = p.offset; s.end == s.start {
			break // not TOML
		}
		p.statements = append(p.statements, s)
	}
	return p
}

// here is the place of the next byte.
func (p *positions) here() location {
	p.columns += utf8.RuneCountInString(p.text[p.counted:p.offset])
	p.counted = p.offset
	return location{p.source, p.line, p.columns + 1}
}

// peek returns the next byte, or 0 at the end.
func (p *positions) peek() byte {
	if p.offset < len(p.text) {
		return p.text[p.offset]
	}
	return 0
}

// take moves on by n bytes and counts the lines in them.
func (p *positions) take(n int) string {
	n = min(n, len(p.text)-p.offset)
	taken := p.text[p.offset : p.offset+n]
	p.offset += n
	if last := strings.LastIndexByte(taken, '\n'); last >= 0 {
		p.line += strings.Count(taken, "\n")
		p.counted, p.columns = p.offset-n+last+1, 0
	}
	return taken
}

// skip moves past the given characters and, where newlines are among them, past comments.
func (p *positions) skip(set string) {
	for p.offset < len(p.text) {
		rest := p.text[p.offset:]
		switch {
		case strings.IndexByte(set, rest[0]) >= 0:
			p.take(1)
		case rest[0] == '#' && strings.Contains(set, "\n"):
			comment, _, _ := strings.Cut(rest, "\n")
			p.take(len(comment))
		default:
			return
		}
	}
}

func (p *positions) note(k key, at location) {
	for i := range k {
		id := k[:i+1].id()
		if _, known := p.locations[id]; !known {
			p.locations[id] = at
		}
	}
}

// header reads [a.b] or [[a.b]].
func (p *positions) header() key {
	at, isList := p.here(), strings.HasPrefix(p.text[p.offset:], "[[")
	p.skip("[")
	table := p.dotted(nil)
	if !isList {
		p.locations[table.id()] = at // the header itself, even where a sub-table came first
	}
	p.note(table, at)
	p.skip(" \t]")
	if isList {
		return table.child(p.element())
	}
	return table
}

// element names the list element that begins here, so that the keys of two elements are not taken for duplicates.
func (p *positions) element() string { return fmt.Sprintf("[%d]", p.offset) }

func (p *positions) assignment(table key) key {
	at := p.here()
	k := p.dotted(table)
	if first, known := p.locations[k.id()]; known {
		p.duplicates = append(p.duplicates, duplicate{k, at, first})
	}
	p.note(k, at)
	p.skip(" \t=")
	p.value(k)
	return k
}

// dotted reads a key such as a."b.c".d and appends it to the table.
func (p *positions) dotted(table key) key {
	k := table
	for !p.isTooDeep(k) {
		p.skip(" \t")
		switch p.peek() {
		case '"', '\'':
			k = k.child(unquote(p.quoted()))
		default:
			rest := p.text[p.offset:]
			end := strings.IndexAny(rest, " \t\r\n.=]\"'#,{}[")
			if end < 0 {
				end = len(rest)
			}
			k = k.child(p.take(end))
		}
		p.skip(" \t")
		if p.peek() != '.' {
			return k
		}
		p.take(1)
	}
	return k
}

// mostNested is far more than any option needs. The decoder takes many times as long for each level.
const mostNested = 32

// isTooDeep gives up behind a key that has too many parts. Elements of lists are parts, too.
func (p *positions) isTooDeep(k key) bool {
	if len(k) <= mostNested {
		return false
	}
	if p.tooDeep == nil {
		at := p.here()
		p.tooDeep = &at
	}
	p.offset = len(p.text)
	return true
}

// value passes over a value and notes the keys of inline tables.
func (p *positions) value(k key) {
	const space = " \t\r\n,"
	if p.isTooDeep(k) {
		return
	}
	switch p.peek() {
	case '"', '\'':
		p.quoted()
	case '[':
		p.take(1)
		for p.skip(space); p.peek() != ']' && p.progress(func() { p.value(k.child(p.element())) }); p.skip(space) {
		}
		p.take(1)
	case '{':
		p.take(1)
		for p.skip(space); p.peek() != '}' && p.progress(func() { p.assignment(k) }); p.skip(space) {
		}
		p.take(1)
	default:
		rest := p.text[p.offset:]
		end := strings.IndexAny(rest, ",]}#\n")
		if end < 0 {
			end = len(rest)
		}
		p.take(end)
	}
}

// progress reports whether step read anything, so that nothing loops on a document that is not TOML.
func (p *positions) progress(step func()) bool {
	start := p.offset
	step()
	return p.offset > start
}

// quoted reads a string with its quotes.
func (p *positions) quoted() string {
	rest := p.text[p.offset:]
	quote := rest[:1]
	if long := strings.Repeat(quote, 3); strings.HasPrefix(rest, long) {
		quote = long
	}
	end := len(quote)
	for end < len(rest) && !strings.HasPrefix(rest[end:], quote) {
		if rest[end] == '\\' && quote[0] == '"' {
			end++
		}
		end++
	}
	end += len(quote)
	// Up to two quotes may stand directly in front of the closing three.
	for len(quote) == 3 && end < len(rest) && rest[end] == quote[0] {
		end++
	}
	return p.take(end)
}

// unquote gives the value of a TOML string, and the text itself if it is none.
func unquote(quoted string) string {
	var document struct{ V string }
	if _, err := toml.Decode(fmt.Sprintf("V = %s", quoted), &document); err != nil {
		return quoted
	}
	return document.V
}
