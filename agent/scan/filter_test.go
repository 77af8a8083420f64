package scan

import (
	"strings"
	"testing"
)

func TestFilter(t *testing.T) {
	type patterns = []string
	for _, test := range []struct {
		name             string
		include, exclude patterns
		path             string // with a slash at the end for a folder
		takesPart        bool
	}{
		{"no patterns take everything", nil, nil, "a/b", true},

		{"a name matches in the root", nil, patterns{"*.tmp"}, "x.tmp", false},
		{"a name matches at any depth", nil, patterns{"*.tmp"}, "a/b/c/x.tmp", false},
		{"a name matches as a whole", nil, patterns{"*.tmp"}, "x.tmp.gz", true},
		{"a name without a star matches as a whole", nil, patterns{"core"}, "score", true},
		{"a name matches folders too", nil, patterns{"*.tmp"}, "x.tmp/", false},
		{"and so all that is in them", nil, patterns{"*.tmp"}, "x.tmp/a/b", false},
		{"a star matches names with a leading dot", nil, patterns{"*"}, ".profile", false},
		{"case counts", nil, patterns{"*.tmp"}, "x.TMP", true},

		{"a slash at the end means the folder", nil, patterns{".git/"}, ".git/", false},
		{"and what is in it", nil, patterns{".git/"}, ".git/config", false},
		{"at any depth", nil, patterns{".git/"}, "lib/x/.git/HEAD", false},
		{"but no file of that name", nil, patterns{".git/"}, "lib/.git", true},
		{"nor a longer name", nil, patterns{".git/"}, ".github/x", true},

		{"a slash at the start ties to the root", nil, patterns{"/logs"}, "logs", false},
		{"and not to a folder", nil, patterns{"/logs"}, "a/logs", true},
		{"both slashes: a folder in the root", nil, patterns{"/logs/"}, "logs/", false},
		{"both slashes: not a file in the root", nil, patterns{"/logs/"}, "logs", true},
		{"both slashes: not a folder elsewhere", nil, patterns{"/logs/"}, "a/logs/", true},
		{"a slash within ties to the root", nil, patterns{"img/raw"}, "img/raw", false},
		{"and to nothing else", nil, patterns{"img/raw"}, "a/img/raw", true},
		{"a star stays within a name", nil, patterns{"img/*.raw"}, "img/a/b.raw", true},

		{"two stars stand for any folders", nil, patterns{"a/**/z"}, "a/b/c/z", false},
		{"and for none", nil, patterns{"a/**/z"}, "a/z", false},
		{"two stars at the start", nil, patterns{"**/cache/x"}, "p/q/cache/x", false},
		{"two stars at the end take all that is in it", nil, patterns{"a/**"}, "a/b/c", false},
		{"and the folder itself", nil, patterns{"a/**"}, "a/", false},
		{"but not its brother", nil, patterns{"a/**"}, "ab", true},

		{"alternatives", nil, patterns{"*.{bak,old}"}, "a/x.old", false},
		{"classes of characters", nil, patterns{"[0-9]*"}, "a/7up", false},
		{"negated classes", nil, patterns{"[^0-9]*"}, "7up", true},
		{"a question mark is one character and not one byte", nil, patterns{"?.txt"}, "ü.txt", false},
		{"unicode", nil, patterns{"日本*"}, "x/日本語.txt", false},
		{"a name in another normal form is another name", nil, patterns{"\u00fc"}, "u\u0308", true},
		{"a pattern for names with stars", nil, patterns{`\*.txt`}, "*.txt", false},
		{"leaves other names", nil, patterns{`\*.txt`}, "a.txt", true},
		{"names may hold what is special in patterns", nil, patterns{"[a].txt"}, "[a].txt", true},
		{"and be matched by it", nil, patterns{"[a].txt"}, "a.txt", false},
		{"a name that is no valid UTF-8", nil, patterns{"*.tmp"}, "\xff\xfe.tmp", false},
		{"a name with a line end", nil, patterns{"*.tmp"}, "a\nb.tmp", false},

		{"an include list takes what matches", patterns{"*.txt"}, nil, "a/b.txt", true},
		{"and nothing else", patterns{"*.txt"}, nil, "a/b.bin", false},
		{"folders are always walked", patterns{"*.txt"}, nil, "a/", true},
		{"one match is enough", patterns{"*.txt", "*.md"}, nil, "x.md", true},
		{"all files by the default list", patterns{"**"}, nil, "a/b/c", true},
		{"a folder with a slash takes all that is in it", patterns{"docs/"}, nil, "docs/a/b", true},
		{"at any depth", patterns{"docs/"}, nil, "x/docs/a/b", true},
		{"tied to the root", patterns{"/docs/"}, nil, "x/docs/a", false},
		{"not a file of that name", patterns{"docs/"}, nil, "docs", false},
		{"a name without a slash is that of a file, or of a folder with all that is in it", patterns{"docs"}, nil, "docs/a", true},
		{"two stars take all that is in a folder", patterns{"docs/**"}, nil, "docs/a/b", true},

		{"exclude wins over include", patterns{"*.txt"}, patterns{"b*"}, "b.txt", false},
		{"a folder above that is excluded wins too", patterns{"*.txt"}, patterns{"b/"}, "b/x/a.txt", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			rel, isDir := strings.CutSuffix(test.path, "/")
			filter := NewFilter(FilterOptions{Include: test.include, Exclude: test.exclude})
			if got := !filter.ExcludedAnywhere(rel, isDir); got != test.takesPart {
				t.Errorf("include %q, exclude %q: %q takes part: %v", test.include, test.exclude, test.path, got)
			}
		})
	}
	if (Filter{}).ExcludedAnywhere("a/b", false) {
		t.Error("the zero Filter leaves something out")
	}
	if NewFilter(FilterOptions{Exclude: []string{"x/"}}).Excluded("x/y", false) {
		t.Error("Excluded looks at the folders above")
	}
}

func FuzzFilter(f *testing.F) {
	f.Add("*.tmp", ".git/", "a/b/c.tmp", false)
	f.Add("/a/**/z", "[a-", "a/z", true)
	f.Add("{a,b", `\`, "/", false)
	f.Add("", "/", "", true)
	f.Add("**/**/**", "a/../b", "../x/./y//", false)
	f.Add("[!]", "[]]", "\xff/\n", false)
	f.Fuzz(func(t *testing.T, include, exclude, rel string, isDir bool) {
		if len(include)+len(exclude)+len(rel) > 300 {
			return
		}
		both, without := NewFilter(FilterOptions{Include: []string{include}, Exclude: []string{exclude}}), NewFilter(FilterOptions{Include: []string{include}})
		if both.Excluded(rel, isDir) && !both.ExcludedAnywhere(rel, isDir) {
			t.Error("a path that is left out takes part from above")
		}
		if without.Excluded(rel, isDir) && !both.Excluded(rel, isDir) {
			t.Error("an exclude pattern brings a path in")
		}
		if without.Excluded(rel, true) {
			t.Error("an include pattern leaves out a folder")
		}
	})
}
