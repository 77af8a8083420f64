package state

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

const tableBaseline = "baseline"

// Baseline is what both sides of a path looked like when they last agreed, each as that side
// reports it.
type Baseline struct {
	// Path is slash separated and relative to the root of the sync, without a slash at either
	// end. The root itself has no row.
	Path   string      `json:"path"`
	Local  entry.Entry `json:"local"`
	Remote entry.Entry `json:"remote"`
	When   time.Time   `json:"when,omitzero"`
	Job    uint64      `json:"job,omitempty"`
}

// baselineRow is the form on disk: its Path takes the place of the one inside.
type baselineRow struct {
	Path Text `json:"path"`
	Baseline
}

func (r baselineRow) baseline() Baseline {
	r.Baseline.Path = string(r.Path)
	return r.Baseline
}

// baselineKey is sync 00 folder 00 name: the children of a folder lie side by side.
func baselineKey(sync, file string) []byte {
	folder, name := splitPath(file)
	return Key(sync, Shorten(folder), Shorten(name))
}

func splitPath(file string) (folder, name string) {
	i := strings.LastIndexByte(file, '/')
	if i < 0 {
		return "", file
	}
	return file[:i], file[i+1:]
}

func baselineCount(sync string) count {
	return count{key: Key(tableBaseline, sync), table: tableBaseline, prefix: Key(sync, "")}
}

// GetBaseline returns the row of a path and whether there is one.
func GetBaseline(tx *Tx, sync, path string) (Baseline, bool, error) {
	row, ok, err := ReadRow[baselineRow](tx.Table(tableBaseline), baselineKey(sync, path))
	return row.baseline(), ok, err
}

// PutBaseline adds or replaces the row of b.Path.
func PutBaseline(tx *Tx, sync string, b Baseline) error {
	t := tx.Table(tableBaseline)
	if b.Path == "" || b.Path == "." || b.Path[0] == '/' || path.Clean(b.Path) != b.Path {
		return t.fail("write to", fmt.Errorf("%q is not a relative path in its shortest form", b.Path))
	}
	if err := clearIntents(tx, sync, b.Path); err != nil {
		return err
	}
	key := baselineKey(sync, b.Path)
	isNew := t.Get(key) == nil
	if err := WriteRow(t, key, baselineRow{Path: Text(b.Path), Baseline: b}); err != nil || !isNew {
		return err
	}
	return addCount(tx, baselineCount(sync), 1)
}

// DeleteBaseline removes the row of a path, if there is one. Rows below it stay.
func DeleteBaseline(tx *Tx, sync, path string) error {
	t := tx.Table(tableBaseline)
	key := baselineKey(sync, path)
	if err := clearIntents(tx, sync, path); err != nil || t.Get(key) == nil {
		return err
	}
	if err := t.Delete(key); err != nil {
		return err
	}
	return addCount(tx, baselineCount(sync), -1)
}

// BaselineChildren returns the rows directly in a folder ("" is the root), sorted by path byte
// by byte.
func BaselineChildren(tx *Tx, sync, folder string) ([]Baseline, error) {
	var children []Baseline
	t := tx.Table(tableBaseline)
	err := t.Scan(Key(sync, Shorten(folder), ""), nil, func(key, value []byte) (bool, error) {
		row, err := DecodeRow[baselineRow](t, key, value)
		children = append(children, row.baseline())
		return true, err
	})
	if err != nil {
		return nil, err
	}
	// Escapes and hashes in keys put unusual names out of place.
	slices.SortFunc(children, func(a, b Baseline) int { return cmp.Compare(a.Path, b.Path) })
	return children, nil
}

// CountBaseline returns the number of rows of a sync, without counting.
func CountBaseline(tx *Tx, sync string) (int, error) { return readCount(tx, baselineCount(sync)) }

// DropBaseline forgets all rows of a sync.
func DropBaseline(tx *Tx, sync string) error {
	if _, err := tx.Table(tableBaseline).DeletePrefix(Key(sync, "")); err != nil {
		return err
	}
	if _, err := tx.Table(tableIntents).DeletePrefix(Key(sync, "")); err != nil {
		return err
	}
	return tx.Table(tableCounts).Delete(baselineCount(sync).key)
}
