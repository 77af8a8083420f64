package queue

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Save writes down how far a running job has come; no bytes, or the JSON null, mean that it has
// yet to begin. A job that has come further than before is not to blame for earlier crashes.
func Save(tx *state.Tx, now time.Time, id ID, progress json.RawMessage) error {
	old, err := fetchRunning(tx, now, id)
	if err == nil {
		job := old
		if job.Progress, err = compactProgress(progress); err == nil && !bytes.Equal(job.Progress, old.Progress) {
			job.Crashes = 0
			err = replace(tx, &old, job)
		}
	}
	if err != nil {
		return &Error{Op: "save the progress of", ID: id, Err: err}
	}
	return nil
}

// compactProgress returns the bytes that come back from the row.
func compactProgress(progress json.RawMessage) (json.RawMessage, error) {
	if len(progress) == 0 {
		return nil, nil
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, progress); err != nil {
		return nil, fmt.Errorf("%w: its progress is no JSON: %w", ErrNew, err)
	}
	if compact.String() == "null" {
		return nil, nil
	}
	return compact.Bytes(), nil
}

// Yield ends a run in the middle: the running job waits until at and goes on then, with its
// Progress. That is no failure, and what failed before is forgotten: a waiting job that has
// Progress and no LastError has yielded. Retry makes it due before.
func Yield(tx *state.Tx, now time.Time, id ID, at time.Time) error {
	old, err := fetchRunning(tx, now, id)
	if err == nil {
		job := old
		job.revive()
		job.takeNextUnlessBegun()
		job.RunAt = at.UTC()
		job.schedule(now)
		err = replace(tx, &old, job)
	}
	if err != nil {
		return &Error{Op: "yield", ID: id, Err: err}
	}
	return nil
}
