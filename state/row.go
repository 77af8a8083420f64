package state

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
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
	if err := json.Unmarshal(value, &row); err != nil {
		var zero Row
		return zero, t.failRow("read", key, fmt.Errorf("%w: %w", ErrBadRow, err))
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

// addCount changes the number called key by delta; a number that reaches 0 takes no room.
func addCount(tx *Tx, key []byte, delta int) error {
	count, err := readCount(tx, key)
	if err != nil || delta == 0 {
		return err
	}
	count += delta
	if count <= 0 {
		return tx.Table(tableCounts).Delete(key)
	}
	return tx.Table(tableCounts).Put(key, binary.BigEndian.AppendUint64(nil, uint64(count)))
}

func readCount(tx *Tx, key []byte) (int, error) {
	t := tx.Table(tableCounts)
	switch value := t.Get(key); len(value) {
	case 0:
		return 0, nil
	case 8:
		return int(binary.BigEndian.Uint64(value)), nil
	default:
		return 0, t.failRow("read", key, fmt.Errorf("%w: %d bytes instead of 8", ErrBadRow, len(value)))
	}
}
