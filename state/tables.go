package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// rowCheck says what a table of this package may hold.
type rowCheck struct {
	table string
	// row returns what is wrong with a row, nil if nothing is. Its errors are ErrBadRow.
	row func(key, value []byte) error
	// count returns the key of the number that the row is part of; nil: the rows are not counted.
	count func(key []byte) []byte
}

// rowChecks has all tables of this package but that of the counts, which are compared with what they count.
var rowChecks = []rowCheck{
	{table: tableMeta, row: checkMeta},
	{table: tableBaseline, row: checkBaseline, count: func(key []byte) []byte { return Key(tableBaseline, firstName(key)) }},
	{table: tableDirty, row: checkDirty},
	{table: tableStaged, row: checkStaged, count: func(key []byte) []byte {
		prefix, _, ok := stagedJob(key)
		if !ok {
			return nil
		}
		return append(Key(tableStaged, ""), prefix...)
	}},
	{table: tableConflicts, row: checkConflict},
	{table: tableIntents, row: checkJSON[intentRow](3)},
	{table: tableServers, row: checkJSON[Server](1)},
	{table: tableSyncs, row: checkJSON[SyncState](1)},
	{table: tableSchedules, row: checkSchedule},
	{table: tableHistory, row: checkHistory, count: func([]byte) []byte { return historyCount.key }},
	{table: tableLocator, row: checkJSON[json.RawMessage](1)},
}

// checkRows examines every row of every table of this package, and the numbers kept beside them, and calls problem for each that
// is wrong. It reads the whole file.
func checkRows(tx *Tx, problem func(text string)) {
	counted := make(map[string]int)
	for _, c := range rowChecks {
		t := tx.Table(c.table)
		_ = t.Scan(nil, nil, func(key, value []byte) (bool, error) { // this fn has no errors
			if err := c.row(key, value); err != nil {
				problem(t.failRow("read", key, err).Error())
			}
			if c.count != nil {
				if number := c.count(key); number != nil {
					counted[string(number)]++
				}
			}
			return true, nil
		})
	}
	t := tx.Table(tableCounts)
	_ = t.Scan(nil, nil, func(key, value []byte) (bool, error) {
		n, ok := decodeCount(value)
		switch {
		case !ok:
			problem(t.failRow("read", key, fmt.Errorf("%w: it is no number", ErrBadRow)).Error())
		case n != counted[string(key)]:
			problem(wrongCount(t, key, n, counted[string(key)]))
		}
		delete(counted, string(key))
		return true, nil
	})
	for _, key := range slices.Sorted(maps.Keys(counted)) {
		problem(wrongCount(t, []byte(key), 0, counted[key]))
	}
}

func wrongCount(t Table, key []byte, says, is int) string {
	return t.failRow("check", key, fmt.Errorf("it says %d, and there are %d rows", says, is)).Error()
}

func firstName(key []byte) string {
	first, _, _ := bytes.Cut(key, []byte{0})
	return KeyStrings(first)[0]
}

func badRow(format string, arguments ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadRow}, arguments...)...)
}

// checkJSON is for rows of JSON whose key has so many strings.
func checkJSON[Row any](strings int) func(key, value []byte) error {
	return func(key, value []byte) error {
		if got := bytes.Count(key, []byte{0}) + 1; got != strings {
			return badRow("its key has %d parts instead of %d", got, strings)
		}
		_, err := decodeJSON[Row](value)
		return err
	}
}

func checkMeta(key, value []byte) error {
	switch string(key) {
	case string(keySchema), string(keyEpoch):
		if _, err := strconv.ParseUint(string(value), 10, 64); err != nil {
			return fmt.Errorf("%w: %w", ErrBadRow, err)
		}
	}
	return nil
}

func checkBaseline(key, value []byte) error {
	_, err := decodeBaseline(key, value, "")
	return err
}

func checkDirty(key, value []byte) error {
	_, err := decodeDirty(key, value)
	return err
}

func checkConflict(key, value []byte) error {
	row, err := decodeJSON[conflictRow](value)
	if err == nil && !endsIn(key, Shorten(string(row.Path))) {
		err = badRow("it is about another path, %.100q", string(row.Path))
	}
	return err
}

func checkStaged(key, _ []byte) error {
	if _, _, ok := stagedJob(key); !ok {
		return badRow("its key is not one of a staged operation")
	}
	return nil
}

func checkSchedule(key, value []byte) error {
	row, err := decodeJSON[scheduleRow](value)
	if err == nil && !endsIn(key, Shorten(row.Spec)) {
		err = badRow("it is about another schedule, %.100q", row.Spec)
	}
	return err
}

func checkHistory(key, value []byte) error {
	if len(key) != 16 {
		return badRow("its key has %d bytes instead of 16", len(key))
	}
	row, err := decodeJSON[historyRow](value)
	if err == nil && binary.BigEndian.Uint64(key) != nanoseconds(row.When) {
		err = badRow("it is about another time, %v", row.When)
	}
	return err
}
