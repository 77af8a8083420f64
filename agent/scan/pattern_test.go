package scan

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// gitRules are contents of ignore files whose meaning git defines. A line break parts rules of one file; what follows a "=" in
// a line of its own goes to the file in the folder "a".
var gitRules = []string{
	"a", "/a", "a/", "/a/", "a/b", "/a/b", "a/b/", "b", "b/", "a/*", "a/**", "a/**/", "**/b", "**/b/", "a/**/c", "/**/c", "/**", "**", "*", "*/", "/*",
	"/*/", "*/*", "*/b", "**/a/**", "a/**/**/c", "***", "a/***/c", "**/**", "**/*.txt", "a**", "a**b", "**c", "a/b**", "a/**c", "*.txt", "/*.txt", "a/*.txt",
	"*.t?t", "?", "??", "?.txt", "x*y*z", "*x*", "*.*", ".*", "*.", "[a-c]", "[!a-c]", "[^a-c]", "[abc].txt", "[]x]", "[!]x]", "[]-c]", "[a-]", "[-a]", "[--0]",
	"[a-c-e]", "[[:alpha:]]", "[[:digit:][:upper:]]", "[![:alnum:]]*", "[[:punct:]]*", "[[:space:]]*", "[[:xdigit:]]", "[[:lower:]-z]", "[[:alpha]", "[[]", "[\\]]",
	"[\\a]", "[a-\\c]", "[\\\\]", "a[/]b", "[a/]", "a[!x]b", "\\a", "\\*", "\\*.txt", "\\!x", "\\#x", "#x", "!x", "x\\ ", "x ", "x  ", "x\\  ", " x", "x\t",
	"a\\/b", "*\n!a", "*\n!a\n!a/**", "*\n!*/\n!*.txt", "a/*\n!a/b", "a/\n!a/b/c", "*.txt\n!/x.txt", "*.txt\n!x.txt\nx.txt", "!*.txt\n*.txt", "/*\n!/a\n/a/*\n!/a/b",
	"**/b\n!a/b", "# nothing\n\n  \n*.txt\r\n", "\ufeffx", "x\\", "[", "[a-", "[]", "[!]", "a[b", "*[", "[[:nope:]]", "!", "/", "//", "a//b", "./a", "a/./b", "a/../x",
	"*.txt\n=\n!x.txt", "x\n=\n!x", "!x\n=\nx", "=\n/b", "=\nb/c", "=\n*\n!c", "b\n=\n!/b", "=\n**/c", "=\nc/", "a/b/c\n=\n!b/c", "a/\n=\n!*",
	"ä", "*ä", "[äö]", "X", "X*", "a b", "a b/", "a/b/c/d", "*/*/*", "a/*/c", "a/?/c", "**/c/**", "x.txt/", "}", "{", "{a}", "a}", "*.{", "{,", "-", "--", "@", "$x", "~*", "+(a)",
}

var gitPaths = []string{
	"a/a", "a/b/c/d", "a/b/c/x.txt", "a/b/x", "a/b/x.txt", "a/c", "a/x", "a/x.txt", "a/ä", "b/a", "b/b/c", "b/c/x.txt", "b/x", "c", "x", "x.txt", "xyz", "x ", " x", "x\t",
	"e", "z", "0", "A", "X", "X1", "!x", "#x", "*", "*.txt", "]", "-", "[", "\\", "ab", "aab", "a b/c", ".x", ".x.txt", "ä", "ö", "_x", "{", "}", "{a}", "a}", "--", "@", "$x", "~x", "x.", "d/e/c/x", "d/a/b/x",
	"d/x.txt/c", "d/b",
}

// TestAsGit compares with what git makes of the same files.
func TestAsGit(t *testing.T) {
	ftptest.Need(t, "git")
	root := t.TempDir()
	fill(t, root, gitPaths...)
	git := func(input string, arguments ...string) string {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-C", root}, arguments...)...)
		command.Env = append(os.Environ(), "HOME="+root, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
		command.Stdin = strings.NewReader(input)
		out, _ := command.Output() // it fails if nothing is ignored
		return string(out)
	}
	git("", "init", "-q")
	paths := slices.Clone(gitPaths)
	for _, rel := range gitPaths {
		for dir := range above(rel) {
			paths = append(paths, dir)
		}
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	compared := 0
	for _, text := range gitRules {
		top, below, _ := strings.Cut("\n"+text, "\n=\n")
		for rel, content := range map[string]string{".gitignore": strings.TrimPrefix(top, "\n"), "a/.gitignore": below} {
			if err := os.WriteFile(filepath.Join(root, rel), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		f := NewFilter(FilterOptions{IgnoreFile: ".gitignore"}).In(NewLocal(openRoot(t, root), plan.Rules{}), time.Time{})
		ignored := strings.Split(git(strings.Join(paths, "\x00"), "check-ignore", "--no-index", "-z", "--stdin"), "\x00")
		if f.Rules("") != nil || f.Rules("a") != nil {
			if len(ignored) > 1 {
				t.Errorf("rules %q: %v, but git ignores %q", text, f.Rules("a"), ignored)
			}
			continue
		}
		for _, rel := range paths {
			info, err := os.Lstat(filepath.Join(root, rel))
			if err != nil {
				t.Fatal(err)
			}
			why, err := f.WhyAnywhere(rel, info.IsDir())
			if err != nil {
				t.Fatal(err)
			}
			if !ascii(rel) && strings.ContainsAny(text, "?[") {
				continue // git matches bytes there, and we characters
			}
			if want := slices.Contains(ignored, rel); want != (why != "") {
				t.Errorf("rules %q: git ignores %q: %v, we say %q", text, rel, want, why)
			}
			compared++
		}
	}
	if compared < 5000 {
		t.Errorf("only %d cases were compared", compared)
	}
}

func TestPatternsThatDoNotWork(t *testing.T) {
	for _, test := range []struct{ pattern, want string }{
		{"", "names nothing"},
		{"!", "names nothing"},
		{"/", "names nothing"},
		{"a//b", "names nothing"},
		{"./a", `no path holds "."`},
		{"a/../b", `no path holds ".."`},
		{"a[b", `a "[" has no "]"`},
		{"[]", `a "[" has no "]"`},
		{"{[a,b}", `a "[" has no "]"`},
		{"[[:nope:]]", "[:nope:]"},
		{`a\`, "that nothing follows"},
		{strings.Repeat("{a,b}", 7), "more than 100 patterns"},
		{strings.Repeat("{", 51), "more than 50 braces"},
		{strings.Repeat("a", 4097), "longer than 4096 bytes"},
	} {
		if err := CheckPattern(test.pattern); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v", test.pattern, err)
		}
	}
	for _, fine := range []string{"*.tmp", "!a", "{a", "a}", "[a]", `\[`, strings.Repeat("{a,b}", 6), "a/**/b/"} {
		if err := CheckPattern(fine); err != nil {
			t.Errorf("%q: %v", fine, err)
		}
	}
}

func TestBraces(t *testing.T) {
	for text, want := range map[string]string{
		"a{b,c}d": "abd acd", "{a,b}{c,d}": "ac ad bc bd", "{a,{b,c}}": "a b c", "x{,y}": "x xy", "{a}": "{a}", "{a,b": "{a,b",
		`\{a,b}`: `\{a,b}`, `{a\,b,c}`: `a\,b c`, "[{,]}": "[{,]}", "{[,],b}": "[,] b", "{{a,b}": "{a {b", "{a,b}}": "a} b}",
	} {
		got, err := alternatives(text)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// FuzzPattern looks for panics, for times that grow out of hand, and for a second opinion where the first is a short cut.
func FuzzPattern(f *testing.F) {
	for _, text := range gitRules {
		f.Add(text, "a/b/c.txt", false)
	}
	f.Add(strings.Repeat("*a", 40)+"b", strings.Repeat("a", 200), false)
	f.Add(strings.Repeat("**/a/", 40)+"b", strings.Repeat("a/", 200), false)
	f.Add("{{{{{{{{{{[[[[[[[[[[,,,,,,,]", "x", true)
	f.Fuzz(func(t *testing.T, text, rel string, isDir bool) {
		if len(text) > 5000 || len(rel) > 5000 {
			return
		}
		began := time.Now()
		strict, err := parsePattern(text, false)
		if err != nil {
			return
		}
		folded, err := parsePattern(text, true)
		if err != nil || len(folded) != len(strict) {
			t.Fatalf("%v with folding, %d and %d patterns", err, len(strict), len(folded))
		}
		rel = strings.Trim(rel, "/")
		for i, p := range strict {
			matches := p.matches(rel, isDir)
			if matches && !folded[i].matches(rel, isDir) && !strings.ContainsAny(text, "[") {
				t.Errorf("%q does not match %q when case is ignored", text, rel)
			}
			for j := range p.segments {
				p.segments[j].hasPlain = false
			}
			if p.matches(rel, isDir) != matches {
				t.Errorf("%q and %q: %v by the short cut only", text, rel, matches)
			}
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%v for %d and %d bytes", took, len(text), len(rel))
		}
		_, _ = parseRules(bytes.ReplaceAll([]byte(text), []byte(" "), []byte("\n")), "x", true)
	})
}
