package control

import (
	"context"
	"time"
)

// PauseRequest says which syncs a person pauses, and why.
type PauseRequest struct {
	SyncChoice
	// By is who asks, and Reason why, in that person's words; both may be "".
	By     string `json:"by,omitempty"`
	Reason string `json:"reason,omitempty"`
	// For is how long, in nanoseconds; 0: until Resume.
	For time.Duration `json:"for,omitempty"`
	// Now breaks off what is under way, which is done again or resumed later. Otherwise it goes on to its end.
	Now bool `json:"now,omitempty"`
}

// ResumeRequest says which syncs go on.
type ResumeRequest struct {
	SyncChoice
	By string `json:"by,omitempty"` // who asks
}

// SyncChoice chooses syncs by their names, or a server with all of its syncs; nothing means all syncs.
type SyncChoice struct {
	Syncs  []string `json:"syncs,omitempty"`
	Server string   `json:"server,omitempty"`
}

// Pause is a person's word that a sync is to begin nothing new.
type Pause struct {
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until somebody resumes it
	By     string    `json:"by,omitempty"`
	Reason string    `json:"reason,omitempty"`
	// Server is set where it is the server of the sync that was paused.
	Server string `json:"server,omitempty"`
}

// Paused says what was paused.
type Paused struct {
	Syncs []string `json:"syncs"`
	// Server is set where that is what was paused: with the syncs, and with those that come later.
	Server string `json:"server,omitempty"`
	// Running is how many of their jobs were under way.
	Running int `json:"running"`
}

// Pause implements Service.
func (c *Client) Pause(ctx context.Context, request PauseRequest) (paused Paused, err error) {
	err = c.post(ctx, "/v1/pause", request, &paused)
	return paused, err
}

// Resume implements Service.
func (c *Client) Resume(ctx context.Context, request ResumeRequest) (resumed Resumed, err error) {
	err = c.post(ctx, "/v1/resume", request, &resumed)
	return resumed, err
}

// Resumed says which pauses have ended, of syncs and of servers.
type Resumed struct {
	Syncs   []string `json:"syncs"`
	Servers []string `json:"servers,omitempty"`
	// Held are those among the chosen syncs that are paused still.
	Held []HeldSync `json:"held,omitempty"`
}

// HeldSync is a sync that is paused still, by the word about its server if that is set, else by one about itself.
type HeldSync struct {
	Sync   string `json:"sync"`
	Server string `json:"server,omitempty"`
}
