package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// traced runs the program under strace, which changes what system calls do. More are options of strace.
func (g *pair) traced(more []string, arguments ...string) process {
	g.t.Helper()
	program := command(g.t, g.config, arguments...)
	words := append(append([]string{"-f", "-qq", "-o", os.DevNull}, more...), program.Args...)
	tracer := exec.Command("strace", words...)
	tracer.Env = program.Env
	return launch(g.t, tracer)
}

// fewFiles is a tree whose transfer takes some commits.
func fewFiles() map[string]int {
	files := map[string]int{}
	for i := range 5 {
		files[fmt.Sprintf("folder/file %d", i)] = i
	}
	return files
}

// eachFlush runs a pass with a fault at the n-th flush of the state, for each n until none is met any more, and then a pass
// without: both sides must be in step, and nothing may have been transferred twice. strace counts in each thread by itself.
func eachFlush(t *testing.T, name, fault string, ended func(n int, code int, out string)) {
	ftptest.Need(t, "strace")
	eachDirection(t, name, func(t *testing.T, server *ftptest.RealServer, direction string) {
		met := 0
		for n := 1; ; n++ {
			tap := newTap(t, server.Addr)
			g := newPair(t, server, plot{direction: direction, address: tap.address, folder: fmt.Sprintf("n%d", n)})
			fill(t, g.source(), fewFiles())
			program := g.traced([]string{"-e", "trace=fdatasync", "-e", fmt.Sprintf("inject=fdatasync:%s:when=%d+", fault, n)}, "once")
			code, out := program.end(t)
			if code == 0 {
				break
			}
			met++
			ended(n, code, out)
			g.mustBeInStep(fmt.Sprintf("after flush %d", n))
		}
		t.Logf("%d flushes", met)
		if met < 3 {
			t.Errorf("the fault was met %d times only: the test shows little", met)
		}
	})
}

// TestAFailedCommitEndsTheProcess has the n-th flush of the state fail, as a broken disk does. Nobody knows then what is
// true: the program must end with an error, and the next start must go on without harm.
func TestAFailedCommitEndsTheProcess(t *testing.T) {
	eachFlush(t, "pyftpdlib", "error=EIO", func(n, code int, out string) {
		if code != 1 || !strings.Contains(out, "input/output error") || !strings.Contains(out, stateFile) {
			t.Errorf("flush %d fails: exit code %d, want 1, the file and the reason:\n%s", n, code, out)
		}
	})
}

// TestKilledAtAFlush kills the program at each flush: half of them are in the middle of a commit.
func TestKilledAtAFlush(t *testing.T) {
	eachFlush(t, "vsftpd", "signal=KILL", func(n, code int, out string) {})
}

// TestFolderThatCannotBeFlushed has the flush of the folder of a downloaded file fail: the file is there under its name
// then, but does not count as done before its folder is on disk.
func TestFolderThatCannotBeFlushed(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	tap := newTap(t, server.Addr)
	g := newPair(t, server, plot{direction: "down", address: tap.address})
	fill(t, g.remote, map[string]int{"folder/other": 1})
	g.mustRun(0, []string{"in step"}, "once")
	fill(t, g.remote, map[string]int{"folder/file": 1000})
	code, out := g.traced([]string{"-P", filepath.Join(g.local, "folder"), "-e", "inject=fsync:error=EIO"}, "once").end(t)
	if code != 75 || !strings.Contains(out, "left: folder/file") || !strings.Contains(out, "input/output error") {
		t.Errorf("exit code %d, want 75 and the reason:\n%s", code, out)
	}
	g.mustBeEqual("with the fault")
	if g.knows("folder/file", 11_000) {
		t.Error("there is a baseline")
	}
	before := tap.count("RETR")
	g.mustRun(0, []string{"s: in step; "}, "once")
	g.mustBeInStep("without the fault")
	if tap.count("RETR") > before {
		t.Error("transferred again")
	}
}

// TestDownloadThatCannotBeFlushed has the flush of a downloaded file itself fail: what is on disk of it is not known, so it
// never gets its name, and it is transferred again.
func TestDownloadThatCannotBeFlushed(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	tap := newTap(t, server.Addr)
	g := newPair(t, server, plot{direction: "down", address: tap.address})
	fill(t, g.remote, map[string]int{pointFile: oldTimes, "folder/other": 1})
	g.mustRun(0, []string{"in step"}, "once")
	want := hashes(t, g.local)
	fill(t, g.remote, map[string]int{pointFile: newTimes})
	before := tap.count("RETR")
	makeRoom(t, g.stateFile()) // as growing is an fsync too
	// Folders are flushed only behind a rename, which must not come about.
	code, out := g.traced([]string{"-e", "trace=fsync", "-e", "inject=fsync:error=EIO"}, "once").end(t)
	if code != 75 || !strings.Contains(out, "left: "+pointFile) || !strings.Contains(out, "input/output error") {
		t.Errorf("exit code %d, want 75 and the reason:\n%s", code, out)
	}
	if diff := cmp.Diff(want, hashes(t, g.local)); diff != "" {
		t.Errorf("with the fault: before (-) and after (+):\n%s", diff)
	}
	tries := tap.count("RETR") - before
	if tries < 2 {
		t.Errorf("tried %d times", tries)
	}
	g.mustBeInStep("without the fault")
	if n := tap.count("RETR") - before; n != tries+1 {
		t.Errorf("transferred %d times without the fault", n-tries)
	}
}

// TestCrashAroundTheRename kills downloads where the control connection shows nothing: before the rename, behind it, and
// before the commit.
func TestCrashAroundTheRename(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	for _, c := range []struct {
		name      string
		fault     func(g *pair) []string
		transfers int
	}{
		{"before the rename", func(*pair) []string { return []string{"-e", "inject=renameat:signal=KILL"} }, 2},
		{"after the rename", func(g *pair) []string {
			return []string{"-P", filepath.Join(g.local, "folder"), "-e", "inject=fsync:signal=KILL"}
		}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			tap := newTap(t, server.Addr)
			g := newPair(t, server, plot{direction: "down", address: tap.address, folder: c.name})
			fill(t, g.source(), map[string]int{pointFile: oldTimes})
			g.mustRun(0, []string{"in step"}, "once")
			fill(t, g.source(), map[string]int{pointFile: newTimes})
			before := tap.count("RETR")
			if code, out := g.traced(c.fault(g), "once").end(t); code == 0 {
				t.Fatalf("was not killed:\n%s", out)
			}
			g.mustBeInStep("after the next start")
			if got := tap.count("RETR") - before; got != c.transfers {
				t.Errorf("transferred %d times, want %d", got, c.transfers)
			}
		})
	}
}

// makeRoom leaves so many free pages in a state file that it will not grow for a while.
func makeRoom(t *testing.T, path string) {
	t.Helper()
	db, err := state.Open(path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, change := range []func(tx *state.Tx) error{
		func(tx *state.Tx) error {
			for range 4000 {
				if err := state.AppendHistory(tx, state.History{When: time.Unix(1, 0), Path: "a row that goes at once"}); err != nil {
					return err
				}
			}
			return nil
		},
		func(tx *state.Tx) error {
			_, err := state.TrimHistory(tx, 0, time.Unix(2, 0), 0)
			return err
		},
	} {
		if err := db.Update(change); err != nil {
			t.Fatal(err)
		}
	}
}
