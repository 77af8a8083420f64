package trigger

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

const (
	// DefaultQuiet is how long nothing may happen to a path before it is reported.
	DefaultQuiet = 200 * time.Millisecond
	// DefaultLimit is how long a path that never gets quiet is held back.
	DefaultLimit = 5 * time.Second
	// DefaultGone is how long a path that is gone is held back when nothing else happens: what is renamed goes from its old name
	// first, and whoever looked before the new name is known would see a deletion.
	DefaultGone = time.Second

	maxPerFolder = 128 // more paths directly in one folder become the folder
	maxPaths     = 512 // more paths in all become everything
)

// Coalescer turns a flood of changed paths into few. It keeps at most maxPaths of them, however many
// changes there are. Paths are slash separated and relative; the empty path is the root and means
// everything. A folder swallows what is below it.
//
// Deletions wait behind everything else: a path that is gone is given with the last of what changed after it, or else
// once it was quiet for Gone.
//
// It is pure: time comes in as a parameter. The zero value is ready to use. It is not safe for
// concurrent use.
type Coalescer struct {
	Quiet time.Duration // zero: DefaultQuiet
	Limit time.Duration // zero: DefaultLimit
	Gone  time.Duration // zero: DefaultGone

	// Unread says that more has happened than was added. What is gone then waits for it, up to Limit.
	Unread bool

	held  map[string]span
	added uint64    // changes so far
	taken time.Time // of the last Take that gave something
}

// span is what is known of the changes of a held path.
type span struct {
	first, last time.Time
	number      uint64 // of the last change; times may be equal
	gone        bool   // the last change took it away, with all below it
}

func (s span) join(other span) span {
	if other.first.Before(s.first) {
		s.first = other.first
	}
	if other.last.After(s.last) {
		s.last = other.last
	}
	s.number = max(s.number, other.number)
	s.gone = s.gone && other.gone
	return s
}

// Add notes that something happened to path at now; gone says that it is not there any more.
func (c *Coalescer) Add(now time.Time, path string, gone bool) {
	c.added++
	change := span{now, now, c.added, gone}
	for folder := path; ; folder = parent(folder) {
		if s, ok := c.held[folder]; ok {
			s = s.join(change)
			s.gone = s.gone || gone && folder == path
			c.held[folder] = s
			return
		}
		if folder == "" {
			break
		}
	}
	if c.held == nil {
		c.held = make(map[string]span)
	}
	c.insert(path, change)
	if s, ok := c.held[path]; ok && gone {
		s.gone = true // whatever happened below it
		c.held[path] = s
	}
}

// insert holds a path that is neither held nor below a held one.
func (c *Coalescer) insert(path string, s span) {
	siblings := 1
	for other, held := range c.held {
		if below(other, path) {
			s = s.join(held)
			delete(c.held, other)
		} else if parent(other) == parent(path) {
			siblings++
		}
	}
	switch {
	case path == "":
	case siblings > maxPerFolder:
		c.insert(parent(path), s)
		return
	case len(c.held) >= maxPaths:
		c.insert("", s)
		return
	}
	c.held[path] = s
}

// Next returns when Take has something to give, which may be in the past; false if nothing is held. An Add makes that earlier
// only if it was more than Quiet away. It is at least Quiet after the last Take, so that a stream of changes makes few Events.
func (c *Coalescer) Next() (time.Time, bool) {
	var next time.Time
	last := c.lastOf(func(s span) bool { return !s.gone })
	for _, s := range c.held {
		if due := c.due(s, c.Unread || s.number < last); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if earliest := c.taken.Add(c.quiet()); !next.IsZero() && next.Before(earliest) {
		next = earliest
	}
	return next, len(c.held) > 0
}

// Take removes and returns, sorted, the paths that have been quiet for Quiet or held for Limit, and those that are gone and need
// not wait any longer; ok says whether there are any. No paths together with ok mean everything.
func (c *Coalescer) Take(now time.Time) (paths []string, ok bool) {
	given := c.lastOf(func(s span) bool { return !s.gone && !c.due(s, false).After(now) })
	kept := c.lastOf(func(s span) bool { return !s.gone && c.due(s, false).After(now) })
	for path, s := range c.held {
		waits := c.Unread || s.number < kept
		if along := s.gone && !waits && s.number < given; !along && c.due(s, waits).After(now) {
			continue
		}
		ok = true
		delete(c.held, path)
		if path != "" {
			paths = append(paths, path)
		}
	}
	if ok {
		c.taken = now
	}
	slices.Sort(paths)
	return paths, ok
}

// lastOf returns the number of the last change to any of those held paths; 0 if there are none.
func (c *Coalescer) lastOf(which func(span) bool) (number uint64) {
	for _, s := range c.held {
		if s.number > number && which(s) {
			number = s.number
		}
	}
	return number
}

func (c *Coalescer) quiet() time.Duration { return cmp.Or(c.Quiet, DefaultQuiet) }

// due is when a path is given; waits says that, if it is gone, it has to wait for others.
func (c *Coalescer) due(s span, waits bool) time.Time {
	quiet, limit := s.last.Add(c.quiet()), s.first.Add(cmp.Or(c.Limit, DefaultLimit))
	if s.gone {
		quiet = s.last.Add(cmp.Or(c.Gone, DefaultGone))
	}
	if limit.Before(quiet) || s.gone && waits {
		return limit
	}
	return quiet
}

// parent returns the folder that path is in; the root is its own parent.
func parent(path string) string {
	return path[:max(strings.LastIndexByte(path, '/'), 0)]
}

func below(path, folder string) bool {
	return folder == "" || len(path) > len(folder) && path[len(folder)] == '/' && path[:len(folder)] == folder
}
