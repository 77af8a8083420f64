//go:build linux

package state

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mostlyFree makes a file of a few MiB of which little is in use, with rows 0 to 99 and number 7 taken, and closes it.
func mostlyFree(t *testing.T, path string) {
	t.Helper()
	db := openFile(t, path)
	update(t, db, func(tx *Tx) error {
		for range 7 {
			if _, err := tx.Table("t").NextID(); err != nil {
				return err
			}
		}
		for i := range uint64(4000) {
			check(t, tx.Table("t").Put(Key(i), bytes.Repeat([]byte{byte(i)}, 1000)))
		}
		return nil
	})
	update(t, db, func(tx *Tx) error {
		for i := range uint64(3900) {
			check(t, tx.Table("t").Delete(Key(100+i)))
		}
		return nil
	})
	check(t, db.Close())
}

// wantWhole checks that a file has all that mostlyFree put there.
func wantWhole(t *testing.T, db *DB) {
	t.Helper()
	view(t, db, func(tx *Tx) error {
		rows := uint64(0)
		check(t, tx.Table("t").Scan(nil, nil, func(key, value []byte) (bool, error) {
			if !bytes.Equal(key, Key(rows)) || !bytes.Equal(value, bytes.Repeat([]byte{byte(rows)}, 1000)) {
				t.Errorf("row %d is another", rows)
			}
			rows++
			return true, nil
		}))
		if rows != 100 {
			t.Errorf("%d rows, want 100", rows)
		}
		return nil
	})
	_ = db.Update(func(tx *Tx) error {
		if id, err := tx.Table("t").NextID(); id != 8 || err != nil {
			t.Errorf("the next number is %d, %v, want 8", id, err)
		}
		return errors.New("roll back")
	})
	check(t, db.Check(func(text string) {
		if !strings.HasPrefix(text, `table "t": it is not known`) {
			t.Error(text)
		}
	}))
}

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	check(t, err)
	return info.Size()
}

// entries returns the names in the folder of a path.
func entries(t *testing.T, path string) string {
	t.Helper()
	list, err := os.ReadDir(filepath.Dir(path))
	check(t, err)
	var names []string
	for _, entry := range list {
		names = append(names, entry.Name())
	}
	return strings.Join(names, " ")
}

func TestCompaction(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "agent.db"), filepath.Join(t.TempDir(), "link.db")
	mostlyFree(t, path)
	check(t, os.Chmod(path, 0o640))
	check(t, os.Symlink(path, link))
	before := sizeOf(t, path)
	var log bytes.Buffer
	o := Options{AllowNetworkFilesystem: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}

	for _, from := range []int64{0, before + 1} { // the usual bound, and one just above
		o.compactFrom = from
		db, err := Open(link, o)
		check(t, err)
		check(t, db.Close())
		if sizeOf(t, path) != before || log.Len() > 0 {
			t.Errorf("a small file was compacted: %s", log.String())
		}
	}
	o.compactFrom = before
	db, err := Open(link, o)
	check(t, err)
	after := sizeOf(t, path)
	if after > before/8 {
		t.Errorf("the file has %d bytes, %d before", after, before)
	}
	wantText(t, errors.New(log.String()), "level=INFO", "compacted", link)
	if db.Epoch() != 4 {
		t.Errorf("epoch %d, want 4", db.Epoch())
	}
	wantWhole(t, db)
	update(t, db, func(tx *Tx) error { return tx.Table("u").Put([]byte("k"), []byte("v")) })
	if _, err := Open(path, Options{LockTimeout: 60 * time.Millisecond, AllowNetworkFilesystem: true}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open of the compact file: %v, want ErrLocked", err)
	}
	check(t, db.Close())
	info, err := os.Lstat(path)
	check(t, err)
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, want that of the old file", info.Mode())
	}
	if _, err := os.Readlink(link); err != nil {
		t.Errorf("the link was replaced: %v", err)
	}
	if names := entries(t, path); names != "agent.db" {
		t.Errorf("files: %s", names)
	}

	log.Reset()
	o.compactFrom = 1
	db, err = Open(path, o)
	check(t, err)
	view(t, db, func(tx *Tx) error {
		if string(tx.Table("u").Get([]byte("k"))) != "v" {
			t.Error("what was written after the compaction is gone")
		}
		return nil
	})
	check(t, db.Close())
	if log.Len() > 0 {
		t.Errorf("a full file was compacted: %s", log.String())
	}
}

func TestKilledWhileCompacting(t *testing.T) {
	binary, err := os.Executable()
	check(t, err)
	for _, step := range []string{"make the copy", "copy", "flush the copy", "rename", "flush the folder", "done"} {
		t.Run(step, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.db")
			mostlyFree(t, path)
			before := sizeOf(t, path)
			child := exec.Command(binary)
			child.Env = append(os.Environ(), compactVariable+"="+path, stepVariable+"="+step)
			output, err := child.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Exited() {
				t.Fatalf("the other process ended with %v, %s", err, output)
			}
			after, replaced := sizeOf(t, path), step == "flush the folder" || step == "done"
			if replaced != (after < before/8) {
				t.Errorf("%d bytes before and %d after", before, after)
			}
			wantWhole(t, openFile(t, path))
			if names := entries(t, path); names != "agent.db" {
				t.Errorf("left over: %s", names)
			}
		})
	}
}

// Whoever waits for the lock has opened the file that is replaced meanwhile.
func TestCompactionUnderAWaitingOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	mostlyFree(t, path)
	first := openFile(t, path)
	type opened struct {
		db  *DB
		err error
	}
	for _, readOnly := range []bool{false, true} {
		result := make(chan opened, 1)
		waiting := make(chan struct{})
		go func() {
			close(waiting)
			db, err := Open(path, Options{LockTimeout: time.Minute, ReadOnly: readOnly, AllowNetworkFilesystem: true})
			result <- opened{db, err}
		}()
		<-waiting
		waitForOpen(t, path, 2)
		check(t, first.compact(path, Options{compactFrom: 1}))
		// Free again what the next round is to compact, and see that it is the same file for both.
		update(t, first, func(tx *Tx) error { return tx.Table("t").Put(Key("after", readOnlyName(readOnly)), make([]byte, 1<<20)) })
		update(t, first, func(tx *Tx) error { _, err := tx.Table("t").DeletePrefix(Key("after", "")); return err })
		select {
		case second := <-result:
			t.Fatalf("two have the file open: %v", second.err)
		default:
		}
		update(t, first, func(tx *Tx) error { return tx.Table("late").Put([]byte(readOnlyName(readOnly)), []byte("v")) })
		check(t, first.Close())
		second := <-result
		check(t, second.err)
		view(t, second.db, func(tx *Tx) error {
			if tx.Table("late").Get([]byte(readOnlyName(readOnly))) == nil {
				t.Errorf("readOnly=%v: the one that waited has the old file", readOnly)
			}
			return nil
		})
		check(t, second.db.Close())
		first = openFile(t, path)
	}
}

func readOnlyName(readOnly bool) string {
	if readOnly {
		return "reader"
	}
	return "writer"
}

func TestCompactionThatFails(t *testing.T) {
	for _, test := range []struct {
		name   string
		before func(t *testing.T, path string)
		o      Options
		want   string
	}{
		{"something else has the name of the copy", func(t *testing.T, path string) {
			check(t, os.MkdirAll(filepath.Join(path+compactSuffix, "folder"), 0o700))
		}, Options{}, "not empty"},
		{"the copy does not fit", func(*testing.T, string) {}, Options{MaxSize: 64 << 10}, "max_state_size"},
		{"a page is damaged", func(t *testing.T, path string) {
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			check(t, err)
			meta, err := readMetaPage(file)
			check(t, err)
			for i := uint64(2); i < meta.end; i++ { // leaves with rows of the table
				page := make([]byte, 2000)
				_, err = file.ReadAt(page, int64(i)*int64(meta.pageSize))
				check(t, err)
				if page[8] == kindLeaf && page[10] > 0 && bytes.Contains(page, bytes.Repeat([]byte{50}, 100)) {
					_, err = file.WriteAt([]byte{0xff, 0xff}, int64(i)*int64(meta.pageSize)+8)
					check(t, err)
				}
			}
			check(t, file.Close())
		}, Options{}, "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.db")
			mostlyFree(t, path)
			test.before(t, path)
			names := entries(t, path)
			before := sizeOf(t, path)
			var log bytes.Buffer
			o := test.o
			o.AllowNetworkFilesystem, o.compactFrom, o.Logger = true, 1, slog.New(slog.NewTextHandler(&log, nil))
			db, err := Open(path, o)
			check(t, err)
			defer func() { _ = db.Close() }()
			wantText(t, errors.New(log.String()), "level=WARN", path, test.want)
			if sizeOf(t, path) != before || entries(t, path) != names {
				t.Errorf("files: %s", entries(t, path))
			}
			update(t, db, func(tx *Tx) error { return tx.Table("u").Put([]byte("k"), nil) })
		})
	}
}

func TestFirstOpenIsAllOrNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	// What a crash in the middle of the first open leaves.
	check(t, os.WriteFile(path+newSuffix, nil, 0o600))
	results := make(chan error, 8)
	for range cap(results) {
		go func() {
			db, err := Open(path, Options{AllowNetworkFilesystem: true, LockTimeout: time.Minute})
			if err == nil {
				err = db.Update(func(tx *Tx) error { _, err := tx.Table("t").NextID(); return err })
				err = errors.Join(err, db.Close())
			}
			results <- err
		}()
	}
	for range cap(results) {
		check(t, <-results)
	}
	db := openFile(t, path)
	if db.Epoch() != uint64(cap(results))+1 {
		t.Errorf("epoch %d: some opened another file", db.Epoch())
	}
	if _, err := os.Lstat(path + newSuffix); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left over: %v", entries(t, path))
	}
}
