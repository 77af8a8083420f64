package scan

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// pattern is one pattern of gitignore(5), without the "!" in front of it. Matching takes time in proportion to the lengths of
// pattern and path at worst, whatever they hold.
type pattern struct {
	anchored bool // matches whole paths; otherwise the last name of any path
	dirsOnly bool
	segments []segment
}

const (
	// maxAlternatives is how many patterns one with braces may stand for, and maxBraces how many it may have.
	maxAlternatives, maxBraces = 100, 50
	// maxPattern is how long one may be in bytes. Paths are not longer.
	maxPattern = 4096
)

// parsePattern reads a pattern, and several if it holds alternatives in braces, which gitignore does not know. With fold,
// upper and lower case are the same. A pattern that can never match anything is an error.
func parsePattern(text string, fold bool) ([]pattern, error) {
	if len(text) > maxPattern {
		return nil, fmt.Errorf("it is longer than %d bytes", maxPattern)
	}
	texts, err := alternatives(text)
	if err != nil {
		return nil, err
	}
	patterns := make([]pattern, len(texts))
	for i, text := range texts {
		if patterns[i], err = compile(text, fold); err != nil {
			return nil, err
		}
	}
	return patterns, nil
}

func compile(text string, fold bool) (p pattern, err error) {
	text, p.dirsOnly = strings.CutSuffix(text, "/")
	p.anchored = strings.Contains(text, "/")
	parts, err := split(strings.TrimPrefix(text, "/"))
	if err != nil {
		return p, err
	}
	for i, part := range parts {
		switch last := i == len(parts)-1; {
		case part == "":
			return p, errors.New("it names nothing: there has to be a name around each slash")
		case part == "." || part == "..":
			return p, fmt.Errorf("it can never match: no path holds %q", part)
		case !p.anchored || strings.Trim(part, "*") != "" || part == "*":
			s, err := parseSegment(part, fold)
			if err != nil {
				return p, err
			}
			p.segments = append(p.segments, s)
		case last: // whatever is in the folder, and not the folder itself
			p.segments = append(p.segments, segment{folders: true}, segment{tokens: []token{{kind: star}}})
		default:
			p.segments = append(p.segments, segment{folders: true})
		}
	}
	return p, nil
}

// split parts a pattern at its slashes. One in brackets is none, and a "\" before one changes nothing.
func split(text string) (parts []string, err error) {
	from := 0
	for i := 0; i < len(text); i++ {
		switch text[i] {
		case '\\':
			if i++; i < len(text) && text[i] == '/' {
				parts, from = append(parts, text[from:i-1]), i+1
			}
		case '[':
			_, width, err := parseClass(text[i:], false)
			if err != nil {
				return nil, err
			}
			i += width - 1
		case '/':
			parts, from = append(parts, text[from:i]), i+1
		}
	}
	return append(parts, text[from:]), nil
}

// matches reports whether the pattern means rel itself.
func (p *pattern) matches(rel string, isDir bool) bool {
	return p.matchesNamed(rel, rel[strings.LastIndexByte(rel, '/')+1:], isDir)
}

// matchesNamed is matches for who knows the last name of rel: nearly all patterns are about that alone.
func (p *pattern) matchesNamed(rel, name string, isDir bool) bool {
	switch {
	case p.dirsOnly && !isDir || rel == "" || len(p.segments) == 0:
		return false
	case !p.anchored:
		return p.segments[0].matches(name)
	}
	// Only the last "**" is ever tried again: what stood before it has taken as little as it could.
	next, retry, again := 0, -1, ""
	for rel != "" {
		name, rest, _ := strings.Cut(rel, "/")
		switch {
		case next < len(p.segments) && p.segments[next].folders:
			next++
			retry, again = next, rel
		case next < len(p.segments) && p.segments[next].matches(name):
			next, rel = next+1, rest
		case retry < 0:
			return false
		default:
			_, again, _ = strings.Cut(again, "/")
			next, rel = retry, again
		}
	}
	return next == len(p.segments)
}

// segment is what a pattern says about one name of a path, or about any number of folders ("**").
type segment struct {
	folders bool
	tokens  []token
	fold    bool
	// plain, if hasPlain, is all that a name has to be, or to end with after a star.
	plain    string
	hasPlain bool
	ending   bool
	// lead is what a name has to begin with.
	lead string
}

type tokenKind uint8

const (
	literal tokenKind = iota
	star
	question
	class
)

type token struct {
	kind  tokenKind
	r     rune
	class *characters
}

func parseSegment(text string, fold bool) (segment, error) {
	s := segment{fold: fold}
	for i := 0; i < len(text); {
		r, width := nextRune(text[i:])
		t := token{kind: literal, r: r}
		switch r {
		case '*':
			t.kind = star
		case '?':
			t.kind = question
		case '[':
			set, n, err := parseClass(text[i:], fold)
			if err != nil {
				return s, err
			}
			t, width = token{kind: class, class: set}, n
		case '\\':
			if i+width == len(text) {
				return s, errors.New(`it ends with a "\" that nothing follows: write "\\" for the character itself`)
			}
			i += width
			t.r, width = nextRune(text[i:])
		}
		if i += width; t.kind == literal && fold {
			t.r = foldRune(t.r)
		}
		if t.kind == star && len(s.tokens) > 0 && s.tokens[len(s.tokens)-1].kind == star {
			continue
		}
		s.tokens = append(s.tokens, t)
	}
	s.simplify()
	return s, nil
}

// simplify finds the two forms that nearly all patterns have, and what most others begin with.
func (s *segment) simplify() {
	rest := s.tokens
	if !s.fold {
		var lead strings.Builder
		for _, t := range rest {
			if t.kind != literal || t.r > unicode.MaxRune {
				break
			}
			lead.WriteRune(t.r)
		}
		s.lead = lead.String()
	}
	s.ending = len(rest) > 0 && rest[0].kind == star
	if s.ending {
		rest = rest[1:]
	}
	if s.fold || slices.ContainsFunc(rest, func(t token) bool { return t.kind != literal || t.r > unicode.MaxRune }) {
		return
	}
	var plain strings.Builder
	for _, t := range rest {
		plain.WriteRune(t.r)
	}
	s.plain, s.hasPlain = plain.String(), true
}

func (s *segment) matches(name string) bool {
	if s.hasPlain {
		return s.ending && strings.HasSuffix(name, s.plain) || name == s.plain
	}
	if !strings.HasPrefix(name, s.lead) {
		return false
	}
	next, retry, again := 0, -1, ""
	for name != "" {
		r, width := nextRune(name)
		switch {
		case next < len(s.tokens) && s.tokens[next].kind == star:
			next++
			retry, again = next, name
		case next < len(s.tokens) && s.tokens[next].matches(r, s.fold):
			next, name = next+1, name[width:]
		case retry < 0:
			return false
		default:
			_, width = nextRune(again)
			again = again[width:]
			next, name = retry, again
		}
	}
	return next == len(s.tokens) || next == len(s.tokens)-1 && s.tokens[next].kind == star
}

func (t token) matches(r rune, fold bool) bool {
	switch t.kind {
	case question:
		return true
	case class:
		return t.class.holds(r, fold)
	}
	return t.r == r || fold && t.r == foldRune(r)
}

// nextRune gives bytes that are no UTF-8 a number of their own beyond all characters.
func nextRune(s string) (rune, int) {
	r, width := utf8.DecodeRuneInString(s)
	if r == utf8.RuneError && width == 1 {
		return unicode.MaxRune + 1 + rune(s[0]), 1
	}
	return r, width
}

// foldRune gives all forms of a letter the same one. It is the case folding of a single character: "ß" is not "ss".
func foldRune(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + ('a' - 'A')
	case r < utf8.RuneSelf || r > unicode.MaxRune:
		return r
	}
	first := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		first = min(first, next)
	}
	if first < utf8.RuneSelf {
		return foldRune(first)
	}
	return first
}

// alternatives writes out the braces of a pattern: "a{b,c}" is "ab" and "ac". A brace without its counterpart, or without a
// comma in it, is a character like others.
func alternatives(text string) (done []string, err error) {
	if strings.Count(text, "{") > maxBraces {
		return nil, fmt.Errorf("it has more than %d braces", maxBraces)
	}
	for open := []string{text}; len(open) > 0; {
		first := open[0]
		before, inner, after, err := braces(first)
		if err != nil {
			return nil, err
		}
		if open = open[1:]; inner == nil {
			done = append(done, first)
			continue
		}
		for i, part := range inner {
			inner[i] = before + part + after
		}
		if open = append(inner, open...); len(done)+len(open) > maxAlternatives {
			return nil, fmt.Errorf("its braces stand for more than %d patterns", maxAlternatives)
		}
	}
	return done, nil
}

// braces finds the first pair of braces with a comma, and what the commas part.
func braces(text string) (before string, parts []string, after string, err error) {
	for start := 0; start < len(text); {
		if text[start] == '{' {
			if parts, width, err := group(text[start:]); err != nil || len(parts) > 1 {
				return text[:start], parts, text[start+width:], err
			}
		}
		width, err := specialWidth(text[start:])
		if err != nil {
			return "", nil, "", err
		}
		start += width
	}
	return "", nil, "", nil
}

// group reads the pair of braces that text begins with; there are no parts if it has no end.
func group(text string) (parts []string, width int, err error) {
	depth, from := 0, 1
	for i := 0; i < len(text); i += width {
		switch {
		case text[i] == '{':
			depth++
		case text[i] == ',' && depth == 1:
			parts, from = append(parts, text[from:i]), i+1
		case text[i] == '}':
			if depth--; depth == 0 {
				return append(parts, text[from:i]), i + 1, nil
			}
		}
		if width, err = specialWidth(text[i:]); err != nil {
			return nil, 0, err
		}
	}
	return nil, 0, nil
}

// specialWidth is how far the next character of a pattern is that may be special.
func specialWidth(text string) (int, error) {
	switch text[0] {
	case '\\':
		return min(2, len(text)), nil
	case '[':
		_, width, err := parseClass(text, false)
		return width, err
	}
	return 1, nil
}
