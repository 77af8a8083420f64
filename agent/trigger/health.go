package trigger

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

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
	HealthPolling  HealthState = "polling"  // not every change leads to an Event, or none: everything is looked at now and then
	HealthMissing  HealthState = "missing"  // there is no root folder
)

// publish tells what has changed in how changes are noticed. How many folders there are is not told with each of them.
func (o *observer) publish(now time.Time) {
	if o.tell == nil || len(o.pending) > 0 && o.complete && o.told.State == HealthDegraded {
		return // until what had no watch was tried again
	}
	h := o.health()
	h.Since = o.told.Since
	if h.State != o.told.State {
		h.Since = now
	}
	counted := o.told
	counted.Folders = h.Folders
	if h == o.told || h == counted && len(o.pending) > 0 && now.Sub(o.toldAt) < time.Second {
		return
	}
	o.told, o.toldAt = h, now
	o.tell(h)
}

func (o *observer) health() Health {
	h := Health{State: HealthPolling, Every: o.poll, Folders: len(o.watched)}
	switch {
	case o.identity == nil:
		return Health{State: HealthMissing, Reason: "the local folder is not there"}
	case o.feed.watcher == nil:
		h.Reason, h.Cure = fmt.Sprint("the folder cannot be watched: ", cause(o.trouble)), cure(o.trouble)
	case o.odd[""] != "":
		h.Reason = o.odd[""] + " does not tell of every change; what is changed from here is seen at once"
	case o.canary.state == canarySilent:
		h.Reason = "no event came for a file that was made in the root folder"
	case len(o.unwatched) > 0:
		h.State, h.Cure = HealthDegraded, cure(o.trouble)
		h.Reason = fmt.Sprintf("%s cannot be watched: %s", some(o.unwatched[0], len(o.unwatched)), cause(o.trouble))
	case len(o.odd) > 0:
		h.State = HealthDegraded
		h.Reason = o.oddReason()
	case !o.complete || o.canary.state == canaryOut:
		h.State, h.Every = HealthStarting, 0
	default:
		h.State, h.Every = HealthWatching, 0
	}
	return h
}

// some names the first of so many paths.
func some(first string, of int) string {
	if of == 1 {
		return fmt.Sprintf("%q", first)
	}
	return fmt.Sprintf("%q and %d more", first, of-1)
}

// cause says what an error of a watch means. The system has the words of a full disk for its limit of watches (inotify(7)).
func cause(err error) string {
	if errors.Is(err, syscall.ENOSPC) {
		return "the system's limit of watches is reached"
	}
	return fmt.Sprint(err)
}

// cure says what a person can do about an error of a watch; "" if that is not known.
func cure(err error) string {
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return "raise the limit of watches: sysctl fs.inotify.max_user_watches=1048576"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "raise the limit of open files, and on Linux: sysctl fs.inotify.max_user_instances=1024"
	case errors.Is(err, fsnotify.ErrEventOverflow):
		return "if this comes often, on Linux: sysctl fs.inotify.max_queued_events=131072"
	}
	return ""
}
