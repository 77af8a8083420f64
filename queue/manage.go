package queue

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Swept tells what RetryAll or DropAll did.
type Swept struct {
	// Done is how many jobs were made due or removed.
	Done int
	// Left is how many were chosen and left alone: they are running, or nothing can be
	// retried because their row was unreadable.
	Left int
	// Next is the Filter.From for the others; nil if there are none.
	Next Place
}

// RetryAll is Retry for every dead or waiting job that the filter chooses. Jobs that are due are
// not counted. With a Limit one call handles so many jobs at most, so that very many can be
// spread over several transactions: call it again with Filter.From = Next until that is nil.
func RetryAll(tx *state.Tx, now time.Time, filter Filter) (Swept, error) {
	return sweep(tx, now, filter, func(job Job, swept *Swept) error {
		switch {
		case job.State == Due:
			return nil
		case job.State == Running, tx.Table(tablePoison).Get(idKey(job.ID)) != nil:
			swept.Left++
			return nil
		}
		swept.Done++
		return Retry(tx, now, job.ID)
	})
}

// DropAll is Drop for every job that the filter chooses, bounded as in RetryAll.
func DropAll(tx *state.Tx, filter Filter) (Swept, error) {
	return sweep(tx, time.Time{}, filter, func(job Job, swept *Swept) error {
		if job.State == Running {
			swept.Left++
			return nil
		}
		swept.Done++
		return Drop(tx, job.ID)
	})
}

// sweep collects, then changes: what fn does changes the index that is scanned.
func sweep(tx *state.Tx, now time.Time, filter Filter, fn func(Job, *Swept) error) (swept Swept, err error) {
	var chosen []Job
	err = healed(tx, now, func() (err error) {
		chosen = nil
		swept.Next, err = scan(tx, filter, func(_ []byte, job Job, err error) (bool, error) {
			chosen = append(chosen, job)
			return filter.Limit <= 0 || len(chosen) < filter.Limit, err
		})
		return err
	})
	if err != nil {
		return Swept{}, fmt.Errorf("queue: choose jobs: %w", err)
	}
	for _, job := range chosen {
		if err := fn(job, &swept); err != nil {
			return swept, err
		}
	}
	return swept, nil
}

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
