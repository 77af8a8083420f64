package work

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
)

// Progress is what is written down about a scan job between its parts (queue.Job.Progress).
type Progress struct {
	// Began is when the first part began, Mark the newest dirty mark (state.LastMark) and Known the number of paths in
	// the baseline at that time.
	Began time.Time `json:"began"`
	Mark  uint64    `json:"mark,omitempty"`
	Known int       `json:"known,omitempty"`
	// Cursor is where to go on, nil when all was looked at.
	Cursor *scan.Cursor `json:"cursor,omitempty"`
	// Release: all was looked at and has passed the guard, and what is left is to enqueue the staged operations. Approved
	// says that a person let the guard's objection pass.
	Release  bool `json:"release,omitempty"`
	Approved bool `json:"approved,omitempty"`
}
