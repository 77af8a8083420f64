package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// letterbox is a webhook that keeps what it is told, one line for each item.
type letterbox struct {
	*httptest.Server
	mu    sync.Mutex // guards following
	lines []string
}

func newLetterbox(t *testing.T) *letterbox {
	l := &letterbox{}
	l.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m alert.Message
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, item := range m.Items {
			l.lines = append(l.lines, fmt.Sprintf("%s %s: %s", item.Event, item.Kind, item))
		}
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *letterbox) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.lines)
}

// saying returns whether one of the lines has all of the words.
func (l *letterbox) saying(words ...string) func() bool {
	return func() bool {
		return slices.ContainsFunc(l.all(), func(line string) bool {
			return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
		})
	}
}

// dayOfProcesses are the lines of [alert] that TestTheEndsOfAService adds.
const dayOfProcesses = `
[alert.box]
webhook = { url = %q }
group = "0s"
limit = 1000
timeout = "5m"
`

// TestTheEndsOfAService and other things for which it takes a process: in each channel there is what has happened, as far as that channel is
// there at all.
func TestTheEndsOfAService(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	t.Parallel()
	disk := ftptest.Tmpfs(t, 2<<20, false)
	box := newLetterbox(t)
	g := newPair(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), plot{direction: "up", states: disk, rules: "watch = true"})
	g.configure(`shutdown_grace = "1s"`, fmt.Sprintf("shutdown_grace = \"1s\"\nlisten = \"127.0.0.1:%d\"", ftptest.LeasePort(t)))
	good, err := os.ReadFile(g.config)
	if err != nil {
		t.Fatal(err)
	}
	good = fmt.Appendf(good, dayOfProcesses, box.URL)
	write(t, g.config, string(good))
	inStep := func(program process, name string) {
		t.Helper()
		fill(t, g.local, map[string]int{name: 1})
		g.await(program, name+" to arrive", func() bool { return hashes(t, g.remote)[name] != "" })
	}
	logged := func(program process, words ...string) {
		t.Helper()
		for _, word := range words {
			g.await(program, fmt.Sprintf("the log to say %q", word), func() bool { return strings.Contains(program.out.String(), word) })
		}
	}

	program := g.start("run")
	inStep(program, "a")

	// A configuration with errors changes nothing and says why, whoever asks.
	write(t, g.config, strings.Replace(string(good), `settle = "0s"`, `settle = "soon"`, 1))
	if err := program.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	logged(program, "configuration not taken", filepath.Base(g.config)+":", `soon`)
	g.mustRun(control.ExitConfiguration, []string{filepath.Base(g.config) + ":", "settle", "soon"}, "reload")
	inStep(program, "b")
	write(t, g.config, string(good))
	g.mustRun(control.ExitDone, []string{"the configuration is in force"}, "reload")
	waitFor(t, "the status to say that all is well", func() bool {
		code, out := g.run("status")
		return code == control.ExitDone && strings.Contains(out, "s: in step") && strings.Contains(out, "server real: ")
	})

	// Killed: it cannot say so, but whoever looks sees that, and the next one goes on.
	g.mustAnswer("http://"+g.listening()+"/metrics", `ftpferry_sync_problems{kind="halted",sync="s"} 0`, `ftpferry_agent_info`)
	program.kill()
	g.mustRun(control.ExitDone, []string{"no agent is running"}, "status")
	program = g.start("run")
	inStep(program, "c")

	// No room for the state: it says so in all channels that are left, and ends.
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 4<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	more := map[string]int{}
	for i := range 200 {
		more[fmt.Sprintf("more/%s %d", strings.Repeat("long name ", 12), i)] = 1
	}
	fill(t, g.local, more)
	code, out := program.end(t)
	if code != control.ExitNeedsPerson || !strings.Contains(out, "the state could not be written, stopping") || !strings.Contains(out, "no room for the state file") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if told := box.saying("problem stopped: the agent has stopped, nothing is synchronised: ", "no room for the state file"); !told() {
		t.Errorf("told: %q", box.all())
	}
	g.mustRun(control.ExitNeedsPerson, []string{"no agent is running", "it could not go on, ", "no space left on"}, "status")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	program = g.start("run")
	waitFor(t, "the recovery to be told", box.saying("recovered stopped: over, after ", "the agent had stopped: ", "no room for the state file"))
	g.await(program, "the rest to arrive", func() bool { return len(hashes(t, g.remote)) == len(hashes(t, g.local)) })

	// Told to stop: it ends in order, says so in the log, and tells nobody.
	before := len(box.all())
	if err := program.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code, out = program.end(t)
	if code != control.ExitDone || !strings.Contains(out, "stop asked for") || !strings.Contains(out, "stopping") || !strings.Contains(out, "stopped") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	if told := box.all(); len(told) != before {
		t.Errorf("told: %q", told[before:])
	}
	if out := g.mustRun(control.ExitDone, []string{"no agent is running"}, "status"); strings.Contains(out, "could not go on") {
		t.Errorf("of an end in order:\n%s", out)
	}
}

// listening is where the agent tells by HTTP how it stands.
func (g *pair) listening() (address string) {
	g.t.Helper()
	waitFor(g.t, "the agent to listen", func() bool {
		var o control.Overview
		_, out := g.run("status", "--json")
		if start := strings.Index(out, "{"); start >= 0 && json.NewDecoder(strings.NewReader(out[start:])).Decode(&o) == nil {
			address = o.Listen
		}
		return address != ""
	})
	return address
}

// mustAnswer asks for a page that has to hold these.
func (g *pair) mustAnswer(page string, parts ...string) {
	g.t.Helper()
	response, err := http.Get(page)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(string(text), part) {
			g.t.Errorf("%s does not say %q:\n%s", page, part, text)
		}
	}
}
