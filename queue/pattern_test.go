package queue

import (
	"errors"
	"path"
	"strings"
	"testing"
)

func TestMatchPath(t *testing.T) {
	for _, test := range []struct {
		name, pattern string
		yes, no       string // paths, separated by blanks; "." is the root
	}{
		{"a path is itself", "in/a.html", "in/a.html", "in/b.html a.html x/in/a.html in in/a.htm in/a.html2"},
		{"a folder is all below it", "in/docs", "in/docs in/docs/a in/docs/b/c", "in/docs2 in/docs2/a in docs x/in/docs"},
		{"a slash behind it changes nothing", "in/docs/", "in/docs in/docs/a in/docs/b/c", "in/docs2 in docs"},
		{"nor does one before it", "/in/docs", "in/docs in/docs/a", "in x/in/docs"},
		{"a name is one in any folder, with all below it", "docs", "docs x/docs x/y/docs docs/a x/docs/a/b", "docs2 x/mydocs docs.txt ."},
		{"with a slash behind it is one at the root", "docs/", "docs docs/a", "x/docs"},
		{"or before it", "/docs", "docs docs/a", "x/docs"},
		{"stars stay within a name", "*.html", "a.html x/a.html .html x/a.html/below", "a.html2 html"},
		{"also in folders", "in/*.html", "in/a.html in/a.html/b", "a.html in/x/a.html x/in/a.html"},
		{"question marks are one character", "in/?.txt", "in/a.txt in/é.txt", "in/.txt in/ab.txt"},
		{"classes", "in/[a-c]", "in/a in/c/d", "in/d in/A in/ab"},
		{"two stars are any number of folders", "in/**/*.html", "in/a.html in/x/a.html in/x/y/z/a.html", "a.html in/a x/in/a.html"},
		{"from the root", "**/docs", "docs x/docs x/y/docs docs/a", "docs2 x/docs2 ."},
		{"several of them", "**/a/**/b/**/c", "a/b/c x/a/x/x/b/x/c x/a/a/b/b/c/c/d a/c/b/c", "a/c b/a/c a/b x/a/b/d c/b/a"},
		{"at the end they are all below", "in/**", "in/a in/a/b", "in inn/a"},
		{"alone they are all but the root", "**", "a a/b", "."},
		{"behind each other they are one, and at the end at least one name", "a/**/**/b/**", "a/b/c a/x/b/c/d", "a/b a/x/b"},
		{"within a name they are two stars", "in/a**b", "in/ab in/axb", "in/a/b"},
		{"nothing is everything", "", "a a/b .", ""},
		{"so is the root", "/", "a a/b .", ""},
		{"a name that looks like a pattern is itself", "in/a[1].txt", "in/a[1].txt in/a1.txt", "in/a[2].txt"},
		{"also if it is no pattern", "in/a[1.txt", "in/a[1.txt in/a[1.txt/b", "in/a1.txt"},
		{"a backslash takes the meaning away", `in/\*`, `in/* in/*/a in/\*`, "in/a"},
		{"a class does not reach over a slash", "in/[a/b]", "in/[a/b]", "in/a in/b in/a/b"},
		{"bytes that are no text", "in/\xff*", "in/\xff in/\xffa", "in/a"},
		{"folders of dots are names", "..", ".. a/..", "a/b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for want, paths := range map[bool]string{true: test.yes, false: test.no} {
				for _, path := range strings.Fields(paths) {
					if path == "." {
						path = ""
					}
					if got := MatchPath(test.pattern, path); got != want {
						t.Errorf("MatchPath(%q, %q) = %v", test.pattern, path, got)
					}
				}
			}
		})
	}
}

func TestValidPattern(t *testing.T) {
	for _, test := range []struct{ pattern, wrong string }{
		{"", ""}, {"a/b", ""}, {"**/[a-z]?/*", ""}, {`\[`, ""}, {"a//b", ""},
		{"in/[a", "[a"}, {"in/[a/b]", "[a"}, {`in/a\`, `a\\`}, {"[]", "[]"}, {"[z-a", "[z-a"},
	} {
		err := ValidPattern(test.pattern)
		if test.wrong == "" && err != nil {
			t.Errorf("ValidPattern(%q) = %v", test.pattern, err)
		}
		if test.wrong != "" && (!errors.Is(err, path.ErrBadPattern) || !strings.Contains(err.Error(), `"`+test.wrong+`" is not right`)) {
			t.Errorf("ValidPattern(%q) = %v, want %q named", test.pattern, err, test.wrong)
		}
	}
}

// matchSlowly is MatchPath by the words of its comment: every folder of the path is tried with
// every way to share out the names among the stars.
func matchSlowly(pattern, file string) bool {
	literal := strings.Trim(pattern, "/")
	if literal == "" || file == literal || strings.HasPrefix(file, literal+"/") {
		return true
	}
	if file == "" || ValidPattern(literal) != nil {
		return false
	}
	parts := strings.Split(literal, "/")
	if !strings.Contains(pattern, "/") {
		parts = append([]string{"**"}, parts...)
	}
	names := strings.Split(file, "/")
	for n := 1; n <= len(names); n++ {
		if matchWhole(parts, names[:n]) {
			return true
		}
	}
	return false
}

func matchWhole(parts, names []string) bool {
	switch {
	case len(parts) == 0:
		return len(names) == 0
	case parts[0] == "**" && len(parts) == 1:
		return len(names) > 0
	case parts[0] == "**":
		return matchWhole(parts[1:], names) || len(names) > 0 && matchWhole(parts, names[1:])
	case len(names) == 0:
		return false
	}
	ok, _ := path.Match(parts[0], names[0])
	return ok && matchWhole(parts[1:], names[1:])
}

func FuzzMatchPath(f *testing.F) {
	f.Add("**/a/**/b", "a/a/x/b")
	f.Add("in/[a-", "in/a")
	f.Add("*.html", "x/y.html/z")
	f.Add("a/**/**", "a")
	f.Add("/a//b/", "a//b")
	f.Add(`\`, `\`)
	f.Fuzz(func(t *testing.T, pattern, file string) {
		if strings.Count(pattern, "/")+len(file) > 60 {
			return // the slow way takes for ever
		}
		got, want := MatchPath(pattern, file), matchSlowly(pattern, file)
		if got != want {
			t.Errorf("MatchPath(%q, %q) = %v", pattern, file, got)
		}
		relative := strings.Trim(file, "/") == file
		if relative && !MatchPath(file, file) {
			t.Errorf("%q does not match itself", file)
		}
	})
}
