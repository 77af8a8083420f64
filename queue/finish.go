package queue

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// mostText bounds the texts of a failure, in bytes.
const mostText = 1024

// Failure says how a job failed and what is to become of it.
type Failure struct {
	// Reason is for people.
	Reason string
	// Reply is what the server said, if it was the server. Of a longer Reason or Reply the
	// first KiB is kept.
	Reply string
	// RetryAt is when to try again; zero is now.
	RetryAt time.Time
	// Dead gives up instead.
	Dead bool
	// Refused counts as a refusal for good, beside being a failure: see Job.Refusals.
	Refused bool
	// Uncounted leaves Attempts alone: the job is not to blame, but a server that is down,
	// a quota, or the end of the agent.
	Uncounted bool
	// Unbegun takes the claim back: nothing was done, so that an attempt has left nothing which the next one would have to look for, or
	// might take for its own.
	Unbegun bool
	// Behind, if not nil, is another job: this one, if it does not die, gets a priority by which it goes after that, unless there is none.
	Behind *Job
}

// Complete removes a running job. If it was enqueued again while it was running, a new job with
// those values takes its place, and rerun is true.
func Complete(tx *state.Tx, now time.Time, id ID) (rerun bool, err error) {
	job, err := fetchRunning(tx, now, id)
	if err == nil {
		err = remove(tx, job)
	}
	if err == nil && job.Next != nil {
		_, err = add(tx, now, *job.Next)
	}
	if err != nil {
		return false, &Error{Op: "complete", ID: id, Err: err}
	}
	return job.Next != nil, nil
}

// Fail ends a run that brought no result and returns the new state of the job, which is Dead,
// Waiting or Due. If it was enqueued again while it was running, it takes over those values and
// is not tried before both RetryAt and their RunAt; what would be dead is revived by them. One
// that has Progress goes on at RetryAt, and starts over only when it is done.
func Fail(tx *state.Tx, now time.Time, id ID, f Failure) (State, error) {
	old, err := fetchRunning(tx, now, id)
	if err != nil {
		return "", &Error{Op: "fail", ID: id, Err: err}
	}
	job := old
	job.Crashes = 0 // it came back, so it does not take the agent down
	if !f.Uncounted {
		job.Attempts++
	}
	if f.Refused {
		job.Refusals++
	}
	if f.Unbegun {
		job.Claims--
	}
	job.LastError, job.LastReply = clip(f.Reason), clip(f.Reply)
	if job.LastError == "" {
		job.LastError = "no reason given"
	}
	switch {
	case f.Dead && job.takeNext():
		job.revive()
		job.schedule(now)
	case f.Dead:
		job.die(now)
	default:
		again := job.takeNextUnlessBegun()
		retryAt := f.RetryAt.UTC()
		if retryAt.IsZero() {
			retryAt = now.UTC()
		}
		if !again || retryAt.After(job.RunAt) {
			job.RunAt = retryAt
		}
		job.schedule(now)
	}
	if f.Behind != nil && job.State != Dead {
		job.goBehind(*f.Behind)
	}
	if err := replace(tx, &old, job); err != nil {
		return "", &Error{Op: "fail", ID: id, Err: err}
	}
	return job.State, nil
}

// goBehind lowers the priority until the other job goes first.
func (j *Job) goBehind(other Job) {
	if j.Priority > other.Priority || j.Priority == other.Priority && j.ID >= other.ID {
		return
	}
	j.Priority = other.Priority
	if j.ID < other.ID && j.Priority < math.MaxUint8 {
		j.Priority++
	}
}

// clip makes a text of a server's making fit for a row.
func clip(text string) string {
	if len(text) > mostText {
		text = text[:mostText]
	}
	return strings.ToValidUTF8(text, "\ufffd")
}

func (j *Job) die(now time.Time) {
	j.State = Dead
	j.Died = now.UTC()
}

// fetch loads a job that a caller names, after a repair if its row is unreadable.
func fetch(tx *state.Tx, now time.Time, id ID) (Job, error) {
	job, err := load(tx, id)
	if errors.Is(err, state.ErrBadRow) {
		if err := repair(tx, now); err != nil {
			return Job{}, err
		}
		return load(tx, id)
	}
	return job, err
}

func fetchRunning(tx *state.Tx, now time.Time, id ID) (Job, error) {
	job, err := fetch(tx, now, id)
	if err == nil && job.State != Running {
		err = fmt.Errorf("%w: it is %s, not running", ErrState, job.State)
	}
	return job, err
}

// Retry makes a dead or waiting job due and forgets its failures. A dead one starts from the
// beginning, a waiting one keeps its Progress. Nothing happens to one that is due.
func Retry(tx *state.Tx, now time.Time, id ID) error {
	old, err := fetch(tx, now, id)
	switch {
	case err != nil || old.State == Due:
	case old.State == Running:
		err = fmt.Errorf("%w: it is running", ErrState)
	case tx.Table(tablePoison).Get(idKey(id)) != nil:
		err = fmt.Errorf("%w: its row was unreadable; drop it, and the next scan finds the work anew", ErrState)
	default:
		job := old
		if old.State == Dead {
			job.Progress = nil
		}
		job.revive()
		job.RunAt = now.UTC()
		job.schedule(now)
		err = replace(tx, &old, job)
	}
	if err != nil {
		return &Error{Op: "retry", ID: id, Err: err}
	}
	return nil
}

// Drop removes a job that is not running.
func Drop(tx *state.Tx, id ID) error {
	job, err := fetch(tx, time.Time{}, id)
	switch {
	case err != nil:
	case job.State == Running:
		err = fmt.Errorf("%w: it is running", ErrState)
	default:
		err = remove(tx, job)
	}
	if err != nil {
		return &Error{Op: "drop", ID: id, Err: err}
	}
	return nil
}

// DropSync removes all jobs of a sync but the running ones, which lose what was enqueued
// meanwhile, and returns how many it removed. Call it again when those have come back.
func DropSync(tx *state.Tx, sync string) (int, error) {
	var dropped int
	err := healed(tx, time.Time{}, func() error {
		ids, err := idsOf(tx.Table(tableSync), state.Key(sync, ""))
		if err != nil {
			return err
		}
		for _, id := range ids {
			job, err := loadIndexed(tx, id, "")
			if err != nil {
				return err
			}
			if job.State == Running {
				job.Next = nil
				err = writeJob(tx, &job)
			} else {
				dropped++
				err = remove(tx, job)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return dropped, fmt.Errorf("queue: drop the jobs of sync %q: %w", sync, err)
	}
	return dropped, nil
}

// idsOf collects the numbers in an index, so that the caller can change the index.
func idsOf(t state.Table, prefix []byte) ([]ID, error) {
	var ids []ID
	err := t.Scan(prefix, nil, func(key, _ []byte) (bool, error) {
		ids = append(ids, idOf(key))
		return true, nil
	})
	return ids, err
}

const (
	firstDelay = time.Second
	leastDelay = 250 * time.Millisecond
	// MostDelay is the longest wait of a job that failed.
	MostDelay = 15 * time.Minute
)

// Delay returns how long to wait after failure number attempt, which counts from 1: a random
// share r, in [0, 1), of a time that doubles from one second to 15 minutes. Full jitter keeps
// jobs that failed together from coming back together. It is never below 250 ms, so that a bad
// draw does not make a busy loop.
func Delay(attempt int, r float64) time.Duration {
	ceiling := min(float64(firstDelay)*math.Pow(2, float64(max(attempt, 1)-1)), float64(MostDelay))
	return max(leastDelay, time.Duration(ceiling*min(max(r, 0), 1)))
}
