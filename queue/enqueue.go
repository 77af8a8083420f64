package queue

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/ftpferry/ftpferry/state"
)

// Enqueued tells what became of the jobs passed to Enqueue, by the numbers of the jobs they are
// now part of.
type Enqueued struct {
	// Added jobs are new.
	Added []ID
	// Merged went into a job that was waiting or due; one with Progress starts over when it is
	// done.
	Merged []ID
	// Rerun went into a running job, which starts over when it is done.
	Rerun []ID
	// Revived were dead.
	Revived []ID
}

// Enqueue adds jobs. One that is waiting or due already takes over everything from the new one
// but keeps the earlier time, the lower priority number and its failures. One that is running, or
// that has Progress, is told to start over when it is done, with the newest values; if it is not
// running, it goes on at the earlier time and with the lower priority number. One that is dead
// starts afresh. An error means that the transaction must be given up.
func Enqueue(tx *state.Tx, now time.Time, jobs ...New) (Enqueued, error) {
	var done Enqueued
	for _, job := range jobs {
		if err := job.check(); err != nil {
			return done, &Error{Op: "enqueue", Err: fmt.Errorf("%w: %w (sync %q, path %q)", ErrNew, err, job.Sync, job.Path)}
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

// check refuses names that are no text: configurations have none, and in the JSON that shows jobs they would be others.
func (n New) check() error {
	switch {
	case n.Kind == "":
		return errors.New("no kind")
	case !utf8.ValidString(n.Kind + n.Sync + n.Server + n.By):
		return fmt.Errorf("kind %q, sync or server %q is not UTF-8", n.Kind, n.Server)
	}
	return nil
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
		job.ask(wanted)
		done.Rerun = append(done.Rerun, job.ID)
	case Dead:
		// What was left of an unreadable row is of no use any more.
		if err := tx.Table(tablePoison).Delete(idKey(job.ID)); err != nil {
			return err
		}
		job.New, job.Progress = wanted, nil
		job.revive()
		job.schedule(now)
		done.Revived = append(done.Revived, job.ID)
	default:
		job.mergeIn(wanted)
		if old.State == Waiting {
			job.schedule(now) // what is due stays due, whatever the clock says now
		}
		done.Merged = append(done.Merged, job.ID)
	}
	return replace(tx, &old, job)
}

// mergeIn joins a waiting or due job and what is wanted. A job in the middle of its work goes on
// sooner, and starts over afterwards.
func (j *Job) mergeIn(wanted New) {
	if len(j.Progress) > 0 && wanted.Server == j.Server {
		j.ask(wanted)
		sooner := merge(j.New, wanted)
		j.RunAt, j.Priority = sooner.RunAt, sooner.Priority
		return
	}
	if j.Next != nil {
		wanted = merge(*j.Next, wanted)
	}
	j.New, j.Next, j.Progress = merge(j.New, wanted), nil, nil
}

// merge returns the newest values with the earlier time and the higher priority.
func merge(old, wanted New) New {
	if old.RunAt.Before(wanted.RunAt) {
		wanted.RunAt = old.RunAt
	}
	wanted.Priority = min(old.Priority, wanted.Priority)
	if old.By != wanted.By {
		wanted.By = ""
	}
	return wanted
}

func add(tx *state.Tx, now time.Time, wanted New) (ID, error) {
	id, err := freeID(tx)
	if err != nil {
		return 0, err
	}
	job := Job{ID: id, New: wanted, Enqueued: now.UTC()}
	job.schedule(now)
	return job.ID, replace(tx, nil, job)
}

// freeID returns the next number. A number that is taken, which only a damaged file can give, is
// passed over: the job that has it would be gone.
func freeID(tx *state.Tx) (ID, error) {
	jobs := tx.Table(tableJobs)
	for {
		id, err := jobs.NextID()
		if err != nil || jobs.Get(idKey(ID(id))) == nil {
			return ID(id), err
		}
	}
}

// Lookup returns the job for a path and whether there is one.
func Lookup(tx *state.Tx, kind, sync, path string) (Job, bool, error) {
	value := tx.Table(tableUnique).Get(uniqueKey(kind, sync, path))
	if value == nil {
		return Job{}, false, nil
	}
	job, err := loadIndexed(tx, idOf(value), "")
	return job, err == nil, err
}

// Below returns the first by path of the jobs of a kind that are about what is in a folder, and whether there is one. Folders
// whose path is longer than a key have none.
func Below(tx *state.Tx, kind, sync, folder string) (job Job, ok bool, err error) {
	err = tx.Table(tableUnique).Scan(uniqueKey(kind, sync, folder+"/"), nil, func(_, value []byte) (bool, error) {
		job, err = loadIndexed(tx, idOf(value), "")
		ok = err == nil
		return false, err
	})
	return job, ok, err
}
