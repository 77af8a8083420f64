package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// asProgram makes the test binary be the program itself.
const asProgram = "FTPFERRY_TEST_AS_PROGRAM"

// pair is a sync between a local folder and a real server, for the program in processes of its own.
type pair struct {
	t         *testing.T
	direction string
	config    string
	states    string // the folder of the state
	local     string
	remote    string // the sync's remote folder as a path on this disk
}

// plot says how a pair is set up. The zero value of the rest is the usual.
type plot struct {
	direction string // "up" or "down"
	address   string // other than the server's: that of a tap
	folder    string // other than "site": where several share a server
	states    string // the folder of the state
	local     string // the local folder
	settings  string // further lines for [server.real]
	rules     string // further lines for [sync.s]
}

func newPair(t *testing.T, server *ftptest.RealServer, p plot) *pair {
	t.Helper()
	dir := t.TempDir()
	g := &pair{t: t, direction: p.direction, config: filepath.Join(dir, "agent.toml"), states: p.states, local: p.local}
	if g.states == "" {
		g.states = filepath.Join(dir, "state")
	}
	if g.local == "" {
		g.local = filepath.Join(dir, "local")
	}
	if p.folder == "" {
		p.folder = "site"
	}
	if p.address == "" {
		p.address = server.Addr
	}
	g.remote = filepath.Join(server.Root, p.folder)
	for _, path := range []string{g.local, g.remote} {
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	secured := `tls = "none"`
	if server.CAFile != "" {
		secured = fmt.Sprintf("tls_ca = %q\ntls_server_name = \"localhost\"", server.CAFile)
	}
	write(t, g.config, fmt.Sprintf(`
[agent]
state_dir = %q
shutdown_grace = "1s"
[server.real]
address = %q
user = %q
password = %q
%s
%s
[sync.s]
server = "real"
local = %q
remote = %q
direction = %q
delete = true
settle = "0s"
%s
`, g.states, p.address, server.User, server.Password, secured, p.settings, g.local, server.RemoteRoot+"/"+p.folder, p.direction, p.rules))
	return g
}

// source and target are the folders that the files come from and go to.
func (g *pair) source() string {
	if g.direction == "up" {
		return g.local
	}
	return g.remote
}

func (g *pair) target() string {
	if g.direction == "up" {
		return g.remote
	}
	return g.local
}

func (g *pair) start(arguments ...string) process {
	g.t.Helper()
	return start(g.t, g.config, arguments...)
}

// run lets the program run to its end.
func (g *pair) run(arguments ...string) (code int, out string) {
	g.t.Helper()
	return g.start(arguments...).end(g.t)
}

// mustRun is run for what has to end with that code and say all of the words.
func (g *pair) mustRun(code int, words []string, arguments ...string) string {
	g.t.Helper()
	got, out := g.run(arguments...)
	missing := false
	for _, word := range words {
		missing = missing || !strings.Contains(out, word)
	}
	if got != code || missing {
		g.t.Fatalf("%q: exit code %d, want %d and %q:\n%s", arguments, got, code, words, out)
	}
	return out
}

// mustBeEqual compares both sides; temporary files are files too.
func (g *pair) mustBeEqual(when string) {
	g.t.Helper()
	if diff := cmp.Diff(hashes(g.t, g.local), hashes(g.t, g.remote)); diff != "" {
		g.t.Fatalf("%s: local (-) and remote (+) differ:\n%s", when, diff)
	}
}

// mustBeInStep makes a pass that has to bring both sides in step, and another one that must find nothing to do.
func (g *pair) mustBeInStep(when string) {
	g.t.Helper()
	g.mustRun(0, []string{"s: in step"}, "once")
	g.mustBeEqual(when)
	g.mustRun(0, []string{"nothing done"}, "once")
	g.mustBeSound()
}

// look reads the state while no program runs.
func (g *pair) look(use func(tx *state.Tx) error) {
	g.t.Helper()
	db, err := state.Open(g.stateFile(), state.Options{ReadOnly: true})
	if err == nil {
		defer db.Close()
		err = db.View(use)
	}
	if err != nil {
		g.t.Fatal(err)
	}
}

func (g *pair) stateFile() string { return filepath.Join(g.states, stateFile) }

// mustBeSound examines the state: by the program's own check, that no scan has left anything staged, and that the history
// can be read.
func (g *pair) mustBeSound() {
	g.t.Helper()
	out := g.mustRun(0, []string{"sound"}, "check", "--state")
	if strings.Contains(out, "staged") {
		g.t.Errorf("something is staged that nobody will carry out:\n%s", out)
	}
	for line := range strings.Lines(g.mustRun(0, nil, "history", "--json")) {
		if !strings.HasPrefix(line, "ftpferry: warning") && !json.Valid([]byte(line)) {
			g.t.Errorf("the history cannot be read: %s", line)
		}
	}
}

// knows reports whether there is a baseline of the path with that size. There may be no state yet.
func (g *pair) knows(path string, size int64) (known bool) {
	g.t.Helper()
	if _, err := os.Stat(g.stateFile()); err != nil {
		return false
	}
	g.look(func(tx *state.Tx) error {
		row, ok, err := state.GetBaseline(tx, "s", path)
		known = ok && row.Local.Size == size && row.Remote.Size == size
		return err
	})
	return known
}

// fill makes files, whose content is their name so many times.
func fill(t *testing.T, root string, files map[string]int) {
	t.Helper()
	for name, times := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		write(t, path, strings.Repeat(name, times))
	}
}

func digest(content []byte) string { return fmt.Sprintf("%x", sha256.Sum256(content)) }

// hashes maps each path below root to the hash of its content; folders end in a slash.
func hashes(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			if os.IsNotExist(err) {
				return nil // the server is still at work
			}
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || rel == "." {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			found[rel+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		if err == nil {
			found[rel] = digest(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// temporary lists the temporary files below root with their sizes.
func temporary(root string) map[string]int64 {
	found := map[string]int64{}
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !scan.IsTemp(filepath.ToSlash(path)) {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil {
			found[path] = info.Size()
		}
		return nil
	})
	return found
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

type process struct {
	*exec.Cmd
	out *output
}

// output is what a process has said, which may be looked at while it goes on.
type output struct {
	mu   sync.Mutex // guards following
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// start runs the program in a process of its own.
func start(t *testing.T, config string, arguments ...string) process {
	t.Helper()
	return launch(t, command(t, config, arguments...))
}

// launch starts a command, which ends with the test.
func launch(t *testing.T, c *exec.Cmd) process {
	t.Helper()
	p := process{c, &output{}}
	p.Stdout, p.Stderr = p.out, p.out
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.ProcessState == nil {
			p.kill()
		}
	})
	return p
}

// command is the program with its arguments, not started yet.
func command(t *testing.T, config string, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, append([]string{"-c", config}, arguments...)...)
	// The race detector has a program wait a second at its end.
	c.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	return c
}

// kill ends the process with SIGKILL and returns when it is gone.
func (p process) kill() {
	p.Process.Kill() // an error means that it is gone already
	p.Wait()
}

// patience is how long a program may take that has to end by itself.
const patience = 5 * time.Minute

// end waits for the end of the process.
func (p process) end(t *testing.T) (code int, out string) {
	t.Helper()
	late := time.AfterFunc(patience, func() { p.Process.Kill() })
	defer late.Stop()
	err := p.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return p.ProcessState.ExitCode(), p.out.String()
}
