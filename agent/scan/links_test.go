package scan

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state/entry"
)

func link(t *testing.T, target, root, name string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(root, filepath.FromSlash(name))); err != nil {
		t.Fatal(err)
	}
}

// linkRig has every kind of link in its local folder.
func linkRig(t *testing.T, direction plan.Direction, links plan.Links) *rig {
	t.Helper()
	r := newRig(t, direction)
	r.rules.Links = links
	outside := t.TempDir()
	fill(t, outside, "folder/deep/file", "file")
	link(t, "..", outside, "folder/up")
	fill(t, r.local, "real/file")
	link(t, "real", r.local, "inside")
	link(t, "real/file", r.local, "file")
	link(t, filepath.Join(outside, "folder"), r.local, "outside")
	link(t, filepath.Join(outside, "file"), r.local, "outside file")
	link(t, "nothing", r.local, "dangling")
	link(t, "..", r.local, "real/loop")
	link(t, "itself", r.local, "itself")
	r.remote = &Remote{Root: "/site", Conn: model{}}
	return r
}

func TestLocalLinksAreFollowed(t *testing.T) {
	for _, direction := range []plan.Direction{plan.Up, plan.Both} {
		r := linkRig(t, direction, plan.LinksFollow)
		want := []string{
			"upload file", "make_remote_dir inside", "upload inside/file", "make_remote_dir outside", "make_remote_dir outside/deep",
			"upload outside/deep/file", "make_remote_dir outside/up", "upload outside/up/file", "make_remote_dir outside/up/folder",
			"make_remote_dir outside/up/folder/deep", "upload outside/up/folder/deep/file", "upload outside file", "make_remote_dir real", "upload real/file",
			"skip dangling", "skip inside/loop", "skip itself", "skip outside/up/folder/up", "skip real/loop",
		}
		slices.Sort(want)
		result := r.scan()
		got := said(result)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%q, want\n%q", direction, got, want)
		}
		for _, op := range result.Plan.Ops {
			if op.Action != plan.Upload {
				continue
			}
			file, err := NewLocal(openRoot(t, r.local), r.rules).Open(op.Path)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(file)
			file.Close()
			if err != nil || int64(len(content)) != op.Local.Entry.Size {
				t.Errorf("%s: %q (%v), and %+v in the plan", op.Path, content, err, op.Local.Entry)
			}
		}
		r.want(r.scan("outside file"), "upload outside file")
		r.want(r.scan("outside/deep/file", "real/loop/file", "dangling"), "make_remote_dir outside", "make_remote_dir outside/deep",
			"upload outside/deep/file", "make_remote_dir outside/up", "upload outside/up/file", "make_remote_dir outside/up/folder",
			"make_remote_dir outside/up/folder/deep", "upload outside/up/folder/deep/file", "make_remote_dir real", "upload real/file",
			"skip dangling", "skip outside/up/folder/up", "skip real/loop")
	}
}

// TestWhatIsBehindALinkIsOnlyRead, and a link that leads nowhere any more deletes nothing.
func TestWhatIsBehindALinkIsOnlyRead(t *testing.T) {
	r := linkRig(t, plan.Both, plan.LinksFollow)
	fill(t, r.local, "x/gone", "x/changed") // as they were
	r.inStep("x/", "x/gone", "x/changed")
	remove(t, r.local, "x")
	outside := t.TempDir()
	fill(t, outside, "x/gone", "x/changed")
	link(t, filepath.Join(outside, "x"), r.local, "x")
	remove(t, r.local, "real", "inside", "file", "outside", "outside file", "dangling", "itself")
	far := model{"x": {Kind: entry.Dir}, "x/changed": farFile(99, 1<<40), "x/new": farFile(1, 0)}
	r.remote.Conn = far
	r.want(r.scan(), "conflict x/changed", "conflict x/gone", "conflict x/new")
	remove(t, outside, ".")
	r.want(r.scan(), "skip x")
	r.want(r.scan("x/changed"), "skip x")
}

func TestLinksThatAreNotFollowed(t *testing.T) {
	r := linkRig(t, plan.Up, plan.LinksSkip)
	if result := r.scan(); len(result.Plan.Ops) != 2 || len(result.Plan.Notes) != 7 {
		t.Errorf("%q", said(result))
	}
	r = linkRig(t, plan.Up, plan.LinksPreserve)
	targets := map[string]string{}
	for _, op := range r.scan().Plan.Ops {
		targets[op.Path] = op.Local.Entry.Target
	}
	if targets["inside"] != "real" || targets["real/loop"] != ".." || targets["dangling"] != "nothing" {
		t.Errorf("%q", targets)
	}
	// A local link where something is to be downloaded is never followed.
	r = linkRig(t, plan.Down, plan.LinksFollow)
	r.remote.Conn = model{"file": farFile(1, 0), "inside": {Kind: entry.Dir}, "inside/file": farFile(1, 0)}
	r.want(r.scan(), "delete_local real/file", "skip dangling", "conflict file", "conflict inside", "skip itself",
		"skip outside", "skip outside file", "skip real/loop", "skip real")
}

// TestRemoteLinksAreFollowed: to files and folders, but not round and round.
func TestRemoteLinksAreFollowed(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd", "pure-ftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newFarRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), plan.Down)
			r.rules.Links, r.remote.Follow = plan.LinksFollow, true
			fill(t, r.far, "a/file", "b/other")
			link(t, "a/file", r.far, "to file")
			link(t, "nothing", r.far, "dangling")
			link(t, "../b", r.far, "a/to b")
			link(t, "../a", r.far, "b/to a")
			result := r.scan()
			t.Logf("%q %+v", said(result), result.Plan.Notes)
			sizes := map[string]int64{}
			for _, op := range result.Plan.Ops {
				sizes[op.Path] = op.Remote.Entry.Size
			}
			if sizes["to file"] != 6 || sizes["a/file"] != 6 || sizes["b/other"] != 7 {
				t.Errorf("%v", sizes)
			}
			if len(sizes) > 20 {
				t.Errorf("round and round: %v", sizes)
			}
		})
	}
}
