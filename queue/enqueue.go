package queue

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Enqueued tells what became of the jobs passed to Enqueue, by the numbers of the jobs they are
// now part of.
type Enqueued struct {
	// Added jobs are new.
	Added []ID
	// Merged went into a job that was waiting or due.
	Merged []ID
	// Rerun went into a running job, which starts over when it is done.
	Rerun []ID
	// Revived were dead.
	Revived []ID
}

// Enqueue adds jobs. One that is waiting or due already takes over everything from the new one
// but keeps the earlier time, the lower priority number and its failures; one that is running is
// told to start over with the newest values; one that is dead starts afresh. An error means that
// the transaction must be given up.
func Enqueue(tx *state.Tx, now time.Time, jobs ...New) (Enqueued, error) {
	var done Enqueued
	for _, job := range jobs {
		if job.Kind == "" {
			return done, &Error{Op: "enqueue", Err: fmt.Errorf("%w: no kind (sync %q, path %q)", ErrNew, job.Sync, job.Path)}
		}
		if job.RunAt.IsZero() {
			job.RunAt = now
		}
		job.RunAt = job.RunAt.UTC()
		if err := healed(tx, now, func() error { return enqueue(tx, now, job, &done) }); err != nil {
			return done, &Error{Op: "enqueue", Err: fmt.Errorf("%s of %q: %w", job.Kind, job.Path, err)}
		}
	}
	return done, nil
}

func enqueue(tx *state.Tx, now time.Time, wanted New, done *Enqueued) error {
	old, ok, err := Lookup(tx, wanted.Kind, wanted.Sync, wanted.Path)
	if err != nil {
		return err
	}
	if !ok {
		id, err := add(tx, now, wanted)
		done.Added = append(done.Added, id)
		return err
	}
	job := old
	switch old.State {
	case Running:
		job.Next = &wanted
		done.Rerun = append(done.Rerun, job.ID)
	case Dead:
		// What was left of an unreadable row is of no use any more.
		if err := tx.Table(tablePoison).Delete(idKey(job.ID)); err != nil {
			return err
		}
		job.New = wanted
		job.revive()
		job.schedule(now)
		done.Revived = append(done.Revived, job.ID)
	default:
		job.New = merge(old.New, wanted)
		if old.State == Waiting {
			job.schedule(now) // what is due stays due, whatever the clock says now
		}
		done.Merged = append(done.Merged, job.ID)
	}
	return replace(tx, &old, job)
}

func merge(old, wanted New) New {
	if old.RunAt.Before(wanted.RunAt) {
		wanted.RunAt = old.RunAt
	}
	wanted.Priority = min(old.Priority, wanted.Priority)
	return wanted
}

func add(tx *state.Tx, now time.Time, wanted New) (ID, error) {
	id, err := tx.Table(tableJobs).NextID()
	if err != nil {
		return 0, err
	}
	job := Job{ID: ID(id), New: wanted, Enqueued: now.UTC()}
	job.schedule(now)
	return job.ID, replace(tx, nil, job)
}

// Lookup returns the job for a path and whether there is one.
func Lookup(tx *state.Tx, kind, sync, path string) (Job, bool, error) {
	value := tx.Table(tableUnique).Get(uniqueKey(kind, sync, path))
	if value == nil {
		return Job{}, false, nil
	}
	job, err := loadIndexed(tx, idOf(value))
	return job, err == nil, err
}
