package state

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"time"
)

const tableMeta = "meta"

// Keys of the meta table. The values are text, so that any bbolt tool shows them.
var (
	keySchema   = []byte("schema")
	keyCreated  = []byte("created")
	keyEpoch    = []byte("epoch")
	keyInstance = []byte("instance")
	// keyCopy is there in a backup that was not opened for writing yet.
	keyCopy = []byte("copy")
)

// migration changes the tables of one schema version into those of the next.
type migration func(*Tx) error

// migrations: the function at index n-1 leads from version n to n+1. The version of this
// program is one more than there are functions. Never change one that was released.
var migrations = []migration{
	// Rows of the baseline have a second form, marks have numbers and operations are staged. What schema 1 wrote is read
	// as it is; the number is there to keep older programs away.
	func(*Tx) error { return nil },
	// Rows of the baseline can hold what tells files apart and where links lead. Rows of schema 2 are read as they are; scans
	// fill in what they lack.
	func(*Tx) error { return nil },
	// Jobs, history and intents have a second form, and so has what is in a job. Rows of schema 3 are read as they are.
	func(*Tx) error { return nil },
}

// loadMeta reads what the file says about itself, marks a new file, and migrates an old one. All
// of it happens in one transaction: a crash leaves the old version or the new one.
func (db *DB) loadMeta(o Options, steps []migration) error {
	if o.ReadOnly {
		return db.View(func(tx *Tx) error { return db.readMeta(tx, steps) })
	}
	instance := make([]byte, 4)
	_, _ = rand.Read(instance) // never fails (crypto/rand)
	now := time.Now().UTC()
	return db.Update(func(tx *Tx) error {
		meta := tx.Table(tableMeta)
		if tx.empty() {
			err := errors.Join(
				meta.Put(keySchema, []byte(strconv.Itoa(len(steps)+1))),
				meta.Put(keyCreated, []byte(now.Format(time.RFC3339))),
				meta.Put(keyEpoch, []byte("0")),
				meta.Put(keyInstance, []byte(hex.EncodeToString(instance))))
			if err != nil {
				return err
			}
		}
		if err := db.readMeta(tx, steps); err != nil {
			return err
		}
		if meta.Get(keyCopy) != nil {
			if err := errors.Join(doubtAll(tx), meta.Delete(keyCopy)); err != nil {
				return err
			}
		}
		db.epoch++
		return meta.Put(keyEpoch, strconv.AppendUint(nil, db.epoch, 10))
	})
}

// empty reports that the file was made and nothing was ever written to it: its maker was cut off in between.
func (tx *Tx) empty() bool {
	tx.inEngine = true
	first, _ := tx.engine.Cursor().First()
	tx.inEngine = false
	return first == nil
}

func (db *DB) readMeta(tx *Tx, steps []migration) error {
	fail := func(err error) error { return &Error{Op: "open", Path: db.path, Err: err} }
	if tx.empty() { // only who may not write comes here then, and to that one there is no state yet
		return fail(fmt.Errorf("nothing was written to it yet: %w", fs.ErrNotExist))
	}
	meta := tx.Table(tableMeta)
	schema, err := strconv.Atoi(string(meta.Get(keySchema)))
	if err != nil || schema < 1 {
		return fail(fmt.Errorf("%w (no schema version)", ErrCorrupt))
	}
	target := len(steps) + 1
	switch {
	case schema > target:
		return fail(fmt.Errorf("schema %d, this version knows %d: %w", schema, target, ErrTooNew))
	case schema < target && !tx.writable:
		return fail(fmt.Errorf("schema %d, this version needs %d: %w", schema, target, ErrTooOld))
	case schema < target:
		for ; schema < target; schema++ {
			if err := steps[schema-1](tx); err != nil {
				return fail(fmt.Errorf("migrate from schema %d to %d: %w", schema, schema+1, err))
			}
		}
		if err := meta.Put(keySchema, []byte(strconv.Itoa(target))); err != nil {
			return err
		}
	}
	db.instance = string(meta.Get(keyInstance))
	if db.epoch, err = strconv.ParseUint(string(meta.Get(keyEpoch)), 10, 64); err != nil {
		return fail(fmt.Errorf("%w (no epoch)", ErrCorrupt))
	}
	return nil
}
