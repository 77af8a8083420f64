package main

import (
	"strings"
	"unicode/utf8"
)

// screen is the width that lists for people are made for, in columns.
const screen = 80

// wrap breaks a text at its blanks into lines that fit the screen, each behind indent. Words that are longer stay whole: somebody may
// want to copy them. With most > 0 there are at most so many lines, and the last one says by "..." that it is not all.
func wrap(text, indent string, most int) string {
	var b strings.Builder
	lines, column := 0, 0
	for word := range strings.FieldsSeq(text) {
		width := utf8.RuneCountInString(word)
		switch {
		case column == 0:
			b.WriteString(indent)
			lines, column = 1, len(indent)
		case column+1+width <= screen-len(" ..."):
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
		column += width
	}
	if column > 0 {
		b.WriteByte('\n')
	}
	return b.String()
}
