package trigger

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"
)

// DefaultPoll is how often everything is reported where events cannot be relied on.
const DefaultPoll = time.Minute

// Watch emits an Event for what changes in a local tree. Symbolic links are reported and not followed (see Follow),
// except for Root itself, which may be one. Content that was there before Run is not reported.
//
// An Event without paths and with one of these reasons means that changes may have gone unseen:
// "watch overflow" and "watch error" (the watches were set again), "watch incomplete" (nothing can be watched) and "watch poll"
// (events cannot be relied on: those that come are reported besides), both every Poll and Regular, "watch root gone" and "watch root
// back" (Root may be missing for as long as it likes, at the start too). A folder in Root that has no watch, or is on a filesystem that does not tell of every change, is
// reported every Poll, Regular too.
//
// On Windows a folder with sub-folders cannot be renamed while it is watched, because each sub-folder is held
// open (fsnotify#356). On the BSDs and macOS every file costs an open descriptor (fsnotify#129); once they
// are used up, everything is looked at every minute.
type Watch struct {
	Sync string
	Root string // the local folder
	// Skip says which paths are of no interest; a folder is skipped with all below it. rel is slash
	// separated and relative to Root. For a path that is gone, isDir is true only if it was a watched
	// folder. Skip is called from one goroutine; nil skips nothing.
	Skip  func(rel string, isDir bool) bool
	Quiet time.Duration // see Coalescer
	Limit time.Duration
	Gone  time.Duration
	// Poll is how often everything is reported where events cannot be relied on; zero: DefaultPoll.
	Poll time.Duration
	// Canary is the path of a file in Root that nobody else uses and Skip skips: it is made and removed at the start, to find out
	// whether events come. Empty: that is taken for granted.
	Canary string
	// Follow: what symbolic links lead to matters too. Events do not tell of that, and so each link is reported every Poll.
	Follow bool
	// Health, if set, is called with each change of how changes are noticed, at the start too, by one goroutine. It must not block.
	Health func(Health)
	// Ready, if set, is called once, when every change from now on will lead to an Event. A full scan
	// that starts after it leaves no gap. It is called even if Root is missing or cannot be watched,
	// and must not block.
	Ready  func()
	Logger *slog.Logger // nil: silent

	open   func() (feed, error)                // nil: fsnotify
	remote func(path string) string            // nil: remoteFilesystem
	mounts func(base string) map[string]string // nil: mountsBelow
	look   time.Duration                       // zero: lookAtRoot
}

// change is a changed path on its way from the observer to the Coalescer; why, if set, explains why it is
// the empty path, and gone says that the path is not there any more. With regular nothing has happened to it, nor to those in more.
type change struct {
	path, why     string
	gone, regular bool
	more          []string
}

// Run implements Trigger.
func (w Watch) Run(ctx context.Context, emit Emit) error {
	ctx, cancel := context.WithCancel(ctx)
	changes, unread := make(chan change), make(chan bool)
	var observing sync.WaitGroup
	defer observing.Wait()
	defer cancel()
	observing.Go(func() {
		o := w.observer(func(c change) {
			select {
			case changes <- c:
			case <-ctx.Done():
			}
		})
		o.unread = func(more bool) {
			select {
			case unread <- more:
			case <-ctx.Done():
			}
		}
		o.run(ctx, cmp.Or(w.look, lookAtRoot))
	})
	return w.gather(ctx, changes, unread, emit)
}

// gather coalesces changes and emits them, one Event at a time. It never waits for the receiver, so that
// the observer can go on reading and the kernel's queue does not overflow meanwhile. Of unread comes whether the observer knows of
// more changes than it has handed over.
func (w Watch) gather(ctx context.Context, changes <-chan change, unread <-chan bool, emit Emit) error {
	batch := Coalescer{Quiet: w.Quiet, Limit: w.Limit, Gone: w.Gone}
	var (
		why   string     // of the empty path, while it is held
		polls due        // what is to be reported though nothing has happened
		sent  chan error // not nil while an Event is with the receiver
		armed bool       // timer will fire, at next, in time for all that is held
		next  time.Time
	)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	send := func(e Event) {
		done := make(chan error, 1)
		sent = done
		go func() { done <- emit(ctx, e) }()
	}
	for {
		if sent == nil && polls.any() && !batch.Unread {
			send(polls.take(w.Sync))
		}
		if !armed && sent == nil {
			if next, armed = batch.Next(); armed {
				timer.Reset(time.Until(next))
			}
		}
		var due <-chan time.Time
		if armed && sent == nil {
			due = timer.C
		}
		select {
		case <-ctx.Done():
			if sent != nil {
				<-sent
			}
			return nil
		case c := <-changes:
			if c.regular { // not held with the others, which would go along
				polls.add(c)
				continue
			}
			now := time.Now()
			batch.Add(now, c.path, c.gone)
			why = cmp.Or(c.why, why)
			armed = armed && !next.After(now.Add(batch.quiet()))
		case batch.Unread = <-unread:
			armed = false
		case <-due:
			armed = false
			paths, ok := batch.Take(time.Now())
			if !ok {
				continue
			}
			e := Event{Sync: w.Sync, Paths: paths, Why: "watch", Local: true, Watched: true}
			if len(paths) == 0 {
				e.Why, why = cmp.Or(why, e.Why), ""
			}
			send(e)
		case err := <-sent:
			sent = nil
			if err != nil {
				return emitted(ctx, err)
			}
		}
	}
}
