package work

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

func TestMain(m *testing.M) {
	ftptest.WaitTogether()
	goleak.VerifyTestMain(m)
}

type step = ftptest.Step

const (
	instance = "0badcafe"
	temp     = ".a.txt.ftpferry-0badcafe-7.1"
	stamp    = "20200229123456"
)

var stamped = time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)

// noState is a state in which nothing is known.
type noState struct{ base *state.Baseline }

func (noState) After([]byte, int) ([]state.BaselineRow, error)            { return nil, nil }
func (noState) Children(string) ([]state.Baseline, error)                 { return nil, nil }
func (s noState) At(string) (*state.Baseline, error)                      { return s.base, nil }
func (noState) Count() (int, error)                                       { return 1, nil }
func (noState) Intents(string) ([]state.Intent, error)                    { return nil, nil }
func (noState) Appended(string) (*state.Appended, error)                  { return nil, nil }
func (noState) Dirty(int) ([]state.Dirty, error)                          { return nil, nil }
func (noState) Mark() (uint64, error)                                     { return 0, nil }
func (noState) Different(string, entry.Entry, entry.Entry) (bool, error)  { return false, nil }
func (noState) Identified(state.Side, entry.Entry, int) ([]string, error) { return nil, nil }
func (noState) Folders() (state.FolderTimes, error)                       { return state.FolderTimes{}, nil }
func (noState) Folder(string) (state.Folder, bool, error)                 { return state.Folder{}, false, nil }
func (noState) Live(uint64, int) bool                                     { return true }

// login begins every connection.
var login = []step{
	{Send: "220 Hello."}, {Expect: "USER u", Send: "230 Come in."}, {Expect: "FEAT", Send: "211-Features\n MFMT\n211 End"},
	{Expect: "SYST", Send: "215 UNIX Type: L8"}, {Expect: "PWD", Send: `257 "/"`}, {Expect: "TYPE I", Send: "200 Binary."},
}

// do carries out one operation on a.txt against a scripted server, after its login and until its farewell.
func do(t *testing.T, local string, op plan.Op, claims int, base *state.Baseline, steps ...step) Outcome {
	t.Helper()
	return doCut(t, local, op, claims, base, slices.Concat(steps, []step{{Expect: "QUIT", Send: "221 Bye."}})...)
}

// doCut is do with a server whose last step ends the connection.
func doCut(t *testing.T, local string, op plan.Op, claims int, base *state.Baseline, steps ...step) Outcome {
	t.Helper()
	outcome, _ := doWith(t, ftpclient.Options{User: "u", TLS: ftpclient.TLSNone}, local, []plan.Op{op}, claims, base, slices.Concat(login, steps)...)
	return outcome
}

// doWith is doCut with options, a login and any number of operations in a row; the outcome is
// that of the last one. It tells what was learned.
func doWith(t *testing.T, options ftpclient.Options, local string, ops []plan.Op, claims int, base *state.Baseline, steps ...step) (Outcome, ftpclient.Facts) {
	t.Helper()
	server := ftptest.NewScript(t, steps...)
	var conn *ftpclient.Conn
	env := Env{
		Sync:     Sync{Name: "s", Local: local, Remote: "/site", Rules: plan.Rules{Direction: plan.Up, Delete: true}, Upload: Upload{TempPrefix: "."}},
		State:    noState{base},
		Instance: instance,
		Logger:   slog.New(slog.DiscardHandler),
		Connect: func(ctx context.Context) (_ *ftpclient.Conn, err error) {
			if conn != nil && conn.Usable() {
				return conn, nil
			}
			o := options
			if conn != nil {
				o.Facts = conn.Facts()
				conn.Close()
			}
			conn, err = ftpclient.Dial(ctx, server.Addr, o)
			return conn, err
		},
	}
	var outcome Outcome
	for i, op := range ops {
		payload, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		job := queue.Job{ID: queue.ID(7 + i), New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: claims}
		outcome = Do(t.Context(), env, job)
	}
	var facts ftpclient.Facts
	if conn != nil {
		facts = conn.Facts()
		conn.Close()
	}
	server.Wait()
	return outcome, facts
}

// source makes a local a.txt and describes it.
func source(t *testing.T, text string) (dir string, look plan.Side) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "a.txt")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, stamped, stamped); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return dir, plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}
}

func upload7(local plan.Side) plan.Op {
	return plan.Op{Action: plan.Upload, Path: "a.txt", Local: local, Remote: plan.Side{Knowledge: plan.Seen}}
}

// Parts of conversations.
func absent(path string) []step { return []step{{Expect: "SIZE " + path, Send: "550 No such file."}} }

func sized(path string, size int) []step {
	return []step{{Expect: "SIZE " + path, Send: fmt.Sprintf("213 %d", size)}}
}

func has(path string, size int) []step {
	return []step{
		{Expect: "SIZE " + path, Send: fmt.Sprintf("213 %d", size)},
		{Expect: "MDTM " + path, Send: "213 " + stamp},
	}
}

func stores(path, text string) []step {
	return []step{
		{Expect: "EPSV", Passive: true},
		{Expect: "STOR " + path, Send: "150 Go on.", Data: &ftptest.Data{Receive: ftptest.All, Want: text, End: ftptest.Close}},
		{Send: "226 Done."},
	}
}

func refuses(path, reply string) []step {
	return []step{{Expect: "EPSV", Passive: true}, {Expect: "STOR " + path, Send: reply}}
}

func setsTime(path string) []step {
	return []step{
		{Expect: "MFMT " + stamp + " " + path, Send: "213 Modified."},
		{Expect: "MDTM " + path, Send: "213 " + stamp},
	}
}

func renames(from, to string) []step {
	return []step{{Expect: "RNFR " + from, Send: "350 And?"}, {Expect: "RNTO " + to, Send: "250 Renamed."}}
}

func TestUploadsThatEndWell(t *testing.T) {
	const text = "hello"
	hidden, plain, final := "/site/"+temp, "/site/"+temp[1:], "/site/a.txt"
	for _, row := range []struct {
		name  string
		steps []step
	}{
		{"temporary name, size, time, rename, and a last look", slices.Concat(absent(final), stores(hidden, text), sized(hidden, 5),
			setsTime(hidden), renames(hidden, final), has(final, 5))},
		{"a missing folder is made", slices.Concat(absent(final), refuses(hidden, "553 Could not create file."),
			[]step{
				{Expect: "MKD /site", Send: "257 Made."},
			}, stores(hidden, text), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5))},
		{"a missing folder is made where that is called a failure for now", slices.Concat(absent(final), refuses(hidden, "450 No such file or directory."),
			[]step{{Expect: "MKD /site", Send: "257 Made."}}, stores(hidden, text), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5))},
		{"a server that refuses leading dots gets a name without", slices.Concat(absent(final), refuses(hidden, "553 Prohibited file name."),
			[]step{{Expect: "MKD /site", Send: "550 File exists."}, {Expect: "CWD /site", Send: "250 Here."}},
			refuses(hidden, "553 Prohibited file name."), stores(plain, text), sized(plain, 5), setsTime(plain), renames(plain, final), has(final, 5))},
		{"a server that does not rename over a file gets the old one deleted when the new one is complete", slices.Concat(absent(final),
			stores(hidden, text), sized(hidden, 5), setsTime(hidden),
			[]step{{Expect: "RNFR " + hidden, Send: "350 And?"}, {Expect: "RNTO " + final, Send: "550 File exists."}},
			has(final, 3), []step{{Expect: "DELE " + final, Send: "250 Gone."}}, renames(hidden, final), has(final, 5))},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, local := source(t, text)
			o := do(t, dir, upload7(local), 1, nil, row.steps...)
			if o.Result != Done || o.Base == nil || o.Bytes != 5 {
				t.Errorf("outcome %v (%v), %d bytes, base %+v", o.Result, o.Err, o.Bytes, o.Base)
			}
		})
	}
}

func TestUploadsThatMustNotReachTheFinalName(t *testing.T) {
	const text = "hello"
	hidden, final := "/site/"+temp, "/site/a.txt"
	discards := []step{{Expect: "DELE " + hidden, Send: "250 Gone."}}
	for _, row := range []struct {
		name  string
		want  Result
		steps []step
	}{
		{"the server says 226 and has fewer bytes", Failed, slices.Concat(absent(final), stores(hidden, text), sized(hidden, 4), discards)},
		{"the server says 226 and has nothing", Failed, slices.Concat(absent(final), stores(hidden, text), absent(hidden), absent(hidden), discards)},
		{"the server says 426", Failed, slices.Concat(absent(final), []step{
			{Expect: "EPSV", Passive: true},
			{Expect: "STOR " + hidden, Send: "150 Go on.", Data: &ftptest.Data{Receive: ftptest.All, Want: text, End: ftptest.Close}},
			{Send: "426 Broken."},
		}, discards)},
		{"the quota is exceeded at the end", Failed, slices.Concat(absent(final), []step{
			{Expect: "EPSV", Passive: true},
			{Expect: "STOR " + hidden, Send: "150 Go on.", Data: &ftptest.Data{Receive: ftptest.All, Want: text, End: ftptest.Close}},
			{Send: "552 Quota exceeded."},
		}, discards)},
		{"the server is busy: no folder is missing", Failed, slices.Concat(absent(final), refuses(hidden, "450 Try again later."), discards)},
		{"the remote file is not what the plan saw", Stale, has(final, 77)},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, local := source(t, text)
			if o := do(t, dir, upload7(local), 1, nil, row.steps...); o.Result != row.want || o.Base != nil {
				t.Errorf("outcome %v (%v), base %+v; want %v", o.Result, o.Err, o.Base, row.want)
			}
		})
	}
}

// TestATemporaryFileThatIsInTheWayIsRemoved: where data connections cannot be proven, the client replaces no file.
func TestATemporaryFileThatIsInTheWayIsRemoved(t *testing.T) {
	hidden, final := "/site/"+temp, "/site/a.txt"
	dir, local := source(t, "hello")
	talk := func(lines ...string) (steps []step) {
		for i := 0; i < len(lines); i += 2 {
			steps = append(steps, step{Expect: lines[i], Send: lines[i+1]})
		}
		return steps
	}
	options := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Data: ftpclient.DataOptions{Policy: ftpclient.DataActiveOnly}}
	o, _ := doWith(t, options, dir, []plan.Op{upload7(local)}, 1, nil, slices.Concat(login, absent(final),
		talk("STAT", "502 No.", "CWD /site", "250 Here.", "PORT *", "200 Ok.", "NLST", "550 Permission denied.", "PORT *", "200 Ok.", "LIST", "550 Permission denied."),
		sized(hidden, 3), talk("DELE "+hidden, "250 Gone.", "QUIT", "221 Bye."))...)
	if o.Result != Failed || !errors.Is(o.Err, ftpclient.ErrOverwrite) {
		t.Errorf("outcome %v (%v)", o.Result, o.Err)
	}
}

func TestASecondAttempt(t *testing.T) {
	hidden, final := "/site/"+temp, "/site/a.txt" // the names of the first attempt
	left := []step{{Expect: "DELE " + hidden, Send: "250 Gone."}, {Expect: "DELE /site/" + temp[1:], Send: "550 No such file."}}

	t.Run("removes what the first has left, and finds its work done", func(t *testing.T) {
		dir, local := source(t, "hello")
		o := do(t, dir, upload7(local), 2, nil, slices.Concat(left, has(final, 5))...)
		if o.Result != Done || o.Bytes != 0 || o.Base == nil || o.Replan {
			t.Errorf("outcome %+v", o)
		}
	})
	t.Run("removes what those before it have left, too, where they went down before they could", func(t *testing.T) {
		dir, local := source(t, "hello")
		var all []step
		for _, attempt := range []string{"3", "2", "1"} {
			name := strings.TrimSuffix(temp, "1") + attempt
			all = append(all, step{Expect: "DELE /site/" + name, Send: "250 Gone."}, step{Expect: "DELE /site/" + name[1:], Send: "550 No such file."})
		}
		if o := do(t, dir, upload7(local), 4, nil, slices.Concat(all, has(final, 5))...); o.Result != Done {
			t.Errorf("outcome %+v", o)
		}
	})
	t.Run("tells the work of the first from a change, when the source has gone", func(t *testing.T) {
		dir, local := source(t, "hello")
		if err := os.Remove(filepath.Join(dir, "a.txt")); err != nil {
			t.Fatal(err)
		}
		o := do(t, dir, upload7(local), 2, nil, slices.Concat(left, has(final, 5))...)
		if o.Result != Done || o.Base == nil || !o.Replan {
			t.Errorf("outcome %+v", o)
		}
	})
	t.Run("does not take the version before for its own", func(t *testing.T) {
		// Same size, same second; but this is what both sides had agreed on.
		dir, local := source(t, "hello")
		old := local.Entry
		old.ModTime = old.ModTime.Add(time.Millisecond)
		remote := entry.Entry{Kind: entry.File, Size: 5, ModTime: stamped, Precision: time.Second}
		op := upload7(local)
		op.Remote.Entry = remote
		op.Base = &plan.Base{Local: old, Remote: remote}
		o := do(t, dir, op, 1, &state.Baseline{Path: "a.txt", Local: old, Remote: remote},
			slices.Concat(has(final, 5), stores(hidden, "hello"), sized(hidden, 5), setsTime(hidden), renames(hidden, final), has(final, 5))...)
		if o.Result != Done || o.Bytes != 5 {
			t.Errorf("outcome %v (%v), %d bytes sent", o.Result, o.Err, o.Bytes)
		}
	})
}

func TestDownloads(t *testing.T) {
	final := "/site/a.txt"
	remote := entry.Entry{Kind: entry.File, Size: 5, ModTime: stamped, Precision: time.Second}
	retrieves := func(text, reply string) []step {
		return []step{
			{Expect: "EPSV", Passive: true},
			{Expect: "RETR " + final, Send: "150 Here it comes.", Data: &ftptest.Data{Send: text, End: ftptest.Close}},
			{Send: reply},
		}
	}
	size := func(n int) []step { return []step{{Expect: "SIZE " + final, Send: fmt.Sprintf("213 %d", n)}} }
	for _, row := range []struct {
		name  string
		want  Result
		file  string // content afterwards
		steps []step
	}{
		{"complete", Done, "hello", slices.Concat(has(final, 5), retrieves("hello", "226 Done."), size(5), has(final, 5))},
		{"cut short, and the server says 226", Failed, "", slices.Concat(has(final, 5), retrieves("hel", "226 Done."), size(5))},
		{"refused at the end", Failed, "", slices.Concat(has(final, 5), retrieves("hello", "451 Disk trouble."))},
		{"changed meanwhile", Stale, "", slices.Concat(has(final, 5), retrieves("hello", "226 Done."), size(5), has(final, 6))},
		{"changed before", Stale, "", has(final, 6)},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			op := plan.Op{Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: remote}}
			o := do(t, dir, op, 1, nil, row.steps...)
			if o.Result != row.want {
				t.Errorf("outcome %v (%v), want %v", o.Result, o.Err, row.want)
			}
			content, _ := os.ReadFile(filepath.Join(dir, "a.txt"))
			if string(content) != row.file {
				t.Errorf("the file holds %q, want %q", content, row.file)
			}
			left, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range left {
				if strings.Contains(e.Name(), "ftpferry") {
					t.Errorf("%s was left behind", e.Name())
				}
			}
		})
	}
}

func TestJobsThatNobodyKnows(t *testing.T) {
	for _, job := range []queue.Job{
		{New: queue.New{Kind: "dance"}},
		{New: queue.New{Kind: string(plan.Upload), Payload: json.RawMessage(`"nonsense"`)}},
	} {
		o := Do(t.Context(), Env{}, job)
		if o.Result != Failed || o.Err == nil || !strings.Contains(o.Err.Error(), ErrUnknownKind.Error()) {
			t.Errorf("%s: outcome %v, %v", job.Kind, o.Result, o.Err)
		}
	}
}
