package queue

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Raise gives a due job a higher priority (a lower number). Its place among those of that priority is by its number.
func Raise(tx *state.Tx, now time.Time, id ID, priority uint8) error {
	old, err := fetch(tx, now, id)
	if err == nil && old.State != Due {
		err = fmt.Errorf("%w: it is %s, not due", ErrState, old.State)
	}
	if err == nil && priority < old.Priority {
		job := old
		job.Priority = priority
		err = replace(tx, &old, job)
	}
	if err != nil {
		return &Error{Op: "raise", ID: id, Err: err}
	}
	return nil
}

// FirstSerial returns the serial job of a sync that is next, of those that are due at a server, and whether there is one.
func FirstSerial(tx *state.Tx, server, sync string) (first Job, ok bool, err error) {
	err = tx.Table(tableDue).Scan(state.Key(server, sync, serialByte(true)), nil, func(key, _ []byte) (bool, error) {
		first, err = loadIndexed(tx, idOf(key), Due)
		ok = err == nil
		return false, err
	})
	return first, ok, err
}
