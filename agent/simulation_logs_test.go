package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/synctest"
	"time"
)

// simulatedLogs only ever grow, but for what their writers do with them when they are long enough, and people at any time.
var simulatedLogs = []string{"app.log", "x/app.log"}

// grows reports whether a name is one of theirs, or one that they are given later.
func (s *simulation) grows(name string) bool {
	return len(s.sync.Append) > 0 && strings.Contains(filepath.Base(name), "app")
}

// editLog has a program write to one of its logs, put it aside, or copy it and begin anew.
func (s *simulation) editLog() {
	switch log := pick(s.random, simulatedLogs...); s.random.IntN(8) {
	case 0, 1:
		s.rotate(log)
	case 2:
		s.copyAside(log)
	case 3:
		s.grow(log + ".1") // what was under way when it was put aside
	default:
		s.grow(log)
	}
}

// grow has a program add to its log, or begin it.
func (s *simulation) grow(name string) {
	old := s.localFiles()[name]
	content := s.content(name, true, old)
	s.touch(old, true)
	if s.rewrite(name, os.O_APPEND, content[len(old):]) {
		s.waste(old)
		fmt.Fprintf(s, "%s PROGRAM writes version %d to %s, %d bytes behind %d\n", time.Now().Format("15:04:05.000"), s.versions[content], name, len(content)-len(old), len(old))
	} else {
		s.waste(content)
	}
}

// rewrite writes to a file in its place, and reports whether it could: a folder may have its name, or a file that of its folder.
func (s *simulation) rewrite(name string, how int, text string) bool {
	full := filepath.Join(s.local, filepath.FromSlash(name))
	if os.MkdirAll(filepath.Dir(full), 0o700) != nil {
		return false
	}
	synctest.Wait() // nobody looks before it has the time of this world
	file, err := os.OpenFile(full, os.O_WRONLY|os.O_CREATE|how, 0o600)
	if err != nil {
		return false
	}
	defer s.tell(name)
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Chtimes(full, time.Now(), time.Now()); err != nil {
		s.t.Fatal(err)
	}
	return true
}

// rotate gives a log and the one before it other names, and may begin a new one.
func (s *simulation) rotate(log string) {
	for _, names := range [][2]string{{log + ".1", log + ".2"}, {log, log + ".1"}} {
		files := s.localFiles()
		content, exists := files[names[0]]
		if !exists {
			continue
		}
		s.touch(content, true)
		if os.Rename(filepath.Join(s.local, names[0]), filepath.Join(s.local, names[1])) != nil {
			return // a folder has the name
		}
		s.waste(files[names[1]])
		fmt.Fprintf(s, "%s PROGRAM renames %s to %s\n", time.Now().Format("15:04:05.000"), names[0], names[1])
		s.tell(names[0], names[1])
	}
	if s.random.IntN(2) == 0 {
		s.grow(log)
	}
}

// copyAside is the way of programs that keep their log open: it is copied and made empty.
func (s *simulation) copyAside(log string) {
	files := s.localFiles()
	content, exists := files[log]
	if !exists {
		return
	}
	s.touch(content, true)
	if !s.rewrite(log+".1", os.O_TRUNC, content) {
		return
	}
	s.waste(files[log+".1"])
	begun := s.content(log, true, "")
	if !s.rewrite(log, os.O_TRUNC, begun) {
		s.t.Fatalf("%s is gone", log)
	}
	fmt.Fprintf(s, "%s PROGRAM copies %s and begins it anew with version %d\n", time.Now().Format("15:04:05.000"), log, s.versions[begun])
}

// growOne has a log grow and be rotated at a quiet time: no more than what is new is sent.
func (s *simulation) growOne() {
	if s.shifts || s.links || !s.sync.RemoteName.IsZero() {
		return // behind a link it is there twice
	}
	here := s.localFiles()
	for _, log := range simulatedLogs {
		content, exists := here[log]
		if _, taken := here[log+".3"]; !exists || taken || !s.grows(log) {
			continue
		}
		for _, s.site = range s.sites {
			exists = exists && s.remoteFiles()[log] == content && s.takesPart(log)
		}
		if !exists {
			continue
		}
		s.grow(log) // it may have been brought into step as a file like any other
		s.pass(5)
		before := len(s.localFiles()[log])
		s.sent.Store(0)
		s.grow(log)
		grown := len(s.localFiles()[log]) - before
		s.pass(5)
		if got, want := s.sent.Load(), int64(grown*len(s.sites)); got != want {
			s.wrongf("%d bytes were sent of %s, want %d", got, log, want)
		}
		if renames := !slices.ContainsFunc(s.sites, func(at *site) bool { return at.server.Abilities.NoRename }); !renames || !s.sync.Moves {
			return
		}
		s.sent.Store(0)
		if err := os.Rename(filepath.Join(s.local, log), filepath.Join(s.local, log+".3")); err != nil {
			s.t.Fatal(err)
		}
		fmt.Fprintf(s, "%s PROGRAM renames %s, and all is quiet\n", time.Now().Format("15:04:05.000"), log)
		s.pass(5)
		if got := s.sent.Load(); got != 0 {
			s.wrongf("%d bytes were sent as %s was renamed", got, log)
		}
		return
	}
}
