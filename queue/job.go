package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// ID numbers jobs of one state file from 1, in the order in which they were first enqueued. The
// number of a transaction that was rolled back is used again.
type ID uint64

// State is where a job is in its life: waiting -> due -> running -> done or dead. There is no
// constant for done: Complete removes the row, and what the job did is in the history.
type State string

const (
	// Waiting jobs are not due before RunAt: it is too early for them, or they failed and are
	// tried again then, or they have yielded. Claim, whose time has come, moves them to Due;
	// Retry and Enqueue can do so before.
	Waiting State = "waiting"
	// Due jobs may run, as soon as a connection to their server is free and it is their turn;
	// Claim moves them to Running.
	Due State = "due"
	// Running jobs are in the hands of a worker, and nobody else gets them. Its report moves
	// them on: Complete to done, Fail to Waiting, Due or Dead, Yield to Waiting. After a crash
	// of the agent Recover moves them back to Due, or to Dead when that was the third in a row.
	Running State = "running"
	// Dead jobs are not tried again by themselves. A later event on their path (Enqueue) or a
	// person (Retry) makes them due; Drop removes them.
	Dead State = "dead"
)

// Sentinels to be tested with errors.Is.
var (
	// ErrUnknown says that there is no job with that number.
	ErrUnknown = errors.New("no such job")
	// ErrState says that the job is in a state in which this cannot be done.
	ErrState = errors.New("not possible now")
	// ErrNew says that a New cannot become a job.
	ErrNew = errors.New("not a job")
	// ErrIndex says that an index does not fit the rows; see Check.
	ErrIndex = errors.New("the indexes of the queue do not fit its rows")
)

// Error is the error of an operation on one job. Errors of the store itself are *state.Error.
type Error struct {
	Op string
	// ID is 0 for a job that was not made.
	ID  ID
	Err error
}

func (e *Error) Error() string {
	if e.ID == 0 {
		return fmt.Sprintf("queue: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("queue: %s job %d: %v", e.Op, e.ID, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// New describes work to be done. Kind, Sync and Path tell it from other work. The names for JSON, here and of Job, are those of rows
// that older versions have written.
type New struct {
	// Kind names what is done, for example "upload". It must not be empty.
	Kind string `json:"kind"`
	Sync string `json:"sync,omitempty"`
	// Server is what Claim asks for: the server whose connection the job needs.
	Server string `json:"server,omitempty"`
	// Path is relative to the root of the sync; "" is the root.
	Path string `json:"path,omitempty"`
	// Priority orders the due jobs of a server; a lower number goes first.
	Priority uint8 `json:"priority,omitempty"`
	// Serial jobs run after the other jobs of their sync and one after the other: see Claim.
	Serial bool `json:"serial,omitempty"`
	// RunAt is the earliest start; zero is now.
	RunAt time.Time `json:"run_at,omitzero"`
	// Why is the reason, for people.
	Why string `json:"why,omitempty"`
	// By names who alone asks for it, for whoever drops what nobody else wants; "" says nothing, and is what comes of several.
	By string `json:"by,omitempty"`
	// Payload is for the worker, in a form of its own.
	Payload []byte `json:"-"`
}

// Job is one row of the queue.
type Job struct {
	ID ID `json:"id"`
	New
	State State `json:"state"`
	// Attempts counts the failures, without the uncounted ones.
	Attempts int `json:"attempts,omitempty"`
	// Refusals counts those of the failures that had a lasting reason.
	Refusals int `json:"refusals,omitempty"`
	// Crashes counts how often in a row the agent went down while the job was running.
	Crashes int `json:"crashes,omitempty"`
	// Claims counts all starts, without those of which nothing came: see Failure.Unbegun.
	Claims int `json:"claims,omitempty"`
	// Temp is the temporary name that Claim stored before the work began. It outlives
	// failures, since that file may still be there.
	Temp     string    `json:"temp,omitempty"`
	Enqueued time.Time `json:"enqueued,omitzero"`
	// Started is the time of the last claim.
	Started time.Time `json:"started,omitzero"`
	// Died is set for dead jobs only.
	Died time.Time `json:"died,omitzero"`
	// Wanted is when a dead job was last asked for and not revived; see Want.
	Wanted time.Time `json:"wanted,omitzero"`
	// LastError is the reason of the last failure, for people.
	LastError string `json:"last_error,omitempty"`
	// LastReply is what the server said then, if it was the server.
	LastReply string `json:"last_reply,omitempty"`
	// Next is what was enqueued while the job was running or had Progress, merged as in
	// Enqueue. Dead jobs have none.
	Next *New `json:"next,omitempty"`
	// Progress says how far a long job has come, in the words of its worker. Save sets it. It
	// outlives failures, crashes and pauses (Yield), and is gone when the job starts over.
	Progress json.RawMessage `json:"progress,omitempty"`
}

func (s State) known() bool {
	return s == Waiting || s == Due || s == Running || s == Dead
}

// load returns a job. Its errors are ErrUnknown, or state.ErrBadRow for a row that repair must
// take out of the way.
func load(tx *state.Tx, id ID) (Job, error) {
	t := tx.Table(tableJobs)
	key := idKey(id)
	value := t.Get(key)
	if value == nil {
		return Job{}, ErrUnknown
	}
	return decodeJob(t, key, value)
}

// loadIndexed is load for a number that an index gave: a job that is missing or, unless state is
// "", in another state is a broken index. To trust it could start a job twice.
func loadIndexed(tx *state.Tx, id ID, state State) (Job, error) {
	job, err := load(tx, id)
	switch {
	case errors.Is(err, ErrUnknown):
		err = fmt.Errorf("%w: job %d is missing", ErrIndex, id)
	case err == nil && state != "" && job.State != state:
		err = fmt.Errorf("%w: job %d is %s, not %s", ErrIndex, id, job.State, state)
	}
	return job, err
}

// replace writes the row and the indexes of a job in place of old, which has the same number,
// kind, sync and path; nil if the job is new.
func replace(tx *state.Tx, old *Job, job Job) error {
	if err := writeJob(tx, &job); err != nil {
		return err
	}
	return reindex(tx, old, &job)
}

// remove deletes the row and the indexes of a job.
func remove(tx *state.Tx, job Job) error {
	if err := reindex(tx, &job, nil); err != nil {
		return err
	}
	key := idKey(job.ID)
	if err := tx.Table(tablePoison).Delete(key); err != nil {
		return err
	}
	return tx.Table(tableJobs).Delete(key)
}

// schedule makes the job waiting or due, whichever fits RunAt.
func (j *Job) schedule(now time.Time) {
	j.State = Due
	if j.RunAt.After(now) {
		j.State = Waiting
	}
	j.Died = time.Time{}
}

// revive forgets failures and crashes.
func (j *Job) revive() {
	j.Attempts, j.Refusals, j.Crashes, j.LastError, j.LastReply = 0, 0, 0, "", ""
	j.Wanted = time.Time{}
}

// ask notes what is wanted after the run that is under way, or in its middle.
func (j *Job) ask(wanted New) {
	if j.Next != nil {
		wanted = merge(*j.Next, wanted)
	}
	j.Next = &wanted
}

// takeNext makes the job what was asked for meanwhile, which starts from the beginning, and
// reports whether anything was.
func (j *Job) takeNext() bool {
	if j.Next == nil {
		return false
	}
	j.New, j.Next, j.Progress = *j.Next, nil, nil
	return true
}

// takeNextUnlessBegun is takeNext for a job that is to go on: one that has Progress does what it
// has begun to the end before it starts over, as urgently as what is waiting for it. Progress at
// another server is worth nothing.
func (j *Job) takeNextUnlessBegun() bool {
	if j.Next != nil && len(j.Progress) > 0 && j.Next.Server == j.Server {
		j.Priority = min(j.Priority, j.Next.Priority)
		return false
	}
	return j.takeNext()
}
