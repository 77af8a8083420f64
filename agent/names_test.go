package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestNamesThatTheServerChanges: such files are left alone and reported, in each pass, and nothing else suffers. What has
// the name that the server would have made of theirs least of all.
func TestNamesThatTheServerChanges(t *testing.T) {
	for _, row := range []struct {
		server, odd, oddFolder, alike string
		why                           string
	}{
		{"pure-ftpd", "trail ", "folder ", "trail_", "ends with a blank"},
		{"pyftpdlib", "gr\xfcn", "f\xfclder", "gr\ufffdn", "is not valid UTF-8"},
	} {
		t.Run(row.server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row.server, ftptest.RealOptions{}), "up")
			good := map[string]string{"a.txt": "a", row.alike: "mine", "b/": "", "b/c.txt": "c"}
			fill(t, r.local, good)
			fill(t, r.local, map[string]string{row.odd: "odd", row.oddFolder + "/inside": "deep", "b/" + row.odd: "odd too"})
			mustSay := func(where string, reasons map[string]string) {
				t.Helper()
				for _, path := range []string{row.odd, row.oddFolder, "b/" + row.odd} {
					if !strings.Contains(reasons[path], row.why) {
						t.Errorf("%s, %q: %q", where, path, reasons[path])
					}
				}
				if diff := cmp.Diff(good, tree(t, r.remote)); diff != "" {
					t.Errorf("%s, on the server (-want +got):\n%s", where, diff)
				}
			}
			first := r.once()
			parked := map[string]string{}
			for _, dead := range first.Dead {
				parked[string(dead.Path)] = dead.Reason
			}
			mustSay("first pass", parked)
			for _, pass := range []string{"second pass", "third pass"} {
				again := r.once()
				if again.Transferred+again.Deleted+again.Folders+again.Adopted+again.Unfinished+len(again.Dead) > 0 {
					t.Errorf("%s did something: %+v", pass, again)
				}
				left := map[string]string{}
				for _, c := range again.Conflicts {
					left[string(c.Path)] = c.Reason
				}
				mustSay(pass, left)
			}
			r.with(agent.Options{}, func(a *agent.Agent) {
				plans, err := a.Plan(t.Context(), nil)
				if err != nil || len(plans) != 1 || len(plans[0].Ops) > 0 || len(plans[0].Note) != 3 {
					t.Errorf("plan: %+v, %v", plans, err)
				}
			})
			// Somebody renames them.
			for _, path := range []string{row.odd, row.oddFolder, "b/" + row.odd} {
				if err := os.Rename(filepath.Join(r.local, path), filepath.Join(r.local, filepath.Dir(path), "renamed "+filepath.Base(row.alike)+"x"+filepath.Base(path)[:1])); err != nil {
					t.Fatal(err)
				}
			}
			r.mustBeInStep("after they are renamed")
		})
	}
}

// TestOddNamesThatTheServerKeeps are files like others.
func TestOddNamesThatTheServerKeeps(t *testing.T) {
	for _, server := range []string{"vsftpd", "proftpd"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, server, ftptest.RealOptions{}), "up")
			fill(t, r.local, map[string]string{"trail ": "1", " lead/ both ": "2", "dot.": "3", "trail": "4"})
			r.mustBeInStep("odd names")
		})
	}
}

// TestNamesInTwoForms of Unicode are one name to some file systems: neither is sent, fetched or deleted, each is told with its
// cure, and all else goes on. When one of them is gone, the other one is a file like others.
func TestNamesInTwoForms(t *testing.T) {
	const composed, decomposed = "gr\u00fcn", "gru\u0308n"
	for _, row := range [][2]string{{"vsftpd", "up"}, {"proftpd", "both"}, {"pure-ftpd", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row[0], ftptest.RealOptions{}), row[1])
			source, target := r.local, r.remote
			if row[1] == "down" {
				source, target = target, source
			}
			fill(t, source, map[string]string{"d/" + composed: "known", "plain": "1"})
			r.mustBeInStep("one form")
			fill(t, source, map[string]string{"d/" + decomposed: "the other form", "plain": "22"})
			kept := map[string]string{"d/": "", "d/" + composed: "known", "plain": "22"}
			for pass, transferred := range []int{1, 0} {
				report := r.once()
				if got := pathsOf(report.Conflicts); report.Transferred != transferred || !cmp.Equal(got, []string{"d/" + decomposed, "d/" + composed}) {
					t.Errorf("pass %d: %+v", pass, report)
				}
				for _, conflict := range report.Conflicts {
					if !strings.Contains(conflict.Reason, "another form of Unicode") || !strings.Contains(conflict.Reason, "rename") {
						t.Errorf("pass %d: %+v", pass, conflict)
					}
				}
				if diff := cmp.Diff(kept, tree(t, target)); diff != "" {
					t.Errorf("pass %d: wanted -, got +:\n%s", pass, diff)
				}
			}
			r.tellsOf("both forms", "conflict", "d/"+decomposed, "d/"+composed)
			remove(t, source, "d/"+decomposed)
			r.mustBeInStep("one form again")

			fill(t, source, map[string]string{"d/" + decomposed: "the other form"})
			remove(t, source, "d/"+composed)
			report := r.once()
			if got := pathsOf(report.Conflicts); !cmp.Equal(got, []string{"d/" + decomposed, "d/" + composed}) {
				t.Errorf("one form on each side: %+v", report)
			}
			if diff := cmp.Diff(kept, tree(t, target)); diff != "" {
				t.Errorf("one form on each side: wanted -, got +:\n%s", diff)
			}
			remove(t, target, "d/"+composed)
			r.mustBeInStep("the other form")
		})
	}
}
