// Package trigger holds the reasons to look at a sync: changes in its local tree (Watch), the clock
// (Schedule, Rescan, Poll) and the start of the agent (Start). A trigger says where to look and why; it never says
// what to do, and an Event too many is harmless.
//
// What a trigger cannot see for certain it reports as "look at everything": an overflow, a folder
// without a watch, a root that went away. Nothing is dropped silently.
package trigger

import (
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Event asks for a look at a sync.
type Event struct {
	Sync  string   // name of the sync
	Paths []string // slash separated, relative to the sync's root, sorted, a folder standing for all below it; empty: everything
	Why   string   // for people: "watch", "watch overflow", "schedule 0 3 * * *", "start", ...
	// Local: what happened may be seen without the server. Together with no Paths the whole local folder is compared with what was
	// in step, and the server is asked only where the sync cannot do without it.
	Local bool
	// Watched: a watch has seen something happen, and more may be on its way.
	Watched bool
	// Regular: nothing has happened, it is only time to look again. A look that is under way or waits will do.
	Regular bool
	// Poll: it is about what has changed on the server since the last time.
	Poll  bool
	Fired *Fired // set by Schedule alone
}

// Fired says which schedule entry is due, and for which times. Whoever takes the Event stores Upto, and hands it back as Entry.Last
// after a restart.
type Fired struct {
	Spec string
	// Upto is the latest time that has passed: all up to it are dealt with.
	Upto time.Time
	// Times are those to run for, sorted; those at which a run was due, not at which that was noticed. None: there is nothing to
	// do but to note what was missed.
	Times []time.Time
	// Missed is how many times were left out since the last Event of the entry.
	Missed uint64
}

// Emit hands over an Event. It blocks until the Event is taken or ctx is done; in the second case it
// returns an error.
type Emit func(ctx context.Context, e Event) error

// Trigger is a source of Events.
type Trigger interface {
	// Run emits Events until ctx is done or it has no more to say, and then returns nil. It returns an
	// error if emit failed for a reason other than ctx. Every goroutine it started has ended by then.
	Run(ctx context.Context, emit Emit) error
}

// emitted turns the result of an Emit into the result of a Run: being asked to stop is no error.
func emitted(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("emit event: %w", err)
}

func orDiscard(logger *slog.Logger) *slog.Logger {
	if logger == nil {
		return slog.New(slog.DiscardHandler)
	}
	return logger
}
