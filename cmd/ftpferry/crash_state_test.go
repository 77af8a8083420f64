package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// stateFault is what happens at a system call on a file of the state. Go renames with renameat.
type stateFault struct{ file, call, fault string }

func (f stateFault) String() string { return strings.TrimSpace(f.call + " " + f.file + ": " + f.fault) }

// options are those of strace; without a file it is any of that call.
func (f stateFault) options(g *pair) []string {
	options := []string{"-e", "inject=" + f.call + ":" + f.fault}
	switch f.file {
	case "":
		return options
	case ".":
		return append(options, "-P", g.states)
	}
	return append(options, "-P", g.stateFile()+f.file)
}

// mustBeTidy sees to it that nothing lies about beside the state when no program runs.
func (g *pair) mustBeTidy() {
	g.t.Helper()
	left, err := os.ReadDir(g.states)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, e := range left {
		if e.Name() != stateFile && e.Name() != "stopped.json" { // the latter keeps room for the reason of a stop
			g.t.Errorf("%s is left in the folder of the state", e.Name())
		}
	}
}

// TestFaultsAtTheFirstStart cuts the very first start off, or has the disk fail, where it makes the state file: the next start
// makes it, whatever there is of it.
func TestFaultsAtTheFirstStart(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	for _, f := range []stateFault{
		{".new", "pwrite64", "signal=KILL:when=1"}, {".new", "pwrite64", "error=EIO:when=1"}, {".new", "pwrite64", "error=ENOSPC:when=1"},
		{".new", "fdatasync", "signal=KILL:when=1"}, {".new", "fdatasync", "error=EIO:when=1+"},
		{"", "renameat", "signal=KILL"}, {"", "renameat", "error=EIO"}, {".", "fsync", "signal=KILL"}, {".", "fsync", "error=EIO"},
	} {
		t.Run(f.String(), func(t *testing.T) {
			g := newPair(t, server, plot{direction: "up", folder: strings.ReplaceAll(f.String(), ":", "")})
			fill(t, g.local, fewFiles())
			code, out := g.traced(f.options(g), "once").end(t)
			switch fails := strings.Contains(f.fault, "error"); {
			case fails && f.file == "." && code == 0: // no more than a new file can get lost
			case code == 0, fails && (code != 1 || !strings.Contains(out, g.states)):
				t.Errorf("exit code %d, the file or the reason is missing:\n%s", code, out)
			}
			g.mustRun(0, nil, "plan") // which makes no state, and takes what there is of it for none
			g.mustRun(0, nil, "check", "--state")
			g.mustRun(0, nil, "history")
			g.mustBeInStep("after the next start")
			g.mustBeTidy()
		})
	}
}

// bloat makes the state a file that is worth compacting.
func (g *pair) bloat() []byte {
	g.t.Helper()
	g.change(fill70MB)
	g.change(func(tx *state.Tx) error {
		_, err := tx.Table("queue/filler").DeletePrefix(nil)
		return err
	})
	content, err := os.ReadFile(g.stateFile())
	if err != nil || len(content) < 64<<20 {
		g.t.Fatalf("the state has %d bytes, %v", len(content), err)
	}
	return content
}

// writeSparse makes a file that takes no room where it is zero.
func writeSparse(t *testing.T, path string, content []byte) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const block = 4096
	zero := make([]byte, block)
	for at := 0; at < len(content); at += block {
		part := content[at:min(at+block, len(content))]
		if bytes.Equal(part, zero[:len(part)]) {
			continue
		}
		if _, err := file.WriteAt(part, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Truncate(int64(len(content))); err != nil {
		t.Fatal(err)
	}
}

// TestACompactionIsFlushed before it takes the name of the state, and its name before anything is committed.
func TestACompactionIsFlushed(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	g := inStep(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), plot{direction: "up"})
	g.bloat()
	calls := filepath.Join(t.TempDir(), "calls")
	code, out := g.traced([]string{"-o", calls, "-y", "-e", "trace=pwrite64,fsync,renameat"}, "once").end(t)
	text, err := os.ReadFile(calls)
	if code != 0 || err != nil {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	_, fromCopy, made := strings.Cut(string(text), ".compact>")
	renamed := strings.Index(fromCopy, "renameat(")
	if !made || renamed < 0 {
		t.Fatalf("nothing was compacted:\n%s", text)
	}
	copied, after := fromCopy[:renamed], fromCopy[renamed:]
	if last := strings.LastIndex(copied, "pwrite64("); last < 0 || !strings.Contains(copied[last:], "fsync(") {
		t.Errorf("the copy was not flushed behind the last write to it:\n%s", copied[max(last, 0):])
	}
	written, flushed := strings.Index(after, "pwrite64("), strings.Index(after, g.states+">")
	if flushed < 0 || written >= 0 && written < flushed {
		t.Errorf("the folder was not flushed behind the rename:\n%.1000s", after)
	}
}

// TestFaultsOfACompaction cuts a start off, or has the disk fail, while a state file that is mostly free is made smaller.
// Without the copy the program goes on with the file as it is.
func TestFaultsOfACompaction(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	g := inStep(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), plot{direction: "up"})
	bloated := g.bloat()
	for _, f := range []stateFault{
		{".compact", "pwrite64", "signal=KILL:when=1"}, {".compact", "pwrite64", "error=ENOSPC:when=3"}, {".compact", "fsync", "signal=KILL"},
		{".compact", "fsync", "error=EIO"}, {"", "renameat", "signal=KILL"}, {"", "renameat", "error=EIO"}, {".", "fsync", "signal=KILL"}, {".", "fsync", "error=EIO"},
	} {
		writeSparse(t, g.stateFile(), bloated)
		code, out := g.traced(f.options(g), "once").end(t)
		goesOn := strings.Contains(f.fault, "error") && f.file != "."
		if goesOn && code != 0 || !goesOn && code == 0 {
			t.Errorf("%s: exit code %d:\n%s", f, code, out)
		}
		if goesOn && !strings.Contains(out, "cannot compact the state file") {
			t.Errorf("%s: nobody hears of it:\n%s", f, out)
		}
		g.mustRun(0, []string{"s: in step; nothing done"}, "once")
		g.mustBeSound()
		g.mustBeTidy()
		if info, err := os.Stat(g.stateFile()); err != nil || info.Size() > 1<<20 {
			t.Errorf("%s: the file is not compact after the next start: %v, %v", f, info.Size(), err)
		}
	}
}

// TestFaultsOfABackup cuts a backup off, or has the disk fail: there is no file then that looks like a backup, the state is
// as it was, and the next backup is one that can be restored.
func TestFaultsOfABackup(t *testing.T) {
	ftptest.Need(t, "strace")
	t.Parallel()
	g := inStep(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), plot{direction: "up"})
	path := filepath.Join(t.TempDir(), "backup")
	none := func(f string) {
		t.Helper()
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: there is a backup", f)
		}
	}
	for _, f := range []stateFault{
		{"", "fsync", "signal=KILL:when=1"}, {"", "fsync", "error=EIO:when=1"}, {"", "linkat", "signal=KILL"}, {"", "renameat", "signal=KILL"}, {"", "renameat", "error=EIO"},
	} {
		code, out := g.traced(f.options(g), "state", "backup", path).end(t)
		if code == 0 || strings.Contains(f.fault, "error") && (code != 1 || !strings.Contains(out, "input/output error")) {
			t.Errorf("%s: exit code %d:\n%s", f, code, out)
		}
		none(f.String())
		g.mustBeSound()
		g.mustBeTidy()
	}

	// Now the agent goes down while it makes the copy: who asked for the backup makes it then.
	service := g.traced([]string{"-e", "inject=linkat:signal=KILL"}, "run")
	waitFor(t, "the agent", func() bool {
		code, _ := g.run("queue", "list")
		return code == 0 && strings.Contains(service.out.String(), "running")
	})
	none("before")
	g.mustRun(0, []string{path}, "state", "backup", path)
	service.end(t)

	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, g.local, map[string]int{"since then": 3})
	g.mustRun(0, []string{"1 transferred"}, "once")
	g.mustBeTidy()
	write(t, g.stateFile(), string(backup))
	g.mustRun(0, []string{"s: in step; 1 found in step"}, "once") // nothing is transferred again
	g.mustBeInStep("with the backup")
}
