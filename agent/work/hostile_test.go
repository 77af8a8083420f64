package work

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestNothingReachesOutOfTheFolder: whatever a server calls its files, and whatever links are in the place of local folders.
func TestNothingReachesOutOfTheFolder(t *testing.T) {
	paths := []string{"../x", "..", "d/../../x", "/absolute", "d//x", "d/./x", ".", "link/x", "link/d/x", "inner/x", "d/nul\x00"}
	if runtime.GOOS == "windows" {
		paths = append(paths, "NUL", "d/COM1", `..\x`, `C:\x`, "C:x")
	}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		outside := t.TempDir()
		seen := func() (all []string) {
			filepath.WalkDir(outside, func(path string, e os.DirEntry, err error) error {
				info, _ := os.Lstat(path)
				all = append(all, path, info.ModTime().String(), info.Mode().String())
				return err
			})
			return all
		}
		for _, name := range []string{"x", "d/x", "2020-01-01/x"} {
			os.MkdirAll(filepath.Dir(filepath.Join(outside, name)), 0o777)
			os.WriteFile(filepath.Join(outside, name), []byte("outside"), 0o666)
			os.Chtimes(filepath.Join(outside, name), stamped, stamped)
		}
		before := seen()
		b.write("d/x", "inside")
		b.write("x", "inside")
		link(t, outside, b.local, "link")
		link(t, "d", b.local, "inner")
		link(t, outside, b.local, "trash")
		b.offer("d/x", "server")
		b.sync.Rules = plan.Rules{Direction: plan.Down, Delete: true}
		b.sync.Trash, b.sync.TrashKeep = "trash", time.Hour
		file := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 7, ModTime: stamped, Precision: time.Second}}
		ops := func(rel string) []plan.Op {
			return []plan.Op{
				{Action: plan.Download, Path: rel, Remote: file},
				{Action: plan.MakeLocalDir, Path: rel, Remote: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Dir}}},
				{Action: plan.DeleteLocal, Path: rel, Local: file, Remote: plan.Side{Knowledge: plan.Seen}},
				{Action: plan.SetAsideLocal, Path: rel, To: rel + " (conflict)", Local: file},
				{Action: plan.SetAsideLocal, Path: "x", To: rel, Local: b.here("x")},
				{Action: plan.LinkLocal, Path: rel, Remote: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Link, Target: "d"}}},
			}
		}
		for _, rel := range paths {
			for _, op := range ops(rel) {
				if o := b.do(t.Context(), op, 1); o.Result == Done && !strings.Contains(o.Reason, "already") {
					t.Errorf("%s of %q: done, %q", op.Action, rel, o.Reason)
				}
			}
		}
		// To a trash that leads out, and out of it.
		if o := b.do(t.Context(), plan.Op{Action: plan.DeleteLocal, Path: "x", Local: b.here("x"), Remote: plan.Side{Knowledge: plan.Seen}}, 1); o.Result != Failed {
			t.Errorf("to a trash outside: %v", o.Result)
		}
		if o := b.job(queue.New{Kind: KindPurgeLocal, Sync: "s"}); o.Result != Failed {
			t.Errorf("purge outside: %v %s", o.Result, o.Reason)
		}
		if after := seen(); strings.Join(before, "\n") != strings.Join(after, "\n") {
			t.Errorf("outside there was\n%v\nand is\n%v", before, after)
		}
		for _, name := range []string{"x", "d/x"} {
			if content, err := os.ReadFile(filepath.Join(b.local, name)); string(content) != "inside" {
				t.Errorf("%s holds %q (%v)", name, content, err)
			}
		}
		if left, err := os.ReadDir(filepath.Join(b.local, "..")); err != nil || len(left) != 1 && !onlyTests(left) {
			t.Errorf("beside the folder: %v (%v)", left, err)
		}
	}, "vsftpd", "pyftpdlib")
}

// onlyTests reports whether the folder above holds nothing but the temporary folders of this test, which are numbered.
func onlyTests(entries []os.DirEntry) bool {
	for _, e := range entries {
		if strings.Trim(e.Name(), "0123456789") != "" {
			return false
		}
	}
	return true
}
