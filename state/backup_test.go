package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"
)

// Two numbers that change together must be equal in every copy that is taken while they change.
func TestBackupOfAWorkingFile(t *testing.T) {
	db := openNew(t)
	folder := t.TempDir()
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := uint64(1); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if err := db.Update(func(tx *Tx) error {
				return errors.Join(tx.Table("a").Put(Key(i%100), rowOf(i)), tx.Table("b").Put(Key("last"), rowOf(i)),
					tx.Table("a").Put([]byte("last"), rowOf(i)))
			}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for _, name := range []string{"one.db", "two.db", "three.db"} {
		path := filepath.Join(folder, name)
		check(t, db.Backup(path))
		info, err := os.Stat(path)
		check(t, err)
		if runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", info.Mode())
		}
		backup := openFile(t, path)
		if backup.Instance() != db.Instance() || backup.Epoch() != db.Epoch()+1 {
			t.Errorf("instance %s, epoch %d", backup.Instance(), backup.Epoch())
		}
		view(t, backup, func(tx *Tx) error {
			if a, b := string(tx.Table("a").Get([]byte("last"))), string(tx.Table("b").Get(Key("last"))); a != b {
				t.Errorf("a copy of two states: %q and %q", a, b)
			}
			return nil
		})
	}
	close(stop)
	writer.Wait()
	if list, err := os.ReadDir(folder); len(list) != 3 || err != nil {
		t.Errorf("%d files: %v, %v", len(list), list, err)
	}
}

func rowOf(i uint64) []byte { return Key(i, "padding of some length, so that pages change hands") }

func TestBackupThatCannotBe(t *testing.T) {
	db := openNew(t)
	taken := filepath.Join(t.TempDir(), "taken")
	check(t, os.WriteFile(taken, []byte("mine"), 0o600))
	for _, test := range []struct {
		path string
		want error
	}{
		{taken, fs.ErrExist},
		{db.path, fs.ErrExist},
		{filepath.Join(filepath.Dir(taken), "none", "b.db"), fs.ErrNotExist},
	} {
		err := db.Backup(test.path)
		if !errors.Is(err, test.want) {
			t.Errorf("Backup = %v, want %v", err, test.want)
		}
		wantText(t, err, db.path, test.path)
	}
	if content, err := os.ReadFile(taken); string(content) != "mine" || err != nil {
		t.Errorf("the file that was there: %q, %v", content, err)
	}
	if names := entries(t, taken); names != "taken" {
		t.Errorf("files: %s", names)
	}
}

// TestACopyIsDoubtful: what a backup says about servers is of the time when it was made. The file itself is not touched, and the doubt
// is over once something was seen after the copy was opened.
func TestACopyIsDoubtful(t *testing.T) {
	db := openNew(t)
	seen := SyncState{Identity: "x", Checked: Checked{Began: time.Now().UTC(), Rules: "r"}}
	update(t, db, func(tx *Tx) error { return errors.Join(PutSync(tx, "a", seen), PutSync(tx, "b\x00", seen)) })
	path := filepath.Join(t.TempDir(), "copy.db")
	check(t, db.Backup(path))
	isDoubtful := func(db *DB, want bool) {
		t.Helper()
		view(t, db, func(tx *Tx) error {
			for _, name := range []string{"a", "b\x00"} {
				if row, err := GetSync(tx, name); err != nil || row.Identity != "x" || row.Checked.Began.IsZero() != want {
					t.Errorf("%q: %+v, %v; doubtful should be %v", name, row, err, want)
				}
			}
			return nil
		})
	}
	isDoubtful(db, false)
	restored, err := Open(path, Options{AllowNetworkFilesystem: true})
	check(t, err)
	isDoubtful(restored, true)
	update(t, restored, func(tx *Tx) error { return errors.Join(PutSync(tx, "a", seen), PutSync(tx, "b\x00", seen)) })
	check(t, restored.Close())
	isDoubtful(openFile(t, path), false)
}
