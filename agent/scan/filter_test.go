package scan

import (
	"path"
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
		{"and not the folder itself", nil, patterns{"a/**"}, "a/", true},
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
		{"the last rule that matches counts", nil, patterns{"*.log", "!keep.log"}, "a/keep.log", true},
		{"and not the first", nil, patterns{"!keep.log", "*.log"}, "a/keep.log", false},
		{"nothing comes back below a folder that is left out", nil, patterns{"a/", "!a/x"}, "a/x", false},
		{"it does below one whose contents are left out", nil, patterns{"a/*", "!a/x"}, "a/x", true},
		{"a name with an exclamation mark", nil, patterns{`\!x`}, "!x", false},
		{"a name with a number sign is no comment", nil, patterns{"#*#"}, "#x#", false},
		{"a blank at the end of a pattern counts", nil, patterns{"x "}, "x", true},
		{"include takes back what it has included", patterns{"*.txt", "!draft*"}, nil, "a/draft.txt", false},
		{"a folder in a folder that is included", patterns{"docs/", "!docs/old/"}, nil, "docs/old/x", false},
		{"a file in it after all", patterns{"docs/", "!docs/old/", "docs/old/x"}, nil, "docs/old/x", true},
		{"with nothing but exceptions include takes all others", patterns{"!*.bin"}, nil, "a.txt", true},
		{"and not these", patterns{"!*.bin"}, nil, "a.bin", false},
		{"an exception to exclude does not include", patterns{"*.txt"}, patterns{"!a.bin"}, "a.bin", false},
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

func TestFilterIgnoresCase(t *testing.T) {
	for _, test := range []struct {
		pattern, path string
		matches       bool
	}{
		{"*.tmp", "a/X.TMP", true},
		{"*.TMP", "x.tmp", true},
		{"[a-c]x", "Bx", true},
		{"[!a-c]x", "Bx", false},
		{"[[:upper:]]", "a", true},
		{"ÄÖ*", "äöü", true},
		{"ΣΑΣ", "σας", true},
		{"\u212a", "k", true}, // the sign for kelvin
		{"strasse", "Straße", false},
		{"a/B/**/c", "A/b/x/C", true},
		{"*\xff", "A\xff", true},
	} {
		filter := NewFilter(FilterOptions{Exclude: []string{test.pattern}, IgnoreCase: true})
		if filter.Excluded(test.path, false) != test.matches {
			t.Errorf("%q and %q: %v", test.pattern, test.path, !test.matches)
		}
	}
}

func TestDefaultExcludes(t *testing.T) {
	for _, d := range defaultExcludes {
		if err := CheckPattern(d.pattern); err != nil || d.reason == "" {
			t.Errorf("%q: %v, reason %q", d.pattern, err, d.reason)
		}
	}
	filter := NewFilter(FilterOptions{Defaults: true})
	for _, rel := range []string{
		".git/", "a/.svn/", ".hg/", "x/CVS/", "a.txt~", ".a.txt.swp", ".a.swo", ".#a", "#a#", "a.txt___jb_tmp___", "~$a.docx", ".~lock.a.odt#",
		".goutputstream-1X2Y3Z", "a/.nfs00000000004f00bf00000001", ".fuse_hidden0000000100000002", "a/.DS_Store", "._a.jpg", "Thumbs.db",
		"lost+found/", ".Trash-1000/", "$RECYCLE.BIN/", "System Volume Information/",
	} {
		name, isDir := strings.CutSuffix(rel, "/")
		if !filter.Excluded(name, isDir) {
			t.Errorf("%s takes part", rel)
		}
		if f := NewFilter(FilterOptions{Defaults: true, Exclude: []string{"!" + path.Base(name)}}); f.Excluded(name, isDir) {
			t.Errorf("%s cannot be asked for", rel)
		}
		if (Filter{}).Excluded(name, isDir) || NewFilter(FilterOptions{}).Excluded(name, isDir) {
			t.Errorf("%s is left out without being asked to", rel)
		}
	}
	for _, rel := range []string{
		".gitignore", ".gitattributes", ".github/", "git/", ".git", "x.git/", "a~b", "~a", ".htaccess", ".well-known/", ".env", ".swp", "a.swp", ".x.swx/", "old~/",
		"#a", "a#", "4913", ".nfs", ".nfsrc", "~a.docx", "_a", "desktop.ini", "a.tmp", "a.bak", "a.part", "a/lost+found/", "._folder/", "Trash/", "core", "nohup.out",
	} {
		name, isDir := strings.CutSuffix(rel, "/")
		if why := filter.why(name, nameOf(name), isDir); why != "" {
			t.Errorf("%s: %s", rel, why)
		}
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
