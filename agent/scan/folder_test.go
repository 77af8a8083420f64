package scan

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestAFolderThatIsKeptOpen is looked into as long as it is in its place, and what it does not have comes by the root.
func TestAFolderThatIsKeptOpen(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "d/x", "d/below/y", "dx", "e/z")
	if err := os.Symlink("../e/z", filepath.Join(dir, "d", "link")); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	local := NewLocal(openRoot(t, dir), plan.Rules{})
	folder, err := local.OpenFolder("d")
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	by := local.By(folder)
	for _, rel := range []string{"d/x", "d/below/y", "dx", "e/z", "d"} {
		now, err := by.Stat(rel)
		if want, _ := local.Stat(rel); err != nil || now != want || now.Kind == entry.Absent {
			t.Errorf("%s: %+v, %v", rel, now, err)
		}
	}
	file, err := by.Open("d/link")
	if err != nil {
		t.Fatalf("a link out of the folder, and not of the root: %v", err)
	}
	file.Close()
	if !folder.IsInPlace(local) {
		t.Error("it is in its place")
	}

	if err := os.Rename(filepath.Join(dir, "d"), filepath.Join(dir, "moved")); err != nil {
		t.Fatal(err)
	}
	if folder.IsInPlace(local) {
		t.Error("it is gone, and counts as there")
	}
	os.WriteFile(filepath.Join(dir, "moved", "x"), []byte("moved"), 0o600)
	if now, err := by.Stat("d/x"); err != nil || now.Size != int64(len("moved")) {
		t.Errorf("not looked at by the open folder: %+v, %v", now, err)
	}
	if by.LastTouched("d/x").IsZero() {
		t.Error("LastTouched went by the root")
	}
	if file, err = by.Open("d/x"); err != nil {
		t.Fatalf("not opened by the open folder: %v", err)
	}
	text, err := io.ReadAll(file)
	file.Close()
	if string(text) != "moved" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	fill(t, dir, "d/x")
	if folder.IsInPlace(local) {
		t.Error("another one is in its place")
	}
	folder.Close()
	if now, err := by.Stat("d/x"); err != nil || now.Kind != entry.File || now.Size == int64(len("moved")) {
		t.Errorf("once it is closed: %+v, %v", now, err)
	}
}

// TestIgnoreFilesAboveAreNotReadAgain nor those below, by questions that go from the root down to a path each.
func TestIgnoreFilesAboveAreNotReadAgain(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "d/x", "e/")
	rules := filepath.Join(dir, "d", ".ferryignore")
	os.WriteFile(rules, []byte("*.tmp"), 0o600)
	f := NewFilter(ignoring).In(NewLocal(openRoot(t, dir), plan.Rules{}), time.Time{})
	left := func(rel string) bool {
		t.Helper()
		why, err := f.WhyAnywhere(rel, false)
		if err != nil {
			t.Fatal(err)
		}
		return why != ""
	}
	if !left("d/a.tmp") || left("d/a.log") {
		t.Fatal("the rules do not count")
	}
	os.WriteFile(rules, []byte("*.log"), 0o600)
	if !left("d/b.tmp") || left("d/b.log") || left("b.tmp") || !left("d/c.tmp") {
		t.Error("they were read again")
	}
	if left("e/b.tmp") || left("d/b.tmp") || !left("d/b.log") {
		t.Error("having been elsewhere, they were not")
	}
}
