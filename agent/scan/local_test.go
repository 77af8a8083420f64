package scan

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

// special makes what is neither file nor folder, as far as the system has it: links to a file,
// to a folder, to nothing and out of the root, and a socket.
func special(t *testing.T, root string) []string {
	t.Helper()
	names := []string{"to a file", "to a folder", "to nothing", "out"}
	for i, target := range []string{"file", "folder", "nowhere", ".."} {
		if err := os.Symlink(target, filepath.Join(root, names[i])); err != nil {
			t.Fatal(err)
		}
	}
	return names
}

// socket makes something that can never be transferred. Its path must be short.
func socket(t *testing.T, root, name string) {
	t.Helper()
	t.Chdir(root)
	listener, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func TestLocalLooks(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "file", "folder/inner", "empty/", "日本語 ünï.txt")
	want := map[string]entry.Entry{
		"file":        {Kind: entry.File, Size: 4, ModTime: longAgo, Precision: time.Nanosecond},
		"folder":      {Kind: entry.Dir},
		"empty":       {Kind: entry.Dir},
		"日本語 ünï.txt": {Kind: entry.File, Size: int64(len("日本語 ünï.txt")), ModTime: longAgo, Precision: time.Nanosecond},
	}
	if runtime.GOOS != "windows" {
		for _, name := range special(t, dir) {
			want[name] = entry.Entry{Kind: entry.Link}
		}
		fill(t, dir, "line\nend", "[a] *?\\", "\xff\xfe latin")
		for _, name := range []string{"line\nend", "[a] *?\\", "\xff\xfe latin"} {
			want[name] = entry.Entry{Kind: entry.File, Size: int64(len(name)), ModTime: longAgo, Precision: time.Nanosecond}
		}
		socket(t, dir, "socket")
		want["socket"] = entry.Entry{Kind: entry.Other}
	}
	root := openRoot(t, dir)
	found := ReadLocal(root, "")
	if found.Unknown != "" {
		t.Fatal(found.Unknown)
	}
	got := map[string]entry.Entry{}
	for _, n := range found.Names {
		got[n.Name] = n.Entry
	}
	if !slices.IsSortedFunc(found.Names, byName) {
		t.Errorf("not sorted: %+v", found.Names)
	}
	for name, e := range got {
		known := want[name]
		if told := e.Kind == entry.File || e.Kind == entry.Dir; runtime.GOOS != "windows" && told != (e.ID != 0) {
			t.Errorf("the identity of %q, a %v, is %d", name, e.Kind, e.ID)
		}
		known.ID = e.ID
		want[name] = known
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, listed := range want {
		if alone, err := StatLocal(root, name); err != nil || alone != listed {
			t.Errorf("StatLocal(%q) = %+v, %v; the listing has %+v", name, alone, err, listed)
		}
	}
}

func TestStatLocalTellsAbsentFromUnknown(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "file", "folder/")
	root := openRoot(t, dir)
	for _, rel := range []string{"nothing", "nothing/below", "folder/nothing", "file/below", "file/below/it"} {
		if e, err := StatLocal(root, rel); err != nil || e.Kind != entry.Absent {
			t.Errorf("%s: %+v, %v; want absent", rel, e, err)
		}
	}
	for _, rel := range []string{"../x", "folder/../../x", "nul\x00"} {
		if e, err := StatLocal(root, rel); err == nil {
			t.Errorf("%q: %+v, want an error", rel, e)
		}
	}
	if e, err := StatLocal(root, ""); err != nil || e.Kind != entry.Dir {
		t.Errorf("the root: %+v, %v", e, err)
	}
}

func TestStatLocalDoesNotLeaveTheRoot(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("making links needs a privilege here")
		return
	}
	outer := t.TempDir()
	fill(t, outer, "secret", "root/")
	special(t, filepath.Join(outer, "root"))
	root := openRoot(t, filepath.Join(outer, "root"))
	if e, err := StatLocal(root, "out/secret"); err == nil {
		t.Errorf("saw %+v through a link out of the root", e)
	}
	if found := ReadLocal(root, "out"); found.Unknown == "" {
		t.Errorf("listed %v through a link out of the root", found.Names)
	}
}

func TestReadLocalOfWhatIsNoFolderIsUnknown(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, "file")
	root := openRoot(t, dir)
	for _, rel := range []string{"file", "nothing", "file/below"} {
		if found := ReadLocal(root, rel); found.Unknown == "" || len(found.Names) > 0 {
			t.Errorf("%s: %+v, want it unknown", rel, found)
		}
	}
	if found := ReadLocal(root, ""); found.Unknown != "" || len(found.Names) != 1 {
		t.Errorf("root: %+v", found)
	}
}

func TestEmptyFolderIsKnownToBeEmpty(t *testing.T) {
	if found := ReadLocal(openRoot(t, t.TempDir()), ""); found.Unknown != "" || found.Names == nil || len(found.Names) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestNamesThatCannotCross(t *testing.T) {
	for _, name := range []string{"a\nb", "a\rb", "\n", "a\x00"} {
		if sendable(name) == "" {
			t.Errorf("%q is said to be fit for FTP", name)
		}
	}
	for _, name := range []string{"a b", " ", "ü", "\xff", "-n", "a\tb", "\x7f", strings.Repeat("x", 255)} {
		if text := sendable(name); text != "" {
			t.Errorf("%q: %s", name, text)
		}
		if text := storable(name); text != "" && runtime.GOOS != "windows" {
			t.Errorf("%q: %s", name, text)
		}
	}
	hostile := []string{"", ".", "..", "a/b", "/etc", "../x"}
	if runtime.GOOS == "windows" {
		hostile = append(hostile, `a\b`, `..\x`, `C:x`, "nul", "COM1", "a:b")
	}
	for _, name := range hostile {
		if storable(name) == "" {
			t.Errorf("%q is said to be fit for this system", name)
		}
	}
}

// unreadable makes a folder that this process may not list, and reports whether there is such
// a thing: root may list everything.
func unreadable(t *testing.T, dir string) bool {
	t.Helper()
	if err := os.Chmod(dir, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(dir, 0o777) })
	f, err := os.Open(dir)
	if err == nil {
		_, err = f.Readdirnames(1)
		f.Close()
	}
	return err != nil && err != io.EOF
}
