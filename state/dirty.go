package state

import "time"

const tableDirty = "dirty"

// Dirty is a path that somebody noticed and nobody has looked into yet.
type Dirty struct {
	// Path is written as in Baseline; "" means the whole sync.
	Path string `json:"path"`
	// First and Last are when the path was marked.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Remote says that the far side must be looked at too.
	Remote bool `json:"remote,omitempty"`
	// Mark numbers the marks of the file, from 1; a path that is marked again has a new one.
	Mark uint64 `json:"mark,omitempty"`
	// Why is the newest reason, for people.
	Why string `json:"why,omitempty"`
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

// MarkDirty adds a path, or renews it: First stays, Last and Why are the newest, Remote once
// asked for stays so.
func MarkDirty(tx *Tx, sync, path, why string, remote bool, now time.Time) error {
	t := tx.Table(tableDirty)
	key := dirtyKey(sync, path)
	row, ok, err := ReadRow[dirtyRow](t, key)
	if err != nil {
		return err
	}
	now = now.UTC()
	marked := Dirty{Path: path, First: now, Last: now, Remote: remote, Why: why}
	if old := row.dirty(); ok {
		marked.First = old.First
		marked.Remote = remote || old.Remote
		// Two marks must differ even where the clock stands still or was set back, or
		// ClearDirty would take the second for the first.
		if !now.After(old.Last) {
			marked.Last = old.Last.Add(time.Nanosecond)
		}
	}
	return WriteRow(t, key, dirtyRow{Path: Text(path), Dirty: marked})
}

// DirtyPaths returns the marked paths of a sync ordered by path, at most limit of them; 0 or
// less means all.
func DirtyPaths(tx *Tx, sync string, limit int) ([]Dirty, error) {
	var paths []Dirty
	t := tx.Table(tableDirty)
	err := t.Scan(Key(sync, ""), nil, func(key, value []byte) (bool, error) {
		row, err := DecodeRow[dirtyRow](t, key, value)
		paths = append(paths, row.dirty())
		return limit <= 0 || len(paths) < limit, err
	})
	if err != nil {
		return nil, err
	}
	return paths, nil
}

// LastMark returns the number of the newest mark that was ever made in this file, 0 for none.
func LastMark(tx *Tx) uint64 {
	panic("skeleton")
}

// ClearDirtyUpTo removes the marks of a sync whose number is not above last.
func ClearDirtyUpTo(tx *Tx, sync string, last uint64) error {
	panic("skeleton")
}

// ClearDirty removes those of paths that were not marked again since they were read.
func ClearDirty(tx *Tx, sync string, paths []Dirty) error {
	t := tx.Table(tableDirty)
	for _, path := range paths {
		key := dirtyKey(sync, path.Path)
		row, ok, err := ReadRow[dirtyRow](t, key)
		if err != nil {
			return err
		}
		if !ok || !row.Last.Equal(path.Last) {
			continue
		}
		if err := t.Delete(key); err != nil {
			return err
		}
	}
	return nil
}
