package config

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

const (
	// mostSyntaxProblems is how many of them are told of one file.
	mostSyntaxProblems = 20
	// mostInRow is how many lines that follow each other may each have a problem of its own.
	mostInRow = 3
)

// parse reads the text of a file into tables and notes every problem on the way; it returns nil where nothing can be made of
// it. Tables are matched to structs by decode rather than by the decoder of TOML, which stops at the first wrong type, ignores
// case, and cannot say where an unknown key stands. It stops at the first error of syntax, too: then what stands there is taken
// out, so that the rest of the file is looked at as well.
func (l *loader) parse(text string, from *source) map[string]any {
	last, inRow := -1, 0
	text, isUTF8 := withoutMark(text)
	if !isUTF8 {
		l.problems = append(l.problems, Problem{from.name, 1, 1, "", "not valid TOML: this is UTF-16 or no text at all: have the editor save the file as UTF-8"})
		return nil
	}
	for range mostSyntaxProblems {
		found := findPositions(text, from)
		if at := found.tooDeep; at != nil {
			l.problems = append(l.problems, Problem{from.name, at.line, at.column, "", fmt.Sprintf("is nested deeper than the %d tables and lists that are read", mostNested)})
			return nil
		}
		var tables map[string]any
		_, err := toml.Decode(text, &tables)
		if err == nil {
			l.locate(found)
			return tables
		}
		failure, ok := errors.AsType[toml.ParseError](err)
		if !ok {
			l.problems = append(l.problems, Problem{File: from.name, Text: "not valid TOML: " + strings.ReplaceAll(err.Error(), "\n", " ")})
			return nil
		}
		if second, first := found.secondDefinition(failure); second != nil {
			l.problems = append(l.problems, definedTwice(second.key, second.at, first, from))
			text = found.without(*second)
			continue
		}
		problem := syntaxProblem(found, failure)
		if last >= problem.Line && problem.Text == endless { // it lost its end to what was taken out
			return nil
		}
		if inRow++; problem.Line != last+1 {
			inRow = 1
		}
		if inRow > mostInRow { // what comes of the first one
			l.problems = l.problems[:len(l.problems)-inRow+2]
			return nil
		}
		l.problems = append(l.problems, problem)
		if text, ok = l.withoutLine(found, problem.Line); !ok || problem.Text == endless {
			return nil
		}
		last = problem.Line
	}
	return nil
}

// withoutMark takes away the mark that some editors put at the beginning (U+FEFF), and reports whether the text may be UTF-8.
func withoutMark(text string) (string, bool) {
	if strings.HasPrefix(text, "\xff\xfe") || strings.HasPrefix(text, "\xfe\xff") || strings.ContainsRune(text, 0) {
		return text, false
	}
	return strings.TrimPrefix(text, "\ufeff"), true
}

// locate notes where the keys of a file stand that stand nowhere yet.
func (l *loader) locate(found *positions) {
	for _, d := range found.duplicates {
		l.problems = append(l.problems, definedTwice(d.key, d.at, d.first, d.at.source))
	}
	if len(l.locations) == 0 {
		l.locations = found.locations
		return
	}
	merged := maps.Clone(found.locations)
	maps.Copy(merged, l.locations)
	l.locations = merged
}

// definedTwice names both places.
func definedTwice(k key, at, first location, from *source) Problem {
	text := fmt.Sprintf("defined a second time (first at %s)", first)
	if first.source == from {
		text = fmt.Sprintf("defined a second time (first on line %d)", first.line)
	}
	return Problem{from.name, at.line, at.column, k.String(), text}
}

// secondDefinition returns the statement that the decoder refuses because its key has a value, and where that stands, or nil.
func (p *positions) secondDefinition(failure toml.ParseError) (second *statement, first location) {
	if !strings.HasPrefix(failure.Message, "Key '") {
		return nil, location{}
	}
	for i := range p.statements {
		s := &p.statements[i]
		if s.at.line != failure.Position.Line {
			continue
		}
		for _, earlier := range p.statements[:i] {
			if earlier.key.id() == s.key.id() {
				return s, earlier.at
			}
		}
	}
	return nil, location{}
}

// without returns the text with blanks in place of a statement, and of what belongs to it, so that all lines stay where they are.
func (p *positions) without(s statement) string {
	end := s.end
	if s.isHeader {
		end = len(p.text)
		for _, next := range p.statements {
			if next.start > s.start && next.isHeader {
				end = next.start
				break
			}
		}
	}
	return p.text[:s.start] + blank(p.text[s.start:end]) + p.text[end:]
}

func blank(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, text)
}

// withoutLine returns the text without a line that is not TOML, unless the header of a table stands there. Nothing more is said
// about its key.
func (l *loader) withoutLine(found *positions, line int) (string, bool) {
	lines := strings.Split(found.text, "\n")
	if line < 1 || line > len(lines) || strings.TrimSpace(lines[line-1]) == "" || strings.HasPrefix(strings.TrimSpace(lines[line-1]), "[") {
		return "", false
	}
	var table key
	for _, s := range found.statements {
		if s.isHeader && s.at.line < line {
			table = s.key
		}
	}
	if name, _, isAssignment := strings.Cut(lines[line-1], "="); isAssignment {
		broken := positions{text: name}
		l.faults[broken.dotted(table).id()] = true
	}
	lines[line-1] = blank(lines[line-1])
	return strings.Join(lines, "\n"), true
}

// syntaxProblem never repeats a value of the line of a secret: the decoder's messages may quote it. What key it is that nobody knows,
// such as "passwd", nobody knows either.
func syntaxProblem(found *positions, failure toml.ParseError) Problem {
	// The line that the decoder names is the next one where it has found the end of a line.
	before := found.text[:min(max(failure.Position.Start, 0), len(found.text))]
	start := strings.LastIndexByte(before, '\n') + 1
	problem := Problem{File: found.source.name, Line: strings.Count(before, "\n") + 1, Column: utf8.RuneCountInString(before[start:]) + 1}
	line, _, _ := strings.Cut(found.text[start:], "\n")
	last := words(failure.LastKey)
	const cure = ` in quotes; in "..." a backslash is written \\, in '...' it is itself`
	secret := slices.IndexFunc(secretKeys, func(name string) bool { return slices.Contains(last, name) || slices.Contains(words(line), name) })
	isHarmless := strings.HasSuffix(failure.Message, "' instead") // one character
	switch isDuplicate := strings.HasPrefix(failure.Message, "Key '"); {
	case isDuplicate || secret < 0 && (isHarmless || len(last) == 0 || slices.Contains(plainKeys, last[len(last)-1])):
		problem.Text = "not valid TOML: " + strings.TrimSuffix(strings.ReplaceAll(failure.Message, "\n", " "), ".")
	case secret >= 0:
		problem.Text = "not valid TOML: the " + secretKeys[secret] + " stands" + cure
	default:
		problem.Text = "not valid TOML: a text stands" + cure
	}
	switch {
	case strings.HasPrefix(failure.Message, "invalid UTF-8"):
		problem.Text = "not valid TOML: a byte that is not UTF-8: have the editor save the file as UTF-8"
	case strings.HasPrefix(failure.Message, "unexpected EOF") && len(found.statements) > 0:
		if begin := found.statements[len(found.statements)-1].at; begin.line < problem.Line {
			problem.Line, problem.Column = begin.line, begin.column
			problem.Text = endless
		}
	}
	return problem
}

const endless = "not valid TOML: what begins here has no end: a quote or a bracket is missing"

// words are the bare keys in a text.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}
