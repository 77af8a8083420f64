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
	// Spares: folders are left out whose times are what they were, see scan.FolderTimes.
	Spares bool `json:"spares,omitempty"`
	// Found is kept by whoever writes the parts down; workers leave it alone.
	Found Found `json:"found,omitzero"`
}

// Found are numbers of all parts of a scan that were written down.
type Found struct {
	// Planned operations, paths found in step, and what could not be looked at or has to be looked at once more.
	Planned int `json:"planned,omitempty"`
	Agreed  int `json:"agreed,omitempty"`
	Unseen  int `json:"unseen,omitempty"`
	// There counts the operations for which something is not as it was on the server.
	There int `json:"there,omitempty"`
	// Would counts the operations by their actions, if the scan is not to do anything about what it finds.
	Would map[string]int `json:"would,omitempty"`
	// Changed counts the paths that have to be looked at on both sides.
	Changed int `json:"changed,omitempty"`
	// Left counts the transfers that were left out, for another scan.
	Left int `json:"left,omitempty"`
	// Staged counts the deletions of files that are staged and not released yet.
	Staged int `json:"staged,omitempty"`
	// Queued counts the deletions of files that were in the queue already when they were found, QueuedExtra those
	// approved ones of them that were never in step (plan.Op.Extra).
	Queued      int `json:"queued,omitempty"`
	QueuedExtra int `json:"queued_extra,omitempty"`
	// Noted counts the paths that were noted as skipped or unknown.
	Noted int `json:"noted,omitempty"`
	// Rules is a digest of the configuration that a scan of both sides has begun with.
	Rules string `json:"rules,omitempty"`
	// Doubts is how often the server's side had become doubtful when the scan began.
	Doubts uint64 `json:"doubts,omitempty"`
}
