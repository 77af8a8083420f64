package trigger

import (
	"errors"
	"runtime"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// maxWaiting is how many events may wait for the observer while it is busy with a folder.
const maxWaiting = 1 << 14

// feed is an fsnotify.Watcher, or in tests something that fails like one.
type feed struct {
	watcher interface {
		Add(path string) error
		Remove(path string) error
		WatchList() []string
		Close() error
	}
	events <-chan fsnotify.Event
	errors <-chan error
}

// pumped is a Watcher that is read at all times. With fsnotify v1.10.1 whoever reads must not wait for Add
// or Remove: on Linux it holds its lock while it sends some of the errors, and on Windows those two
// wait for the goroutine that sends the events.
type pumped struct {
	*fsnotify.Watcher
	ended chan struct{}
}

func openFeed() (feed, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return feed{}, err
	}
	p := pumped{Watcher: w, ended: make(chan struct{})}
	events, failed := make(chan fsnotify.Event), make(chan error, 1)
	go func() {
		defer close(p.ended)
		pump(w.Events, w.Errors, events, failed)
	}()
	return feed{watcher: p, events: events, errors: failed}, nil
}

// Close ends the pump as well.
func (p pumped) Close() error {
	err := p.Watcher.Close()
	if err == nil {
		<-p.ended
	}
	return err
}

// pump passes on events until there are no more. It never waits for the receiver: events that are too many
// are dropped with an ErrEventOverflow. Of the errors it keeps one; that is enough to start over.
func pump(events <-chan fsnotify.Event, problems <-chan error, to chan<- fsnotify.Event, failed chan<- error) {
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	var waiting []fsnotify.Event
	for {
		var next fsnotify.Event
		var send chan<- fsnotify.Event
		if len(waiting) > 0 {
			next, send = waiting[0], to
		}
		select {
		case e, ok := <-events:
			if !ok {
				fail(fsnotify.ErrClosed)
				return
			}
			if len(waiting) == maxWaiting {
				waiting = nil
				fail(fsnotify.ErrEventOverflow)
			}
			waiting = append(waiting, e)
		case err, ok := <-problems:
			if !ok {
				problems = nil // events is closed next
				continue
			}
			// A folder was moved, and deleted before fsnotify could remove its watch. No harm is done.
			if runtime.GOOS != "linux" || !errors.Is(err, syscall.EINVAL) {
				fail(err)
			}
		case send <- next:
			waiting = waiting[1:]
		}
	}
}
