//go:build unix

package state

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "agent.db")
	openFile(t, path)
	for name, want := range map[string]os.FileMode{
		path:                             0o600,
		filepath.Dir(path):               0o700,
		filepath.Dir(filepath.Dir(path)): 0o700,
	} {
		info, err := os.Stat(name)
		check(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("mode of %s = %o, want %o", name, got, want)
		}
	}
}

// Reading a memory map behind the end of its file is a fault, which would end the process.
func TestFileCutShortWhileOpen(t *testing.T) {
	path := fill(t)
	db := openFile(t, path)
	check(t, db.View(func(tx *Tx) error {
		_, value := tx.Table("t").Last(nil)
		check(t, os.Truncate(path, 2*int64(os.Getpagesize())))
		defer func() {
			if p := recover(); p == nil {
				t.Error("a value beyond the end of the file could be read")
			}
		}()
		t.Log("first byte", value[0])
		return nil
	}))
	first := db.View(func(tx *Tx) error { tx.Table("t").Get(Key(uint64(1))); return nil })
	if !errors.Is(first, ErrCorrupt) {
		t.Errorf("View = %v, want ErrCorrupt", first)
	}
	check(t, db.Close())
	_, err := Open(path, Options{LockTimeout: 60 * time.Millisecond, AllowNetworkFilesystem: true})
	if !errors.Is(err, ErrCorrupt) {
		t.Errorf("Open = %v, want ErrCorrupt", err)
	}
}

// TestANewStateBelongsToTheOwnerOfItsFolder: what root does by hand before the first start must not keep the service from it.
func TestANewStateBelongsToTheOwnerOfItsFolder(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("only root can give a file away; nothing is tested here")
		return
	}
	folder := t.TempDir()
	if err := os.Chown(folder, 12345, 12346); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "agent.db")
	db, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 12345 || owner.Gid != 12346 {
		t.Errorf("it belongs to %d:%d", owner.Uid, owner.Gid)
	}
}
