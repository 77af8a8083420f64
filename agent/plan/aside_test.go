package plan

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestConflictName(t *testing.T) {
	when := time.Date(2026, 3, 1, 9, 5, 7, 0, time.FixedZone("", -3600))
	long := strings.Repeat("ä", 130)
	for _, test := range []struct{ name, path, host, want string }{
		{"a name with an extension", "in/report.csv", "box", "in/report (conflict 2026-03-01 090507 box).csv"},
		{"only the last extension", "a.tar.gz", "box", "a.tar (conflict 2026-03-01 090507 box).gz"},
		{"a short extension", "a.c", "", "a (conflict 2026-03-01 090507).c"},
		{"no extension", "in.d/README", "box", "in.d/README (conflict 2026-03-01 090507 box)"},
		{"a hidden file", ".profile", "box", ".profile (conflict 2026-03-01 090507 box)"},
		{"a dot at the end", "a.", "box", "a. (conflict 2026-03-01 090507 box)"},
		{"a sentence is no extension", "Dr. Who was here", "box", "Dr. Who was here (conflict 2026-03-01 090507 box)"},
		{"no host", "a.txt", "", "a (conflict 2026-03-01 090507).txt"},
		{"a host with what no name may have", "a.txt", "../b:o\x00x (1)\xff", "a (conflict 2026-03-01 090507 ..-b-o-x--1--).txt"},
		{"a conflict of a conflict takes its place", "a (conflict 2025-12-31 235959 other).txt", "box", "a (conflict 2026-03-01 090507 box).txt"},
		{"also of one with a number", "a (conflict 2025-12-31 235959 other) 12.txt", "box", "a (conflict 2026-03-01 090507 box).txt"},
		{"also of one without a host", "a (conflict 2025-12-31 235959).txt", "box", "a (conflict 2026-03-01 090507 box).txt"},
		{"also with a line end in the name", "a\nb (conflict 2025-12-31 235959 other).txt", "box", "a\nb (conflict 2026-03-01 090507 box).txt"},
		{"what only looks like one", "a (conflict of interest).txt", "box", "a (conflict of interest) (conflict 2026-03-01 090507 box).txt"},
		{"one without a stem is a name like any other", " (conflict 2025-12-31 235959 x).txt", "box", " (conflict 2025-12-31 235959 x) (conflict 2026-03-01 090507 box).txt"},
		{"a long name is cut at a letter", long + ".txt", "box", strings.Repeat("ä", 106) + " (conflict 2026-03-01 090507 box).txt"},
		{"a name that is not UTF-8", "\xe4.txt", "box", "\xe4 (conflict 2026-03-01 090507 box).txt"},
	} {
		if got := ConflictName(test.path, when, test.host); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestNumbered(t *testing.T) {
	for _, test := range []struct {
		path   string
		number int
		want   string
	}{
		{"a/b.txt", 1, "a/b.txt"},
		{"a/b.txt", 2, "a/b 2.txt"},
		{"d.d/a", 3, "d.d/a 3"},
		{"a.tar.gz", 12, "a.tar 12.gz"},
		{strings.Repeat("ü", 126) + ".t", 2, strings.Repeat("ü", 125) + " 2.t"},
		{"a." + strings.Repeat("x", 200), 2, "a." + strings.Repeat("x", 200) + " 2"},
		{"a (conflict 2026-03-01 090507 box).txt", 3, "a (conflict 2026-03-01 090507 box) 3.txt"},
		{".profile", 10, ".profile 10"},
		{strings.Repeat("a", 255), 2, strings.Repeat("a", 253) + " 2"},
	} {
		if got := Numbered(test.path, test.number); got != test.want {
			t.Errorf("%q: %q, want %q", test.path, got, test.want)
		}
	}
}

func FuzzConflictName(f *testing.F) {
	f.Add("a/b.txt", "box", int64(0), 2)
	f.Add("a (conflict 2025-12-31 235959 other) 12.txt", "b(o)x/..", int64(1e12), 99999)
	f.Add(strings.Repeat("ä", 127)+"b", strings.Repeat("ö", 100), int64(-1e12), 7)
	f.Fuzz(func(t *testing.T, path, host string, seconds int64, number int) {
		i := strings.LastIndexByte(path, '/') + 1
		if path[i:] == "" || len(path[i:]) > longestName || number < 2 || number > 99999 {
			return
		}
		when := time.Unix(seconds%(1<<37), 0).UTC()
		if when.Year() < 0 {
			return
		}
		made := ConflictName(path, when, host)
		for _, got := range []string{made, Numbered(made, number)} {
			if got[:i] != path[:i] || strings.ContainsRune(got[i:], '/') || len(got[i:]) > longestName {
				t.Errorf("%q, %q: %q", path, host, got)
			}
			if utf8.ValidString(path) && !utf8.ValidString(got) {
				t.Errorf("%q, %q: %q is not UTF-8 any more", path, host, got)
			}
			if stem, _ := splitName(got[i:]); !conflictMark.MatchString(stem) {
				t.Errorf("%q, %q: %q is not recognised", path, host, got)
			}
			if again := ConflictName(got, when, host); again != made {
				t.Errorf("%q, %q: %q grows to %q", path, host, got, again)
			}
		}
	})
}
