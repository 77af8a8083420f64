package work

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// fetches wants a file of the server here, in place of old if that is not "".
func (s *stream) fetches(name, old, content string) {
	s.t.Helper()
	s.server.Put("/site/"+name, content, stamped)
	there := entry.Entry{Kind: entry.File, Size: int64(len(content)), ModTime: stamped, Precision: time.Second}
	op := plan.Op{Action: plan.Download, Path: name, Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: there}}
	if old != "" {
		was := s.file(name, old).Entry
		before := there
		before.ModTime = stamped.Add(-time.Hour)
		op.Local.Entry, op.Base = was, &plan.Base{Local: was, Remote: before}
		s.bases[name] = &state.Baseline{Path: name, Local: was, Remote: before}
	}
	s.plan(op)
}

func newDownStream(t *testing.T, can ftptest.Abilities) *stream {
	s := newStream(t, can)
	s.sync.Rules.Direction, s.sync.Upload = plan.Down, Upload{}
	s.fetches("a-new", "", "first")
	s.fetches("b-replaces", "old", "replaced")
	s.fetches("c-folder/d", "older", "in a folder")
	s.fetches("d-new", "", "new")
	s.fetches("e-empty", "", "")
	s.fetches("f-long", "old", strings.Repeat("long", 1000))
	return s
}

// here is what is in the local folder, by path.
func (s *stream) here() map[string]string {
	s.t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(s.local, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		rel, _ := filepath.Rel(s.local, path)
		found[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// there is what is to be here.
func (s *stream) there() map[string]string {
	files := map[string]string{}
	for name, content := range s.server.Files() {
		files[strings.TrimPrefix(name, "/site/")] = content
	}
	return files
}

// TestDownloadsInAStreamEndAsEachByItself, to the word.
func TestDownloadsInAStreamEndAsEachByItself(t *testing.T) {
	for _, name := range []string{"with MLST", "without MLST", "that tells no times"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := newDownStream(t, dialects[name]), newDownStream(t, dialects[name])
			want, got := one.ordinarily(1), other.streamed(1)
			if diff := cmp.Diff(want, got, ofNoImportance, cmpopts.IgnoreFields(Outcome{}, "Temp")); diff != "" {
				t.Errorf("each by itself (-), in a stream (+):\n%s", diff)
			}
			for path, o := range got {
				if !strings.Contains(o.Temp, "ftpferry-"+instance) || o.Result != Done {
					t.Errorf("%s: %s, under the name %q: %v", path, o.Result, o.Temp, o.Err)
				}
			}
			if diff := cmp.Diff(other.there(), other.here()); diff != "" {
				t.Errorf("on the server (-), local (+):\n%s", diff)
			}
			for path := range other.there() {
				info, err := os.Stat(filepath.Join(other.local, path))
				if err != nil || name != "that tells no times" && !info.ModTime().Equal(stamped) {
					t.Errorf("%s: %v %v", path, info.ModTime(), err)
				}
			}
		})
	}
}

// TestWhatAStreamOfDownloadsAsks is two looks, and the file.
func TestWhatAStreamOfDownloadsAsks(t *testing.T) {
	s := newDownStream(t, modern)
	s.streamed(1)
	count := map[string]int{}
	for _, command := range s.commands {
		verb, _, _ := strings.Cut(command, " ")
		count[verb]++
	}
	n := len(s.ops)
	want := map[string]int{"MLST": 2 * n, "RETR": n, "SIZE": n, "EPSV": n}
	for verb, most := range want {
		if count[verb] != most {
			t.Errorf("%s %d times for %d files: %q", verb, count[verb], n, s.commands)
		}
	}
	position := func(command string) int {
		for i, said := range s.commands {
			if said == command {
				return i
			}
		}
		return -1
	}
	second := -1
	for i, said := range s.commands {
		if said == "MLST /site/a-new" {
			second = i
		}
	}
	if second < position("RETR /site/a-new") || second > position("RETR /site/b-replaces") {
		t.Errorf("the second look at a file does not go with the next one: %q", s.commands)
	}
}

// TestAStreamOfDownloadsThatIsCutAnywhere loses nothing and tears nothing.
func TestAStreamOfDownloadsThatIsCutAnywhere(t *testing.T) {
	for _, name := range []string{"with MLST", "without MLST"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			can := dialects[name]
			whole := newDownStream(t, can)
			whole.streamed(1)
			cutEverywhere(t, whole, can, cutDownAt)
		})
	}
}

func cutDownAt(t *testing.T, can ftptest.Abilities, n int, command string, fault ftptest.Fault) {
	s := newDownStream(t, can)
	end := s.cutOnce(n, fault)
	before, want := s.here(), s.there()
	outcomes := s.streamed(1)
	end()
	here := s.here()
	failures, lost := 0, error(nil)
	for i, op := range s.ops {
		o := outcomes[op.Path]
		if now := here[op.Path]; now != want[op.Path] && (now != before[op.Path] || o.Result == Done) {
			t.Errorf("cut %d at %q: %s is %s and holds %q", fault, command, op.Path, o.Result, now)
		}
		if o.Result == Done {
			continue
		}
		lost = errors.Join(lost, o.Err)
		if failures++; o.Result == Stale {
			t.Errorf("cut %d at %q: %s: %s", fault, command, op.Path, o.Reason)
		}
		job := s.job(i, 2)
		if o = Do(t.Context(), s.env(job), job); o.Result != Done {
			t.Errorf("cut %d at %q: then %s is %s: %q %v", fault, command, op.Path, o.Result, o.Reason, o.Err)
		}
	}
	if failures > 0 && fault != ftptest.CutData { // what the connection was lost of is fetched once more, by another one
		t.Errorf("cut %d at %q: %d jobs failed: %v", fault, command, failures, lost)
	}
	if diff := cmp.Diff(want, s.here()); diff != "" {
		t.Errorf("cut %d at %q: wanted (-), in the end (+):\n%s", fault, command, diff)
	}
	if s.conn != nil {
		s.conn.Close()
	}
	s.server.Close()
}

// TestWhatGoesWrongInTheMiddleOfDownloads ends that one job as it would by itself, and the others well.
func TestWhatGoesWrongInTheMiddleOfDownloads(t *testing.T) {
	const middle = "d-new"
	for name, row := range map[string]struct {
		set  func(s *stream)
		want Result
		says string
		here string // what is here then; "" for nothing
	}{
		"the remote file has changed before": {func(s *stream) {
			s.server.Put("/site/"+middle, "newer one", stamped.Add(time.Hour))
		}, Stale, "the remote file changed since it was planned", ""},
		"the remote file is gone": {func(s *stream) { s.server.Remove("/site/" + middle) }, Stale, "the remote file is gone", ""},
		"the remote file changes behind its transfer": {func(s *stream) {
			s.hear = func(line string) {
				if line == "RETR /site/e-empty" || line == "SIZE /site/"+middle {
					s.server.Put("/site/"+middle, "abc", stamped.Add(time.Hour))
				}
			}
		}, Stale, "the remote file changed during the download", ""},
		"the remote file grows before its transfer": {func(s *stream) {
			s.hear = func(line string) {
				if line == "RETR /site/"+middle {
					s.server.Put("/site/"+middle, "newer, and longer", stamped)
				}
			}
		}, Stale, "the remote file grew during the download", ""},
		"the remote file is cut short": {func(s *stream) {
			s.server.Fault = func(line string) ftptest.Fault {
				if line == "RETR /site/"+middle {
					return ftptest.CutData
				}
				return ftptest.NoFault
			}
		}, Failed, "", ""},
		"the server has more than it sent": {func(s *stream) {
			s.server.Refuse = func(line string) string {
				if line == "SIZE /site/"+middle {
					return "213 99"
				}
				return ""
			}
		}, Failed, "size on the server differs from the bytes received", ""},
		"somebody puts a file here meanwhile": {func(s *stream) {
			s.hear = func(line string) {
				if line == "SIZE /site/"+middle {
					if err := os.WriteFile(filepath.Join(s.local, middle), []byte("mine"), 0o666); err != nil {
						s.t.Error(err)
					}
				}
			}
		}, Stale, "the local file changed during the download", "mine"},
		"the server refuses it": {func(s *stream) {
			s.server.Refuse = func(line string) string {
				if line == "RETR /site/"+middle {
					return "550 Permission denied."
				}
				return ""
			}
		}, Failed, "550 Permission denied", ""},
		"a person drops it while it comes": {func(s *stream) {
			s.hear = func(line string) {
				if line == "RETR /site/"+middle {
					s.dropped[middle] = true
					s.mu.Lock()
					defer s.mu.Unlock()
					s.cancel(unwanted{})
				}
			}
		}, Failed, unwanted{}.Error(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newDownStream(t, modern)
			want := maps.Clone(s.there())
			row.set(s)
			outcomes := s.streamed(1)
			o := outcomes[middle]
			text := o.Reason
			if o.Err != nil {
				text = o.Err.Error()
			}
			if o.Result != row.want || !strings.Contains(text, row.says) {
				t.Errorf("%s: %q", o.Result, text)
			}
			for path, o := range outcomes {
				if path != middle && o.Result != Done {
					t.Errorf("%s: %s, %q %v", path, o.Result, o.Reason, o.Err)
				}
			}
			if want[middle] = row.here; row.here == "" {
				delete(want, middle)
			}
			if diff := cmp.Diff(want, s.here()); diff != "" {
				t.Errorf("wanted (-), here (+):\n%s", diff)
			}
		})
	}
}
