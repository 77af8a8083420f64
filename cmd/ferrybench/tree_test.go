package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fingerprint is a hash over the names and contents of a tree on disk.
func fingerprint(t *testing.T, folder string, files []sample) string {
	t.Helper()
	sum := sha256.New()
	for _, file := range files {
		content, err := os.Open(filepath.Join(folder, filepath.FromSlash(file.Path)))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(sum, file.Path+"\n")
		_, err = io.Copy(sum, content)
		content.Close()
		if err != nil {
			t.Fatal(err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil))[:16]
}

func TestTreesAreTheSameOnEveryMachine(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		tree  tree
		files int
		bytes int64
		hash  string
	}{
		"even":  {evenTree("even", 2, 5, 4<<10), 5, 20 << 10, "fde76f39f5e8dbc5"},
		"mixed": {mixedTree("mixed", 20, 4<<10), 20, 0, "61149f1cc2438c30"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			if err := row.tree.write(folder); err != nil {
				t.Fatal(err)
			}
			if got := fingerprint(t, folder, row.tree.files); got != row.hash {
				t.Errorf("fingerprint %s, want %s: numbers of other versions no longer compare", got, row.hash)
			}
			if len(row.tree.files) != row.files || row.bytes != 0 && row.tree.bytes() != row.bytes {
				t.Errorf("%d files with %d bytes, want %d with %d", len(row.tree.files), row.tree.bytes(), row.files, row.bytes)
			}
		})
	}
}

func TestWorkloadsAreWhatTheySay(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		files, folders int
		bytes          int64
	}{
		"U200": {200, 10, 200 * 4096}, "U1k": {1000, 50, 1000 * 4096}, "U10k": {10000, 50, 10000 * 1024}, "B1u": {1, 1, 1 << 30}, "B100d": {1, 1, 100 << 20},
	} {
		for _, w := range works {
			if w.name != name {
				continue
			}
			all, folders := w.tree(), map[string]bool{}
			for _, file := range all.files {
				folders[file.Path[:strings.LastIndexByte(file.Path, '/')]] = true
			}
			if len(all.files) != want.files || len(folders) != want.folders || all.bytes() != want.bytes {
				t.Errorf("%s has %d files in %d folders with %d bytes, want %+v", name, len(all.files), len(folders), all.bytes(), want)
			}
		}
	}
	seen := map[string]bool{}
	for _, file := range mixed().files {
		if seen[file.Path] {
			t.Errorf("%s is there twice", file.Path)
		}
		seen[file.Path] = true
		if file.Size < 0 || file.Size > 4<<20 {
			t.Errorf("%s has %d bytes", file.Path, file.Size)
		}
	}
}

// TestVerifySeesWhatIsWrong: a client that is fast and wrong must not win.
func TestVerifySeesWhatIsWrong(t *testing.T) {
	t.Parallel()
	files := evenTree("verified", 2, 4, 300<<10) // longer than one block
	victim := files.files[2].Path
	at := func(folder string) string { return filepath.Join(folder, filepath.FromSlash(victim)) }
	for name, row := range map[string]struct {
		spoil     func(target string) error
		want      string // in the error; "" for none
		timesKept int
	}{
		"an exact copy":         {func(string) error { return nil }, "", 4},
		"a copy of other times": {func(d string) error { return os.Chtimes(at(d), time.Now(), time.Now()) }, "", 3},
		"a file is missing":     {func(d string) error { return os.Remove(at(d)) }, "file-00002.dat", 0},
		"a file is cut short":   {func(d string) error { return os.Truncate(at(d), 1000) }, "has 1000 bytes, its source 307200", 0},
		"a hole near the end": {func(d string) error {
			file, err := os.OpenFile(at(d), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer file.Close()
			_, err = file.WriteAt(make([]byte, 16), 299<<10)
			return err
		}, "differs from its source after 262144 bytes", 0},
		"a temporary file is left": {func(d string) error { return os.WriteFile(filepath.Join(d, ".left"), nil, 0o600) }, `".left" is there and not in the source`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, target := filepath.Join(t.TempDir(), "tree"), filepath.Join(t.TempDir(), "tree")
			if err := files.write(source); err != nil {
				t.Fatal(err)
			}
			if err := copyTree(source, target); err != nil {
				t.Fatal(err)
			}
			if err := row.spoil(target); err != nil {
				t.Fatal(err)
			}
			kept, err := verify(source, target, files.files)
			switch {
			case row.want == "" && (err != nil || kept != row.timesKept):
				t.Errorf("%d times kept, %v; want %d", kept, err, row.timesKept)
			case row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)):
				t.Errorf("error %v, want one with %q", err, row.want)
			}
		})
	}
}
