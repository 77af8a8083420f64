package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// ActivityKind says what happened.
type ActivityKind string

// What can happen, in the order of a file's life.
const (
	ActivityTriggered ActivityKind = "triggered" // a trigger asked for a look
	ActivityScanned   ActivityKind = "scanned"   // a look at both sides is done
	ActivityQueued    ActivityKind = "queued"    // a job was planned
	ActivityDone      ActivityKind = "done"      // a job is done and remembered
	ActivityStale     ActivityKind = "stale"     // a job was overtaken by a change
	ActivityRetry     ActivityKind = "retry"     // a job failed and will be tried again
	ActivityDead      ActivityKind = "dead"      // a job failed and waits for a person
	ActivityDropped   ActivityKind = "dropped"   // a job was dropped while it was under way
	ActivitySkipped   ActivityKind = "skipped"   // a path is left alone
	ActivityConflict  ActivityKind = "conflict"  // a path is left alone until a person has decided
	ActivityUnknown   ActivityKind = "unknown"   // a path could not be looked at
	ActivityHeld      ActivityKind = "held"      // a file is not complete yet
	ActivityHalted    ActivityKind = "halted"    // a guard stopped the sync
	ActivityApproved  ActivityKind = "approved"  // a person lets a sync go on that a guard has stopped
	ActivityPutOff    ActivityKind = "put off"   // a guard is about to stop the sync, and waits
	ActivityAverted   ActivityKind = "averted"   // that is not necessary any more
	ActivityPaused    ActivityKind = "paused"    // a server is left alone for a while
	ActivityAlert     ActivityKind = "alert"     // a person most likely has to do something; told once
	ActivityCleared   ActivityKind = "cleared"   // what was an alert works again
	ActivityAddress   ActivityKind = "address"   // a server is used at another of its addresses
	ActivityRan       ActivityKind = "ran"       // a run of a schedule is over
	ActivityMissed    ActivityKind = "missed"    // times of a schedule were left out
	ActivitySuspended ActivityKind = "suspended" // a person has paused a sync
	ActivityResumed   ActivityKind = "resumed"   // a sync that a person had paused goes on
	ActivityWindow    ActivityKind = "window"    // the time in which a sync may change something has begun or ended
)

// Activity is one thing that happened, after it was committed.
type Activity struct {
	Kind     ActivityKind
	Sync     string
	Server   string
	Path     string
	Job      uint64
	Action   string
	Text     string // the reason, for people, in one line
	Cause    error  // nil, or what Text sums up
	Bytes    int64
	Took     time.Duration
	Verified string
	Method   string
	Already  bool // done, and there was nothing to do
	// Line names the line of a schedule that has begun a run, and Late says how long after its time.
	Line string
	Late time.Duration
}

// log writes the activity as one event.
func (a Activity) log(ctx context.Context, logger *slog.Logger) {
	level := slog.LevelInfo
	switch a.Kind {
	case ActivityQueued, ActivityTriggered:
		level = slog.LevelDebug
	case ActivityRetry, ActivityPaused, ActivityAddress, ActivityPutOff, ActivityMissed, ActivityConflict, ActivityUnknown:
		level = slog.LevelWarn
	case ActivityDead, ActivityHalted, ActivityAlert:
		level = slog.LevelError
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	attributes := make([]slog.Attr, 0, 10)
	for _, s := range []struct{ key, value string }{
		{"sync", a.Sync}, {"server", a.Server}, {"action", a.Action}, {"path", a.Path}, {"reason", a.Text},
		{"verified", a.Verified}, {"data", a.Method},
	} {
		if s.value != "" {
			attributes = append(attributes, slog.String(s.key, s.value))
		}
	}
	var account slog.LogValuer // of what was tried, attribute by attribute
	if errors.As(a.Cause, &account) {
		attributes = append(attributes, slog.Any("cause", account))
	}
	if a.Bytes > 0 {
		attributes = append(attributes, slog.Int64("bytes", a.Bytes))
	}
	if a.Took > 0 {
		// With the unit in the name: JSON shows a duration as a bare number.
		attributes = append(attributes, slog.Int64("took_ms", a.Took.Milliseconds()))
	}
	if a.Job > 0 {
		attributes = append(attributes, slog.Uint64("job", a.Job))
	}
	logger.LogAttrs(ctx, level, string(a.Kind), attributes...)
}
