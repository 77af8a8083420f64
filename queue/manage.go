package queue

import (
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// RetryAll is Retry for every dead or waiting job that the filter chooses, and returns how many there were. Jobs that
// cannot be tried again, such as unreadable rows, are left alone.
func RetryAll(tx *state.Tx, now time.Time, filter Filter) (retried int, err error) {
	panic("skeleton")
}

// DropAll is Drop for every job that the filter chooses, and returns how many it removed and how many it left alone
// because they are running.
func DropAll(tx *state.Tx, filter Filter) (dropped, running int, err error) {
	panic("skeleton")
}
