package control

import "errors"

// ApproveRequest is a person's word on halted syncs.
type ApproveRequest struct {
	Syncs []string `json:"syncs"` // at least one
	// Reason, if not "", is the one that the person has seen: where a sync is halted for another reason, or not any more, all stay as they are.
	Reason string `json:"reason,omitempty"`
}

// ErrOtherReason: somebody approves something else than what is there.
var ErrOtherReason = errors.New("not approved: it is not halted for the reason that was shown any more")
