package state

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// manyChildren is how many rows of a folder are found before they are read.
const manyChildren = 4096

// BaselineChildren returns the rows directly in a folder ("" is the root), sorted by path byte
// by byte. Those that cannot be read are among them, and say so in Bad.
func BaselineChildren(tx *Tx, sync, folder string) ([]Baseline, error) {
	found := childrenPool.Get().(*children)
	defer childrenPool.Put(found)
	defer found.clear()
	t := tx.Table(tableBaseline)
	prefix := Key(sync, Shorten(folder), "")
	var rows []Baseline
	err := t.Scan(prefix, nil, func(key, value []byte) (bool, error) {
		if len(found.rows) == manyChildren {
			if rows == nil { // to grow bit by bit would take more than twice the memory
				more := 0
				_ = t.Scan(prefix, key, func([]byte, []byte) (bool, error) { more++; return true, nil }) // this fn has no errors
				rows = make([]Baseline, 0, manyChildren+more)
			}
			rows = found.read(rows, folder)
		}
		found.rows = append(found.rows, rowAtKey{key: key, value: value})
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	rows = found.read(rows, folder)
	// Escapes and hashes in keys put unusual names out of place.
	byPath := func(a, b Baseline) int { return strings.Compare(a.Path, b.Path) }
	if !slices.IsSortedFunc(rows, byPath) {
		slices.SortFunc(rows, byPath)
	}
	return rows, nil
}

// children are rows of one folder that were found and not read yet. Scans ask for the children of every folder there is: with the
// rows counted before they are read, those and their paths take one piece of memory each.
type children struct{ rows []rowAtKey }

// rowAtKey is valid inside the transaction. end is where its path ends among those of all.
type rowAtKey struct {
	key, value []byte
	end        int
}

var childrenPool = sync.Pool{New: func() any { return &children{} }}

func (c *children) clear() {
	clear(c.rows)
	c.rows = c.rows[:0]
}

// read appends what was found.
func (c *children) read(rows []Baseline, folder string) []Baseline {
	length := 0
	for _, row := range c.rows {
		length += len(folder) + 1 + len(row.key) - bytes.LastIndexByte(row.key, 0)
	}
	var paths strings.Builder
	paths.Grow(length)
	for i := range c.rows {
		writeChildPath(&paths, folder, c.rows[i].key)
		c.rows[i].end = paths.Len()
	}
	all, start := paths.String(), 0
	rows = slices.Grow(rows, len(c.rows))
	for _, row := range c.rows {
		rows = rows[:len(rows)+1]
		readBaselineInto(&rows[len(rows)-1], row.key, row.value, all[start:row.end])
		start = row.end
	}
	c.clear()
	return rows
}
