//go:build unix

package main

import (
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestWhatASignalDoesToATransfer that is under way: the first one lets it end, the second one does not.
func TestWhatASignalDoesToATransfer(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	for sentence, row := range map[string]struct {
		folder  string
		size    int64
		sent    int64 // before the first signal
		signals int
		code    int
		want    string
	}{
		"the first one lets it end":                               {"drained", 2 << 20, 1, 1, 0, "stop asked for"},
		"the second one ends at once, and the next start goes on": {"cut", 32 << 20, 3 << 19, 2, 75, "stopped at once by a second signal"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			const slow = "bandwidth = \"512KiB\""
			g := newPair(t, server, plot{direction: "up", folder: row.folder, settings: slow, rules: "watch = true"})
			g.configure(`shutdown_grace = "1s"`, `shutdown_grace = "10m"`)
			name := filepath.Join(g.local, "big")
			write(t, name, "")
			if err := os.Truncate(name, row.size); err != nil {
				t.Fatal(err)
			}
			manager := listen(t)
			program := manager.launch(t, g.config)
			g.await(program, "the transfer to be under way", func() bool {
				_, err := os.Stat(filepath.Join(g.remote, "big")) // over already: that is no failure of the stop
				return g.sent("big") >= row.sent || err == nil
			})
			for i := range row.signals {
				if err := program.Process.Signal(syscall.SIGTERM); err != nil {
					t.Fatal(err)
				}
				g.await(program, "the signal to be noticed", func() bool { return strings.Contains(program.out.String(), "stop asked for") })
				if i+1 < row.signals { // and so the transfer takes long
					manager.wait(t, "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=120000000\nSTATUS=letting running transfers end: 1 sync, 1 job running", program.out)
				}
			}
			if code, out := program.end(t); code != row.code || !strings.Contains(out, row.want) {
				t.Fatalf("exit code %d, want %d and %q:\n%s", code, row.code, row.want, out)
			}
			if row.signals == 1 {
				g.mustBeEqual("after the stop")
				return
			}
			if g.sent("big") < row.sent {
				t.Error("what was sent is gone")
			}
			g.configure(slow, "")
			g.mustRun(0, []string{" > REST "}, "once", "--trace", "real")
			g.mustBeEqual("after the next start")
		})
	}
}

// TestWhatStopsACommand that works by itself: Ctrl+C once and twice, and the end of the terminal.
func TestWhatStopsACommand(t *testing.T) {
	t.Parallel()
	// What "nohup go test" ignores, programs that it starts ignore, too, unless it is handled here.
	handled := make(chan os.Signal, 1)
	signal.Notify(handled, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(handled) })
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	for sentence, row := range map[string]struct {
		folder  string
		command string
		signals []syscall.Signal
		code    int
		want    string
		stays   bool // what was sent
	}{
		"a pass says how long it may take to end, and the second Ctrl+C ends it": {
			"pass", "once", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, -1, "for 10m0s at most; Ctrl+C again", true},
		"a copy whose terminal is closed leaves nothing": {"copy", "put", []syscall.Signal{syscall.SIGHUP}, 75, "nothing is left of it", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			g := newPair(t, server, plot{direction: "up", folder: row.folder, settings: "bandwidth = \"512KiB\""})
			g.configure(`shutdown_grace = "1s"`, `shutdown_grace = "10m"`)
			name := filepath.Join(g.local, "big")
			write(t, name, "")
			if err := os.Truncate(name, 1<<30); err != nil {
				t.Fatal(err)
			}
			arguments := []string{row.command}
			if row.command == "put" {
				arguments = append(arguments, name, "real:/"+row.folder+"/")
			}
			program := g.start(arguments...)
			g.await(program, "the transfer to be under way", func() bool { return g.sent("big") > 0 })
			for i, signal := range row.signals {
				if err := program.Process.Signal(signal); err != nil {
					t.Fatal(err)
				}
				if i+1 < len(row.signals) {
					g.await(program, "the signal to be noticed", func() bool { return strings.Contains(program.out.String(), row.want) })
				}
			}
			if code, out := program.end(t); code != row.code || !strings.Contains(out, row.want) {
				t.Fatalf("exit code %d, want %d and %q:\n%s", code, row.code, row.want, out)
			}
			if stays := g.sent("big") > 0; stays != row.stays {
				t.Errorf("something is left on the server: %v", stays)
			}
		})
	}
}

// configure writes the configuration again, with other words.
func (g *pair) configure(old, new string) {
	g.t.Helper()
	text, err := os.ReadFile(g.config)
	if err != nil || !strings.Contains(string(text), old) {
		g.t.Fatalf("no %s in the configuration: %v", old, err)
	}
	write(g.t, g.config, strings.Replace(string(text), old, new, 1))
}

// sent is how much of a file is on the server under a temporary name.
func (g *pair) sent(name string) (size int64) {
	g.t.Helper()
	found, err := filepath.Glob(filepath.Join(g.remote, "."+name+".ftpferry-*"))
	if err != nil {
		g.t.Fatal(err)
	}
	for _, path := range found {
		if info, err := os.Stat(path); err == nil {
			size = max(size, info.Size())
		}
	}
	return size
}

func (g *pair) await(program process, what string, is func() bool) {
	g.t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			g.t.Fatalf("waited in vain for %s:\n%s", what, program.out)
		}
	}
}
