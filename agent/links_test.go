package agent_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestLinksAreFollowedUp: what links point at is uploaded, wherever it is, and a change of it is one.
func TestLinksAreFollowedUp(t *testing.T) {
	for _, name := range []string{"proftpd", "pure-ftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up", `symlinks = "follow"`)
			outside := t.TempDir()
			fill(t, outside, map[string]string{"folder/a": "a", "file": "f"})
			for name, target := range map[string]string{"folder": "folder", "file": "file", "nowhere": "nothing"} {
				if err := os.Symlink(filepath.Join(outside, target), filepath.Join(r.local, name)); err != nil {
					t.Fatal(err)
				}
			}
			want := map[string]string{"folder/": "", "folder/a": "a", "file": "f"}
			pass := func(what string, transferred int) {
				t.Helper()
				report := r.once()
				if report.Transferred != transferred || report.Unfinished > 0 || len(report.Dead) > 0 || len(report.Skipped) != 1 {
					t.Errorf("%s: %+v", what, report)
				}
				if diff := cmp.Diff(want, tree(t, r.remote)); diff != "" {
					t.Errorf("%s: wanted -, got +:\n%s", what, diff)
				}
			}
			pass("first pass", 2)
			pass("nothing to do", 0)
			want["folder/a"], want["file"] = "changed", "changed too"
			fill(t, outside, map[string]string{"folder/a": "changed", "file": "changed too"})
			pass("changed", 2)
			remove(t, r.local, "folder")
			delete(want, "folder/")
			delete(want, "folder/a")
			pass("a link is gone", 0)
			if _, err := os.Stat(filepath.Join(outside, "folder", "a")); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAChangeBehindALinkIsFound by a watch, which gets no event for it.
func TestAChangeBehindALinkIsFound(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", `symlinks = "follow"`, "watch = true", `watch_poll = "1s"`, `rescan = "0s"`)
	outside := t.TempDir()
	fill(t, outside, map[string]string{"folder/a": "a", "file": "f"})
	for _, name := range []string{"folder", "file"} {
		if err := os.Symlink(filepath.Join(outside, name), filepath.Join(r.local, name)); err != nil {
			t.Fatal(err)
		}
	}
	r.with(agent.Options{Triggers: true}, func(a *agent.Agent) {
		has := func(want map[string]string) func() bool {
			return func() bool { return cmp.Equal(want, tree(t, r.remote)) }
		}
		eventually(t, "what was there before arrives", has(map[string]string{"folder/": "", "folder/a": "a", "file": "f"}))
		fill(t, outside, map[string]string{"folder/a": "changed", "folder/new": "n", "file": "changed too"})
		eventually(t, "what has changed behind the links arrives", has(map[string]string{"folder/": "", "folder/a": "changed", "folder/new": "n", "file": "changed too"}))
		// Where the tests run on overlay or the like, that is what it says.
		if w := statusOf(t, a).Watch; w == nil || w.State != control.WatchDegraded && w.State != control.WatchPolling {
			t.Errorf("%+v", w)
		}
	})
}
