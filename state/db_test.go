package state

import (
	"bufio"
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// TestFreePagesAreFoundQuickly: with the engine's default, a commit into a file with many free pages looks through all of them.
func TestFreePagesAreFoundQuickly(t *testing.T) {
	db := openFile(t, filepath.Join(t.TempDir(), "agent.db"))
	if got := db.engine.FreelistType; got != bolt.FreelistMapType {
		t.Errorf("the list of free pages is of type %q", got)
	}
}

func TestReopenKeepsWhatWasCommitted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder", "agent.db")
	db := openFile(t, path)
	if db.Epoch() != 1 || len(db.Instance()) != 8 {
		t.Errorf("new file: epoch %d, instance %q", db.Epoch(), db.Instance())
	}
	update(t, db, func(tx *Tx) error { return tx.Table("t").Put([]byte("k"), []byte("v")) })
	instance := db.Instance()
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = openFile(t, path)
	if db.Epoch() != 2 || db.Instance() != instance {
		t.Errorf("second open: epoch %d, instance %q, want 2, %q", db.Epoch(), db.Instance(), instance)
	}
	view(t, db, func(tx *Tx) error {
		if got := tx.Table("t").Get([]byte("k")); string(got) != "v" {
			t.Errorf("k = %q", got)
		}
		return nil
	})
}

func TestInstancesDiffer(t *testing.T) {
	if a, b := openNew(t).Instance(), openNew(t).Instance(); a == b {
		t.Errorf("two new files share the instance %q", a)
	}
}

func TestLockInTheSameProcess(t *testing.T) {
	db := openNew(t)
	for _, readOnly := range []bool{false, true} {
		start := time.Now()
		_, err := Open(db.path, Options{LockTimeout: 100 * time.Millisecond, ReadOnly: readOnly, AllowNetworkFilesystem: true})
		if !errors.Is(err, ErrLocked) {
			t.Errorf("readOnly=%v: error = %v, want ErrLocked", readOnly, err)
		}
		wantText(t, err, db.path, "ftpferry once")
		if took := time.Since(start); took > time.Minute {
			t.Errorf("waited %v in spite of the time-out", took)
		}
	}
}

func TestLockBetweenProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(binary)
	holder.Env = append(os.Environ(), holderVariable+"="+path)
	input, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if line != "open\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	if _, err := Open(path, Options{LockTimeout: 60 * time.Millisecond, AllowNetworkFilesystem: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("while the other process has the file: %v, want ErrLocked", err)
	}
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := holder.Wait(); err != nil {
		t.Fatal(err)
	}
	if db := openFile(t, path); db.Epoch() != 2 {
		t.Errorf("epoch = %d after the other process, want 2", db.Epoch())
	}
}

func TestReadOnly(t *testing.T) {
	folder := t.TempDir()
	readOnly := Options{ReadOnly: true, AllowNetworkFilesystem: true}

	missing := filepath.Join(folder, "none", "agent.db")
	if _, err := Open(missing, readOnly); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v, want fs.ErrNotExist", err)
	}
	if _, err := os.Stat(filepath.Dir(missing)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a read-only open made the folder (%v)", err)
	}

	empty := filepath.Join(folder, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(empty, readOnly); !errors.Is(err, ErrCorrupt) {
		t.Errorf("empty file: %v, want ErrCorrupt", err)
	}

	path := filepath.Join(folder, "agent.db")
	db := openFile(t, path)
	update(t, db, func(tx *Tx) error { return tx.Table("t").Put([]byte("k"), []byte("v")) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // readers share
		reader, err := Open(path, readOnly)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = reader.Close() }()
		if reader.Epoch() != 1 || reader.Instance() != db.Instance() {
			t.Errorf("reader: epoch %d, instance %q", reader.Epoch(), reader.Instance())
		}
		if err := reader.Update(func(*Tx) error { return nil }); !errors.Is(err, ErrReadOnly) {
			t.Errorf("Update: %v, want ErrReadOnly", err)
		}
	}
}

func TestWritesInViewAreRefused(t *testing.T) {
	db := openNew(t)
	view(t, db, func(tx *Tx) error {
		table := tx.Table("t")
		_, numbered := table.NextID()
		for _, err := range []error{table.Put([]byte("k"), nil), table.Delete([]byte("k")), numbered} {
			if !errors.Is(err, ErrReadOnly) {
				t.Errorf("error = %v, want ErrReadOnly", err)
			}
		}
		return nil
	})
}

func TestUpdateRollsBack(t *testing.T) {
	db := openNew(t)
	sentinel := errors.New("no")
	put := func(tx *Tx) error { return tx.Table("t").Put([]byte("k"), []byte("v")) }

	if err := db.Update(func(tx *Tx) error { return errors.Join(put(tx), sentinel) }); !errors.Is(err, sentinel) {
		t.Errorf("error = %v, want the one of fn", err)
	}
	func() {
		defer func() {
			if p := recover(); p != "bug" {
				t.Errorf("recovered %v, want the caller's own panic", p)
			}
		}()
		_ = db.Update(func(tx *Tx) error { _ = put(tx); panic("bug") })
	}()
	// Also shows that both let go of the write lock.
	update(t, db, func(tx *Tx) error {
		if got := tx.Table("t").Get([]byte("k")); got != nil {
			t.Errorf("k = %q after two roll-backs", got)
		}
		return nil
	})
}

func TestFailedCommitPoisons(t *testing.T) {
	db := openNew(t)
	if err := db.file.Close(); err != nil { // the disk goes away
		t.Fatal(err)
	}
	first := db.Update(func(tx *Tx) error { return tx.Table("t").Put([]byte("k"), []byte("v")) })
	var commit *CommitError
	if !errors.As(first, &commit) || !errors.Is(first, os.ErrClosed) {
		t.Fatalf("error = %v, want a CommitError around the cause", first)
	}
	wantText(t, first, db.path, "unknown")
	never := func(*Tx) error { t.Error("fn ran after a failed commit"); return nil }
	if err := db.Update(never); err != first {
		t.Errorf("later Update: %v, want the same error", err)
	}
	if err := db.View(never); err != first {
		t.Errorf("later View: %v, want the same error", err)
	}
}

// fill makes a file with several pages and returns its path.
func fill(t *testing.T) string {
	t.Helper()
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		for i := range 2000 {
			if err := tx.Table("t").Put(Key(uint64(i)), bytes.Repeat([]byte{'x'}, 100)); err != nil {
				return err
			}
		}
		return nil
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return db.path
}

func TestDamagedFiles(t *testing.T) {
	pageSize := int64(os.Getpagesize())
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, file *os.File)
	}{
		{"a text file", func(t *testing.T, file *os.File) {
			check(t, file.Truncate(0))
			_, err := file.WriteAt([]byte("hello"), 0)
			check(t, err)
		}},
		{"a file of zeros", func(t *testing.T, file *os.File) {
			check(t, file.Truncate(0))
			check(t, file.Truncate(16*pageSize))
		}},
		{"one page and a half of it left", func(t *testing.T, file *os.File) { check(t, file.Truncate(pageSize*3/2)) }},
		{"only the two meta pages left", func(t *testing.T, file *os.File) { check(t, file.Truncate(pageSize*2)) }},
		{"four pages left", func(t *testing.T, file *os.File) { check(t, file.Truncate(pageSize*4)) }},
		{"garbage in all pages but the meta pages", func(t *testing.T, file *os.File) {
			info, err := file.Stat()
			check(t, err)
			_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size()-2*pageSize)), 2*pageSize)
			check(t, err)
		}},
		{"another program's file", func(t *testing.T, file *os.File) {
			check(t, os.Truncate(file.Name(), 0))
			db, err := bolt.Open(file.Name(), 0o600, nil)
			check(t, err)
			check(t, db.Update(func(tx *bolt.Tx) error { _, err := tx.CreateBucket([]byte("other")); return err }))
			check(t, db.Close())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := fill(t)
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			check(t, err)
			test.damage(t, file)
			check(t, file.Close())
			for range 2 { // the second time shows that the lock is free again
				db, err := Open(path, Options{LockTimeout: 60 * time.Millisecond, AllowNetworkFilesystem: true})
				if !errors.Is(err, ErrCorrupt) {
					t.Fatalf("Open = %v, want ErrCorrupt", err)
				}
				if db != nil {
					t.Error("Open returned a DB with the error")
				}
				wantText(t, err, path, "move it away", "deletes nothing")
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestDamageFoundLater(t *testing.T) {
	for _, test := range []struct {
		name string
		use  func(db *DB) error
	}{
		{"by a read", func(db *DB) error {
			return db.View(func(tx *Tx) error {
				return tx.Table("t").Scan(nil, nil, func(_, value []byte) (bool, error) {
					return value[0] != 0, nil
				})
			})
		}},
		{"by a write", func(db *DB) error {
			return db.Update(func(tx *Tx) error { _, err := tx.Table("t").DeletePrefix(nil); return err })
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := fill(t)
			db := openFile(t, path)
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			check(t, err)
			defer func() { _ = file.Close() }()
			info, err := file.Stat()
			check(t, err)
			// Everything behind the meta pages turns to garbage under the open file.
			page := int64(os.Getpagesize())
			_, err = file.WriteAt(bytes.Repeat([]byte{0xa5}, int(info.Size()-2*page)), 2*page)
			check(t, err)
			first := test.use(db)
			if !errors.Is(first, ErrCorrupt) {
				t.Fatalf("error = %v, want ErrCorrupt", first)
			}
			if err := db.View(func(*Tx) error { return nil }); err != first {
				t.Errorf("later View = %v, want the same error", err)
			}
			check(t, db.Close())
			if _, err := Open(path, Options{LockTimeout: 60 * time.Millisecond, AllowNetworkFilesystem: true}); !errors.Is(err, ErrCorrupt) {
				t.Errorf("Open after Close = %v, want ErrCorrupt and not a lock", err)
			}
		})
	}
}

func TestMigration(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	first, err := open(path, Options{AllowNetworkFilesystem: true}, nil)
	check(t, err)
	check(t, first.Close())
	put := func(key string) migration {
		return func(tx *Tx) error { return tx.Table("t").Put([]byte(key), []byte("done")) }
	}
	steps := []migration{put("one"), put("two")}
	o := Options{AllowNetworkFilesystem: true}

	if _, err := open(path, Options{ReadOnly: true, AllowNetworkFilesystem: true}, steps); !errors.Is(err, ErrTooOld) {
		t.Errorf("read-only open of an old file: %v, want ErrTooOld", err)
	}
	failing := errors.New("no")
	_, err = open(path, o, []migration{put("half"), func(*Tx) error { return failing }})
	if !errors.Is(err, failing) {
		t.Errorf("failing migration: %v", err)
	}
	wantText(t, err, "from schema 2 to 3")

	for range 2 { // the second open must not migrate again
		db, err := open(path, o, steps)
		check(t, err)
		check(t, db.Update(func(tx *Tx) error {
			table := tx.Table("t")
			if table.Get([]byte("half")) != nil {
				t.Error("a failed migration left something behind")
			}
			for _, key := range []string{"one", "two"} {
				if table.Get([]byte(key)) == nil {
					t.Errorf("migration %q did not run, or ran again", key)
				}
			}
			return table.Put([]byte("one"), []byte("kept"))
		}))
		check(t, db.View(func(tx *Tx) error {
			if got := tx.Table("t").Get([]byte("one")); string(got) != "kept" {
				t.Errorf("one = %q", got)
			}
			return nil
		}))
		check(t, db.Close())
	}
	_, err = open(path, o, steps[:1])
	if !errors.Is(err, ErrTooNew) {
		t.Errorf("older program: %v, want ErrTooNew", err)
	}
	wantText(t, err, "schema 3", path)
}

func TestUseAfterClose(t *testing.T) {
	db := openNew(t)
	check(t, db.Close())
	var stateError *Error
	if err := db.View(func(*Tx) error { return nil }); !errors.As(err, &stateError) {
		t.Errorf("View after Close = %v, want an *Error", err)
	}
	check(t, db.Close())
}

func TestANewFileThatNothingWasWrittenToIsNoStateYet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	engine, err := bolt.Open(path, 0o600, nil)
	check(t, err)
	check(t, engine.Close())
	if _, err := Open(path, Options{ReadOnly: true}); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrCorrupt) {
		t.Errorf("error: %v", err)
	}
	db := openFile(t, path)
	check(t, db.Close())
	db, err = Open(path, Options{ReadOnly: true})
	check(t, err)
	check(t, db.Close())
}
