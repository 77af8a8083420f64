package state

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Rows that are written for each file have the form of package fields instead of JSON:
//
//	format   1 byte, 1. Rows of older versions are JSON
//	fields
//	sum      4 bytes: CRC-32C of the key and of all before
//
// JSON that is damaged is mostly no JSON any more; here only the sum tells.
const formatSealed = 1

// rowSize is room for most rows.
const rowSize = 256

// NewRow begins a row to which a record of package fields is appended.
func NewRow() []byte { return append(make([]byte, 0, rowSize), formatSealed) }

// PutSealed sets the row at key to one that NewRow has begun, which may not be changed any more.
func (t Table) PutSealed(key, row []byte) error {
	return t.Put(key, binary.BigEndian.AppendUint32(row, baselineSum(key, row)))
}

// IsSealed reports whether a row was written by PutSealed; if not, it is JSON or damaged.
func IsSealed(row []byte) bool { return len(row) > 0 && row[0] == formatSealed }

// OpenSealed returns a copy of the record in a row that IsSealed. Its errors are ErrBadRow.
func (t Table) OpenSealed(key, row []byte) (string, error) {
	record, err := openSealed(key, row)
	if err != nil {
		return "", t.failRow("read", key, err)
	}
	return record, nil
}

func openSealed(key, row []byte) (string, error) {
	const header, sum = 1, 4
	if len(row) < header+sum {
		return "", badSealed(errors.New("it is too short"))
	}
	body := row[:len(row)-sum]
	if binary.BigEndian.Uint32(row[len(body):]) != baselineSum(key, body) {
		return "", badSealed(errors.New("its check sum is wrong"))
	}
	return string(body[header:]), nil
}

func badSealed(err error) error { return fmt.Errorf("%w: %w", ErrBadRow, err) }
