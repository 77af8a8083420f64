package main

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// screen is the width that lists for people are made for, in columns.
const screen = 80

// columnsOf is how wide a terminal shows a text without escape sequences: signs of East Asia and most pictures take two columns, marks
// that go on the sign before take none (https://www.unicode.org/reports/tr11/).
func columnsOf(text string) (columns int) {
	for _, r := range text {
		columns += columnsOfRune(r)
	}
	return columns
}

func columnsOfRune(r rune) int {
	if r < 0x300 {
		return 1
	}
	switch kind := width.LookupRune(r).Kind(); {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case kind == width.EastAsianWide, kind == width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// wrap breaks a text at its blanks into lines that fit the screen, each behind indent. Words that are longer stay whole: somebody may
// want to copy them. With most > 0 there are at most so many lines, and the last one says by "..." that it is not all.
func wrap(text, indent string, most int) string {
	var b strings.Builder
	lines, column := 0, 0
	for word := range strings.FieldsSeq(text) {
		wide := columnsOf(word)
		switch {
		case column == 0:
			b.WriteString(indent)
			lines, column = 1, len(indent)
		case column+1+wide <= screen-len(" ..."):
			b.WriteByte(' ')
			column++
		case most > 0 && lines == most:
			b.WriteString(" ...\n")
			return b.String()
		default:
			b.WriteString("\n" + indent)
			lines, column = lines+1, len(indent)
		}
		b.WriteString(word)
		column += wide
	}
	if column > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
