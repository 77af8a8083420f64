package work

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/scan"
)

// inSteps is streamed, with between called in front of the job i.
func (s *stream) inSteps(between func(stream *Stream, i int)) map[string]Outcome {
	outcomes := map[string]Outcome{}
	stream := NewStream(func(o Outcome) { outcomes[o.Job.Path] = o })
	for i := range s.ops {
		between(stream, i)
		s.carryOut(stream, s.job(i, 1), i+1 < len(s.ops))
	}
	between(stream, len(s.ops))
	stream.End()
	return outcomes
}

// TestAStreamKeepsFoldersOpen while its files are in them, and nothing is left open behind it.
func TestAStreamKeepsFoldersOpen(t *testing.T) {
	s := newStream(t, modern)
	s.server.MakeDir("/site/d")
	s.server.MakeDir("/site/e")
	for _, name := range []string{"a", "d/b", "d/c", "e/f", "e/g", "h"} {
		s.write(name, "content of "+name)
	}
	var roots, folders []any
	outcomes := s.inSteps(func(stream *Stream, i int) {
		if i > 0 {
			roots, folders = append(roots, stream.near), append(folders, stream.near.folder)
		}
		if open := openBelow(s.local); i > 0 && open > 3 {
			t.Errorf("%d files and folders are open in front of job %d", open, i)
		}
	})
	for name, o := range outcomes {
		if o.Result != Done {
			t.Errorf("%s: %+v", name, o)
		}
	}
	for i, same := range []bool{false, true, false, true, false} { // as the one before
		if roots[i] != roots[i+1] || (folders[i] == folders[i+1]) != same {
			t.Errorf("root and folder in front of %s were opened anew, or not", s.ops[i+1].Path)
		}
	}
	if open := openBelow(s.local); open > 0 {
		t.Errorf("%d are left open", open)
	}
}

// openBelow is how many files and folders of this process are open below a folder, where the system tells.
func openBelow(folder string) (n int) {
	if runtime.GOOS != "linux" {
		return 0
	}
	open, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range open {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, folder) {
			n++
		}
	}
	return n
}

// TestAFolderThatIsReplacedDuringAStream is not the one that files come from any more, nor is the root.
func TestAFolderThatIsReplacedDuringAStream(t *testing.T) {
	for _, replaced := range []string{"d", ""} {
		s := newStream(t, modern)
		s.sync.Local = filepath.Join(s.local, "root")
		s.local = s.sync.Local
		s.server.MakeDir("/site/d")
		for _, name := range []string{"d/a", "d/b", "d/c"} {
			s.write(name, "content of "+name)
		}
		outcomes := s.inSteps(func(_ *Stream, i int) {
			if i != 2 {
				return
			}
			at := filepath.Join(s.local, replaced)
			if err := os.Rename(at, at+"-moved"); err != nil {
				t.Fatal(err)
			}
			s.file("d/c", "what is there now, and was not planned")
		})
		if outcomes["d/b"].Result != Done || outcomes["d/c"].Result != Stale {
			t.Errorf("with another %q: %+v", replaced, outcomes)
		}
		if _, sent := s.server.Files()["/site/d/c"]; sent {
			t.Errorf("with another %q: what was moved away was sent", replaced)
		}
	}
}

// TestRulesThatChangeDuringAStream count for what is begun from then on: those of the configuration at once, and those in files within a
// second.
func TestRulesThatChangeDuringAStream(t *testing.T) {
	changes := map[string]func(s *stream, stream *Stream){
		"an ignore file": func(s *stream, stream *Stream) {
			writeStamped(t, filepath.Join(s.local, "d", ".ferryignore"), "b\n")
			stream.near.asked = stream.near.asked.Add(-rulesLife)
		},
		"the configuration": func(s *stream, stream *Stream) {
			s.sync.Filter = scan.NewFilter(scan.FilterOptions{Exclude: []string{"b"}})
			stream.Reconfigured()
		},
	}
	for name, change := range changes {
		s := newStream(t, modern)
		s.sync.Filter = scan.NewFilter(scan.FilterOptions{IgnoreFile: ".ferryignore"})
		s.server.MakeDir("/site/d")
		s.write("d/a", "content")
		s.write("d/b", "content that is left out")
		outcomes := s.inSteps(func(stream *Stream, i int) {
			if i == 1 {
				change(s, stream)
			}
		})
		if outcomes["d/a"].Result != Done || outcomes["d/b"].Result != Stale {
			t.Errorf("%s: %+v", name, outcomes)
		}
	}
}
