package state

import (
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Options of [Open]. The zero value is the usual one.
type Options struct {
	// LockTimeout is how long to wait for another process to let go of the file; 0 is one
	// second.
	LockTimeout time.Duration
	// AllowNetworkFilesystem opens the file even where ErrNetworkFilesystem would be due.
	AllowNetworkFilesystem bool
	// MaxSize bounds the file, in bytes; 0 means no bound. A commit that would need more is a CommitError that is ErrFull.
	// Large files grow by 16 MiB at a time. One that is larger already is opened, and its free pages can be used.
	MaxSize int64
	// ReadOnly shares the lock with other readers, never writes and never creates the file.
	// It does not get past a running agent, which has the file to itself.
	ReadOnly bool
	// Logger hears what Open did to the file beyond opening it, and what of it failed; nil: nobody.
	Logger *slog.Logger

	// compactFrom is the size in bytes from which on a file is worth compacting; 0 is 64 MiB.
	compactFrom int64
	// step is called before each step of a compaction, so that a test can end the process there.
	step func(name string)
}

// DB is an open state file. Its methods may be called by several goroutines at once: any number
// of View, one Update at a time.
type DB struct {
	path     string
	readOnly bool
	engine   *bolt.DB
	file     *os.File
	instance string
	epoch    uint64
	// touched says how much of the memory map may have become resident since somebody looked; mostResident is the constant of
	// that name, but for tests.
	touched      atomic.Int64
	mostResident int64
	identities   *identities
	notes        noteChanges
	// broken is the first error after which the truth is unknown; nil while all is well.
	broken atomic.Pointer[brokenError]
}

type brokenError struct {
	err error
	// damaged: the engine panicked and may hold its own locks for ever.
	damaged bool
}

// Open opens the file at path, and creates it (mode 0600, in a folder of mode 0700 if that is
// missing too) unless o.ReadOnly is set; then a missing file is an error that is fs.ErrNotExist.
// Every error is an *Error around one of the sentinels or around the error of the operating
// system, and leaves the file as it was. Older files are migrated, and a large one that is mostly
// free is replaced by a compact copy, which may take seconds.
func Open(path string, o Options) (*DB, error) { return open(path, o, migrations) }

func open(path string, o Options, steps []migration) (*DB, error) {
	db := &DB{path: path, readOnly: o.ReadOnly, identities: newIdentities(), mostResident: mostResident}
	err := db.prepare(o)
	if err == nil {
		err = db.openEngine(o)
	}
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Err: db.classify(err)}
	}
	err = db.loadMeta(o, steps)
	if err == nil && !o.ReadOnly {
		err = db.settle(o)
	}
	if err != nil {
		_ = db.Close() // the error at hand is the one that matters
		return nil, err
	}
	return db, nil
}

// settle makes the name of the file survive a power loss, and the file small.
func (db *DB) settle(o Options) error {
	path := target(db.path)
	// Not every system can do it, and without it no more is lost than a file that has just been made.
	_ = syncFolder(filepath.Dir(path))
	return db.compact(path, o)
}

// Size is that of the file in bytes, 0 if nobody can tell.
func (db *DB) Size() int64 {
	info, err := os.Stat(db.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// errUnchanged ends a transaction without a commit.
var errUnchanged = errors.New("nothing is written")

// SetMaxSize changes Options.MaxSize of a file that is open for writing, from the next transaction on.
func (db *DB) SetMaxSize(size int64) error {
	err := db.Update(func(*Tx) error { // nobody else looks at it meanwhile
		db.engine.MaxSize = int(min(size, math.MaxInt))
		return errUnchanged
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
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
	tx := &Tx{path: db.path, writable: writable, tables: make(map[string]*openTable), giveBack: db.giveBack, notes: &db.notes}
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
				if p == nil && !committing {
					tx.end()
				}
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
	if err := tx.flush(); err != nil {
		return err
	}
	tx.end()
	tx.inEngine, committing = true, true
	if err := tx.engine.Commit(); err != nil {
		return db.breakDown(&CommitError{Path: db.path, Err: db.classify(err)}, false)
	}
	tx.inEngine = false
	db.identities.add(tx.put)
	return nil
}

// breakDown makes err the answer to everything from now on, unless another error was first.
func (db *DB) breakDown(err error, damaged bool) error {
	db.broken.CompareAndSwap(nil, &brokenError{err: err, damaged: damaged})
	return db.broken.Load().err
}
