package config

import (
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	lisbon, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	modified := time.Date(2026, 7, 31, 23, 30, 0, 0, time.UTC) // half past midnight of the next day in Lisbon
	now := time.Date(2026, 11, 23, 4, 5, 6, 0, time.UTC)
	for _, c := range []struct{ sentence, template, rel, want string }{
		{"the last element counts", "{name}", "a/b/report.csv", "report.csv"},
		{"the extension is the last one", "{stem}|{ext}", "a.tar.gz", "a.tar|.gz"},
		{"no extension", "{stem}|{ext}|", "Makefile", "Makefile||"},
		{"a dot in front makes no extension", "{stem}|{ext}|", ".profile", ".profile||"},
		{"nor do several", "{stem}|{ext}|", "...x", "...x||"},
		{"a hidden file can have one", "{stem}|{ext}", ".a.txt", ".a|.txt"},
		{"times are those of the zone", "{stem}_{mtime:20060102}{ext}", "r.csv", "r_20260801.csv"},
		{"the moment in each form", "{date} {time} {now:06}", "r", "2026-11-23 040506 26"},
		{"a folder", "done/{date}/", "x/r", "done/2026-11-23"},
		{"a folder by a layout", "done/{now:2006/01}/x", "r", "done/2026/11/x"},
		{"what comes out empty is the name", "{ext}", "Makefile", "Makefile"},
		{"an element that comes out empty is none", "done/{ext}/x", "Makefile", "done/x"},
		{"no dots out of a name with a dot at its end", "done/.{ext}/", "a.", "done/a."},
		{"nor alone", ".{ext}", "a.", "a."},
		{"nothing can be made of a folder above", "{name}", "..", "_"},
		{"nor of nothing", "{stem}", "", "_"},
	} {
		template, err := ParseNameTemplate(c.template, lisbon)
		if err != nil {
			t.Fatalf("%s: %v", c.sentence, err)
		}
		if got := template.Expand(c.rel, modified, now); got != c.want {
			t.Errorf("%s: %q of %q is %q, want %q", c.sentence, c.template, c.rel, got, c.want)
		}
	}
	template, err := ParseNameTemplate("{mtime:2006}", lisbon)
	if got := template.Expand("x", time.Time{}, now); err != nil || got != "2026" {
		t.Errorf("a time that nobody knows is now: %q, %v", got, err)
	}
}

func FuzzNameTemplate(f *testing.F) {
	for _, c := range optionTable {
		if _, text, found := strings.Cut(c.settings, `remote_name = "`); found {
			f.Add(strings.TrimSuffix(text, `"`), "a/b.txt")
		}
	}
	f.Add("{stem}_{mtime:20060102}{ext}", "x/.hidden")
	f.Add("done/{date}{time}/{now:2006/01/02}/{name}", "...")
	f.Add(".{ext}", "a.")
	now := time.Date(2026, 11, 23, 4, 5, 6, 7, time.UTC)
	f.Fuzz(func(t *testing.T, text, rel string) {
		template, err := ParseNameTemplate(text, time.UTC)
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		got := template.Expand(rel, now.Add(-time.Hour), now)
		for part := range strings.SplitSeq(got, "/") {
			if part == "" || part == "." || part == ".." {
				t.Errorf("%q of %q is %q", text, rel, got)
			}
		}
		if !strings.Contains(text, "/") && strings.Contains(got, "/") {
			t.Errorf("%q of %q leaves the folder: %q", text, rel, got)
		}
		if again := template.Expand(rel, now.Add(-time.Hour), now); again != got {
			t.Errorf("%q of %q is %q and %q", text, rel, got, again)
		}
		l := newLoader(nil)
		if name := l.remoteName(key{"k"}, text, time.UTC); !name.IsZero() {
			if again := name.Expand(rel, now, now.Add(time.Hour)); again != name.Expand(rel, now, time.Time{}) || strings.Contains(again, "/") {
				t.Errorf("the remote name %q of %q is %q, which does not last", text, rel, again)
			}
		}
	})
}
