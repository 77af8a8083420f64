package work

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

// claimedBy is the name of a file that job 7 of an agent has claimed.
func claimedBy(name, agent string) string { return "." + name + ".ftpferry-claim-" + agent + "-7" }

// TestTwoAgentsNeverTakeTheSameFile: both fetch all that is in one folder on the server.
func TestTwoAgentsNeverTakeTheSameFile(t *testing.T) {
	const files = 200
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		var ops []plan.Op
		for i := range files {
			name := fmt.Sprintf("file %03d", i)
			b.offer(name, name)
			ops = append(ops, plan.Op{Action: plan.Download, Path: name, Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{
				Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: int64(len(name)), ModTime: stamped, Precision: time.Second},
			}})
		}
		b.sync.Rules.Direction, b.sync.Claim, b.sync.Download.After = plan.Down, true, After{Delete: true}
		var agents sync.WaitGroup
		folders := []string{t.TempDir(), t.TempDir()}
		took := make([]int, len(folders))
		for i, instance := range []string{"0badcafe", "0badf00d"} {
			agents.Go(func() { took[i] = takeAll(t, b, folders[i], instance, ops) })
		}
		agents.Wait()
		for _, op := range ops {
			holders := 0
			for _, folder := range folders {
				if content, err := os.ReadFile(filepath.Join(folder, op.Path)); err == nil {
					holders++
					if string(content) != op.Path {
						t.Errorf("%s holds %q", op.Path, content)
					}
				}
			}
			if holders != 1 {
				t.Errorf("%d agents have %s", holders, op.Path)
			}
		}
		if took[0]+took[1] != files || took[0] == 0 || took[1] == 0 {
			t.Errorf("the agents took %v of %d files", took, files)
		}
		holds(t, b.remote, nil)
	}, "vsftpd", "proftpd")
}

// takeAll carries out all operations as one agent, and counts those that brought a file.
func takeAll(t *testing.T, b *bench, local, instance string, ops []plan.Op) (took int) {
	conn, err := ftpclient.Dial(t.Context(), b.server.Addr, ftpclient.Options{User: b.server.User, Password: b.server.Password, TLS: ftpclient.TLSNone})
	if err != nil {
		t.Error(err)
		return 0
	}
	defer conn.Close()
	sync := b.sync
	sync.Local = local
	for i, op := range ops {
		payload, err := json.Marshal(op)
		if err != nil {
			t.Error(err)
			return took
		}
		o := Do(t.Context(), Env{
			Sync: sync, State: noState{}, Instance: instance, Logger: slog.New(slog.DiscardHandler),
			Connect: func(context.Context) (*ftpclient.Conn, error) { return conn, nil },
		}, queue.Job{ID: queue.ID(i + 1), New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: 1})
		switch {
		case o.Result == Done && o.Forget:
			took++
		case o.Result != Stale:
			t.Errorf("%s: agent %s: %v (%v)", op.Path, instance, o.Result, o.Err)
		}
	}
	return took
}

// TestWhatBecomesOfADownloadedFile on the server, with and without a claim, in the usual case and after a crash at each step.
func TestWhatBecomesOfADownloadedFile(t *testing.T) {
	move := After{Move: func(rel string, _ time.Time) string { return "done/" + rel }}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, first *bench) {
		for _, row := range []struct {
			name    string
			after   After
			claim   bool
			attempt int
			before  func(b *bench) // after it was planned
			want    Result
			forget  bool
			here    map[string]string
			there   map[string]string
		}{
			{"it stays", After{}, false, 1, nil, Done, false, map[string]string{"a.txt": "one"}, map[string]string{"a.txt": "one"}},
			{"it is deleted", After{Delete: true}, false, 1, nil, Done, true, map[string]string{"a.txt": "one"}, nil},
			{"it moves", move, false, 1, nil, Done, true, map[string]string{"a.txt": "one"}, map[string]string{"done/a.txt": "one"}},
			{"it moves beside another one", move, false, 1, func(b *bench) { b.offer("done/a.txt", "old") }, Done, true,
				map[string]string{"a.txt": "one"}, map[string]string{"done/a.txt": "old", "done/a 2.txt": "one"}},
			{"it was claimed, and has its name again", After{}, true, 1, nil, Done, false, map[string]string{"a.txt": "one"}, map[string]string{"a.txt": "one"}},
			{"it was claimed, and is deleted", After{Delete: true}, true, 1, nil, Done, true, map[string]string{"a.txt": "one"}, nil},
			{"it was claimed, and moves", move, true, 1, nil, Done, true, map[string]string{"a.txt": "one"}, map[string]string{"done/a.txt": "one"}},
			{"the last attempt has claimed it and nothing else", After{Delete: true}, true, 2, claimed, Done, true, map[string]string{"a.txt": "one"}, nil},
			{"the last attempt has claimed it, and a new one came", After{}, true, 2,
				func(b *bench) { claimed(b); b.offer("a.txt", "a new one") }, Done, false,
				map[string]string{"a.txt": "one"}, map[string]string{"a.txt": "a new one", "a 2.txt": "one"}},
			{"the last attempt has fetched it", After{}, true, 2, func(b *bench) { claimed(b); b.write("a.txt", "one") }, Done, false,
				map[string]string{"a.txt": "one"}, map[string]string{"a.txt": "one"}},
			{"the last attempt has fetched and deleted it", After{Delete: true}, true, 2,
				func(b *bench) { b.write("a.txt", "one"); remove(b, "a.txt") }, Done, true, map[string]string{"a.txt": "one"}, nil},
			{"it was there already", After{Delete: true}, false, 1, func(b *bench) { b.write("a.txt", "one") }, Done, true, map[string]string{"a.txt": "one"}, nil},
			{"something of its size and time was there already", After{Delete: true}, false, 1, func(b *bench) { b.write("a.txt", "two") }, Stale, false,
				map[string]string{"a.txt": "two"}, map[string]string{"a.txt": "one"}},
			{"it has changed", After{Delete: true}, true, 1, func(b *bench) { b.offer("a.txt", "longer") }, Stale, false, nil, map[string]string{"a.txt": "longer"}},
			{"another agent has it", After{Delete: true}, true, 1, func(b *bench) { rename(b, "a.txt", claimedBy("a.txt", "0badf00d")) }, Stale, false,
				nil, map[string]string{claimedBy("a.txt", "0badf00d"): "one"}},
			{"the new place leads out of the folder", After{Move: func(string, time.Time) string { return "../x" }}, false, 1, nil, Failed, false,
				map[string]string{"a.txt": "one"}, map[string]string{"a.txt": "one"}},
		} {
			t.Run(row.name, func(t *testing.T) {
				b := first.again(t)
				b.sync.Rules.Direction, b.sync.Claim, b.sync.Download.After = plan.Down, row.claim, row.after
				b.offer("a.txt", "one")
				op := b.planned(plan.Download, "a.txt")
				if row.before != nil {
					row.before(b)
				}
				o := mustBe(t, row.want, b.download(t.Context(), op, row.attempt))
				if o.Forget != row.forget || o.Forget == (o.Base != nil) && o.Result == Done {
					t.Errorf("forget %v, base %+v", o.Forget, o.Base)
				}
				holds(t, b.local, row.here)
				holds(t, b.remote, row.there)
			})
		}
	}, "vsftpd", "pure-ftpd")
}

// TestAFileMayStandWhereAFolderIsNeeded: what went before was a file of the name that is a folder now.
func TestAFileMayStandWhereAFolderIsNeeded(t *testing.T) {
	move := After{Move: func(rel string, _ time.Time) string { return "done/today/" + rel }}
	onEach(t, ftptest.RealOptions{}, func(t *testing.T, b *bench) {
		b.sync.Download.After, b.sync.Upload.After = move, move
		for _, name := range []string{"z", "z/d"} {
			b.sync.Rules.Direction = plan.Down
			b.offer(name, "from there")
			mustBe(t, Done, b.download(t.Context(), b.planned(plan.Download, name), 1))
			if err := os.Remove(filepath.Join(b.local, name)); err != nil {
				t.Fatal(err)
			}
			b.sync.Rules.Direction = plan.Up
			b.write(name, "from here")
			b.mustUpload(name, 1)
			remove(b, name)
		}
		holds(t, b.remote, map[string]string{"done/today/z": "from there", "done/today/z 2/d": "from there"})
		holds(t, b.local, map[string]string{"done/today/z": "from here", "done/today/z 2/d": "from here"})
	}, "proftpd")
}

func claimed(b *bench) { rename(b, "a.txt", claimedBy("a.txt", instance)) }

func rename(b *bench, from, to string) {
	b.t.Helper()
	if err := os.Rename(filepath.Join(b.remote, from), filepath.Join(b.remote, to)); err != nil {
		b.t.Fatal(err)
	}
}

func remove(b *bench, name string) {
	b.t.Helper()
	if err := os.Remove(filepath.Join(b.remote, name)); err != nil {
		b.t.Fatal(err)
	}
}

// TestOnlyWhatWasDownloadedGoes: the remote file is replaced after it was fetched and before it is to be deleted.
func TestOnlyWhatWasDownloadedGoes(t *testing.T) {
	b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{}))
	b.sync.Rules.Direction, b.sync.Download.After = plan.Down, After{Delete: true}
	b.offer("a.txt", "one")
	planned := b.planned(plan.Download, "a.txt")
	b.offer("a.txt", "another")
	conn, err := b.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	o := &op{Op: planned, env: Env{Sync: b.sync}, conn: conn, remote: scan.Remote{Conn: conn, Root: b.sync.Remote}, remoteRel: "a.txt"}
	done := o.conclude(t.Context(), origin{path: o.target(), look: planned.Remote.Entry}, Outcome{Result: Done, Base: &plan.Base{}})
	if done.Forget || !done.Replan || done.Base == nil {
		t.Errorf("outcome %+v", done)
	}
	holds(t, b.remote, map[string]string{"a.txt": "another"})
}

// TestAFailedDownloadGivesBackWhatItClaimed, so that others may take it.
func TestAFailedDownloadGivesBackWhatItClaimed(t *testing.T) {
	b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Deny: []string{"RETR"}}))
	b.sync.Rules.Direction, b.sync.Claim = plan.Down, true
	b.offer("a.txt", "one")
	o := mustBe(t, Failed, b.download(t.Context(), b.planned(plan.Download, "a.txt"), 1))
	if !strings.Contains(o.Err.Error(), "retrieve") {
		t.Errorf("failed for another reason: %v", o.Err)
	}
	holds(t, b.remote, map[string]string{"a.txt": "one"})
	holds(t, b.local, nil)
}
