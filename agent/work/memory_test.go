package work

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// memoryEnv is the environment of jobs on a server in memory; conn, if it can still be used, is closed with the test.
func memoryEnv(t *testing.T, server *ftptest.Memory, local string) Env {
	t.Helper()
	proxy, err := url.Parse(ftptest.Proxy)
	if err != nil {
		t.Fatal(err)
	}
	options := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Proxy: proxy, DialContext: server.Dial}
	options.Data.Policy = ftpclient.DataPassiveOnly
	var conn *ftpclient.Conn
	t.Cleanup(func() {
		if conn != nil {
			conn.Close()
		}
	})
	return Env{
		Sync:     Sync{Name: "s", Local: local, Remote: "/site", Rules: plan.Rules{Direction: plan.Up, Delete: true}, Upload: Upload{TempPrefix: "."}},
		State:    noState{},
		Instance: instance,
		Logger:   slog.New(slog.DiscardHandler),
		Connect: func(ctx context.Context) (_ *ftpclient.Conn, err error) {
			if conn != nil && conn.Usable() {
				return conn, nil
			}
			if conn != nil {
				conn.Close()
			}
			conn, err = ftpclient.Dial(ctx, server.Addr, options)
			return conn, err
		},
	}
}

// TestARenameWhoseReplyIsLostIsNotTakenForARefusal: the first one was refused as the folder was missing, the second one was carried
// out, and the server shows no names with a dot, so that nothing tells what became of the temporary file.
func TestARenameWhoseReplyIsLostIsNotTakenForARefusal(t *testing.T) {
	server := ftptest.NewMemory(t, ftptest.Abilities{MDTM: true, MFMT: true, HideDots: true})
	server.MakeDir("/site")
	renames := 0
	server.Fault = func(line string) ftptest.Fault {
		if strings.HasPrefix(line, "RNTO") {
			if renames++; renames == 2 {
				return ftptest.CutAfter
			}
		}
		return ftptest.NoFault
	}
	server.Lost = func(verb, name, content string) {
		if verb == "DELE" && content == "content" {
			t.Errorf("what had arrived was deleted: %s", name)
		}
	}
	local := t.TempDir()
	full := filepath.Join(local, "z", "d")
	if err := os.Mkdir(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(full, stamped, stamped); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(full)
	if err != nil {
		t.Fatal(err)
	}
	op := plan.Op{Action: plan.Upload, Path: "z/d", Local: plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}, Remote: plan.Side{Knowledge: plan.Seen}}
	payload, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	env := memoryEnv(t, server, local)
	env.Sync.Upload.TempFolder = ".incoming"
	Do(t.Context(), env, queue.Job{ID: 7, New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: 1})
	if renames != 2 || server.Files()["/site/z/d"] != "content" {
		t.Errorf("after %d renames: %v", renames, server.Files())
	}
}

// TestALeftOverUnderWhatIsAFileByNowIsGone with the folder that it was in.
func TestALeftOverUnderWhatIsAFileByNowIsGone(t *testing.T) {
	server := ftptest.NewMemory(t, ftptest.Abilities{})
	server.Put("/site/z", "a file", time.Now())
	local := t.TempDir()
	if err := os.WriteFile(filepath.Join(local, "z"), []byte("a file"), 0o666); err != nil {
		t.Fatal(err)
	}
	left := "z/" + scan.TempName("d", instance, 6, 1)
	for _, kind := range []string{KindSweepLocal, KindSweepRemote} {
		job := queue.Job{ID: 7, New: queue.New{Kind: kind, Sync: "s", Path: left}, Claims: 1}
		if o := Do(t.Context(), memoryEnv(t, server, local), job); o.Result != Done {
			t.Errorf("%s: %v", kind, o.Err)
		}
	}
}

// TestWhatIsInAnotherCaseOnTheServerIsGoneThere, though a server that takes both names for one answers to the old one.
func TestWhatIsInAnotherCaseOnTheServerIsGoneThere(t *testing.T) {
	for _, row := range []struct {
		name, there string
		twin        bool // here, too, both names are one
		hears       string
		want        Result
		stays       bool
	}{
		{"the file was renamed", "/site/z/D", false, "", Done, false},
		{"its folder was renamed", "/site/Z/d", false, "", Done, false},
		{"the disk here takes both for one", "/site/z/D", true, "", Done, true},
		{"it has come back", "/site/z/d", false, "", Stale, true},
		{"the listing is refused", "/site/z/D", false, "LIST", Stale, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			server := ftptest.NewMemory(t, ftptest.Abilities{MDTM: true, IgnoreCase: true})
			server.Put(row.there, "content", stamped)
			server.Fault = func(line string) ftptest.Fault {
				if row.hears != "" && strings.HasPrefix(line, row.hears) {
					return ftptest.CutData
				}
				return ftptest.NoFault
			}
			env := memoryEnv(t, server, t.TempDir())
			env.Sync.Rules.Direction = plan.Down
			full := filepath.Join(env.Sync.Local, "z", "d")
			if err := os.Mkdir(filepath.Dir(full), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte("content"), 0o666); err != nil {
				t.Fatal(err)
			}
			if row.twin {
				if err := os.Link(full, filepath.Join(env.Sync.Local, "z", "D")); err != nil {
					t.Fatal(err)
				}
			}
			info, err := os.Lstat(full)
			if err != nil {
				t.Fatal(err)
			}
			op := plan.Op{Action: plan.DeleteLocal, Path: "z/d", Local: plan.Side{Knowledge: plan.Seen, Entry: scan.LocalEntry(info)}, Remote: plan.Side{Knowledge: plan.Seen}}
			payload, err := json.Marshal(op)
			if err != nil {
				t.Fatal(err)
			}
			o := Do(t.Context(), env, queue.Job{ID: 7, New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: 1})
			if o.Result != row.want || o.Forget != (row.want == Done) {
				t.Errorf("%v (%v) %q", o.Result, o.Err, o.Reason)
			}
			if _, err := os.Lstat(full); (err == nil) != row.stays {
				t.Errorf("what is here: %v", err)
			}
		})
	}
}

// TestAClaimedFileWhoseDeletionWasCarriedOutIsGone, on a server that shows no names with a dot, after the reply was lost.
func TestAClaimedFileWhoseDeletionWasCarriedOutIsGone(t *testing.T) {
	server := ftptest.NewMemory(t, ftptest.Abilities{MDTM: true, HideDots: true})
	server.Put("/site/a.txt", "content", stamped)
	cut := false
	server.Fault = func(line string) ftptest.Fault {
		if strings.HasPrefix(line, "DELE") && !cut {
			cut = true
			return ftptest.CutAfter
		}
		return ftptest.NoFault
	}
	env := memoryEnv(t, server, t.TempDir())
	env.Sync.Rules.Direction, env.Sync.Rules.Delete = plan.Down, false
	env.Sync.Download = Download{Claim: true, After: After{Delete: true}}
	there := entry.Entry{Kind: entry.File, Size: 7, ModTime: stamped, Precision: time.Second}
	env.State = &knownState{intents: []state.Intent{{Source: there, Down: true}}}
	op := plan.Op{Action: plan.Download, Path: "a.txt", Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Seen, Entry: there}}
	payload, err := json.Marshal(op)
	if err != nil {
		t.Fatal(err)
	}
	job := queue.Job{ID: 7, New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: 1}
	if o := Do(t.Context(), env, job); o.Result != Failed {
		t.Fatalf("%v (%v) %q", o.Result, o.Err, o.Reason)
	}
	job.Claims++
	if o := Do(t.Context(), env, job); o.Result != Done || !cut {
		t.Errorf("%v (%v) %q", o.Result, o.Err, o.Reason)
	}
	if left := server.Files(); len(left) > 0 {
		t.Errorf("%v", left)
	}
}
