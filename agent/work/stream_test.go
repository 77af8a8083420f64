package work

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// stream carries out jobs in a Stream on a server in memory, as a worker does.
type stream struct {
	t      *testing.T
	server *ftptest.Memory
	local  string
	sync   Sync
	bases  map[string]*state.Baseline
	// dropped are the jobs that nobody wants any more, and jobs what is to be done.
	dropped map[string]bool
	ops     []plan.Op
	ids     map[string]queue.ID
	asked   atomic.Int32

	facts ftpclient.Facts
	conn  *ftpclient.Conn
	dial  func(ctx context.Context) (*ftpclient.Conn, error)

	mu       sync.Mutex // guards what follows
	commands []string
	// hear is called before each command, and cancel breaks off the job at hand.
	hear   func(command string)
	cancel context.CancelCauseFunc
}

// basedState is a state with baselines.
type basedState struct {
	noState
	bases map[string]*state.Baseline
	asked *atomic.Int32 // how often what was sent before was asked for, if not nil
}

func (s basedState) At(rel string) (*state.Baseline, error) { return s.bases[rel], nil }

func (s basedState) Appended(string) (*state.Appended, error) {
	if s.asked != nil {
		s.asked.Add(1)
	}
	return nil, nil
}

// oddly is a time that not all file systems can keep.
var oddly = stamped.Add(time.Second)

var modern = ftptest.Abilities{MLSD: true, MDTM: true, MFMT: true, Restart: true}

func newStream(t *testing.T, can ftptest.Abilities) *stream {
	t.Helper()
	s := &stream{
		t: t, server: ftptest.NewMemory(t, can), local: t.TempDir(), bases: map[string]*state.Baseline{}, dropped: map[string]bool{},
		ids: map[string]queue.ID{},
	}
	s.dial = s.connect
	s.sync = Sync{Name: "s", Local: s.local, Remote: "/site", Rules: plan.Rules{Direction: plan.Up, Delete: true}, Upload: Upload{TempPrefix: "."}}
	s.server.MakeDir("/site")
	s.server.Before = func(line string) {
		s.mu.Lock()
		s.commands = append(s.commands, line)
		hear := s.hear
		s.mu.Unlock()
		if hear != nil {
			hear(line)
		}
	}
	t.Cleanup(func() {
		if s.conn != nil {
			s.conn.Close()
		}
	})
	return s
}

func (s *stream) connect(ctx context.Context) (_ *ftpclient.Conn, err error) {
	if s.conn != nil && s.conn.Usable() {
		return s.conn, nil
	}
	if s.conn != nil {
		s.facts = s.conn.Facts()
		s.conn.Close()
	}
	proxy, err := url.Parse(ftptest.Proxy)
	if err != nil {
		return nil, err
	}
	options := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Proxy: proxy, DialContext: s.server.Dial, Facts: s.facts}
	options.Data.Policy = ftpclient.DataPassiveOnly
	s.conn, err = ftpclient.Dial(ctx, s.server.Addr, options)
	return s.conn, err
}

// write makes a local file, and wants it to be uploaded.
func (s *stream) write(name, content string) {
	s.t.Helper()
	op := plan.Op{Action: plan.Upload, Path: name, Local: s.file(name, content), Remote: plan.Side{Knowledge: plan.Seen}}
	s.ops = append(s.ops, op)
	s.ids[name] = queue.ID(6 + len(s.ops))
}

func (s *stream) file(name, content string) plan.Side {
	s.t.Helper()
	full := filepath.Join(s.local, filepath.FromSlash(name))
	writeStamped(s.t, full, content)
	if err := os.Chtimes(full, oddly, oddly); err != nil {
		s.t.Fatal(err)
	}
	info, err := os.Lstat(full)
	if err != nil {
		s.t.Fatal(err)
	}
	return plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}
}

// replace is write for a file that was in step with other content.
func (s *stream) replace(name, old, content string) {
	s.t.Helper()
	was := s.file(name, old).Entry
	was.ModTime = was.ModTime.Add(-time.Hour)
	s.server.Put("/site/"+name, old, was.ModTime)
	there := entry.Entry{Kind: entry.File, Size: int64(len(old)), ModTime: was.ModTime, Precision: time.Second}
	s.bases[name] = &state.Baseline{Path: name, Local: was, Remote: there}
	s.write(name, content)
	last := &s.ops[len(s.ops)-1]
	last.Remote.Entry, last.Base = there, &plan.Base{Local: was, Remote: there}
}

func (s *stream) job(i int, attempt int) queue.Job {
	s.t.Helper()
	payload, err := json.Marshal(s.ops[i])
	if err != nil {
		s.t.Fatal(err)
	}
	return queue.Job{ID: s.ids[s.ops[i].Path], New: queue.New{Kind: string(s.ops[i].Action), Sync: "s", Path: s.ops[i].Path, Payload: payload}, Claims: attempt}
}

func (s *stream) env(job queue.Job) Env {
	return Env{
		Sync: s.sync, State: basedState{bases: s.bases, asked: &s.asked}, Instance: instance, Connect: s.dial, Live: new(Live),
		Logger:  slog.New(slog.NewTextHandler(s.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
		Dropped: func() bool { return s.dropped[job.Path] },
	}
}

// streamed carries all jobs out in one stream and returns what came of them, by path. Those that are done are in step then.
func (s *stream) streamed(attempt int) map[string]Outcome {
	s.t.Helper()
	outcomes := map[string]Outcome{}
	stream := NewStream(func(o Outcome) {
		if _, twice := outcomes[o.Job.Path]; twice {
			s.t.Errorf("%s is reported twice", o.Job.Path)
		}
		if next := s.ops[len(outcomes)].Path; o.Job.Path != next {
			s.t.Errorf("%s is reported, before %s", o.Job.Path, next)
		}
		outcomes[o.Job.Path] = o
	})
	for i := range s.ops {
		job := s.job(i, attempt)
		more := i+1 < len(s.ops) && IsStreamed(s.sync, s.job(i+1, attempt))
		s.carryOut(stream, job, more)
	}
	stream.End()
	for _, op := range s.ops {
		if _, reported := outcomes[op.Path]; !reported {
			s.t.Errorf("%s is not reported", op.Path)
		}
	}
	return outcomes
}

func (s *stream) carryOut(stream *Stream, job queue.Job, more bool) {
	ctx, cancel := Interruptible(s.t.Context())
	defer cancel(nil)
	s.mu.Lock()
	s.cancel = cancel
	s.mu.Unlock()
	stream.Do(ctx, s.env(job), job, more)
}

// ordinarily is streamed with each job by itself.
func (s *stream) ordinarily(attempt int) map[string]Outcome {
	outcomes := map[string]Outcome{}
	for i := range s.ops {
		job := s.job(i, attempt)
		outcomes[job.Path] = Do(s.t.Context(), s.env(job), job)
	}
	return outcomes
}

// fill gives a stream files of all kinds: the first one teaches the client what it has to know.
func (s *stream) fill() {
	s.write("a-first", "first")
	s.replace("b-replaces", "old", "replaced")
	s.replace("c-replaces", "older", "replaced, too")
	s.write("d-new", "new")
	s.write("e-empty", "")
	s.write("f-folder/g-new", "in a folder that is missing")
	s.replace("h-last", "old once more", strings.Repeat("long", 1000))
}

// wanted is what is to be on the server in the end.
func (s *stream) wanted() map[string]string {
	s.t.Helper()
	files := map[string]string{}
	for _, op := range s.ops {
		content, err := os.ReadFile(filepath.Join(s.local, filepath.FromSlash(op.Path)))
		if err != nil {
			s.t.Fatal(err)
		}
		files["/site/"+op.Path] = string(content)
	}
	return files
}

// ofNoImportance are the parts of outcomes that differ from one run to the next.
var ofNoImportance = cmp.Options{
	cmpopts.IgnoreFields(Outcome{}, "Job", "Duration", "Final"), cmpopts.IgnoreFields(entry.Entry{}, "ID"), cmpopts.EquateErrors(),
	cmpopts.EquateEmpty(), cmpopts.EquateApproxTime(time.Minute), // a server that sets no times tells that of the transfer
}

var dialects = map[string]ftptest.Abilities{
	"with MLST": modern, "with permissions": {MLSD: true, MDTM: true, MFMT: true, Chmod: true}, "without MLST": {MDTM: true, MFMT: true},
	"that sets no times": {MDTM: true}, "that tells no times": {}, "that replaces nothing": {MDTM: true, MFMT: true, NoReplace: true},
}

// TestAStreamEndsAsEachJobByItself, to the word.
func TestAStreamEndsAsEachJobByItself(t *testing.T) {
	for name, can := range dialects {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			one, other := newStream(t, can), newStream(t, can)
			one.fill()
			other.fill()
			want, got := one.ordinarily(1), other.streamed(1)
			if diff := cmp.Diff(want, got, ofNoImportance); diff != "" {
				t.Errorf("each by itself (-), in a stream (+):\n%s", diff)
			}
			if diff := cmp.Diff(other.wanted(), other.server.Files()); diff != "" {
				t.Errorf("local (-), on the server (+):\n%s", diff)
			}
		})
	}
}

// TestWhatAStreamAsksOfAServer is what one file costs between two others.
func TestWhatAStreamAsksOfAServer(t *testing.T) {
	const moves = "MFMT k-1.tmp, RNFR k-1.tmp, RNTO k-1, EPSV, STOR k.tmp, SIZE k.tmp"
	noMLST := ftptest.Abilities{MDTM: true, MFMT: true}
	untold, even := modern, modern
	untold.TimesUntold, even.EvenSeconds = true, true
	vague := func(s *stream) {
		s.server.Refuse = func(line string) string {
			if name, ok := strings.CutPrefix(line, "SIZE "); ok && s.server.Files()[name] == "" {
				return "550 no"
			}
			return ""
		}
	}
	for name, row := range map[string]struct {
		can      ftptest.Abilities
		replaces bool
		set      func(*stream)
		want     string // beside moves
	}{
		"with MLST":          {modern, false, nil, "SIZE k"},
		"without":            {noMLST, false, nil, "SIZE k"},
		"files are replaced": {modern, true, nil, "MLST k, MLST k-1"},
		"replaced, without":  {noMLST, true, nil, "SIZE k, MDTM k, SIZE k-1, MDTM k-1"},
		"both sides change":  {modern, false, func(s *stream) { s.sync.Rules.Direction = plan.Both }, "SIZE k, MLST k-1"},
		"the server does not tell which time it has set": {untold, false, nil, "SIZE k, MLST k-1"},
		"the server's disk keeps even seconds only":      {even, false, nil, "SIZE k, MLST k-1"},
		"temporary files are in another folder": {modern, false, func(s *stream) {
			s.sync.TempFolder = "/tmp"
			s.server.MakeDir("/tmp")
		}, "SIZE k, MLST k-1"},
		"SIZE does not prove that nothing is there": {modern, false, vague, "SIZE k, MLST k"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream(t, row.can)
			if row.set != nil {
				row.set(s)
			}
			for i := range 10 {
				if path, content := fmt.Sprint("file-", i), fmt.Sprint("content ", i); row.replaces {
					s.replace(path, "old", content)
				} else {
					s.write(path, content)
				}
			}
			s.streamed(1)
			if asked := s.asked.Load(); asked > 1 && !row.replaces { // the first file may go by itself
				t.Errorf("%d transactions for what was sent of new files", asked)
			}
			var got []string
			within := false
			for _, command := range s.commands {
				verb, _, _ := strings.Cut(command, " ")
				if verb == "MFMT" && strings.Contains(command, "file-7") {
					break
				}
				within = within || verb == "MFMT" && strings.Contains(command, "file-6")
				if !within {
					continue
				}
				for i, k := range map[int]string{6: "k-1", 7: "k"} {
					if strings.Contains(command, fmt.Sprint(".file-", i, ".ftpferry")) {
						verb += " " + k + ".tmp"
					} else if strings.HasSuffix(command, fmt.Sprint("file-", i)) {
						verb += " " + k
					}
				}
				got = append(got, verb)
			}
			slices.Sort(got) // where the questions about one file stand in the write is the client's affair
			want := slices.Sorted(slices.Values(strings.Split(moves+", "+row.want, ", ")))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("wanted (-), sent (+):\n%s", diff)
			}
		})
	}
}

// TestAStreamThatIsCutAnywhere loses nothing and tears nothing: the connection ends at each command of a stream in turn, before it is
// carried out, behind that, or in the middle of the data. What failed is done by the second attempt.
func TestAStreamThatIsCutAnywhere(t *testing.T) {
	for _, name := range []string{"with MLST", "without MLST", "that replaces nothing"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			can := dialects[name]
			whole := newStream(t, can)
			whole.fill()
			whole.streamed(1)
			cutEverywhere(t, whole, can, cutAt)
		})
	}
}

// cutEverywhere has a stream like whole, which went well, cut at each of its commands in each way.
func cutEverywhere(t *testing.T, whole *stream, can ftptest.Abilities, cut func(*testing.T, ftptest.Abilities, int, string, ftptest.Fault)) {
	for n, command := range whole.commands {
		faults := []ftptest.Fault{ftptest.CutBefore, ftptest.CutAfter}
		if strings.HasPrefix(command, "STOR") || strings.HasPrefix(command, "RETR") {
			faults = append(faults, ftptest.CutData, ftptest.CutBoth)
		}
		for _, fault := range faults {
			cut(t, can, n, command, fault)
		}
	}
}

// cutOnce has the server of s cut its connection once, at the n-th command from now; the function that it returns says that it is over.
func (s *stream) cutOnce(n int, fault ftptest.Fault) (end func()) {
	heard, over := 0, atomic.Bool{}
	s.server.Fault = func(string) ftptest.Fault {
		if heard++; heard == n+1 && !over.Load() {
			return fault
		}
		return ftptest.NoFault
	}
	return func() { over.Store(true) }
}

func cutAt(t *testing.T, can ftptest.Abilities, n int, command string, fault ftptest.Fault) {
	s := newStream(t, can)
	s.fill()
	want, before := s.wanted(), s.server.Files()
	end := s.cutOnce(n, fault)
	s.server.Changed = func(name, content string) {
		if final := want[name]; !strings.Contains(name, "ftpferry") && content != final {
			t.Errorf("cut %d at %q: %s gets %q", fault, command, name, content)
		}
	}
	outcomes := s.streamed(1)
	end()
	for path, o := range outcomes {
		name := "/site/" + path
		now := s.server.Files()[name]
		deleted := can.NoReplace && now == "" // in between, the only copy has its temporary name
		if now != want[name] && (now != before[name] && !deleted || o.Result == Done) {
			t.Errorf("cut %d at %q: %s is %s and holds %q", fault, command, path, o.Result, now)
		}
		if o.Result == Stale || o.Result == Done && (o.Base == nil || o.Base.Remote.Size != int64(len(want[name]))) {
			t.Errorf("cut %d at %q: %s: %+v", fault, command, path, o)
		}
	}
	s.ops = slices.DeleteFunc(s.ops, func(op plan.Op) bool { return outcomes[op.Path].Result == Done })
	if len(s.ops) > 1 {
		t.Errorf("cut %d at %q: %d jobs failed", fault, command, len(s.ops))
	}
	for _, op := range s.ops {
		if command == "RNTO /site/"+op.Path && !can.NoReplace { // it is all there, and another connection tells what became of it
			t.Errorf("cut %d at %q: %v", fault, command, outcomes[op.Path].Err)
		}
	}
	for path, o := range s.streamed(2) {
		if o.Result != Done {
			t.Errorf("cut %d at %q: then %s is %s: %v", fault, command, path, o.Result, o.Err)
		}
	}
	if diff := cmp.Diff(want, s.server.Files()); diff != "" {
		t.Errorf("cut %d at %q: wanted (-), in the end (+):\n%s", fault, command, diff)
	}
	if s.conn != nil {
		s.conn.Close()
	}
	s.server.Close()
}

// TestWhatGoesWrongInTheMiddleOfAStream ends that one job as it would by itself, and the others well.
func TestWhatGoesWrongInTheMiddleOfAStream(t *testing.T) {
	const middle = "d-new"
	isTemp := func(line, verb string) bool {
		return strings.HasPrefix(line, verb+" ") && strings.Contains(line, "."+middle+".ftpferry")
	}
	for name, row := range map[string]struct {
		set  func(s *stream)
		want Result
		says string // in the reason or the error
		// there is what is on the server then; "" is nothing
		there string
	}{
		"the local file changes while it is sent": {func(s *stream) {
			s.hear = func(line string) {
				if isTemp(line, "STOR") {
					if err := os.WriteFile(filepath.Join(s.local, middle), []byte("NEW"), 0o666); err != nil {
						s.t.Error(err)
					}
				}
			}
		}, Stale, "the local file changed during the upload", ""},
		"the local file has changed before": {func(s *stream) {
			if err := os.WriteFile(filepath.Join(s.local, middle), []byte("newer"), 0o666); err != nil {
				s.t.Error(err)
			}
		}, Stale, "the local file changed since it was planned", ""},
		"the local file is gone": {func(s *stream) {
			if err := os.Remove(filepath.Join(s.local, middle)); err != nil {
				s.t.Error(err)
			}
		}, Stale, "the local file changed since it was planned", ""},
		"somebody else has put a file there": {func(s *stream) {
			s.server.Put("/site/"+middle, "theirs", stamped.Add(time.Hour))
		}, Stale, "the remote file changed since it was planned", "theirs"},
		"it is there already": {func(s *stream) {
			s.server.Put("/site/"+middle, "new", oddly)
		}, Done, "was there already", "new"},
		"the disk of the server is full": {func(s *stream) {
			s.server.Refuse = func(line string) string {
				if isTemp(line, "STOR") {
					return "552 Exceeded storage allocation."
				}
				return ""
			}
		}, Failed, "552", ""},
		"the server forbids the name": {func(s *stream) {
			s.server.Refuse = func(line string) string {
				if strings.HasPrefix(line, "STOR ") && strings.Contains(line, middle) {
					return "553 Prohibited."
				}
				return ""
			}
		}, Failed, "553", ""},
		"the server renames nothing to that name": {func(s *stream) {
			s.server.Refuse = func(line string) string {
				if line == "RNTO /site/"+middle {
					return "553 Prohibited."
				}
				return ""
			}
		}, Failed, "553", ""},
		"the server loses bytes": {func(s *stream) {
			s.server.Refuse = func(line string) string {
				if isTemp(line, "SIZE") || isTemp(line, "MLST") {
					return map[bool]string{true: "213 2", false: "550 No such file."}[isTemp(line, "SIZE")]
				}
				return ""
			}
		}, Failed, "size on the server differs", ""},
		"the server calls the transfer broken": {func(s *stream) {
			s.server.Fault = func(line string) ftptest.Fault {
				if isTemp(line, "STOR") {
					return ftptest.CutData
				}
				return ftptest.NoFault
			}
		}, Failed, "426", ""},
		"a person drops it while it is sent": {func(s *stream) {
			s.hear = func(line string) {
				if isTemp(line, "STOR") {
					s.dropped[middle] = true
					s.mu.Lock()
					defer s.mu.Unlock()
					s.cancel(unwanted{})
				}
			}
		}, Failed, unwanted{}.Error(), ""},
		"a person drops it while it gets its name, which is too late": {func(s *stream) {
			s.hear = func(line string) {
				if isTemp(line, "RNFR") {
					s.dropped[middle] = true
				}
			}
		}, Done, "", "new"},
		"a person drops the next one while it gets its name": {func(s *stream) {
			s.hear = func(line string) {
				if isTemp(line, "RNFR") {
					s.dropped["e-empty"] = true
					s.mu.Lock()
					defer s.mu.Unlock()
					s.cancel(unwanted{})
				}
			}
		}, Done, "", "new"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStream(t, modern)
			s.fill()
			want := s.wanted()
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
				if path != middle && !s.dropped[path] && o.Result != Done {
					t.Errorf("%s: %s, %q %v", path, o.Result, o.Reason, o.Err)
				}
			}
			if want["/site/"+middle] = row.there; row.there == "" {
				delete(want, "/site/"+middle)
			}
			maps.DeleteFunc(want, func(name, _ string) bool { return strings.Contains(name, "empty") && s.dropped["e-empty"] })
			if diff := cmp.Diff(want, s.server.Files()); diff != "" {
				t.Errorf("wanted (-), on the server (+):\n%s", diff)
			}
		})
	}
}
