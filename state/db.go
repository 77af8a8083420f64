package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const defaultLockTimeout = time.Second

// Options of [Open]. The zero value is the usual one.
type Options struct {
	// LockTimeout is how long to wait for another process to let go of the file; 0 is one
	// second.
	LockTimeout time.Duration
	// AllowNetworkFilesystem opens the file even where ErrNetworkFilesystem would be due.
	AllowNetworkFilesystem bool
	// MaxSize bounds the file, in bytes; 0 means no bound. A commit that would need more is a CommitError that is ErrFull.
	MaxSize int64
	// ReadOnly shares the lock with other readers, never writes and never creates the file.
	// It does not get past a running agent, which has the file to itself.
	ReadOnly bool
}

// DB is an open state file. Its methods may be called by several goroutines at once: any number
// of View, one Update at a time.
type DB struct {
	path     string
	engine   *bolt.DB
	file     *os.File
	instance string
	epoch    uint64
	// broken is the first error after which the truth is unknown; nil while all is well.
	broken atomic.Pointer[brokenError]
}

type brokenError struct {
	err error
	// damaged: the engine panicked and may hold its own locks for ever.
	damaged bool
}

// Open opens the file at path, and creates it (mode 0600, in a folder of mode 0700 if that is
// missing too) unless o.ReadOnly is set; then a missing or empty file is an error that is
// fs.ErrNotExist. Every error is an *Error around one of the sentinels or around the error of
// the operating system. Older files are migrated.
func Open(path string, o Options) (*DB, error) { return open(path, o, migrations) }

func open(path string, o Options, steps []migration) (*DB, error) {
	db := &DB{path: path}
	err := db.prepare(o)
	if err == nil {
		err = db.openEngine(o)
	}
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Err: err}
	}
	if err := db.loadMeta(o, steps); err != nil {
		_ = db.Close() // the error at hand is the one that matters
		return nil, err
	}
	if !o.ReadOnly {
		syncFolder(filepath.Dir(path))
	}
	return db, nil
}

// prepare looks at the surroundings of the file and makes its folder.
func (db *DB) prepare(o Options) error {
	folder := filepath.Dir(db.path)
	if !o.AllowNetworkFilesystem {
		// A folder still to be made will be on the file system of its first ancestor.
		existing := folder
		for {
			if _, err := os.Stat(existing); !errors.Is(err, fs.ErrNotExist) || filepath.Dir(existing) == existing {
				break
			}
			existing = filepath.Dir(existing)
		}
		kind, err := networkFilesystem(existing)
		if err != nil {
			return fmt.Errorf("find the file system of %s: %w", existing, err)
		}
		if kind != "" {
			return fmt.Errorf("%s is on %s: %w", existing, kind, ErrNetworkFilesystem)
		}
	}
	if !o.ReadOnly {
		return os.MkdirAll(folder, 0o700)
	}
	// The engine would try to write its first pages into an empty file.
	info, err := os.Stat(db.path)
	if err == nil && info.Size() == 0 {
		return fmt.Errorf("the file is empty: %w", fs.ErrNotExist)
	}
	return err
}

func (db *DB) openEngine(o Options) (err error) {
	timeout := o.LockTimeout
	if timeout <= 0 {
		timeout = defaultLockTimeout
	}
	// Damaged pages make the engine panic, and a file cut short makes its memory map fault.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if db.file != nil {
				unlock(db.file)
				_ = db.file.Close()
			}
			err = damage(p)
		}
	}()
	db.engine, err = bolt.Open(db.path, 0o600, &bolt.Options{
		Timeout:      timeout,
		FreelistType: bolt.FreelistMapType,
		ReadOnly:     o.ReadOnly,
		OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
			file, err := os.OpenFile(name, flag, mode)
			db.file = file
			return file, err
		},
	})
	return db.classify(err)
}

// classify puts the sentinel that a person needs around an error of the engine's open.
func (db *DB) classify(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrLocked
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return fmt.Errorf("%w (%w)", ErrCorrupt, err)
	}
	// The engine has no sentinel for a file that ends within its first two pages.
	if info, statErr := os.Stat(db.path); statErr == nil && info.Mode().IsRegular() && info.Size() < 2*int64(os.Getpagesize()) {
		return fmt.Errorf("%w (%w)", ErrCorrupt, err)
	}
	return err
}

func damage(p any) error { return fmt.Errorf("%w (%v)", ErrCorrupt, p) }

// syncFolder makes the name of a new file survive a power loss. Not every system can do it for
// a folder, and without it no more is lost than the file, which can be rebuilt.
func syncFolder(path string) {
	if folder, err := os.Open(path); err == nil {
		_ = folder.Sync()
		_ = folder.Close()
	}
}

// Close waits for transactions that are under way and lets go of the file.
func (db *DB) Close() error {
	var err error
	if broken := db.broken.Load(); broken != nil && broken.damaged {
		// The engine would wait for locks that its panic left behind.
		unlock(db.file)
		err = db.file.Close()
	} else {
		err = db.engine.Close()
	}
	if err != nil {
		return &Error{Op: "close", Path: db.path, Err: err}
	}
	return nil
}

// Instance returns eight random hexadecimal digits made when the file was created. Job numbers
// start again in a new file; together with the instance they are unique.
func (db *DB) Instance() string { return db.instance }

// Epoch counts the writable opens of the file, from 1.
func (db *DB) Epoch() uint64 { return db.epoch }

// View runs fn in a transaction that sees one state of the file. It returns the error of fn as
// it is. Slow readers make writers wait and the file grow: copy out what is needed and return.
func (db *DB) View(fn func(*Tx) error) error { return db.run("view", false, fn) }

// Update runs fn in the only writing transaction and commits when fn returns nil; when it
// returns an error, that error is returned as it is and nothing has happened. fn must have no
// effects but those on tx, since an engine may run it more than once.
//
// When the commit fails, the result is a *CommitError; damage gives an *Error that is
// ErrCorrupt. After either, every View and Update returns that same error.
func (db *DB) Update(fn func(*Tx) error) error { return db.run("update", true, fn) }

func (db *DB) run(op string, writable bool, fn func(*Tx) error) (err error) {
	if broken := db.broken.Load(); broken != nil {
		return broken.err
	}
	tx := &Tx{path: db.path, writable: writable, tables: make(map[string]*openTable)}
	committing := false
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		p := recover()
		switch {
		case p != nil && tx.isDamage(p) && committing:
			err = db.breakDown(&CommitError{Path: db.path, Err: damage(p)}, true)
		case p != nil && tx.isDamage(p):
			err = db.breakDown(&Error{Op: op, Path: db.path, Err: damage(p)}, true)
		default:
			if tx.engine != nil {
				_ = tx.engine.Rollback() // says no more than "closed" after a commit
			}
			if p != nil {
				panic(p)
			}
		}
	}()
	tx.inEngine = true
	tx.engine, err = db.engine.Begin(writable)
	tx.inEngine = false
	if errors.Is(err, bolterrors.ErrDatabaseReadOnly) {
		err = ErrReadOnly
	}
	if err != nil {
		return &Error{Op: op, Path: db.path, Err: err}
	}
	if err := fn(tx); err != nil || !writable {
		return err
	}
	tx.inEngine, committing = true, true
	if err := tx.engine.Commit(); err != nil {
		return db.breakDown(&CommitError{Path: db.path, Err: err}, false)
	}
	tx.inEngine = false
	return nil
}

// breakDown makes err the answer to everything from now on, unless another error was first.
func (db *DB) breakDown(err error, damaged bool) error {
	db.broken.CompareAndSwap(nil, &brokenError{err: err, damaged: damaged})
	return db.broken.Load().err
}
