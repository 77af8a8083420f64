package state

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
			if err := check.row(key, value); err != nil {
				problem(t.failRow("read", key, err).Error())
			}
			if check.count != nil {
				if number := check.count(key); number != nil {
					counted[string(number)]++
				}
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
		kept, readable := decodeCount(value) // one that is not was told before
		if rows := counted[string(key)]; readable && kept != rows {
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
