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

	maxPerFolder = 128 // more paths directly in one folder become the folder
	maxPaths     = 512 // more paths in all become everything
)

// Coalescer turns a flood of changed paths into few. It keeps at most maxPaths of them, however many
// changes there are. Paths are slash separated and relative; the empty path is the root and means
// everything. A folder swallows what is below it.
//
// It is pure: time comes in as a parameter. The zero value is ready to use. It is not safe for
// concurrent use.
type Coalescer struct {
	Quiet time.Duration // zero: DefaultQuiet
	Limit time.Duration // zero: DefaultLimit

	held  map[string]span
	taken time.Time // of the last Take that gave something
}

// span is the time between the first and the last change of a held path.
type span struct{ first, last time.Time }

func (s span) join(other span) span {
	if other.first.Before(s.first) {
		s.first = other.first
	}
	if other.last.After(s.last) {
		s.last = other.last
	}
	return s
}

// Add notes that something happened to path at now.
func (c *Coalescer) Add(now time.Time, path string) {
	for folder := path; ; folder = parent(folder) {
		if s, ok := c.held[folder]; ok {
			c.held[folder] = s.join(span{now, now})
			return
		}
		if folder == "" {
			break
		}
	}
	if c.held == nil {
		c.held = make(map[string]span)
	}
	c.insert(path, span{now, now})
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

// Next returns when Take has something to give, which may be in the past; false if nothing is held. That
// time never gets earlier by an Add, and it is at least Quiet after the last Take, so that a stream
// of changes makes few Events.
func (c *Coalescer) Next() (time.Time, bool) {
	var next time.Time
	for _, s := range c.held {
		if due := c.due(s); next.IsZero() || due.Before(next) {
			next = due
		}
	}
	if earliest := c.taken.Add(c.quiet()); !next.IsZero() && next.Before(earliest) {
		next = earliest
	}
	return next, len(c.held) > 0
}

// Take removes and returns, sorted, the paths that have been quiet for Quiet or held for Limit; ok says
// whether there are any. No paths together with ok mean everything.
func (c *Coalescer) Take(now time.Time) (paths []string, ok bool) {
	for path, s := range c.held {
		if c.due(s).After(now) {
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

func (c *Coalescer) quiet() time.Duration { return cmp.Or(c.Quiet, DefaultQuiet) }

func (c *Coalescer) due(s span) time.Time {
	quiet, limit := s.last.Add(c.quiet()), s.first.Add(cmp.Or(c.Limit, DefaultLimit))
	if limit.Before(quiet) {
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
