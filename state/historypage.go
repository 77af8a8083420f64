package state

import (
	"bytes"
	"errors"
	"time"
)

// HistoryPlace is a place in the history, before one of its rows or at its end.
type HistoryPlace []byte

// HistoryAt is the place before the first row that is not older than a time.
func HistoryAt(t time.Time) HistoryPlace { return Key(t) }

// HistoryEnd is the place after the last row.
func HistoryEnd() HistoryPlace { return bytes.Repeat([]byte{0xff}, 17) }

// HistoryPage calls fn for up to limit rows from a place on, oldest first, so that a long history needs no long transaction. It
// returns the place before the next row, nil if there are no more. A row that cannot be read is told by its time and an Error.
func HistoryPage(tx *Tx, from HistoryPlace, limit int, fn func(History)) (next HistoryPlace, err error) {
	t, rows := tx.Table(tableHistory), 0
	err = t.Scan(nil, from, func(key, value []byte) (bool, error) {
		if rows == limit {
			next = bytes.Clone(key)
			return false, nil
		}
		rows++
		fn(readableHistory(t, key, value))
		return true, nil
	})
	return next, err
}

// HistoryPageBack calls fn for up to limit rows before a place, newest first, each with the place before it, and returns the place
// where to go on, nil if there are no more. fn returns false to end it.
func HistoryPageBack(tx *Tx, before HistoryPlace, limit int, fn func(History, HistoryPlace) (more bool)) (next HistoryPlace, err error) {
	t, rows := tx.Table(tableHistory), 0
	err = t.scanBackFrom(nil, before, func(key, value []byte) (bool, error) {
		rows++
		place := HistoryPlace(bytes.Clone(key))
		if !fn(readableHistory(t, key, value), place) {
			return false, nil
		}
		if rows == limit {
			next = place
		}
		return rows < limit, nil
	})
	return next, err
}

func readableHistory(t Table, key, value []byte) History {
	row, err := DecodeRow[historyRow](t, key, value)
	if err == nil {
		return row.history()
	}
	bad := History{Result: "unreadable", Error: err.Error()}
	if inner, ok := errors.AsType[*Error](err); ok {
		bad.Error = inner.Err.Error()
	}
	if len(key) >= 8 {
		bad.When = KeyTime(key)
	}
	return bad
}
