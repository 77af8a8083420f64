package agent_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// many returns n small files.
func many(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("f%03d", i)] = "x"
	}
	return files
}

func TestAnApprovalLastsUntilItsWorkIsDone(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up")
	fill(t, r.local, many(60))
	r.mustBeInStep("first pass")
	// All times move by an hour: a time zone, most likely, and not sixty edits.
	for name := range many(60) {
		path := filepath.Join(r.local, name)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, info.ModTime().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	if report := r.once(); !strings.Contains(report.Halt, "moved by -1h0m0s") {
		t.Fatalf("no halt: %+v", report)
	}
	begun := make(chan struct{})
	begin := sync.OnceFunc(func() { close(begun) })
	observe := func(a agent.Activity) {
		if a.Kind == agent.ActivityDone {
			begin()
		}
	}
	r.with(agent.Options{Observe: observe}, func(a *agent.Agent) {
		if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		<-begun
		// The scan of this pass meets the work half done, which looks as alarming as before.
		report, err := a.Pass(t.Context(), nil)
		if err != nil || report.ExitCode() != 0 {
			t.Errorf("pass: %+v, %v", report, err)
		}
	})
	r.mustBeInStep("afterwards")
}

func TestAnApprovalDoesNotReachLaterAccidents(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "watch = true", "max_delete = 2")
	r.impatient = true
	fill(t, r.local, many(30))
	seen := &diary{}
	halts := func() (n int) {
		seen.has(func(a agent.Activity) bool {
			if a.Kind == agent.ActivityHalted {
				n++
			}
			return false
		})
		return n
	}
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(a *agent.Agent) {
		eventually(t, "the files arrive", r.equal)
		remove(t, r.local, "f000", "f001", "f002", "f003", "f004")
		eventually(t, "a halt", func() bool { return halts() == 1 })
		if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the approved deletions", r.equal)
		remove(t, r.local, "f010", "f011", "f012", "f013", "f014")
		eventually(t, "a second halt", func() bool { return halts() == 2 })
	})
	if left := len(tree(t, r.remote)); left < 23 {
		t.Errorf("%d files are left on the server, want 25, or 23 if two went before the others were seen", left)
	}
}

// TestAnApprovalIsForWhatAPersonHasSeen: some deletions were let pass, and by then there are others, or nothing at all.
func TestAnApprovalIsForWhatAPersonHasSeen(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up", "max_delete = 2")
	fill(t, r.local, many(30))
	r.mustBeInStep("first pass")
	halts := func(what, says string) {
		t.Helper()
		if report := r.once(); !strings.Contains(report.Halt, says) || report.Deleted > 0 {
			t.Errorf("%s: %+v", what, report)
		}
		if left := len(tree(t, r.remote)); left != 30 {
			t.Errorf("%s: %d files are left on the server", what, left)
		}
	}
	approve := func() {
		t.Helper()
		r.with(agent.Options{}, func(a *agent.Agent) {
			if err := a.ApproveStopped("s"); err != nil {
				t.Fatal(err)
			}
		})
	}
	remove(t, r.local, "f000", "f001", "f002", "f003", "f004")
	halts("five deletions", "5 files of 30")
	remove(t, r.local, "f005", "f006", "f007", "f008", "f009")
	approve()
	halts("five others", "10 files of 30")
	for name := range many(30) {
		remove(t, r.local, name)
	}
	approve()
	halts("all the others", "the local folder is empty")
	approve()
	r.mustBeInStep("an empty folder, approved")
}

func TestAServerThatTakesFewerConnections(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{MaxClients: 2})
	r := newRig(t, server, "up")
	fill(t, r.local, many(200))
	report := r.once()
	if report.Transferred != 200 {
		t.Errorf("report: %+v", report)
	}
	if refused := strings.Count(server.Log(), "CONNECT"); refused > 30 {
		t.Errorf("%d connections for 200 files: the server was stormed", refused)
	}
	// What was learned is still known after a new start.
	before := strings.Count(server.Log(), "too many")
	if before == 0 {
		t.Error("no connection was refused")
	}
	fill(t, r.local, map[string]string{"g1/a": "1", "g2/b": "2", "g3/c": "3"})
	if report := r.once(); report.Transferred != 3 || strings.Count(server.Log(), "too many") != before {
		t.Errorf("%d connections were refused: %+v", strings.Count(server.Log(), "too many")-before, report)
	}
}

func TestAServerThatTakesNobody(t *testing.T) {
	t.Parallel()
	full, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int64
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			guest, err := full.Accept()
			if err != nil {
				return
			}
			refused.Add(1)
			guest.Write([]byte("421 Too many connections, sorry.\r\n"))
			guest.Close()
		}
	}()
	defer func() { <-ended }()
	defer full.Close()

	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up")
	fill(t, r.local, many(100))
	setOption(t, r, server.Addr, full.Addr().String())
	report := r.once()
	if code := (control.Report{Syncs: []control.SyncReport{report}}).ExitCode(); code != control.ExitUnavailable || !strings.Contains(report.Unavailable, "421") {
		t.Errorf("exit code %d: %+v", code, report)
	}
	if n := refused.Load(); n > 12 {
		t.Errorf("%d connections to a server that takes nobody", n)
	}
	setOption(t, r, full.Addr().String(), server.Addr)
	r.mustBeInStep("when there is room")
}

func TestAFileIsSentWhenItIsQuiet(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "watch = true")
	setOption(t, r, `settle = "0s"`, `settle = "1500ms"`)
	path := filepath.Join(r.local, "slow.txt")
	const line = "line\n"
	var mu sync.Mutex
	written := map[int64]time.Time{} // just before it became so long
	r.with(agent.Options{Triggers: true, Observe: func(a agent.Activity) {
		mu.Lock()
		defer mu.Unlock()
		if a.Kind != agent.ActivityDone || a.Action != "upload" {
			return
		}
		if quiet := time.Since(written[a.Bytes]); quiet < 1400*time.Millisecond {
			t.Errorf("%d bytes were sent %s after they were written, settle is 1.5 s", a.Bytes, quiet)
		}
	}}, func(*agent.Agent) {
		for i := range 6 {
			mu.Lock()
			written[int64((i+1)*len(line))] = time.Now()
			mu.Unlock()
			if err := os.WriteFile(path, []byte(strings.Repeat(line, i+1)), 0o666); err != nil {
				t.Fatal(err)
			}
			time.Sleep(600 * time.Millisecond) // a program that saves every now and then
		}
		eventually(t, "the file arrives", r.equal)
	})
}

func TestQueuedDeletionsObeyTheConfigurationOfNow(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "watch = true")
	fill(t, r.local, many(5))
	r.mustBeInStep("first pass")
	setOption(t, r, `settle = "0s"`, `settle = "2s"`)
	seen := &diary{}
	r.with(agent.Options{Triggers: true, Observe: seen.add}, func(*agent.Agent) {
		eventually(t, "the watch stands", func() bool {
			return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityScanned })
		})
		remove(t, r.local, "f000", "f001")
		eventually(t, "the deletions wait", func() bool {
			return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityQueued && a.Path == "f001" })
		})
	})
	setOption(t, r, "delete = true", "delete = false")
	r.once()
	if diff := cmp.Diff(many(5), tree(t, r.remote)); diff != "" {
		t.Errorf("on the server (-want +got):\n%s", diff)
	}
}

// setOption changes a line of the rig's configuration.
func setOption(t *testing.T, r *rig, from, to string) {
	t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), from, to, 1)
	if changed == string(text) {
		t.Fatalf("there is no %q in the configuration", from)
	}
	if err := os.WriteFile(r.config, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
}
