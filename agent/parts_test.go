package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// grow makes folders with empty files in them below each root, the same on all of them.
func grow(t *testing.T, folders, files int, roots ...string) {
	t.Helper()
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, root := range roots {
		for i := range folders {
			dir := filepath.Join(root, fmt.Sprintf("d%03d", i))
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(dir, 0o777); err != nil {
				t.Fatal(err)
			}
			for j := range files {
				path := filepath.Join(dir, fmt.Sprintf("f%04d", j))
				if err := os.WriteFile(path, nil, 0o666); err != nil {
					t.Fatal(err)
				}
				if err := os.Chtimes(path, old, old); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// counted returns the number of files below root; what is not there holds none.
func counted(t *testing.T, root string) (n int) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, ".ftpferry-") {
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// gauge looks at the state after every commit that something has come of.
type gauge struct {
	t    *testing.T
	db   *state.DB
	most int
	// bound, if not 0, is how many jobs may be open, in place of 10,000.
	bound int
	// on, if not nil, is called with what happened and the number of open jobs of its sync.
	on func(a agent.Activity, open int)
}

func (g *gauge) observe(a agent.Activity) {
	if a.Sync == "" {
		return
	}
	err := g.db.View(func(tx *state.Tx) error {
		counts, err := queue.Summary(tx, a.Sync)
		open := counts.Due + counts.Waiting + counts.Running
		if g.most = max(g.most, open); g.on != nil && err == nil {
			g.on(a, open)
		}
		return err
	})
	if err != nil {
		g.t.Errorf("look at the state: %v", err)
	}
}

// quiet runs an agent that logs nothing and is watched by g, while use does.
func (r *rig) quiet(g *gauge, use func(a *agent.Agent)) {
	r.t.Helper()
	cfg := r.load()
	g.t, g.db = r.t, r.openState()
	defer g.db.Close()
	a := agent.New(cfg, g.db, agent.Options{Logger: slog.New(slog.DiscardHandler), Observe: g.observe})
	if g.bound > 0 {
		a.Bound(g.bound)
	}
	ctx, stop := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}()
	use(a)
}

// pass makes one pass of a sync, which must take it to the wanted exit code.
func pass(t *testing.T, a *agent.Agent, sync string, code int) control.SyncReport {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	report, err := a.Pass(ctx, []string{sync})
	if err != nil || len(report.Syncs) != 1 {
		t.Fatalf("pass: %+v, %v", report, err)
	}
	if got := report.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d: %+v", got, code, report)
	}
	return report.Syncs[0]
}

// TestAScanOfAnySizeLeavesRoomInTheQueue: it stops when there is no more, and its place is written down.
func TestAScanOfAnySizeLeavesRoomInTheQueue(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	setOption(t, r, "delete = true", "delete = false")
	setOption(t, r, `user = `, "connections = 1\nuser = ") // so that nothing is done while the scan finds more
	const bound = 1000
	grow(t, 24, bound/20, r.local)
	full := make(chan struct{})
	g := gauge{bound: bound, on: func(a agent.Activity, _ int) {
		if a.Kind == agent.ActivityScanned && strings.Contains(a.Text, "goes on when fewer are left") {
			select {
			case <-full:
			default:
				close(full)
			}
		}
	}}
	r.quiet(&g, func(a *agent.Agent) {
		passing, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			a.Pass(passing, nil)
		}()
		<-full
		stop()
		<-ended
	})
	if g.most > bound || g.most < bound*4/5 {
		t.Errorf("%d jobs were open at a time", g.most)
	}
	if job := scanJob(t, r); len(job.Progress) == 0 || job.State == queue.Running {
		t.Errorf("the scan is not in the middle: %+v", job)
	}
}

// scanJob returns the scan of the rig's sync as the state has it while no agent runs.
func scanJob(t *testing.T, r *rig) (job queue.Job) {
	t.Helper()
	db := r.openState()
	defer db.Close()
	err := db.View(func(tx *state.Tx) (err error) {
		job, _, err = queue.Lookup(tx, work.KindScan, "s", "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// TestAScanGoesOnWhereItWas: what it finds becomes jobs as others are done, with one connection for all of it. After a
// restart, what was looked at is not looked at again.
func TestAScanGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	const folders, files, bound = 36, 5, 50
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up")
	setOption(t, r, "delete = true", "delete = false")
	setOption(t, r, `user = `, "connections = 1\nuser = ")
	grow(t, folders, files, r.local)
	grow(t, folders, 0, r.remote) // folders that are there are listed, which counts the looks at them
	relay := r.behind()
	var entered []string // for a listing
	at := ""
	relay.instead = func(line string) string {
		switch verb, name, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " "); verb {
		case "CWD":
			at = name
		case "LIST", "MLSD":
			entered = append(entered, at)
		}
		return ""
	}

	done := make(chan struct{})
	uploads := 0
	g := gauge{bound: bound, on: func(a agent.Activity, _ int) {
		if a.Kind != agent.ActivityDone || a.Action != "upload" {
			return
		}
		if uploads++; uploads == 10 {
			close(done)
		}
	}}
	r.quiet(&g, func(a *agent.Agent) {
		passing, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			a.Pass(passing, nil) // broken off: the agent stops in the middle of it
		}()
		<-done
		cancel()
		<-ended
	})
	if g.most > bound || g.most < bound*4/5 {
		t.Errorf("%d jobs were open at a time", g.most)
	}
	first := len(entered)
	reached := slices.Max(entered)
	entered = nil
	if first >= folders*3/4 || first < 5 { // a few more than there was room for are sent until the agent stops
		t.Errorf("%d folders were listed until there was no more room", first)
	}
	if job := scanJob(t, r); len(job.Progress) == 0 || job.State == queue.Running {
		t.Errorf("the scan is not in the middle: %+v", job)
	}

	// The next agent does what is left, and looks at what is left. Nobody asks it to.
	scans := 0
	g = gauge{bound: bound, on: func(a agent.Activity, _ int) {
		if a.Kind == agent.ActivityScanned && strings.Contains(a.Text, "looked at") {
			scans++
		}
	}}
	r.quiet(&g, func(a *agent.Agent) {
		eventually(t, "all is done", func() bool { return counted(t, r.remote) == folders*files })
	})
	// Each of its runs lists the root, and begins with the folder in the middle of which the last one has stopped.
	for _, folder := range entered {
		if folder < reached && folder != "/site" {
			t.Errorf("%s was listed again after the restart; the scan had come to %s", folder, reached)
		}
		reached = max(reached, folder)
	}
	if scans != 1 {
		t.Errorf("%d scans have ended", scans)
	}
	if g.most > bound {
		t.Errorf("%d jobs were open at a time", g.most)
	}
	r.quiet(&gauge{}, func(a *agent.Agent) {
		if report := pass(t, a, "s", control.ExitDone); report.Transferred+report.Adopted > 0 {
			t.Errorf("something was left: %+v", report)
		}
	})
}

// TestFirstContactInPartsTouchesNothing: the guard has seen all of it before anything is done.
func TestFirstContactInPartsTouchesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	grow(t, 4, 40, r.local)
	fill(t, r.remote, map[string]string{"zzz/somebody's.txt": "else's"})
	queued := 0
	g := gauge{bound: 80, on: func(a agent.Activity, _ int) {
		if a.Kind == agent.ActivityQueued {
			queued++
		}
	}}
	r.quiet(&g, func(a *agent.Agent) {
		if report := pass(t, a, "s", control.ExitNeedsPerson); !strings.Contains(report.Halt, "first contact") {
			t.Errorf("report: %+v", report)
		}
		if n := counted(t, r.remote); n != 1 || queued > 0 {
			t.Errorf("%d files are on the server, %d operations were queued", n, queued)
		}
		expectStaged(t, g.db, false)
		if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		pass(t, a, "s", control.ExitDone)
		expectStaged(t, g.db, false)
	})
	if !r.equal() || g.most > g.bound {
		t.Errorf("in step after the approval: %v; %d jobs were open at a time", r.equal(), g.most)
	}
}

// expectStaged says whether anything is staged, or any scan is in the middle.
func expectStaged(t *testing.T, db *state.DB, want bool) {
	t.Helper()
	err := db.View(func(tx *state.Tx) error {
		jobs, err := queue.List(tx, queue.Filter{Kind: work.KindScan})
		if err != nil {
			return err
		}
		staged := false
		for _, job := range jobs {
			staged = staged || len(job.Progress) > 0
		}
		rows := 0
		if err := tx.Table("staged").Scan(nil, nil, func(_, _ []byte) (bool, error) { rows++; return true, nil }); err != nil {
			return err
		}
		if staged = staged || rows > 0; staged != want {
			t.Errorf("staged %v, want %v: %d rows, jobs %+v", staged, want, rows, jobs)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestDeletionsInPartsWaitForTheGuard, and when a person lets them pass they become jobs as others are done. One part of a
// long scan may transfer what is new before its end.
func TestDeletionsInPartsWaitForTheGuard(t *testing.T) {
	t.Parallel()
	const folders, files, bound = 20, 10, 80
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", `max_delete = "10%"`)
	grow(t, folders, files, r.local, r.remote)
	r.quiet(&gauge{}, func(a *agent.Agent) {
		if report := pass(t, a, "s", control.ExitDone); report.Adopted != folders*(files+1) || report.Transferred > 0 {
			t.Fatalf("not adopted: %+v", report)
		}
	})
	for i := range folders {
		remove(t, r.local, fmt.Sprintf("d%03d", i))
	}
	fill(t, r.local, map[string]string{"a/new.txt": "n", "z/new.txt": "n"})
	released := false
	g := gauge{bound: bound, on: func(a agent.Activity, open int) { released = released || open > bound/2 }}
	r.quiet(&g, func(a *agent.Agent) {
		if report := pass(t, a, "s", control.ExitNeedsPerson); !strings.Contains(report.Halt, "200 files of 220 known") || report.Deleted > 0 {
			t.Errorf("report: %+v", report)
		}
		if n := counted(t, r.remote); n < folders*files {
			t.Errorf("%d files are left", n)
		}
		expectStaged(t, g.db, false)
		if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		if report := pass(t, a, "s", control.ExitDone); report.Deleted < folders*files-1 {
			t.Errorf("report: %+v", report)
		}
		expectStaged(t, g.db, false)
	})
	if !r.equal() || g.most > bound || !released {
		t.Errorf("in step: %v; %d jobs were open at a time", r.equal(), g.most)
	}
}

// TestASmallSyncDoesNotWaitForABigOne at the same server.
func TestASmallSyncDoesNotWaitForABigOne(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up")
	setOption(t, r, `user = `, "connections = 2\nuser = ")
	small := filepath.Join(t.TempDir(), "small")
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	more := fmt.Sprintf("\n[sync.t]\nserver = \"real\"\nlocal = %q\nremote = %q\ndirection = \"up\"\nsettle = \"0s\"\n", small, r.server.RemoteRoot+"/small")
	if err := os.WriteFile(r.config, append(text, more...), 0o600); err != nil {
		t.Fatal(err)
	}
	grow(t, 4, 60, r.local)
	fill(t, small, map[string]string{"1": "", "2": "", "3": "", "4": "", "5": ""})
	begun, left, uploads := make(chan struct{}), 0, 0
	g := gauge{on: func(a agent.Activity, open int) {
		if a.Sync == "s" && a.Kind == agent.ActivityDone && a.Action == "upload" {
			if uploads++; uploads == 20 {
				close(begun)
			}
			left = open
		}
	}}
	r.quiet(&g, func(a *agent.Agent) {
		big := make(chan struct{})
		go func() {
			defer close(big)
			a.Pass(t.Context(), []string{"s"})
		}()
		<-begun
		if report := pass(t, a, "t", control.ExitDone); report.Transferred != 5 {
			t.Errorf("report: %+v", report)
		}
		var counts queue.Counts
		if err := g.db.View(func(tx *state.Tx) (err error) {
			counts, err = queue.Summary(tx, "s")
			return err
		}); err != nil || counts.Due < 40 { // those that have begun end first: up to four streams
			t.Errorf("the big sync has %d jobs left, %v", counts.Due, err)
		}
		<-big
	})
	if uploads != 240 || left > 1 {
		t.Errorf("%d files of the big sync arrived, %d jobs are left", uploads, left)
	}
}

// TestAFailedCommitEndsTheAgent although a worker waits for it in the middle of a scan.
func TestAFailedCommitEndsTheAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	setOption(t, r, "delete = true", "delete = false")
	grow(t, 1, 400, r.local)
	db := r.openState()
	defer db.Close()
	var closed atomic.Bool
	a := agent.New(r.load(), db, agent.Options{Logger: slog.New(slog.DiscardHandler), Observe: func(a agent.Activity) {
		if a.Kind == agent.ActivityQueued && closed.CompareAndSwap(false, true) {
			db.Close() // as when the disk is gone
		}
	}})
	a.Bound(1000) // two parts
	ended := make(chan error, 1)
	go func() { ended <- a.Run(t.Context()) }()
	go a.Pass(t.Context(), nil)
	select {
	case err := <-ended:
		if err == nil {
			t.Error("no error")
		}
	case <-time.After(patience):
		t.Fatal("the agent hangs")
	}
}

// TestAfterACrashAScanGoesOn from what was committed, although the server has got more since.
func TestAfterACrashAScanGoesOn(t *testing.T) {
	t.Parallel()
	const folders, files, bound = 10, 16, 60
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	setOption(t, r, "delete = true", "delete = false")
	grow(t, folders, files, r.local)
	file := filepath.Join(r.load().Agent.StateDir, "agent.db")
	uploads := 0
	g := gauge{bound: bound, on: func(a agent.Activity, _ int) {
		if a.Kind == agent.ActivityDone && a.Action == "upload" {
			if uploads++; uploads == 60 {
				copyFile(t, file, file+".crash") // nobody else writes: this is between two commits
			}
		}
	}}
	r.quiet(&g, func(a *agent.Agent) { pass(t, a, "s", control.ExitDone) })
	if err := os.Rename(file+".crash", file); err != nil {
		t.Fatal(err)
	}
	r.quiet(&gauge{bound: bound}, func(a *agent.Agent) {
		if report := pass(t, a, "s", control.ExitDone); len(report.Conflicts) > 0 {
			t.Errorf("report: %+v", report)
		}
		if report := pass(t, a, "s", control.ExitDone); report.Transferred > 0 {
			t.Errorf("report: %+v", report)
		}
	})
	if !r.equal() {
		t.Error("not in step")
	}
}

func copyFile(t *testing.T, from, to string) {
	data, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, data, 0o600)
	}
	if err != nil {
		t.Error(err)
	}
}
