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
