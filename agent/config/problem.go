package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Problem is one thing that is wrong (or, as a warning, odd) in a configuration file.
type Problem struct {
	File   string `json:"file"`             // as the user named it
	Line   int    `json:"line,omitempty"`   // from 1; 0 when it concerns the file as a whole
	Column int    `json:"column,omitempty"` // of the key, from 1, in characters; 0 with Line
	Key    string `json:"key,omitempty"`    // for example sync.website.local; may be empty
	Text   string `json:"text"`             // what is wrong and what to do, one line
}

// String is "FILE:LINE:COLUMN: KEY: TEXT" without the parts that are not known.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Error is every problem of a configuration, in the order of the files and their lines. Secrets never are part of it.
type Error struct{ Problems []Problem }

// Error is one problem per line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, problem := range e.Problems {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// Brief is the first problem, and how many there are.
func (e *Error) Brief() string {
	switch len(e.Problems) {
	case 0:
		return "it has errors"
	case 1:
		return e.Problems[0].String()
	}
	return fmt.Sprintf("%d errors, the first: %s", len(e.Problems), e.Problems[0])
}

// credentials are a user with a password in front of a host, as people write them where only a host belongs.
var credentials = regexp.MustCompile(`[^\s"'/@]+:[^\s"'@]+@`)

// told puts problems in the order of the files and their lines, and takes out what may be a password. sources has the files.
func told(problems []Problem, sources []*source) []Problem {
	for i, p := range problems {
		problems[i].Key, problems[i].Text = credentials.ReplaceAllString(p.Key, "***@"), credentials.ReplaceAllString(p.Text, "***@")
	}
	number := map[string]int{}
	for i, from := range sources {
		number[from.name] = i
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(number[a.File], number[b.File]), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
	})
	return problems
}
