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
		err = writeJob(tx, &job)
	}
	if err != nil {
		return &Error{Op: "want", ID: id, Err: err}
	}
	return nil
}

// WantAs is Want with the values that the job is to have when it is tried again. Of a job that has other values of kind, sync and
// path than these, the error is ErrNew.
func WantAs(tx *state.Tx, now time.Time, id ID, as New) error {
	old, err := fetch(tx, now, id)
	switch {
	case err != nil:
	case old.State != Dead:
		err = fmt.Errorf("%w: it is %s, not dead", ErrState, old.State)
	case as.Kind != old.Kind || as.Sync != old.Sync || as.Path != old.Path:
		err = fmt.Errorf("%w like this one: %s of %q", ErrNew, as.Kind, as.Path)
	default:
		job := old
		job.New, job.Wanted = as, now.UTC()
		job.RunAt = job.RunAt.UTC()
		err = replace(tx, &old, job)
	}
	if err != nil {
		return &Error{Op: "want", ID: id, Err: err}
	}
	return nil
}

// TryOnce makes a job due that is dead because of crashes of the agent, to start from its beginning. Unlike Retry it leaves those on
// its account: one more makes it dead again, unless it comes further than before or back with a failure.
func TryOnce(tx *state.Tx, now time.Time, id ID) error {
	old, err := fetch(tx, now, id)
	if err == nil && !old.Crashed() {
		err = fmt.Errorf("%w: it is not dead because of crashes", ErrState)
	}
	if err == nil {
		job := old
		job.revive()
		job.Crashes, job.Progress, job.RunAt = old.Crashes, nil, now.UTC()
		job.schedule(now)
		err = replace(tx, &old, job)
	}
	if err != nil {
		return &Error{Op: "try", ID: id, Err: err}
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
