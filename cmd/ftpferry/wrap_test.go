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

func TestColumns(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		"": 0, "abc": 3, "ü": 1, "u\u0308": 1, "日本語": 6, "ﾊﾝｶｸ": 4, "ＡＢ": 4, "한글": 4, "\U0001F600": 2, "a\u200bb": 2, "→": 1,
	} {
		if got := columnsOf(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
	for line := range strings.SplitSeq(wrap(strings.Repeat("日本語の名前 ", 30), "  ", 0), "\n") {
		if columnsOf(line) > screen {
			t.Errorf("%d columns: %s", columnsOf(line), line)
		}
	}
}
