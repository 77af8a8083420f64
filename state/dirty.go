package state

import (
	"bytes"
	"time"
)

const tableDirty = "dirty"

// Dirty is a path that somebody noticed and nobody has looked into yet.
type Dirty struct {
	// Path is written as in Baseline; "" means the whole sync.
	Path string `json:"path"`
	// First and Last are when the path was marked, by the clock of that time: they are for people and for waiting, and
	// tell nothing about order.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Remote says that the far side must be looked at too.
	Remote bool `json:"remote,omitempty"`
	// Due: nothing is known to have happened there, it is only time to look at the near side again.
	Due bool `json:"due,omitempty"`
	// Mark numbers the marks of the file, from 1; a path that is marked again has a new one. Marks of older versions of
	// the program have none.
	Mark uint64 `json:"mark,omitempty"`
	// Why is the newest reason, for people.
	Why string `json:"why,omitempty"`
	// Bad is the key of a row that could not be read, "" otherwise. Nobody knows what it asked for, so it stands for the
	// whole sync on both sides.
	Bad string `json:"-"`
}

type dirtyRow struct {
	Path Text `json:"path"`
	Dirty
}

func (r dirtyRow) dirty() Dirty {
	r.Dirty.Path = string(r.Path)
	return r.Dirty
}

func dirtyKey(sync, path string) []byte { return Key(sync, Shorten(path)) }

// decodeDirty has an error, which is ErrBadRow, for a row that belongs elsewhere too: it could never be cleared.
func decodeDirty(key, value []byte) (Dirty, error) {
	row, err := decodeJSON[dirtyRow](value)
	if err == nil && !endsIn(key, Shorten(string(row.Path))) {
		err = badRow("it is about another path, %.100q", string(row.Path))
	}
	if err != nil {
		return Dirty{}, err
	}
	return row.dirty(), nil
}

// readDirty makes the most of a row: see Dirty.Bad.
func readDirty(key, value []byte) Dirty {
	row, err := decodeDirty(key, value)
	if err != nil {
		return Dirty{Remote: true, Why: "a mark of the state file could not be read", Bad: string(key)}
	}
	return row
}

// MarkDirty adds a path, or renews it: First stays, Last and Why are the newest, Remote once
// asked for stays so.
func MarkDirty(tx *Tx, sync, path, why string, remote bool, now time.Time) error {
	t := tx.Table(tableDirty)
	key := dirtyKey(sync, path)
	now = now.UTC()
	marked := Dirty{Path: path, First: now, Last: now, Remote: remote, Why: why}
	if value := t.Get(key); value != nil {
		old := readDirty(key, value)
		marked.Remote = remote || old.Remote
		if old.Bad == "" {
			marked.First = old.First
		}
	}
	var err error
	if marked.Mark, err = t.NextID(); err != nil {
		return err
	}
	return WriteRow(t, key, dirtyRow{Path: Text(path), Dirty: marked})
}

// MarkDue adds a path that it is time to look at again on the near side. A mark that is there already stays as it is; MarkDirty makes
// one like any other of it.
func MarkDue(tx *Tx, sync, path, why string, now time.Time) error {
	t := tx.Table(tableDirty)
	key := dirtyKey(sync, path)
	if t.Get(key) != nil {
		return nil
	}
	mark, err := t.NextID()
	if err != nil {
		return err
	}
	now = now.UTC()
	return WriteRow(t, key, dirtyRow{Path: Text(path), Dirty: Dirty{Path: path, First: now, Last: now, Due: true, Why: why, Mark: mark}})
}

// DirtyPaths returns the marked paths of a sync ordered by path, at most limit of them; 0 or
// less means all.
func DirtyPaths(tx *Tx, sync string, limit int) ([]Dirty, error) {
	var paths []Dirty
	t := tx.Table(tableDirty)
	err := t.Scan(Key(sync, ""), nil, func(key, value []byte) (bool, error) {
		paths = append(paths, readDirty(key, value))
		return limit <= 0 || len(paths) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	return paths, nil
}

// GetDirty returns the mark of a path, and whether there is one.
func GetDirty(tx *Tx, sync, path string) (Dirty, bool) {
	key := dirtyKey(sync, path)
	value := tx.Table(tableDirty).Get(key)
	if value == nil {
		return Dirty{}, false
	}
	return readDirty(key, value), true
}

// LastMark returns the number of the newest mark that was ever made in this file, 0 for none.
func LastMark(tx *Tx) uint64 { return tx.Table(tableDirty).LastID() }

// ClearDirtyUpTo removes the marks of a sync whose number is not above last, and those without one: marks of older versions
// and rows that cannot be read. It is for whoever has looked at the whole sync after last was the newest.
func ClearDirtyUpTo(tx *Tx, sync string, last uint64) error {
	t := tx.Table(tableDirty)
	prefix := Key(sync, "")
	for from := prefix; from != nil; {
		var keys [][]byte
		next := []byte(nil)
		err := t.Scan(prefix, from, func(key, value []byte) (bool, error) {
			if len(keys) == deleteChunk {
				next = bytes.Clone(key)
				return false, nil
			}
			if readDirty(key, value).Mark <= last {
				keys = append(keys, bytes.Clone(key))
			}
			return true, nil
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := t.Delete(key); err != nil {
				return err
			}
		}
		from = next
	}
	return nil
}

// ClearDirty removes those of paths that were not marked again since they were read.
func ClearDirty(tx *Tx, sync string, paths []Dirty) error {
	t := tx.Table(tableDirty)
	for _, path := range paths {
		key := dirtyKey(sync, path.Path)
		if path.Bad != "" {
			key = []byte(path.Bad)
		}
		value := t.Get(key)
		if value == nil {
			continue
		}
		if row := readDirty(key, value); row.Mark != path.Mark || row.Bad != path.Bad {
			continue
		}
		if err := t.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
