package queue

import (
	"encoding/json"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Save writes down how far a running job has come.
func Save(tx *state.Tx, now time.Time, id ID, progress json.RawMessage) error {
	panic("skeleton")
}

// Yield ends a run in the middle: the running job waits until at and goes on then with its Progress. That is no failure.
// Retry makes it due before.
func Yield(tx *state.Tx, now time.Time, id ID, at time.Time) error {
	panic("skeleton")
}
