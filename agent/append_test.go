package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// logRig is a sync of logs whose commands and bytes are counted.
type logRig struct {
	*rig
	relay *relay

	mu    sync.Mutex
	bytes map[string]int64 // by path, since the last step
}

// newLogRig keeps extra files on the server, as such a sync does.
func newLogRig(t *testing.T, server *ftptest.RealServer, more ...string) *logRig {
	t.Helper()
	relay := newRelay(t, server.Addr)
	server.Addr = relay.address
	l := &logRig{rig: newRig(t, server, "up", append([]string{`rules = [{ match = ["*.log"], mode = "append" }]`}, more...)...), relay: relay, bytes: map[string]int64{}}
	l.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Delete = false }
	l.observe = func(a agent.Activity) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if a.Kind == agent.ActivityDone && a.Action == "upload" {
			l.bytes[a.Path] += a.Bytes
		}
	}
	return l
}

// add writes to the end of a local file.
func (l *logRig) add(rel, text string) {
	l.t.Helper()
	file, err := os.OpenFile(filepath.Join(l.local, rel), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		l.t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(text); err != nil {
		l.t.Fatal(err)
	}
}

// sends makes passes until nothing is to be done, and wants so many bytes to have been sent of each path.
func (l *logRig) sends(what string, want map[string]int) {
	l.t.Helper()
	l.mu.Lock()
	clear(l.bytes)
	l.mu.Unlock()
	l.mustBeInStep(what)
	l.mu.Lock()
	defer l.mu.Unlock()
	for rel, n := range l.bytes {
		if int64(want[rel]) != n {
			l.t.Errorf("%s: %d bytes of %s were sent, want %d", what, n, rel, want[rel])
		}
	}
	for rel, n := range want {
		if _, sent := l.bytes[rel]; !sent {
			l.t.Errorf("%s: nothing of %s was sent, want %d bytes", what, rel, n)
		}
	}
}

// lines is so much of a log, and no two parts of it are alike.
func lines(from, count int) string {
	var b strings.Builder
	for i := range count {
		fmt.Fprintf(&b, "%08d: something has happened again, and this is what was to be said about it\n", from+i)
	}
	return b.String()
}

// TestOnlyTheTailOfALogIsSent lets a file grow five times and counts what goes over the wire, in each way of making sure of it.
func TestOnlyTheTailOfALogIsSent(t *testing.T) {
	for i, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			verify := []string{"size", "hash", "reread"}[i%3]
			l := newLogRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), fmt.Sprintf("verify = %q", verify))
			fill(t, l.local, map[string]string{"app.log": lines(0, 2000), "other.txt": "no log"})
			l.sends("first pass", map[string]int{"app.log": len(lines(0, 2000)), "other.txt": 6})
			for round := range 5 {
				tail := lines(2000+round, 3+round) + "half a li"
				l.add("app.log", tail)
				l.sends(fmt.Sprint("round ", round), map[string]int{"app.log": len(tail)})
			}
			if got := l.relay.count("APPE") + l.relay.count("STOR"); got != 2+5 {
				t.Errorf("%d uploads were begun, want 7", got)
			}

			now := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(l.local, "app.log"), now, now); err != nil {
				t.Fatal(err)
			}
			l.sends("only another time", map[string]int{"app.log": 0})

			content := []byte(tree(t, l.local)["app.log"])
			content[10]++
			fill(t, l.local, map[string]string{"app.log": string(content) + "more"})
			l.sends("its beginning was altered", map[string]int{"app.log": len(content) + 4})
			fill(t, l.local, map[string]string{"app.log": "short"})
			l.sends("it became shorter", map[string]int{"app.log": 5})
			l.add("app.log", ", and longer")
			l.sends("and longer again", map[string]int{"app.log": 12})

			fill(t, l.remote, map[string]string{"app.log": "of somebody else"})
			l.add("app.log", ", and longer")
			l.sends("somebody has altered it on the server", map[string]int{"app.log": 29})
			remove(t, l.remote, "app.log")
			l.add("app.log", "!")
			l.sends("somebody has deleted it on the server", map[string]int{"app.log": 30})
		})
	}
}

// TestLogsOnAServerThatForbidsToAdd: the default of ProFTPD. Then the whole file goes, under a temporary name.
func TestLogsOnAServerThatForbidsToAdd(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{NoRestart: true}))
	fill(t, l.local, map[string]string{"app.log": lines(0, 100)})
	l.sends("first pass", map[string]int{"app.log": len(lines(0, 100))})
	for round := range 2 {
		l.add("app.log", "more")
		l.sends("it has grown", map[string]int{"app.log": len(lines(0, 100)) + 4*(round+1)})
	}
	if got := l.relay.count("APPE"); got != 1 {
		t.Errorf("APPE was tried %d times, want once", got)
	}
}

// TestALogThatSomebodyElseChanges is left alone where that is the policy.
func TestALogThatSomebodyElseChanges(t *testing.T) {
	for _, row := range [][2]string{{"keep", "vsftpd"}, {"conflict", "vsftpd"}, {"keep", "pure-ftpd"}, {"conflict", "proftpd"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			l := newLogRig(t, ftptest.Real(t, row[1], ftptest.RealOptions{}), fmt.Sprintf("on_foreign_change = %q", row[0]))
			fill(t, l.local, map[string]string{"app.log": "one\n"})
			l.sends("first pass", map[string]int{"app.log": 4})
			l.add("app.log", "two\n")
			l.sends("it has grown", map[string]int{"app.log": 4})
			fill(t, l.remote, map[string]string{"app.log": "one\ntwo\nof somebody else\n"})
			l.add("app.log", "three\n")
			report := l.once()
			if len(report.Conflicts) != 1 || tree(t, l.remote)["app.log"] != "one\ntwo\nof somebody else\n" {
				t.Errorf("%+v, on the server %q", report, tree(t, l.remote))
			}
		})
	}
}

// TestLogsThatAreRotated does what programs do that keep the last few of their logs. What is on the server is renamed too, and
// what was written since is added under the new name.
func TestLogsThatAreRotated(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLogRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), `exclude = ["*.hidden"]`)
			full := lines(0, 300)
			fill(t, l.local, map[string]string{"app.log": full})
			l.sends("first pass", map[string]int{"app.log": len(full)})

			l.add("app.log", "last words of 1\n")
			rename(t, l.local, "app.log", "app.log.1")
			l.add("app.log", "first words of 2\n")
			l.add("app.log.1", "who has it open goes on\n")
			l.sends("rotated", map[string]int{"app.log.1": 16 + 24, "app.log": 17})
			l.add("app.log", "more of 2\n")
			l.sends("and grown", map[string]int{"app.log": 10})

			for round := range 2 { // the second time, the last one goes
				remove(t, l.local, "app.log.3")
				if round > 0 {
					rename(t, l.local, "app.log.2", "app.log.3")
				}
				rename(t, l.local, "app.log.1", "app.log.2")
				l.add("app.log", "last words\n")
				rename(t, l.local, "app.log", "app.log.1")
				l.add("app.log", "first words\n")
				l.sends(fmt.Sprint("a chain, ", round), map[string]int{"app.log.1": 11, "app.log": 12})
			}
			remove(t, l.local, "app.log.3")
			rename(t, l.local, "app.log.2", "app.log.3")
			rename(t, l.local, "app.log.1", "app.log.2")
			rename(t, l.local, "app.log", "app.log.1")
			l.add("app.log", "first words\n")
			l.sends("a chain over the last one", map[string]int{"app.log": 12})

			remove(t, l.local, "app.log.1", "app.log.2", "app.log.3")
			remove(t, l.remote, "app.log.2", "app.log.3")
			rename(t, l.local, "app.log", "app.log.1")
			fill(t, l.local, map[string]string{"app.log.2.gz": "packed"})
			l.sends("packed, and nothing new yet", map[string]int{"app.log.2.gz": 6})
			l.add("app.log", "first words\n")
			l.sends("something new", map[string]int{"app.log": 12})

			copyWithTimes(t, l.local, "app.log", "app.log-20260101")
			if err := os.Truncate(filepath.Join(l.local, "app.log"), 0); err != nil {
				t.Fatal(err)
			}
			l.add("app.log", "next\n")
			l.sends("copied and truncated", map[string]int{"app.log-20260101": 12, "app.log": 5})

			before := l.relay.count("RNTO")
			rename(t, l.local, "app.log", "app.hidden")
			fill(t, l.local, map[string]string{"app.log": "new\n"})
			l.once()
			remove(t, l.local, "app.hidden")
			l.mustBeInStep("renamed to a name that takes no part")
			if got := l.relay.count("RNTO") - before; got != 1 {
				t.Errorf("%d x RNTO, want that of the upload", got)
			}

			l.relay.refuse = func(verb string) string {
				if verb == "RNFR" && l.relay.verbs["RNFR"]%2 == 1 {
					return "550 Not now."
				}
				return ""
			}
			l.relay.verbs["RNFR"] = 0
			rename(t, l.local, "app.log", "app.log.7")
			fill(t, l.local, map[string]string{"app.log": "the next one\n"})
			l.sends("the rename is refused", map[string]int{"app.log": 13, "app.log.7": 4})
		})
	}
}

// TestALogThatIsWrittenAllTheTime is never quiet, and is sent all the same, as often as it is told to settle.
func TestALogThatIsWrittenAllTheTime(t *testing.T) {
	t.Parallel()
	l := newLogRig(t, ftptest.Real(t, "pure-ftpd", ftptest.RealOptions{}), "watch = true")
	l.adjust = func(cfg *config.Config) {
		cfg.Syncs["s"].Delete, cfg.Syncs["s"].Settle = false, 300*time.Millisecond
	}
	l.add("app.log", lines(0, 100))
	l.with(agent.Options{Triggers: true}, func(*agent.Agent) {
		stop, stopped := make(chan struct{}), make(chan struct{})
		rotate, rotated := make(chan struct{}), make(chan int)
		go func() {
			defer close(stopped)
			for i, from := 100, 0; ; i++ {
				select {
				case <-stop:
					return
				case <-rotate:
					if err := os.Rename(filepath.Join(l.local, "app.log"), filepath.Join(l.local, "app.log.1")); err != nil {
						t.Error(err)
					}
					// The watch may tell of the old name before it tells of the new one. A look in between must find something.
					l.add("app.log", lines(i, 1))
					rotated <- len(lines(from, i-from))
					from = i
				case <-time.After(20 * time.Millisecond):
					l.add("app.log", lines(i, 1))
				}
			}
		}()
		defer func() { <-stopped }()
		defer close(stop)
		there := func(rel string) int {
			content, _ := os.ReadFile(filepath.Join(l.remote, rel))
			return len(content)
		}
		eventually(t, "the first one is sent", func() bool { return there("app.log") > 0 })
		soFar := there("app.log")
		eventually(t, "and grows", func() bool { return there("app.log") > soFar })
		rotate <- struct{}{}
		old := <-rotated
		eventually(t, "it was rotated, and the rest is sent", func() bool { return there("app.log.1") == old })
		eventually(t, "the next one comes", func() bool { return there("app.log") > 0 })
		soFar = there("app.log")
		eventually(t, "and grows", func() bool { return there("app.log") > soFar })
	})
	if got := l.relay.count("RNTO"); got != 3 {
		t.Errorf("%d x RNTO, want one of each upload of a whole file and one of the rotation", got)
	}
	l.mustBeInStep("in the end")
}
