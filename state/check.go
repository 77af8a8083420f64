package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// rowCheck says what makes a row of a table sound.
type rowCheck struct {
	// row returns why a row cannot be read, or does not belong at its key.
	row func(t Table, key, value []byte) error
	// count returns the key of the number in the table of counts that counts this row; nil where rows are not counted.
	count func(key []byte) []byte
}

// rowChecks lists the tables of this package. Those of the queue are checked by the queue.
var rowChecks = map[string]rowCheck{
	tableMeta: {row: checkMeta},
	tableBaseline: {
		row: func(t Table, key, value []byte) error {
			row, err := DecodeRow[baselineRow](t, key, value)
			return belongs(t, key, baselineKey(firstPart(key), string(row.Path)), err)
		},
		count: func(key []byte) []byte { return baselineCount(firstPart(key)) },
	},
	tableDirty: {row: func(t Table, key, value []byte) error {
		row, err := DecodeRow[dirtyRow](t, key, value)
		return belongs(t, key, dirtyKey(firstPart(key), string(row.Path)), err)
	}},
	tableIntents: {row: decodes[intentRow]},
	tableServers: {row: decodes[Server]},
	tableSyncs:   {row: decodes[SyncState]},
	tableLocator: {row: func(Table, []byte, []byte) error { return nil }}, // whoever reads it makes sense of it
	tableSchedules: {row: func(t Table, key, value []byte) error {
		row, err := DecodeRow[scheduleRow](t, key, value)
		return belongs(t, key, Key(firstPart(key), row.Spec), err)
	}},
	tableHistory: {
		row: func(t Table, key, value []byte) error {
			if len(key) != 16 {
				return t.failRow("read", key, fmt.Errorf("%w: the key has %d bytes instead of 16", ErrBadRow, len(key)))
			}
			return decodes[historyRow](t, key, value)
		},
		count: func([]byte) []byte { return historyCount },
	},
	tableCounts: {row: func(t Table, key, value []byte) error {
		_, err := readCount(t.tx, key)
		return err
	}},
}

func decodes[Row any](t Table, key, value []byte) error {
	_, err := DecodeRow[Row](t, key, value)
	return err
}

// firstPart returns the string at the start of a key, which is the sync in most tables.
func firstPart(key []byte) string {
	first, _, _ := bytes.Cut(key, []byte{0})
	return KeyStrings(first)[0]
}

// belongs compares the key of a row with the one that its content asks for.
func belongs(t Table, key, want []byte, err error) error {
	if err == nil && !bytes.Equal(key, want) {
		err = t.failRow("read", key, fmt.Errorf("%w: it belongs at %q", ErrBadRow, want))
	}
	return err
}

func checkMeta(t Table, key, value []byte) error {
	var err error
	switch string(key) {
	case string(keyCreated):
		_, err = time.Parse(time.RFC3339, string(value))
	case string(keyInstance):
		if len(value) != 8 {
			err = errors.New("it is not eight digits")
		}
	case string(keySchema), string(keyEpoch): // checked by Open
	default:
		err = errors.New("nothing of that name is known")
	}
	if err != nil {
		return t.failRow("read", key, fmt.Errorf("%w: %w", ErrBadRow, err))
	}
	return nil
}

// errChecked ends the transaction of a check without a commit.
var errChecked = errors.New("checked")

// Check examines the whole file: the pages of the engine, every row of every table of this package, and the
// numbers kept beside them. It calls problem for each thing that is wrong, with a text for people, and returns an error if it
// could not go on. It takes seconds for a large file, and nobody can write meanwhile; do it on a copy (Backup) rather
// than on the file of a working agent.
func (db *DB) Check(problem func(text string)) error {
	// The engine's own check needs the list of free pages to stand still.
	err := db.run("check", !db.readOnly, func(tx *Tx) error {
		if err := db.check(tx, problem); err != nil {
			return &Error{Op: "check", Path: db.path, Err: err}
		}
		return errChecked
	})
	if err == errChecked {
		return nil
	}
	return err
}

func (db *DB) check(tx *Tx, problem func(string)) error {
	sound := true
	report := func(text string) { sound = false; problem(text) }
	if err := checkPages(db.file, true, report); err != nil {
		return err
	}
	if !sound {
		// What follows would read the damaged pages, and the engine cannot.
		problem("the rows were not looked at, because pages are damaged: " + ErrCorrupt.Error())
		return nil
	}
	for err := range tx.engine.Check() { // must be read to its end
		report(err.Error())
	}
	if !sound {
		return nil
	}
	counted := make(map[string]int)
	for _, name := range tx.tableNames() {
		check, known := rowChecks[name]
		if !known {
			if !strings.HasPrefix(name, "queue/") {
				problem(fmt.Sprintf("table %q: it is not known", name))
			}
			continue
		}
		t := tx.Table(name)
		err := t.Scan(nil, nil, func(key, value []byte) (bool, error) {
			if err := check.row(t, key, value); err != nil {
				problem(err.Error())
			}
			if check.count != nil {
				counted[string(check.count(key))]++
			}
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	return checkCounts(tx, counted, problem)
}

// tableNames returns the names of all tables that were ever written to, in their order.
func (tx *Tx) tableNames() []string {
	var names []string
	tx.inEngine = true
	cursor := tx.engine.Cursor()
	for name, _ := cursor.First(); name != nil; name, _ = cursor.Next() {
		names = append(names, string(name))
	}
	tx.inEngine = false
	return names
}

func checkCounts(tx *Tx, counted map[string]int, problem func(string)) error {
	err := tx.Table(tableCounts).Scan(nil, nil, func(key, value []byte) (bool, error) {
		if len(value) != 8 {
			return true, nil // told before, as a row that cannot be read
		}
		if kept, rows := binary.BigEndian.Uint64(value), counted[string(key)]; kept != uint64(rows) {
			problem(fmt.Sprintf("table %q: row %q says %d, there are %d rows", tableCounts, key, kept, rows))
		}
		delete(counted, string(key))
		return true, nil
	})
	for _, key := range slices.Sorted(maps.Keys(counted)) {
		problem(fmt.Sprintf("table %q: row %q is missing, there are %d rows", tableCounts, key, counted[key]))
	}
	return err
}
