package main

import (
	"os"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
)

const (
	// settledLook is how often the files of the configuration are looked at.
	settledLook = time.Second
	// settledFor is how long they have to stay as they are after a change: whoever writes one may be in the middle.
	settledFor = 2 * time.Second
)

// settled tells when the files of a configuration have changed and do so no more.
type settled struct {
	paths []string
	taken []os.FileInfo // as they were when the configuration was read
	last  []os.FileInfo
	since time.Time // of last
}

// newSettled is about the files of a configuration as it has seen them: what becomes of them while the rest of it is read, which takes
// as long as programs need for its secrets, is a change.
func newSettled(cfg *config.Config) *settled {
	s := &settled{paths: slices.Concat(cfg.Files, cfg.Folders)}
	for _, path := range s.paths {
		s.taken = append(s.taken, cfg.Seen[path])
	}
	s.last = s.taken
	return s
}

// look takes the files as they are for those that were read: whoever is about to read them calls it, as one with errors has seen nothing.
func (s *settled) look() {
	s.taken = s.files()
	s.last = s.taken
}

func (s *settled) files() []os.FileInfo {
	is := make([]os.FileInfo, len(s.paths))
	for i, path := range s.paths {
		is[i], _ = os.Stat(path) // one that is missing is nil
	}
	return is
}

// changed looks at the files, and reports once whether they are others than those that were read, and have been so for a while.
func (s *settled) changed(now time.Time) bool {
	is := s.files()
	if !slices.EqualFunc(is, s.last, sameFile) {
		s.last, s.since = is, now
		return false
	}
	if now.Sub(s.since) < settledFor || slices.EqualFunc(is, s.taken, sameFile) {
		return false
	}
	s.taken = is
	return true
}

// sameFile reports whether nothing was done to a file; nil is one that is missing.
func sameFile(a, b os.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}
