package agent_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestLinksAreFollowedDown: what links on the server point at is downloaded once, is in step then, and a change of it is one.
func TestLinksAreFollowedDown(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "down", `symlinks = "follow"`)
			fill(t, r.remote, map[string]string{"a": "the first", "folder/b": "b", "folder/c": "c"})
			for name, target := range map[string]string{"to a": "a", "to folder": "folder", "folder/to c": "c", "nowhere": "nothing", "folder/loop": "../folder"} {
				if err := os.Symlink(target, filepath.Join(r.remote, filepath.FromSlash(name))); err != nil {
					t.Fatal(err)
				}
			}
			want := map[string]string{
				"a": "the first", "to a": "the first", "folder/": "", "folder/b": "b", "folder/c": "c", "folder/to c": "c",
				"to folder/": "", "to folder/b": "b", "to folder/c": "c", "to folder/to c": "c",
			}
			pass := func(what string, transferred int) {
				t.Helper()
				report := r.once()
				if report.Transferred != transferred || report.Unfinished > 0 || len(report.Dead) > 0 || report.Adopted > 0 {
					t.Errorf("%s: %+v", what, report)
				}
				if diff := cmp.Diff(want, tree(t, r.local)); diff != "" {
					t.Errorf("%s: wanted -, got +:\n%s", what, diff)
				}
			}
			pass("first pass", 8)
			pass("nothing to do", 0)
			pass("again nothing to do", 0)
			want["a"], want["to a"] = "something else", "something else"
			fill(t, r.remote, map[string]string{"a": "something else"})
			pass("changed", 2)
			pass("nothing to do after that", 0)
			remove(t, r.remote, "to folder")
			for _, gone := range []string{"to folder/", "to folder/b", "to folder/c", "to folder/to c"} {
				delete(want, gone)
			}
			pass("a link is gone", 0)
		})
	}
}
