package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"
)

// rowCheck says what a table may hold.
type rowCheck struct {
	// row returns why a row cannot be read, or does not belong at its key; nil if nothing is wrong. Its errors are ErrBadRow.
	row func(key, value []byte) error
	// count returns the key of the number in the table of counts that counts this row, nil if none does; it is nil where rows
	// are not counted.
	count func(key []byte) []byte
}

// rowChecks lists the tables of this package. Those of the queue are checked by the queue.
var rowChecks = map[string]rowCheck{
	tableMeta:      {row: checkMeta},
	tableBaseline:  {row: checkBaseline, count: func(key []byte) []byte { return baselineCount(firstPart(key)).key }},
	tableDirty:     {row: checkDirty},
	tableConflicts: {row: checkNote},
	tableStaged:    {row: checkStaged, count: stagedNumber},
	tableIntents:   {row: checkIntents},
	tableAppended:  {row: checkAppended},
	tableFolders:   {row: checkFolder},
	tableServers:   {row: checkJSON[Server](1)},
	tableSyncs:     {row: checkJSON[SyncState](1)},
	tableSchedules: {row: checkSchedule},
	tableHistory:   {row: checkHistory, count: func([]byte) []byte { return historyCount.key }},
	tableLocator:   {row: checkJSON[json.RawMessage](1)},
	tableCounts:    {row: checkCount},
}

// firstPart returns the string at the start of a key, which is the sync in most tables.
func firstPart(key []byte) string {
	first, _, _ := bytes.Cut(key, []byte{0})
	return KeyStrings(first)[0]
}

func badRow(format string, arguments ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrBadRow}, arguments...)...)
}

// checkJSON is for rows of JSON whose key has so many strings.
func checkJSON[Row any](strings int) func(key, value []byte) error {
	return func(key, value []byte) error {
		if err := checkParts(key, strings); err != nil {
			return err
		}
		_, err := decodeJSON[Row](value)
		return err
	}
}

func checkParts(key []byte, strings int) error {
	if got := bytes.Count(key, []byte{0}) + 1; got != strings {
		return badRow("its key has %d parts instead of %d", got, strings)
	}
	return nil
}

func checkMeta(key, value []byte) error {
	var err error
	switch string(key) {
	case string(keyCreated):
		_, err = time.Parse(time.RFC3339, string(value))
	case string(keyInstance):
		if len(value) != 8 {
			return badRow("it is not eight digits")
		}
	case string(keySchema), string(keyEpoch), string(keyCopy): // checked by Open, or of any value
	default:
		return badRow("nothing of that name is known")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadRow, err)
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

// checkStaged leaves the operation to who staged it.
func checkStaged(key, _ []byte) error {
	if _, _, ok := stagedJob(key); !ok {
		return badRow("its key is not one of a staged operation")
	}
	return nil
}

func stagedNumber(key []byte) []byte {
	_, job, ok := stagedJob(key)
	if !ok {
		return nil
	}
	return stagedCount(firstPart(key), job).key
}

func checkCount(_, value []byte) error {
	if _, ok := decodeCount(value); !ok {
		return badRow("it is not a number of rows")
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
	row, err := decodeHistory(key, value)
	if err == nil && binary.BigEndian.Uint64(key) != nanoseconds(row.When) {
		err = badRow("it is about another time, %v", row.When)
	}
	return err
}
