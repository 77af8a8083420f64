package queue

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Want notes that a dead job is still needed, without trying it again.
func Want(tx *state.Tx, now time.Time, id ID) error {
	job, err := fetch(tx, now, id)
	if err == nil && job.State != Dead {
		err = fmt.Errorf("%w: it is %s, not dead", ErrState, job.State)
	}
	if err == nil {
		job.Wanted = now.UTC()
		err = writeJob(tx, job)
	}
	if err != nil {
		return &Error{Op: "want", ID: id, Err: err}
	}
	return nil
}

// Hasten gives the waiting jobs whose RunAt is more than most from now that time instead, and returns how many there
// were. A clock that was wrong when RunAt was set, and is right by now, leaves jobs waiting for days.
func Hasten(tx *state.Tx, now time.Time, most func(Job) time.Duration) (hastened int, err error) {
	err = healed(tx, now, func() error {
		hastened = 0
		ids, err := idsOf(tx.Table(tableWait), nil)
		if err != nil {
			return err
		}
		for _, id := range ids {
			old, err := loadIndexed(tx, id, Waiting)
			if err != nil {
				return err
			}
			latest := now.Add(most(old)).UTC()
			if !old.RunAt.After(latest) {
				continue
			}
			job := old
			job.RunAt = latest
			job.schedule(now)
			if err := replace(tx, &old, job); err != nil {
				return err
			}
			hastened++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("queue: look at waiting jobs after the clock was set: %w", err)
	}
	return hastened, nil
}
