package scan

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// farRig is a rig with a real server: far is the sync's folder on the disk of the server.
type farRig struct {
	*rig
	server *ftptest.RealServer
	far    string
}

func newFarRig(t *testing.T, server *ftptest.RealServer, direction plan.Direction) *farRig {
	t.Helper()
	r := &farRig{rig: newRig(t, direction), server: server, far: filepath.Join(server.Root, "site")}
	os.RemoveAll(r.far) // of an earlier rig with the same server
	fill(t, r.far, "./")
	conn, err := ftpclient.Dial(t.Context(), server.Addr, ftpclient.Options{User: server.User, Password: server.Password, TLS: ftpclient.TLSNone})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	r.remote = &Remote{Conn: conn, Root: "/site"}
	return r
}

// settle does what the plan says about what is in step, as a commit does.
func (r *rig) settle(result *Result) {
	for _, a := range result.Plan.Agree {
		row := r.base[a.Path]
		row.Path, row.Local, row.Remote, row.When = a.Path, a.Base.Local, a.Base.Remote, time.Now()
		r.base[a.Path] = row
	}
	for _, rel := range result.Plan.Forget {
		delete(r.base, rel)
	}
}

// sourceAndTarget are the folders on the two disks.
func (r *farRig) sourceAndTarget() (source, target string) {
	if r.rules.Direction == plan.Down {
		return r.far, r.local
	}
	return r.local, r.far
}

// both runs test for both directions and for a server with MLSD and one that has only LIST.
func both(t *testing.T, test func(t *testing.T, r *farRig)) {
	t.Helper()
	on(t, []string{"pyftpdlib", "vsftpd"}, test)
}

func on(t *testing.T, servers []string, test func(t *testing.T, r *farRig)) {
	t.Helper()
	for _, name := range servers {
		t.Run(name, func(t *testing.T) {
			server := ftptest.Real(t, name, ftptest.RealOptions{})
			for _, direction := range []plan.Direction{plan.Up, plan.Down} {
				t.Run(string(direction), func(t *testing.T) { test(t, newFarRig(t, server, direction)) })
			}
		})
	}
}

// as turns the words of an upload into those of a download where the rig is one.
func (r *farRig) as(words ...string) []string {
	if r.rules.Direction == plan.Up {
		return words
	}
	replace := strings.NewReplacer("upload", "download", "make_remote_dir", "make_local_dir", "delete_remote", "delete_local", "sweep remote", "sweep local")
	for i := range words {
		words[i] = replace.Replace(words[i])
	}
	return words
}

func TestTwoSidedScan(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		source, target := r.sourceAndTarget()
		names := []string{"a/x", "a/sub/y", ".hidden/.z", "日本 語", "-n", "[a] *"}
		fill(t, source, names...)
		fill(t, target, names...)
		fill(t, source, "new", "a/new/deep", "becomes a file", "becomes a folder/1")
		fill(t, target, "extra", "extra folder/deep/1", "a/extra", "becomes a file/1", "becomes a folder")
		first := r.scan()
		r.want(first, r.as(
			"delete_remote a/extra", "make_remote_dir a/new", "upload a/new/deep",
			"delete_remote becomes a file/1", "delete_remote becomes a file", "delete_remote becomes a folder",
			"delete_remote extra", "delete_remote extra folder/deep/1", "delete_remote extra folder/deep", "delete_remote extra folder", "upload new",
			"agree -n", "agree .hidden", "agree .hidden/.z", "agree [a] *", "agree a", "agree a/sub", "agree a/sub/y", "agree a/x", "agree 日本 語",
		)...)
		if totals := first.Totals; totals.Local != plan.RootFilled || totals.Remote != plan.RootFilled || totals.Deletes != 5 || totals.Extra != 8 {
			t.Errorf("totals: %+v", totals)
		}
		halt := plan.Guard(first.Totals, plan.Limits{AllowsDeletes: func(int, int) bool { return true }})
		if halt == nil || halt.Code != plan.HaltFirstContact {
			t.Errorf("first contact with other files goes on: %+v", halt)
		}
	})
}

// TestSecondScanFindsNothingToDo: the times of LIST lines have minutes, days for old files, and
// a zone that nobody names. What was once found in step stays so.
func TestSecondScanFindsNothingToDo(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		names := []string{"old", "folder/older"}
		fill(t, r.local, names...)
		fill(t, r.far, names...)
		fill(t, r.local, "recent")
		fill(t, r.far, "recent")
		recent := time.Now().Add(-50 * time.Hour).Truncate(time.Minute).Add(42 * time.Second)
		for _, side := range []string{r.local, r.far} {
			if err := os.Chtimes(filepath.Join(side, "recent"), recent, recent); err != nil {
				t.Fatal(err)
			}
		}
		first := r.scan()
		r.want(first, "agree folder", "agree folder/older", "agree old", "agree recent")
		r.settle(first)
		if remote := r.base["recent"].Remote; !remote.ModTime.Equal(recent) || remote.Precision > time.Second {
			t.Errorf("the exact time was not asked for: %+v", remote)
		}
		asked := strings.Count(r.server.Log(), "MDTM")
		r.want(r.scan())
		if again := strings.Count(r.server.Log(), "MDTM"); again != asked {
			t.Errorf("asked %d times for times that are known", again-asked)
		}
	})
}

// TestSameSizeInTheSameMinute: the listing of LIST alone does not show such a change.
func TestSameSizeInTheSameMinute(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		fill(t, r.local, "file")
		fill(t, r.far, "file")
		source, target := r.sourceAndTarget()
		start := time.Now().Add(-10 * time.Minute).Truncate(time.Minute)
		for _, side := range []string{source, target} {
			if err := os.Chtimes(filepath.Join(side, "file"), start, start); err != nil {
				t.Fatal(err)
			}
		}
		r.settle(r.scan())
		r.want(r.scan())
		if err := os.Chtimes(filepath.Join(source, "file"), start, start.Add(30*time.Second)); err != nil {
			t.Fatal(err)
		}
		r.want(r.scan(), r.as("upload file")...)
	})
}

// TestAgreementIsDatedAnewOnce: a file that was young when both sides agreed is asked for until
// the agreement is old enough to settle it, and then no more.
func TestAgreementIsDatedAnewOnce(t *testing.T) {
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	r := newFarRig(t, server, plan.Down)
	fill(t, r.local, "file")
	fill(t, r.far, "file")
	r.settle(r.scan())
	row := r.base["file"]
	row.When = longAgo.Add(time.Hour)
	r.base["file"] = row
	again := r.scan()
	r.want(again, "agree file")
	if diff := cmp.Diff(plan.Base{Local: row.Local, Remote: row.Remote, When: row.When}, again.Plan.Agree[0].Base); diff != "" {
		t.Error(diff)
	}
	r.settle(again)
	asked := strings.Count(server.Log(), "MDTM")
	r.want(r.scan())
	if strings.Count(server.Log(), "MDTM") != asked {
		t.Error("the time is asked for again")
	}
}

func TestRemoteRoots(t *testing.T) {
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	for _, test := range []struct {
		name      string
		direction plan.Direction
		known     bool
		prepare   func(t *testing.T, r *farRig)
		err       error
		remote    plan.Root
		want      []string
	}{
		{"a target that is not there yet is made", plan.Up, false, func(t *testing.T, r *farRig) { remove(t, r.far, "") }, nil, plan.RootMissing,
			[]string{"make_remote_dir ", "make_remote_dir a", "upload a/x"}},
		{"a target that is gone is planned anew, for a person to approve", plan.Up, true, func(t *testing.T, r *farRig) { remove(t, r.far, "") }, nil, plan.RootMissing,
			[]string{"make_remote_dir a", "upload a/x"}},
		{"a source that is not there and never held anything", plan.Down, false, func(t *testing.T, r *farRig) { remove(t, r.far, "") }, ErrSourceMissing, plan.RootMissing, nil},
		{"a source that is gone deletes nothing", plan.Down, true, func(t *testing.T, r *farRig) { remove(t, r.far, "") }, nil, plan.RootMissing, nil},
		{"an empty target", plan.Up, true, func(*testing.T, *farRig) {}, nil, plan.RootEmpty, []string{"make_remote_dir a", "upload a/x"}},
		{"an empty source", plan.Down, true, func(*testing.T, *farRig) {}, nil, plan.RootEmpty, []string{"delete_local a/x", "delete_local a"}},
		{"a target of temporary files is empty", plan.Up, true, func(t *testing.T, r *farRig) { fill(t, r.far, ".x.ftpferry-0badcafe-1") }, nil, plan.RootEmpty,
			[]string{"make_remote_dir a", "upload a/x"}},
		{"a file where the folder should be", plan.Up, true, func(t *testing.T, r *farRig) {
			remove(t, r.far, "")
			fill(t, server.Root, "site")
		}, errNoFolder, plan.RootUnseen, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newFarRig(t, server, test.direction)
			fill(t, r.local, "a/x")
			if test.known {
				r.remember("a/x")
			}
			test.prepare(t, r)
			result, err := r.run()
			if test.err == errNoFolder && err != nil && strings.Contains(err.Error(), "is no folder") {
				return
			}
			if !errors.Is(err, test.err) || err != nil && test.err == nil {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			r.want(result, test.want...)
			if result.Totals.Remote != test.remote {
				t.Errorf("the far root is %d, want %d", result.Totals.Remote, test.remote)
			}
		})
	}
}

var errNoFolder = errors.New("is no folder")

// TestFolderThatWillNotList: only what is in it is unknown, nothing in it is deleted, and all
// else goes on.
func TestFolderThatWillNotList(t *testing.T) {
	// Of those with MLSD and those with LIST, ones that do not run as the user of the tests.
	on(t, []string{"pure-ftpd", "vsftpd"}, func(t *testing.T, r *farRig) {
		r.inStep("a/x", "a/sub/y", "b/1", "c")
		fill(t, r.far, "a/x", "a/sub/y", "b/1", "c")
		source, _ := r.sourceAndTarget()
		remove(t, source, "b", "c")
		unreadable(t, filepath.Join(r.far, "a"))
		r.want(r.scan(), append(r.as("delete_remote b/1", "delete_remote b", "delete_remote c"), "unknown a")...)

		remove(t, r.local, "a/x")
		result := r.scan()
		for _, op := range result.Plan.Ops {
			if strings.HasPrefix(op.Path, "a/") && op.Action.Deletes() {
				t.Errorf("%s %s, in a folder that nobody can look into", op.Action, op.Path)
			}
		}
		// Not even the folder itself, when it is gone at the source.
		if r.rules.Direction == plan.Up {
			remove(t, r.local, "a")
			r.want(r.scan(), "delete_remote b/1", "delete_remote b", "delete_remote c", "skip a", "unknown a")
		}
	})
}

func TestFolderStaysWhileSomethingInItDoes(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		r.filter = NewFilter(FilterOptions{Exclude: []string{"*.keep"}})
		_, target := r.sourceAndTarget()
		fill(t, target, "gone/1", "gone/sub/x.keep", "replaced/x.keep", "replaced/1")
		source, _ := r.sourceAndTarget()
		fill(t, source, "replaced")
		result := r.scan()
		r.want(result, append(r.as("delete_remote gone/1", "delete_remote replaced/1"), "skip gone/sub", "skip gone", "conflict replaced")...)
		if want := "a file takes the place of this folder, but something in it stays; kept"; result.Plan.Notes[2].Text != want {
			t.Errorf("%q, want %q", result.Plan.Notes[2].Text, want)
		}
	})
}

// TestPartsOfTrees that are on a server: each part holds one operation, and begins with a new look at the folders it is in.
func TestPartsOfTrees(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		source, target := r.sourceAndTarget()
		fill(t, source, "a/new", "a/sub/1", "a/sub/2", "b", "c/d/e")
		fill(t, target, "a/extra", "a/sub/0", "b", "gone/1", "gone/sub/2")
		r.remember("gone/1", "gone/sub/2", "a/")
		want := said(r.scan())
		all, cursor := &Result{}, (*Cursor)(nil)
		for part := 0; part == 0 || cursor != nil; part++ {
			take := func(found *Result) {
				p, q := &all.Plan, found.Plan
				p.Ops, p.Agree, p.Notes = append(p.Ops, q.Ops...), append(p.Agree, q.Agree...), append(p.Notes, q.Notes...)
				all.Totals = found.Totals
			}
			r.change = func(request *Request) {
				request.Cursor, request.Room = cursor, 1
				request.Flush = func(_ context.Context, found *Result) (int, error) {
					take(found)
					return 0, nil
				}
			}
			result := r.scan()
			if take(result); part > 20 {
				t.Fatalf("no end, at %+v", result.Cursor)
			}
			cursor = result.Cursor
		}
		r.want(all, want...)
		if all.Totals.Deletes != 4 || all.Totals.Remote != plan.RootFilled {
			t.Errorf("totals %+v", all.Totals)
		}
	})
}

func TestRemoteOrphans(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		_, target := r.sourceAndTarget()
		fill(t, target, ".dead.ftpferry-0badcafe-1", "no dot.ftpferry-0badcafe-1", ".alive.ftpferry-0badcafe-2", ".foreign.ftpferry-12345678-1")
		r.change = func(request *Request) {
			request.Orphan = func(instance string, job uint64, _ int) bool { return instance == "0badcafe" && job == 1 }
		}
		r.want(r.scan(), r.as("sweep remote .dead.ftpferry-0badcafe-1", "sweep remote no dot.ftpferry-0badcafe-1")...)
	})
}

// TestLooksAtSinglePaths with a look at the server for each.
func TestLooksAtSinglePaths(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		r.inStep("a/x", "a/sub/y", "a/same", "gone/1", "gone/2")
		fill(t, r.far, "a/x", "a/sub/y", "a/same", "gone/1", "gone/2", "new/far")
		source, target := r.sourceAndTarget()
		remove(t, source, "gone")
		fill(t, source, "new/p/1", "untouched")
		if err := os.WriteFile(filepath.Join(source, "a", "x"), []byte("longer"), 0o666); err != nil {
			t.Fatal(err)
		}
		remove(t, target, "a/sub/y")
		want := r.as("upload a/sub/y", "upload a/x", "delete_remote gone/1", "delete_remote gone/2", "delete_remote gone")
		if r.rules.Direction == plan.Up {
			want = append(want, "delete_remote new/far", "make_remote_dir new/p", "upload new/p/1", "agree new")
		} else {
			want = append(want, "make_local_dir new", "download new/far", "make_local_dir new/p", "download new/p/1")
		}
		r.want(r.scan("a/x", "a/same", "a/sub/y", "gone/2", "new/p/1", "ghost/x"), want...)
	})
}

// TestNamesThatFTPCannotCarry never reach the server, whichever side is the source.
func TestNamesThatFTPCannotCarry(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("there are no such names here")
		return
	}
	both(t, func(t *testing.T, r *farRig) {
		fill(t, r.local, ".a\nDELE victim", "b\r\nDELE victim", "folder\n/x")
		fill(t, r.far, "victim")
		r.rules.Delete = false
		want := []string{"skip .a\nDELE victim", "skip b\r\nDELE victim", "skip folder\n"}
		if r.rules.Direction == plan.Down {
			want = slices.Insert(want, 0, "download victim")
		}
		r.want(r.scan(), want...)
		r.want(r.scan(".a\nDELE victim", "folder\n/x"), "skip .a\nDELE victim", "skip folder\n")
		if _, err := os.Stat(filepath.Join(r.far, "victim")); err != nil {
			t.Error(err)
		}
	})
}

func TestTransferThatWasCutOffIsRecognized(t *testing.T) {
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newFarRig(t, server, plan.Up)
	fill(t, r.local, "file", "other")
	fill(t, r.far, "file", "other")
	sent := entry.Entry{Kind: entry.File, Size: 4, ModTime: longAgo, Precision: time.Nanosecond}
	var asked []string
	r.change = func(request *Request) {
		request.Intents = func(rel string) ([]state.Intent, error) {
			asked = append(asked, rel)
			return []state.Intent{{Source: entry.Entry{Kind: entry.File, Size: 99}}, {Source: sent}}, nil
		}
	}
	remove(t, r.local, "file")
	result := r.scan("file", "other")
	r.want(result, "delete_remote file", "agree other")
	if result.Plan.Ops[0].Extra {
		t.Error("our own file counts as something that was never in step")
	}
	r.settle(result)
	asked = nil
	r.scan("other")
	if len(asked) > 0 {
		t.Errorf("asked for intents of %q, which is as it was", asked)
	}
	broken := errors.New("broken")
	r.change = func(request *Request) {
		request.Intents = func(string) ([]state.Intent, error) { return nil, broken }
	}
	if _, err := r.run("file"); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestRemoteEntry(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 0, 0, time.UTC)
	for _, test := range []struct {
		in   list.Entry
		want entry.Entry
	}{
		{list.Entry{Type: list.File, Size: 7, ModTime: at, Precision: time.Minute}, entry.Entry{Kind: entry.File, Size: 7, ModTime: at, Precision: time.Minute}},
		{list.Entry{Type: list.File, Size: -1}, entry.Entry{Kind: entry.File, Size: -1}},
		{list.Entry{Type: list.Dir, Size: 4096, ModTime: at}, entry.Entry{Kind: entry.Dir}},
		{list.Entry{Type: list.Link, Size: 11, Target: "/etc"}, entry.Entry{Kind: entry.Link, Target: "/etc"}},
		{list.Entry{}, entry.Entry{Kind: entry.Other}},
	} {
		if diff := cmp.Diff(test.want, RemoteEntry(test.in)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestListingThatNamesAFileTwice: the name is neither there nor absent, and the rest counts.
func TestListingThatNamesAFileTwice(t *testing.T) {
	file, dir := list.Entry{Name: "twice", Type: list.File, Size: 1}, list.Entry{Name: "twice", Type: list.Dir}
	l := ftpclient.Listing{Listing: list.Listing{Entries: []list.Entry{file, {Name: "once", Type: list.Dir}, dir, file}}}
	got := remoteEntries(l)
	if diff := cmp.Diff([]Named{{Name: "once", Entry: entry.Entry{Kind: entry.Dir}}}, got.Names); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(got.Unknown, `"twice" twice`) {
		t.Errorf("unknown: %q", got.Unknown)
	}
}

// TestWhatIsTooYoungOnOneSide is told with the moment when it is old enough, which nothing else tells of: also by a look at both
// sides, where it is missing on the other one.
func TestWhatIsTooYoungOnOneSide(t *testing.T) {
	both(t, func(t *testing.T, r *farRig) {
		r.filter = NewFilter(FilterOptions{MinAge: 48 * time.Hour, MaxSize: 20})
		source, _ := r.sourceAndTarget()
		young := time.Now().Add(-time.Hour).Truncate(time.Minute)
		for _, name := range []string{"young", "young, but too large for ever"} {
			fill(t, source, name)
			if err := os.Chtimes(filepath.Join(source, name), young, young); err != nil {
				t.Fatal(err)
			}
		}
		found := r.scan()
		r.want(found, "skip young")
		for _, n := range found.Plan.Notes {
			if !n.Held || !n.Until.Equal(young.Add(48*time.Hour)) || !strings.HasPrefix(n.Text, TooYoung) {
				t.Errorf("%+v", n)
			}
		}
	})
}
