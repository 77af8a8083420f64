package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	bolt "go.etcd.io/bbolt"
)

const (
	// compactFrom is the size from which on the room to be won is worth the time.
	compactFrom = 64 << 20
	// compactChunk bounds the bytes that one transaction of a copy holds in memory.
	compactChunk = 4 << 20
)

// compact replaces the open file at path by a compact copy if more than half of it is free: the engine never gives room
// back, and it writes the list of all free pages with each commit.
//
// A crash in the middle leaves the old file or the new one at the path, each of them whole. When it cannot be done the
// old file stays in use, and only the logger hears of it: all but the last step can fail without harm. The error is that
// of the last step.
func (db *DB) compact(path string, o Options) error {
	if !replacesOpenFiles {
		return nil
	}
	temporary := path + compactSuffix
	// Only who has the lock of the file compacts it, so this is left over from a crash.
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		db.warn(o, "cannot remove what is left of compacting the state file", err)
		return nil
	}
	before, worth := db.worthCompacting(o)
	if !worth {
		return nil
	}
	start := time.Now()
	fresh := &DB{path: temporary}
	err := fresh.copyFrom(db, o)
	if err == nil {
		o.at("rename")
		err = os.Rename(temporary, path)
	}
	if err != nil {
		fresh.discard()
		db.warn(o, "cannot compact the state file, the agent goes on with it as it is", db.classify(err))
		return nil
	}
	o.at("flush the folder")
	// The lock of the new file was taken before it had its name, so nobody else can get in between.
	old := db.engine
	db.engine, db.file = fresh.engine, fresh.file
	_ = old.Close() // nothing was written since the last commit
	if err := syncFolder(filepath.Dir(path)); err != nil {
		// After a power loss the old file may be back, without what is committed from here on.
		return &Error{Op: "open", Path: db.path, Err: fmt.Errorf("flush the folder after the file was compacted: %w", err)}
	}
	o.at("done")
	if o.Logger != nil {
		after, _ := db.file.Stat() // for the log alone
		o.Logger.Info("the state file was compacted", "path", db.path, "bytes_before", before, "bytes", after.Size(), "duration", time.Since(start))
	}
	return nil
}

// at lets a test end the process before a step.
func (o Options) at(step string) {
	if o.step != nil {
		o.step(step)
	}
}

func (db *DB) warn(o Options, message string, err error) {
	if o.Logger != nil {
		o.Logger.Warn(message, "path", db.path, "error", err)
	}
}

// worthCompacting returns the size of the file and whether more than half of it is free.
func (db *DB) worthCompacting(o Options) (size int64, worth bool) {
	from := o.compactFrom
	if from == 0 {
		from = compactFrom
	}
	info, err := db.file.Stat()
	if err != nil || info.Size() < from {
		return 0, false
	}
	err = db.View(func(tx *Tx) error {
		stats := db.engine.Stats()
		free := int64(stats.FreePageN+stats.PendingPageN) * int64(db.engine.Info().PageSize)
		worth = (tx.engine.Size()-free)*2 < info.Size()
		return nil
	})
	return info.Size(), worth && err == nil
}

// copyFrom makes the file of db with all that is in old, and flushes it.
func (db *DB) copyFrom(old *DB, o Options) (err error) {
	o.at("make the copy")
	if err := db.lock(db.path, os.O_CREATE|os.O_EXCL, o, defaultLockTimeout); err != nil {
		return err
	}
	if err := sameOwner(old.file, db.file); err != nil {
		return fmt.Errorf("give the copy the owner and the mode of the file: %w", err)
	}
	o.at("copy")
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damage(p)
		}
	}()
	db.engine.NoSync = true // one flush at the end is enough for a file without a name
	if err := bolt.Compact(db.engine, old.engine, compactChunk); err != nil {
		return err
	}
	db.engine.NoSync = false
	o.at("flush the copy")
	return db.file.Sync()
}

// discard lets go of a copy that is not to be used, however far it has come.
func (db *DB) discard() {
	if db.file == nil {
		return
	}
	_ = os.Remove(db.path)
	if db.engine != nil {
		_ = db.engine.Close()
	}
}
