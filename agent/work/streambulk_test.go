package work

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// makes has a folder made on the server that is here, and deletes one file there that is gone here.
func (s *stream) makes(name string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Join(s.local, filepath.FromSlash(name)), 0o777); err != nil {
		s.t.Fatal(err)
	}
	s.plan(plan.Op{Action: plan.MakeRemoteDir, Path: name, Local: plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Dir}}, Remote: plan.Side{Knowledge: plan.Seen}})
}

func (s *stream) deletes(name, content string) {
	s.server.Put("/site/"+name, content, stamped)
	there := entry.Entry{Kind: entry.File, Size: int64(len(content)), ModTime: stamped, Precision: time.Second}
	s.plan(plan.Op{Action: plan.DeleteRemote, Path: name, Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: there}})
}

func (s *stream) plan(op plan.Op) {
	s.ops = append(s.ops, op)
	s.ids[op.Path] = queue.ID(6 + len(s.ops))
}

// fillBulk gives a stream folders to make, files to send into them, and files to delete, more than go together.
func (s *stream) fillBulk() {
	for i := range 3 {
		s.makes(fmt.Sprint("folder-", i))
	}
	s.makes("folder-1/below")
	s.write("folder-1/below/file", "new")
	s.write("folder-2/file", "new, too")
	for i := range mostBulk + 2 {
		s.deletes(fmt.Sprintf("gone-%02d", i), "old")
	}
}

// TestWhatIsDoneInBulkEndsAsEachJobByItself, to the word of the server.
func TestWhatIsDoneInBulkEndsAsEachJobByItself(t *testing.T) {
	for _, name := range []string{"with MLST", "without MLST"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := newStream(t, dialects[name]), newStream(t, dialects[name])
			one.fillBulk()
			other.fillBulk()
			want, got := one.ordinarily(1), other.streamed(1)
			if diff := cmp.Diff(want, got, ofNoImportance); diff != "" {
				t.Errorf("each by itself (-), in a stream (+):\n%s", diff)
			}
			if diff := cmp.Diff(one.server.Files(), other.server.Files()); diff != "" {
				t.Errorf("each by itself (-), in a stream (+):\n%s", diff)
			}
			if diff := cmp.Diff(one.server.Folders(), other.server.Folders()); diff != "" {
				t.Errorf("each by itself (-), in a stream (+):\n%s", diff)
			}
			first, last := -1, -1 // of what is deleted together
			for i, command := range other.commands {
				if strings.HasPrefix(command, "DELE ") && first < 0 {
					first = i
				}
				if strings.HasSuffix(command, fmt.Sprintf("gone-%02d", mostBulk-1)) && !strings.HasPrefix(command, "DELE ") {
					last = i
				}
			}
			if last < 0 || first < last {
				t.Errorf("deleted before the last second look: %d, %d", first, last)
			}
		})
	}
}

// TestWhatIsOddInBulk is found as for each job by itself, and the others are not concerned.
func TestWhatIsOddInBulk(t *testing.T) {
	s := newStream(t, modern)
	s.fillBulk()
	s.server.MakeDir("/site/folder-2")
	if err := os.Remove(filepath.Join(s.local, "folder-0")); err != nil {
		t.Fatal(err)
	}
	s.file("gone-03", "here again")
	s.server.Put("/site/gone-04", "changed there", stamped.Add(time.Hour))
	s.server.Remove("/site/gone-05")
	refusals := map[string]string{"gone-06": "550 Permission denied.", "gone-08": "450 It is in use.", "gone-09": "550 No."}
	s.server.Refuse = func(line string) string { return refusals[strings.TrimPrefix(line, "DELE /site/")] }
	s.hear = func(line string) {
		if strings.HasSuffix(line, "gone-15") && !strings.HasPrefix(line, "DELE") { // the last look before anything is deleted
			s.file("gone-07", "here just in time")
		}
	}
	outcomes := s.streamed(1)
	odd := map[string]string{
		"folder-0": "stale: the local folder is gone", "gone-03": "stale: the local side changed since the deletion was planned",
		"gone-04": "stale: the remote side changed since the deletion was planned", "gone-05": "done: was gone already",
		"gone-06": "failed: ", "gone-08": "failed: ", "gone-09": "failed: ", "gone-07": "stale: the local side changed since the deletion was planned",
	}
	for path, o := range outcomes {
		want := odd[path]
		if want == "" {
			want = "done: "
		}
		if got := o.Result.String() + ": " + o.Reason; got != want {
			t.Errorf("%s: %s (%v), want %s", path, got, o.Err, want)
		}
	}
	for _, name := range []string{"gone-03", "gone-04", "gone-06", "gone-07", "gone-08", "gone-09"} {
		if s.server.Files()["/site/"+name] == "" {
			t.Errorf("%s was deleted", name)
		}
	}
	for name, refusal := range refusals {
		tries := 0
		for _, command := range s.commands {
			if command == "DELE /site/"+name {
				tries++
			}
		}
		var said *ftpclient.Error
		if err := outcomes[name].Err; tries != 1 || !errors.As(err, &said) || fmt.Sprint(said.Code, " ", said.Text) != refusal {
			t.Errorf("%s: %d tries, %v, want %s", name, tries, err, refusal)
		}
	}
}

// TestBulkThatIsCutAnywhere: the second attempt finds what the first has done.
func TestBulkThatIsCutAnywhere(t *testing.T) {
	t.Parallel()
	whole := newStream(t, modern)
	whole.fillBulk()
	whole.streamed(1)
	for n, command := range whole.commands {
		for _, fault := range []ftptest.Fault{ftptest.CutBefore, ftptest.CutAfter} {
			s := newStream(t, modern)
			s.fillBulk()
			heard, over := 0, atomic.Bool{}
			s.server.Fault = func(string) ftptest.Fault {
				if heard++; heard == n+1 && !over.Load() {
					return fault
				}
				return ftptest.NoFault
			}
			outcomes := s.streamed(1)
			over.Store(true)
			for i, op := range s.ops {
				o := outcomes[op.Path]
				if o.Result != Done {
					job := s.job(i, 2)
					o = Do(t.Context(), s.env(job), job)
				}
				if o.Result != Done {
					t.Errorf("cut %d at %q: %s is %s: %q %v", fault, command, op.Path, o.Result, o.Reason, o.Err)
				}
			}
			if diff := cmp.Diff(whole.server.Files(), s.server.Files()); diff != "" {
				t.Errorf("cut %d at %q: %s", fault, command, diff)
			}
			if s.conn != nil {
				s.conn.Close()
			}
			s.server.Close()
		}
	}
}
