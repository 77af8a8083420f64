package main

import (
	"io"
	"os"
)

// color is the number of a color in an escape sequence (ECMA-48, SGR).
type color string

const (
	plain  color = ""
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

// paint puts words in colors, or leaves them as they are: its zero value.
type paint bool

func (p paint) in(c color, text string) string {
	if !p || c == plain {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// paint is for standard output: colors are for a terminal whose owner does not object (https://no-color.org).
func (p *program) paint() paint {
	_, _, ok := windowOf(p.stdout)
	return paint(ok && p.env("NO_COLOR") == "" && p.env("TERM") != "dumb")
}

// windowOf returns the size of the terminal that is written to, and has it understand escape sequences; false if it is none, or
// cannot do that.
func windowOf(w io.Writer) (columns, rows int, ok bool) {
	file, isFile := w.(*os.File)
	if !isFile {
		return 0, 0, false
	}
	columns, rows, err := windowSize(file)
	if columns <= 0 || rows <= 0 { // a terminal that nobody has told its size, as of "docker exec -t"
		columns, rows = screen, 24
	}
	return columns, rows, err == nil
}
