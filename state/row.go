package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// tableCounts holds the numbers of rows that would be too slow to count.
const tableCounts = "counts"

// ReadRow returns the JSON row at key. A row that cannot be decoded is an *Error that is
// ErrBadRow and names the table and the key.
func ReadRow[Row any](t Table, key []byte) (row Row, ok bool, err error) {
	value := t.Get(key)
	if value == nil {
		return row, false, nil
	}
	row, err = DecodeRow[Row](t, key, value)
	return row, err == nil, err
}

// DecodeRow decodes a value that a scan of t came by, with the errors of ReadRow.
func DecodeRow[Row any](t Table, key, value []byte) (row Row, err error) {
	if row, err = decodeJSON[Row](value); err != nil {
		return row, t.failRow("read", key, err)
	}
	return row, nil
}

// decodeJSON has the zero Row with every error, which is ErrBadRow.
func decodeJSON[Row any](value []byte) (row Row, err error) {
	if err = json.Unmarshal(value, &row); err == nil && bytes.Equal(bytes.TrimSpace(value), []byte("null")) {
		err = errors.New("it is null") // which encoding/json takes for a row of zeros
	}
	if err != nil {
		var zero Row
		return zero, fmt.Errorf("%w: %w", ErrBadRow, err)
	}
	return row, nil
}

// WriteRow sets the row at key to the JSON of row.
func WriteRow[Row any](t Table, key []byte, row Row) error {
	value, err := json.Marshal(row)
	if err != nil {
		return t.failRow("write", key, err)
	}
	return t.Put(key, value)
}

func (t Table) failRow(verb string, key []byte, err error) error {
	return &Error{Op: fmt.Sprintf("%s row %q of table %q", verb, key, t.name), Path: t.tx.path, Err: err}
}

// endsIn reports whether key is one that Key made of several parts, the last of which is the string last.
func endsIn(key []byte, last string) bool {
	end := Key(last)
	start := len(key) - len(end)
	return start > 0 && key[start-1] == 0 && bytes.Equal(key[start:], end)
}

// count is the number of rows of a table whose keys begin with prefix, kept in the table of counts at key.
type count struct {
	key    []byte
	table  string
	prefix []byte
}

// addCount changes a number by delta, after the rows themselves have changed; a number that reaches 0 takes no room.
func addCount(tx *Tx, c count, delta int) error {
	if delta == 0 {
		return nil
	}
	t := tx.Table(tableCounts)
	n, ok := decodeCount(t.Get(c.key))
	if ok {
		n += delta
	} else {
		n = c.recount(tx)
	}
	if n <= 0 {
		return t.Delete(c.key)
	}
	return t.Put(c.key, binary.BigEndian.AppendUint64(nil, uint64(n)))
}

// readCount counts the rows if the number cannot be read.
func readCount(tx *Tx, c count) (int, error) {
	n, ok := decodeCount(tx.Table(tableCounts).Get(c.key))
	if !ok {
		n = c.recount(tx)
	}
	return n, nil
}

func (c count) recount(tx *Tx) (n int) {
	_ = tx.Table(c.table).Scan(c.prefix, nil, func(_, _ []byte) (bool, error) { // this fn has no errors
		n++
		return true, nil
	})
	return n
}

func decodeCount(value []byte) (n int, ok bool) {
	if value == nil {
		return 0, true
	}
	if len(value) != 8 {
		return 0, false
	}
	stored := binary.BigEndian.Uint64(value)
	return int(stored), stored > 0 && stored <= math.MaxInt
}
