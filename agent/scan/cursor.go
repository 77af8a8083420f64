package scan

import (
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
)

// Cursor is a place in the order of a scan: everything up to it is decided. It is written down between two parts of a
// scan, so that the second part may be another process's.
type Cursor struct {
	// Path is the one of Request.Paths that was under way; "" if everything is looked at.
	Path state.Text `json:"path,omitempty"`
	// Levels lead from the root (or Path) to the last path that was decided.
	Levels []Level `json:"levels,omitempty"`
	// Totals are those of all parts so far.
	Totals plan.Totals `json:"totals"`
	// Looked and Unseen count what was decided and what could not be looked at in all parts so far.
	Looked int `json:"looked,omitempty"`
	Unseen int `json:"unseen,omitempty"`
}

// Level is one folder on the way to the last path.
type Level struct {
	Name state.Text `json:"name"`
	// Keeps: something that was decided already stays in the folder that holds Name, so that folder cannot go.
	Keeps bool `json:"keeps,omitempty"`
}
