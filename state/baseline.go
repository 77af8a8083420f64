package state

import (
	"bytes"
	"errors"
	"fmt"
	"path"
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
	// Left, if not "", says why the two are not alike: nothing is done about the path while both sides stay as they were.
	Left string `json:"left,omitempty"`
	// Bad says why the row could not be read, "" if it could. Of a bad row nothing but the path is known: both sides did
	// agree once, so nothing may be deleted there for want of a baseline.
	Bad string `json:"-"`
}

// baselineKey is sync 00 folder 00 name: the children of a folder lie side by side.
func baselineKey(sync, file string) []byte {
	folder, name := splitPath(file)
	return AppendKey(make([]byte, 0, len(sync)+len(file)+2), sync, Shorten(folder), Shorten(name))
}

func splitPath(file string) (folder, name string) {
	i := strings.LastIndexByte(file, '/')
	if i < 0 {
		return "", file
	}
	return file[:i], file[i+1:]
}

func baselineCount(sync string) count {
	key := Key(tableBaseline, sync)
	both := AppendKey(key, sync, "")
	return count{key: both[:len(key):len(key)], table: tableBaseline, prefix: both[len(key):]}
}

// readBaseline decodes a row, or says in it that it is bad.
func readBaseline(key, value []byte, path string) (row Baseline) {
	readBaselineInto(&row, key, value, path)
	return row
}

func readBaselineInto(row *Baseline, key, value []byte, path string) {
	if err := decodeBaselineInto(row, key, value, path); err != nil {
		*row = Baseline{Path: path, Bad: err.Error()}
	}
}

// GetBaseline returns the row of a path and whether there is one. One that cannot be read is there, and says so in Bad.
func GetBaseline(tx *Tx, sync, path string) (Baseline, bool, error) {
	key := baselineKey(sync, path)
	value := tx.Table(tableBaseline).Get(key)
	if value == nil {
		return Baseline{}, false, nil
	}
	return readBaseline(key, value, path), true, nil
}

// PutBaseline adds or replaces the row of b.Path.
func PutBaseline(tx *Tx, sync string, b Baseline) error {
	t := tx.Table(tableBaseline)
	if b.Path == "" || b.Path == "." || b.Path[0] == '/' || path.Clean(b.Path) != b.Path {
		return t.fail("write to", fmt.Errorf("%q is not a relative path in its shortest form", b.Path))
	}
	key := baselineKey(sync, b.Path)
	if err := clearIntents(tx, key); err != nil {
		return err
	}
	row, err := encodeBaseline(key, b)
	if err != nil {
		return t.failRow("write", key, err)
	}
	old := t.Get(key)
	tx.putBaseline(sync, key, b)
	isNew := old == nil
	if err := t.Put(key, row); err != nil || !isNew {
		return err
	}
	t.noteNew(key)
	return addCount(tx, baselineCount(sync), 1)
}

// DeleteBaseline removes the row of a path, if there is one. Rows below it stay.
func DeleteBaseline(tx *Tx, sync, path string) error {
	t := tx.Table(tableBaseline)
	key := baselineKey(sync, path)
	old := t.Get(key)
	if err := errors.Join(clearIntents(tx, key), tx.Table(tableAppended).Delete(key)); err != nil || old == nil {
		return err
	}
	if err := t.Delete(key); err != nil {
		return err
	}
	return addCount(tx, baselineCount(sync), -1)
}

// BaselineRow is a row of the baseline, and the place behind it.
type BaselineRow struct {
	Baseline
	Place []byte
}

// BaselineAfter returns up to limit rows behind a place, nil for the first ones, in the order of the table, in which those of one
// folder lie side by side. None are left when there are fewer.
func BaselineAfter(tx *Tx, sync string, place []byte, limit int) (rows []BaselineRow, err error) {
	prefix := Key(sync, "")
	err = tx.Table(tableBaseline).Scan(prefix, place, func(key, value []byte) (bool, error) {
		folder := string(key[len(prefix):max(bytes.LastIndexByte(key, 0), len(prefix))])
		if strings.IndexByte(folder, 1) >= 0 {
			folder = KeyStrings([]byte(folder))[0]
		}
		behind := append(bytes.Clone(key), 0)
		rows = append(rows, BaselineRow{Baseline: readBaseline(key, value, childPath(folder, key)), Place: behind})
		return len(rows) < limit, nil
	})
	return rows, err
}

// CountBaseline returns the number of rows of a sync, without counting.
func CountBaseline(tx *Tx, sync string) (int, error) { return readCount(tx, baselineCount(sync)) }

// DropBaseline forgets all rows of a sync.
func DropBaseline(tx *Tx, sync string) error {
	if _, err := tx.Table(tableBaseline).DeletePrefix(Key(sync, "")); err != nil {
		return err
	}
	for _, table := range []string{tableIntents, tableAppended, tableFolders} {
		if _, err := tx.Table(table).DeletePrefix(Key(sync, "")); err != nil {
			return err
		}
	}
	return tx.Table(tableCounts).Delete(baselineCount(sync).key)
}
