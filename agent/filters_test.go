package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// TestLimitsAndCase in whole passes: patterns in any case, and files that are too young or too old. What grows too old stays at
// the target, also when it is gone at the source.
func TestLimitsAndCase(t *testing.T) {
	for _, row := range [][2]string{{"vsftpd", "up"}, {"proftpd", "down"}, {"pyftpdlib", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row[0], ftptest.RealOptions{}), row[1],
				`exclude = ["*.TMP", "/Cache/", "!KEEP.tmp"]`, `ignore_case = true`, `min_age = "48h"`, `max_age = "100d"`)
			source, target := r.local, r.remote
			if row[1] == "down" {
				source, target = target, source
			}
			const day = 24 * time.Hour
			ages := func(ages map[string]time.Duration) {
				for name, age := range ages {
					fill(t, source, map[string]string{name: name})
					setTime(t, source, name, time.Now().Add(-age))
				}
			}
			ages(map[string]time.Duration{
				"a.tmp": 10 * day, "d/b.Tmp": 10 * day, "keep.TMP": 10 * day, "cache/x": 10 * day, "d/CACHE/x": 10 * day,
				"young": time.Minute, "d/tomorrow": -day, "old": 300 * day, "right": 10 * day, "ages": 90 * day, "goes": 10 * day,
			})
			want := map[string]string{
				"keep.TMP": "keep.TMP", "d/": "", "d/CACHE/": "", "d/CACHE/x": "d/CACHE/x", "right": "right", "ages": "ages", "goes": "goes",
				"d/tomorrow": "d/tomorrow", // a time in the future tells nothing about the age
			}
			pass := func(what string, transferred, deleted int) {
				t.Helper()
				for again := range 2 {
					report := r.once()
					if exit(report) != 0 || again == 0 && (report.Transferred != transferred || report.Deleted != deleted) || again > 0 && report.Transferred+report.Deleted > 0 {
						t.Errorf("%s: %+v", what, report)
					}
				}
				if diff := cmp.Diff(want, tree(t, target)); diff != "" {
					t.Errorf("%s: wanted -, got +:\n%s", what, diff)
				}
			}
			pass("first pass", 6, 0)
			ages(map[string]time.Duration{"young": 50 * time.Hour})
			r.edit(`"100d"`, `"50d"`) // as if time had passed
			remove(t, source, "goes")
			want["young"] = "young"
			delete(want, "goes")
			pass("one has grown old enough, one too old, one is gone", 1, 1)
			remove(t, source, "ages")
			fill(t, source, map[string]string{"right": "changed, and too young now"})
			pass("one is changed and too young, the one that is too old is gone", 0, 0)
		})
	}
}
