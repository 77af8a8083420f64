package trigger

import "time"

// Health says how changes in a local tree are noticed.
type Health struct {
	State HealthState
	// Reason says why it is not HealthWatching, and Cure what a person can do about that; "" if there is nothing to tell.
	Reason, Cure string
	// Every is how often everything is looked at because events cannot be relied on; 0 if they can.
	Every time.Duration
	// Folders is how many folders are watched.
	Folders int
	// Since is when State became what it is.
	Since time.Time
}

// HealthState is one word for how changes are noticed.
type HealthState string

// The states of a watch.
const (
	HealthStarting HealthState = "starting" // the watches are being set
	HealthWatching HealthState = "watching" // every change leads to an Event
	HealthDegraded HealthState = "degraded" // some folders are without a watch: everything is looked at now and then
	HealthPolling  HealthState = "polling"  // the filesystem tells of no changes: everything is looked at now and then
	HealthMissing  HealthState = "missing"  // there is no root folder
)
