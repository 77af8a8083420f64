package agent_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// rig is one sync between a local folder and a real server, with a configuration file, a state
// file and everything else that the program uses.
type rig struct {
	t       *testing.T
	server  *ftptest.RealServer
	local   string
	remote  string // the sync's remote folder as a path on this disk
	config  string
	adjust  func(*config.Config) // nil for nothing
	observe func(agent.Activity) // nil for nobody
	// impatient: a halt is put off for a second only, and not for minutes.
	impatient bool
	// patient agents put a halt off for as long as a busy machine may take.
	patient bool
}

// newRig writes a configuration; more are further lines for its [sync.s].
func newRig(t *testing.T, server *ftptest.RealServer, direction string, more ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	r := &rig{
		t: t, server: server, local: filepath.Join(dir, "local"),
		remote: filepath.Join(server.Root, "site"), config: filepath.Join(dir, "agent.toml"),
	}
	for _, path := range []string{r.local, r.remote} {
		if err := os.MkdirAll(path, 0o777); err != nil {
			t.Fatal(err)
		}
		os.Chmod(path, 0o777)
	}
	tls := `tls = "none"`
	if server.CAFile != "" {
		tls = fmt.Sprintf("tls = \"explicit\"\ntls_ca = %q", server.CAFile)
	}
	text := fmt.Sprintf(`
[agent]
state_dir = %q
[server.real]
address = %q
user = %q
password = %q
connect_timeout = "5m" # which no test is about
reply_timeout = "5m"
stall_timeout = "5m"
%s
[sync.s]
server = "real"
local = %q
remote = %q
direction = %q
delete = true
settle = "0s"
%s
`, filepath.Join(dir, "state"), server.Addr, server.User, server.Password, tls,
		r.local, server.RemoteRoot+"/site", direction, strings.Join(more, "\n"))
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) load() *config.Config {
	r.t.Helper()
	cfg, err := config.Load(r.config, os.Getenv)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.adjust != nil {
		r.adjust(cfg)
	}
	return cfg
}

// with runs an agent while use does.
func (r *rig) with(o agent.Options, use func(a *agent.Agent)) {
	r.t.Helper()
	cfg := r.load()
	db, err := state.Open(filepath.Join(cfg.Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	defer db.Close()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(r.t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	if o.Observe == nil {
		o.Observe = r.observe
	}
	a := agent.New(cfg, db, o)
	if r.impatient {
		a.PutOffAtMost(time.Second)
	}
	if r.patient {
		a.PutOffAtMost(patience)
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

// once makes a pass over both sides.
func (r *rig) once() control.SyncReport {
	r.t.Helper()
	return r.pass((*agent.Agent).FullPass)
}

// fromState makes a pass that leaves the server alone where it may.
func (r *rig) fromState() control.SyncReport {
	r.t.Helper()
	return r.pass((*agent.Agent).Pass)
}

func (r *rig) pass(pass func(*agent.Agent, context.Context, []string) (control.Report, error)) control.SyncReport {
	r.t.Helper()
	var report control.Report
	r.with(agent.Options{}, func(a *agent.Agent) {
		ctx, cancel := context.WithTimeout(r.t.Context(), patience)
		defer cancel()
		var err error
		if report, err = pass(a, ctx, nil); err != nil {
			r.t.Fatalf("Pass: %v", err)
		}
	})
	if len(report.Syncs) != 1 {
		r.t.Fatalf("Pass reported %d syncs", len(report.Syncs))
	}
	return report.Syncs[0]
}

// mustBeInStep makes a pass, and others that must find nothing to do: on both sides, and from what is known of them.
func (r *rig) mustBeInStep(what string) control.SyncReport {
	r.t.Helper()
	first := r.once()
	if code := (control.Report{Syncs: []control.SyncReport{first}}).ExitCode(); code != 0 {
		r.t.Fatalf("%s: exit code %d: %+v", what, code, first)
	}
	if diff := cmp.Diff(tree(r.t, r.local), tree(r.t, r.remote)); diff != "" {
		r.t.Fatalf("%s: local (-) and remote (+) differ:\n%s", what, diff)
	}
	for _, next := range []control.SyncReport{r.once(), r.fromState()} {
		if next.Transferred+next.Deleted+next.Folders+next.Adopted > 0 {
			r.t.Errorf("%s: another pass did something: %+v", what, next)
		}
	}
	return first
}

// tree maps each path below root to its content; folders end in a slash. What goes away while it
// looks is not there.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != root {
			return nil
		}
		if err != nil || path == root {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			found[rel+"/"] = ""
			return nil
		}
		content, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found[rel] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

var sampleTree = map[string]string{
	"plain.txt":                    "hello",
	"empty.txt":                    "",
	"empty folder/":                "",
	"with blanks in it.txt":        "blank",
	"ünïcödé/日本語.txt":              "unicode",
	"-leading dash":                "dash",
	"-dashed folder/-n":            "more dash",
	".hidden":                      "dot",
	".hidden folder/.x/y":          "deep dot",
	"deep/a/b/c/d/e/f/g/h/i/j.bin": strings.Repeat("deep", 1000),
	"brackets [1] {2} (3) 'x'.txt": "glob",
	"big.bin":                      strings.Repeat("0123456789abcdef", 1<<16),
}

// fill makes the files of content below root.
func fill(t *testing.T, root string, content map[string]string) {
	t.Helper()
	for rel, text := range content {
		path := filepath.Join(root, filepath.FromSlash(rel))
		dir := filepath.Dir(path)
		if strings.HasSuffix(rel, "/") {
			dir = path
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if dir == path {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// The server may run as another user than the test.
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o777)
		}
		return nil
	})
}

func remove(t *testing.T, root string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(filepath.Join(root, filepath.FromSlash(path))); err != nil {
			t.Fatal(err)
		}
	}
}

// TestOneWayMirror makes a tree, changes it and shrinks it: on each server in each direction, one of them with TLS.
func TestOneWayMirror(t *testing.T) {
	for i, name := range ftptest.RealServers {
		for j, direction := range []string{"up", "down"} {
			withTLS := (i+j)%2 == 0
			t.Run(fmt.Sprintf("%s/tls=%v/%s", name, withTLS, direction), func(t *testing.T) {
				t.Parallel()
				server := ftptest.Real(t, name, ftptest.RealOptions{TLS: withTLS, RequireTLS: withTLS})
				r := newRig(t, server, direction)
				source := r.local
				if direction == "down" {
					source = r.remote
				}
				mirror(t, r, source)
			})
		}
	}
}

func mirror(t *testing.T, r *rig, source string) {
	fill(t, source, sampleTree)
	old := time.Date(2020, 2, 29, 12, 34, 56, 0, time.UTC)
	if err := os.Chtimes(filepath.Join(source, "plain.txt"), old, old); err != nil {
		t.Fatal(err)
	}
	first := r.mustBeInStep("first pass")
	if first.Transferred != 11 {
		t.Errorf("first pass transferred %d files, want 11", first.Transferred)
	}
	for _, root := range []string{r.local, r.remote} {
		info, err := os.Stat(filepath.Join(root, "plain.txt"))
		if err != nil || !info.ModTime().Equal(old) {
			t.Errorf("modification time in %s: %v (%v), want %v", root, info.ModTime().UTC(), err, old)
		}
	}

	changed := maps.Clone(sampleTree)
	changed["plain.txt"], changed["new/file.txt"], changed["empty.txt"] = "HELLO", "new", "not any more"
	fill(t, source, changed)
	remove(t, source, "with blanks in it.txt", "deep/a/b", "empty folder")
	if err := os.Rename(filepath.Join(source, ".hidden"), filepath.Join(source, "shown")); err != nil {
		t.Fatal(err)
	}
	r.mustBeInStep("after changes")

	// A file takes the place of a folder, and a folder that of a file.
	remove(t, source, "deep", "plain.txt")
	fill(t, source, map[string]string{"deep": "a file now", "plain.txt/inside": "a folder now"})
	r.mustBeInStep("after files and folders changed places")
}
