package state

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"golang.org/x/sys/unix"
)

// waitForOpen waits until this process has the file at path open that often.
func waitForOpen(t *testing.T, path string, times int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		descriptors, err := filepath.Glob("/proc/self/fd/*")
		check(t, err)
		found := 0
		for _, descriptor := range descriptors {
			if name, err := os.Readlink(descriptor); err == nil && name == path {
				found++
			}
		}
		if found >= times {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the file is open %d times, want %d", found, times)
		}
	}
}

// asNobody runs fn with the rights that a user without any has on files, whoever runs the test.
func asNobody(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if os.Geteuid() == 0 {
			// The thread ends with the goroutine, because it is never unlocked.
			runtime.LockOSThread()
			_, _, _ = unix.Syscall(unix.SYS_SETFSUID, 65534, 0, 0)
		}
		fn()
	}()
	<-done
}

func TestOpenWithoutRights(t *testing.T) {
	for _, test := range []struct {
		name string
		mode os.FileMode // of the file; 0 for none
		dir  os.FileMode
		path string
		want error
	}{
		{"the file may only be read", 0o444, 0o755, "agent.db", ErrDenied},
		{"the file may not be read", 0o200, 0o755, "agent.db", ErrDenied},
		{"the folder may only be read and there is no file", 0, 0o555, "agent.db", ErrDenied},
		{"the folder may not be entered", 0o666, 0o600, "agent.db", ErrDenied},
		{"the folder cannot be made", 0, 0o555, "new/agent.db", ErrDenied},
		{"the file may be written and the folder only be read", 0o666, 0o555, "agent.db", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := t.TempDir()
			check(t, os.Chmod(filepath.Dir(folder), 0o755))
			path := filepath.Join(folder, test.path)
			var before []byte
			if test.mode != 0 {
				mostlyFree(t, path)
				check(t, os.Chmod(path, test.mode))
				var err error
				before, err = os.ReadFile(path)
				check(t, err)
			}
			check(t, os.Chmod(folder, test.dir))
			t.Cleanup(func() { _ = os.Chmod(folder, 0o755) })
			var log bytes.Buffer
			asNobody(func() {
				db, err := Open(path, Options{AllowNetworkFilesystem: true, compactFrom: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
				if !errors.Is(err, test.want) {
					t.Errorf("Open = %v, want %v", err, test.want)
				}
				if err == nil {
					check(t, db.Close())
					wantText(t, errors.New(log.String()), "cannot compact", "permission denied")
				} else {
					wantText(t, err, path, "let the user that ftpferry runs as", "permission denied")
				}
			})
			check(t, os.Chmod(folder, 0o755))
			after, _ := os.ReadFile(path)
			if test.want != nil && !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenOnAReadOnlyFileSystem(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	folder := ftptest.Tmpfs(t, 1<<20, false)
	path := filepath.Join(folder, "agent.db")
	check(t, openFile(t, path).Close())
	before, err := os.ReadFile(path)
	check(t, err)
	ftptest.RemountTmpfs(t, folder, 1<<20, true)
	for _, name := range []string{path, filepath.Join(folder, "other.db"), filepath.Join(folder, "new", "agent.db")} {
		_, err := Open(name, Options{AllowNetworkFilesystem: true})
		if !errors.Is(err, ErrDenied) || !errors.Is(err, syscall.EROFS) {
			t.Errorf("Open = %v, want ErrDenied and EROFS", err)
		}
		wantText(t, err, name, "not mounted read-only")
	}
	reader, err := Open(path, Options{AllowNetworkFilesystem: true, ReadOnly: true})
	check(t, err)
	check(t, reader.Close())
	after, err := os.ReadFile(path)
	check(t, err)
	if !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestDiskFull(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	const room = 4 << 20
	folder := ftptest.Tmpfs(t, room, false)
	path := filepath.Join(folder, "agent.db")
	db := openFile(t, path)
	put := func(db *DB, i uint64) error {
		return db.Update(func(tx *Tx) error { return tx.Table("t").Put(Key(i), make([]byte, 50<<10)) })
	}
	rows := uint64(0)
	var full error
	for full == nil {
		if full = put(db, rows); full == nil {
			rows++
		}
	}
	var commit *CommitError
	if !errors.As(full, &commit) || !errors.Is(full, ErrFull) || !errors.Is(full, syscall.ENOSPC) {
		t.Fatalf("after %d rows: %v, want a CommitError that is ErrFull and ENOSPC", rows, full)
	}
	wantText(t, full, path, "make room on the disk", "start again")
	check(t, db.Close())

	if _, err := Open(filepath.Join(folder, "other.db"), Options{AllowNetworkFilesystem: true}); !errors.Is(err, ErrFull) {
		t.Errorf("a new file on a full disk: %v, want ErrFull", err)
	}
	if names := entries(t, path); names != "agent.db" && names != "agent.db other.db.new" {
		t.Errorf("files: %s", names)
	}
	_ = os.Remove(filepath.Join(folder, "other.db.new"))
	backup := filepath.Join(folder, "backup.db")
	// The present file can be opened as long as there are free pages, or there is an error that says what to do.
	if db, err := Open(path, Options{AllowNetworkFilesystem: true}); err == nil {
		if err := db.Backup(backup); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Backup = %v, want ENOSPC", err)
		}
		if names := entries(t, path); names != "agent.db" {
			t.Errorf("files after a backup that failed: %s", names)
		}
		check(t, db.Close())
	} else if !errors.Is(err, ErrFull) {
		t.Errorf("Open on a full disk: %v", err)
	}
	ftptest.RemountTmpfs(t, folder, 4*room, false)
	db = openFile(t, path)
	view(t, db, func(tx *Tx) error {
		for i := range rows {
			if tx.Table("t").Get(Key(i)) == nil {
				t.Errorf("row %d of %d is gone", i, rows)
			}
		}
		return nil
	})
	check(t, put(db, rows))
	check(t, db.Check(func(text string) {
		if !strings.HasPrefix(text, `table "t"`) {
			t.Error(text)
		}
	}))
}

// The copy needs room where there may be none.
func TestCompactionOnAFullDisk(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	folder := ftptest.Tmpfs(t, 64<<20, false)
	path := filepath.Join(folder, "agent.db")
	mostlyFree(t, path)
	before := sizeOf(t, path)
	ftptest.RemountTmpfs(t, folder, before+100<<10, false)
	var log bytes.Buffer
	db, err := Open(path, Options{AllowNetworkFilesystem: true, compactFrom: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	check(t, err)
	defer func() { _ = db.Close() }()
	wantText(t, errors.New(log.String()), "level=WARN", "no room", "no space left on device", "goes on with it as it is")
	if names := entries(t, path); names != "agent.db" || sizeOf(t, path) != before {
		t.Errorf("files: %s", names)
	}
	wantWhole(t, db)
}

func TestMaxSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.db")
	o := Options{AllowNetworkFilesystem: true, MaxSize: 1 << 20}
	db, err := Open(path, o)
	check(t, err)
	put := func(i uint64) error {
		return db.Update(func(tx *Tx) error { return tx.Table("t").Put(Key(i), make([]byte, 50<<10)) })
	}
	rows := uint64(0)
	for err == nil && rows < 100 {
		if err = put(rows); err == nil {
			rows++
		}
	}
	var commit *CommitError
	if !errors.As(err, &commit) || !errors.Is(err, ErrFull) || rows < 5 {
		t.Fatalf("after %d rows: %v, want a CommitError that is ErrFull", rows, err)
	}
	wantText(t, err, path, "raise max_state_size")
	check(t, db.Close())
	if size := sizeOf(t, path); size > o.MaxSize {
		t.Errorf("%d bytes", size)
	}
	o.MaxSize = 64 << 10 // less than there is: what needs no more pages still works
	db, err = Open(path, o)
	check(t, err)
	for i := range rows {
		check(t, db.Update(func(tx *Tx) error { return tx.Table("t").Delete(Key(i)) }))
	}
	check(t, put(0))
	check(t, db.SetMaxSize(0))
	for i := range 2 * rows {
		check(t, put(i))
	}
	check(t, db.SetMaxSize(o.MaxSize))
	for i := uint64(0); err == nil && i < 100; i++ {
		err = put(2*rows + i)
	}
	if !errors.Is(err, ErrFull) {
		t.Errorf("%v, want one that is ErrFull", err)
	}
	check(t, db.Close())
}
