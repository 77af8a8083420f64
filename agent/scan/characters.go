package scan

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// characters is a set in brackets.
type characters struct {
	negated bool
	ranges  [][2]rune
	named   []func(r rune) bool
}

// characterClasses are the named ones of POSIX. They hold ASCII only, as those of git do.
var characterClasses = map[string]func(r rune) bool{
	"alnum":  func(r rune) bool { return isDigit(r) || isLetter(r) },
	"alpha":  isLetter,
	"blank":  func(r rune) bool { return r == ' ' || r == '\t' },
	"cntrl":  func(r rune) bool { return r < ' ' || r == 0x7f },
	"digit":  isDigit,
	"graph":  func(r rune) bool { return '!' <= r && r <= '~' },
	"lower":  func(r rune) bool { return 'a' <= r && r <= 'z' },
	"print":  func(r rune) bool { return ' ' <= r && r <= '~' },
	"punct":  func(r rune) bool { return '!' <= r && r <= '~' && !isDigit(r) && !isLetter(r) },
	"space":  func(r rune) bool { return strings.ContainsRune(" \t\n\v\f\r", r) },
	"upper":  func(r rune) bool { return 'A' <= r && r <= 'Z' },
	"xdigit": func(r rune) bool { return isDigit(r) || 'A' <= r && r <= 'F' || 'a' <= r && r <= 'f' },
}

func isDigit(r rune) bool  { return '0' <= r && r <= '9' }
func isLetter(r rune) bool { return 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' }

var errOpenBracket = errors.New(`a "[" has no "]": write "\[" for the character itself`)

// parseClass reads the set that text begins with, and how long it is in bytes.
func parseClass(text string, fold bool) (*characters, int, error) {
	set, i := &characters{}, 1
	if i < len(text) && (text[i] == '!' || text[i] == '^') {
		set.negated = true
		i++
	}
	for first := true; ; first = false {
		switch {
		case i >= len(text):
			return nil, 0, errOpenBracket
		case text[i] == ']' && !first:
			return set, i + 1, nil
		case strings.HasPrefix(text[i:], "[:"):
			name, width, err := className(text[i:])
			if err != nil {
				return nil, 0, err
			}
			if width > 0 {
				if fold && (name == "lower" || name == "upper") {
					name = "alpha"
				}
				set.named, i = append(set.named, characterClasses[name]), i+width
				continue
			}
		}
		low, width, err := member(text[i:])
		if err != nil {
			return nil, 0, err
		}
		i += width
		high := low
		if i+1 < len(text) && text[i] == '-' && text[i+1] != ']' {
			if high, width, err = member(text[i+1:]); err != nil {
				return nil, 0, err
			}
			i += 1 + width
		}
		set.ranges = append(set.ranges, [2]rune{low, high})
	}
}

// className reads a name such as "[:alpha:]". The width is 0 if text does not begin with one.
func className(text string) (name string, width int, err error) {
	end := strings.IndexByte(text, ']')
	switch {
	case end < 0:
		return "", 0, errOpenBracket
	case end < 3 || text[end-1] != ':':
		return "", 0, nil
	}
	name = text[2 : end-1]
	if characterClasses[name] == nil {
		return "", 0, fmt.Errorf("there is no class of characters [:%s:]", name)
	}
	return name, end + 1, nil
}

// member reads one character of a set.
func member(text string) (r rune, width int, err error) {
	if text[0] != '\\' {
		r, width = nextRune(text)
		return r, width, nil
	}
	if len(text) == 1 {
		return 0, 0, errOpenBracket
	}
	r, width = nextRune(text[1:])
	return r, width + 1, nil
}

// holds reports whether r is in the set, in any of its forms if fold is set.
func (c *characters) holds(r rune, fold bool) bool {
	found := c.lists(r)
	if fold && r <= unicode.MaxRune {
		for form := unicode.SimpleFold(r); form != r && !found; form = unicode.SimpleFold(form) {
			found = c.lists(form)
		}
	}
	return found != c.negated
}

func (c *characters) lists(r rune) bool {
	for _, span := range c.ranges {
		if span[0] <= r && r <= span[1] {
			return true
		}
	}
	for _, named := range c.named {
		if named(r) {
			return true
		}
	}
	return false
}
