package config

import (
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// key is the path of a key, such as sync, website, remote.
type key []string

func (k key) String() string { return toml.Key(k).String() }

func (k key) child(name string) key { return append(k[:len(k):len(k)], name) }

func (k key) id() string { return strings.Join(k, "\x00") }

// positions finds the line of every key in a TOML document, because the decoder does not tell. It relies on the
// document being valid; for others it gives up early, without harm.
type positions struct {
	text       string
	offset     int
	line       int
	lines      map[string]int // by key.id: where it is first mentioned
	duplicates []duplicate    // values that replace an earlier one, which the decoder lets pass for "a.b = 1, a = 2"
}

type duplicate struct {
	key         key
	line, first int
}

func findPositions(text string) *positions {
	p := &positions{text: strings.TrimPrefix(text, "\ufeff"), line: 1, lines: map[string]int{}}
	var table key
	for p.skip(" \t\r\n"); p.offset < len(p.text); p.skip(" \t\r\n") {
		start := p.offset
		if p.text[p.offset] == '[' {
			table = p.header()
		} else {
			p.assignment(table)
		}
		if p.offset == start {
			break // not TOML
		}
	}
	return p
}

// of returns the line of the key, or of the closest table around it that has one, or 0.
func (p *positions) of(k key) int {
	for ; len(k) > 0; k = k[:len(k)-1] {
		if line, ok := p.lines[k.id()]; ok {
			return line
		}
	}
	return 0
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
	p.line += strings.Count(taken, "\n")
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

func (p *positions) note(k key) {
	for i := range k {
		if id := k[:i+1].id(); p.lines[id] == 0 {
			p.lines[id] = p.line
		}
	}
}

// header reads [a.b] or [[a.b]].
func (p *positions) header() key {
	isList := strings.HasPrefix(p.text[p.offset:], "[[")
	p.skip("[")
	table := p.dotted(nil)
	if !isList {
		p.lines[table.id()] = p.line // the header itself, even where a sub-table came first
	}
	p.note(table)
	p.skip(" \t]")
	if isList {
		return table.child(p.element())
	}
	return table
}

// element names the list element that begins here, so that the keys of two elements are not taken for duplicates.
func (p *positions) element() string { return fmt.Sprintf("[%d]", p.offset) }

func (p *positions) assignment(table key) {
	k := p.dotted(table)
	if first := p.lines[k.id()]; first != 0 {
		p.duplicates = append(p.duplicates, duplicate{k, p.line, first})
	}
	p.note(k)
	p.skip(" \t=")
	p.value(k)
}

// dotted reads a key such as a."b.c".d and appends it to the table.
func (p *positions) dotted(table key) key {
	k := table
	for {
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
}

// value passes over a value and notes the keys of inline tables.
func (p *positions) value(k key) {
	const space = " \t\r\n,"
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
