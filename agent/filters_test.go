package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestFilters in whole passes: what does not take part is not sent, and not deleted on the server whatever becomes of it here.
func TestFilters(t *testing.T) {
	for _, name := range []string{"proftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const rules = `exclude = ["*.tmp", "!keep.tmp"]`
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up", `max_size = "1KiB"`, rules)
			fill(t, r.local, map[string]string{
				"a.html": "a", "a.tmp": "no", "keep.tmp": "yes", ".git/HEAD": "no", "a.html~": "no", "big": strings.Repeat("no", 600),
				"d/x.secret": "s", "d/b": "b", "d/e/x.secret": "s", "d/.ferryignore": "*.secret\n", "Makefile": "1", "makefile": "2",
			})
			fill(t, r.remote, map[string]string{"there.tmp": "stays", "d/there.secret": "stays"})
			sent := map[string]string{
				"a.html": "a", "keep.tmp": "yes", "d/": "", "d/b": "b", "d/e/": "", "Makefile": "1", "makefile": "2",
				"there.tmp": "stays", "d/there.secret": "stays",
			}
			pass := func(what string) {
				t.Helper()
				if report := r.once(); exitCode(report) != 0 {
					t.Fatalf("%s: %+v", what, report)
				}
				if diff := cmp.Diff(sent, tree(t, r.remote)); diff != "" {
					t.Fatalf("%s: wanted -, got +:\n%s", what, diff)
				}
			}
			pass("first contact")

			text, err := os.ReadFile(r.config)
			if err != nil {
				t.Fatal(err)
			}
			text = []byte(strings.Replace(string(text), rules, `exclude = ["*.tmp", "!keep.tmp", "*.html"]`, 1))
			if err := os.WriteFile(r.config, text, 0o600); err != nil {
				t.Fatal(err)
			}
			remove(t, r.local, "a.html")
			pass("a rule that leaves out what was in step, and is gone here")

			fill(t, r.local, map[string]string{"d/.ferryignore": "/x.secret\n/there.secret\n"})
			sent["d/e/x.secret"] = "s"
			pass("rules in a folder that leave out less")

			fill(t, r.local, map[string]string{"d/.ferryignore": "[", "d/b": "changed", "c": "c"})
			report := r.once()
			if exitCode(report) == 0 || tree(t, r.remote)["d/b"] != "b" || tree(t, r.remote)["c"] != "c" {
				t.Errorf("rules that nobody understands: %+v", report)
			}
			if err := os.Remove(filepath.Join(r.local, "d", ".ferryignore")); err != nil {
				t.Fatal(err)
			}
			delete(sent, "d/there.secret")
			sent["d/x.secret"], sent["d/b"], sent["c"] = "s", "changed", "c"
			pass("no more rules")
		})
	}
}
