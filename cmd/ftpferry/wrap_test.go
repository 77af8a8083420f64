package main

import (
	"strings"
	"testing"
)

func TestWrap(t *testing.T) {
	long := strings.Repeat("x", 100)
	word := strings.Repeat("w", 40)
	for _, test := range []struct {
		name, text string
		most       int
		want       string
	}{
		{"nothing is no line", " ", 0, ""},
		{"what fits is one line", "a  b", 1, "  a b\n"},
		{"a long word stays whole", "a " + long + " b", 0, "  a\n  " + long + "\n  b\n"},
		{"so many lines at most", word + " " + word + " " + word, 2, "  " + word + "\n  " + word + " ...\n"},
		{"all lines", word + " " + word + " " + word, 3, "  " + word + "\n  " + word + "\n  " + word + "\n"},
	} {
		if got := wrap(test.text, "  ", test.most); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
