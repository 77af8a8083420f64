package work

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// bench carries out single jobs against a real server.
type bench struct {
	t      *testing.T
	server *ftptest.RealServer
	local  string
	remote string // the sync's remote folder on this disk
	sync   Sync
	state  *knownState
	conn   *ftpclient.Conn
	// dropped: no job is tried again.
	dropped bool
	// failed is how many attempts the job has behind it that have failed.
	failed int

	mu       sync.Mutex // guards commands and hear
	commands []string
	hear     func(command string) // called before a command is passed on, if not nil
	address  string               // of the relay that hears them
	spares   Spares
	line     *line  // what data connections go through, if not nil
	without  string // a command that the server does not know
	limit    int64  // bytes a second, for downloads; 0 for none
	log      strings.Builder
}

// knownState is a state with what a test puts there.
type knownState struct {
	noState
	intents  []state.Intent
	appended *state.Appended
}

func (s *knownState) Appended(string) (*state.Appended, error) { return s.appended, nil }

func (s *knownState) At(string) (*state.Baseline, error)     { return s.base, nil }
func (s *knownState) Intents(string) ([]state.Intent, error) { return s.intents, nil }

// newBench serves a new folder on the server.
func newBench(t *testing.T, server *ftptest.RealServer) *bench {
	t.Helper()
	b := &bench{t: t, server: server, local: t.TempDir(), state: &knownState{}}
	var err error
	if b.remote, err = os.MkdirTemp(server.Root, "site"); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(b.remote, 0o777); err != nil {
		t.Fatal(err)
	}
	b.sync = Sync{
		Name: "s", Local: b.local, Remote: server.RemoteRoot + "/" + filepath.Base(b.remote),
		Rules: plan.Rules{Direction: plan.Up}, Upload: Upload{TempPrefix: "."},
	}
	b.address = ftptest.Relay(t, server.Addr, func() ftptest.Ears {
		return ftptest.Ears{
			Command: func(line string) (string, bool) {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.commands = append(b.commands, strings.TrimRight(line, "\r\n"))
				if b.hear != nil {
					b.hear(b.commands[len(b.commands)-1])
				}
				if b.without != "" && strings.HasPrefix(line, b.without+" ") {
					return "X" + line, true
				}
				return "", true
			},
			Reply: func(string) bool { return true },
			Rewrite: func(reply string) string {
				b.mu.Lock()
				defer b.mu.Unlock()
				if b.line != nil {
					return b.line.passive(reply)
				}
				return reply
			},
		}
	})
	t.Cleanup(func() {
		if b.conn != nil {
			b.conn.Close()
		}
	})
	return b
}

// optionsFor has the login and the protection that the server was made for.
func optionsFor(server *ftptest.RealServer) ftpclient.Options {
	o := ftpclient.Options{User: server.User, Password: server.Password, TLS: ftpclient.TLSNone}
	if server.CertPool != nil {
		o.TLS, o.TLSConfig = ftpclient.TLSExplicit, &tls.Config{RootCAs: server.CertPool, ServerName: "localhost"}
	}
	return o
}

// connect is Env.Connect.
func (b *bench) connect(ctx context.Context) (*ftpclient.Conn, error) {
	if b.conn != nil && b.conn.Usable() {
		return b.conn, nil
	}
	o, address := optionsFor(b.server), b.address
	if o.TLS != ftpclient.TLSNone {
		address = b.server.Addr // nobody can read along
	}
	if b.conn != nil {
		o.Facts = b.conn.Facts()
		b.conn.Close()
	}
	o.DownloadRate = b.limit
	conn, err := ftpclient.Dial(ctx, address, o)
	if err == nil {
		b.conn = conn
	}
	return conn, err
}

// write makes a local file with a time of whole seconds.
func (b *bench) write(name, content string) {
	b.t.Helper()
	writeStamped(b.t, filepath.Join(b.local, filepath.FromSlash(name)), content)
}

func writeStamped(t *testing.T, full, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(full, stamped, stamped); err != nil {
		t.Fatal(err)
	}
}

// place puts a file on the server's disk.
func (b *bench) place(name, content string, mode os.FileMode) {
	b.t.Helper()
	full := filepath.Join(b.remote, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), mode); err != nil {
		b.t.Fatal(err)
	}
	if err := os.Chmod(full, mode); err != nil {
		b.t.Fatal(err)
	}
}

// upload carries out one attempt to upload a file, planned from what both sides are now.
func (b *bench) upload(ctx context.Context, name string, attempt int) Outcome {
	b.t.Helper()
	op := plan.Op{Action: plan.Upload, Path: name, Local: plan.Side{Knowledge: plan.Seen}, Remote: plan.Side{Knowledge: plan.Unknown}}
	info, err := os.Lstat(filepath.Join(b.local, filepath.FromSlash(name)))
	if err != nil {
		b.t.Fatal(err)
	}
	op.Local.Entry = scan.LocalEntry(info)
	if intent := (state.Intent{Source: op.Local.Entry}); !slices.Contains(b.state.intents, intent) {
		b.state.intents = append(b.state.intents, intent)
	}
	return b.do(ctx, op, attempt)
}

func (b *bench) do(ctx context.Context, op plan.Op, attempt int) Outcome {
	b.t.Helper()
	payload, err := json.Marshal(op)
	if err != nil {
		b.t.Fatal(err)
	}
	b.mu.Lock()
	b.commands = nil
	b.mu.Unlock()
	job := queue.Job{ID: 7, New: queue.New{Kind: string(op.Action), Sync: "s", Path: op.Path, Payload: payload}, Claims: attempt, Attempts: b.failed}
	return Do(ctx, Env{
		Sync: b.sync, State: b.state, Spares: b.spares, Instance: instance, Connect: b.connect, Dropped: func() bool { return b.dropped },
		Logger: slog.New(slog.NewTextHandler(io.MultiWriter(b.t.Output(), &b.log), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}, job)
}

// mustUpload is upload for what has to end well; it forgets what was begun, as a commit does.
func (b *bench) mustUpload(name string, attempt int) Outcome {
	b.t.Helper()
	o := b.upload(b.t.Context(), name, attempt)
	if o.Result != Done {
		b.t.Fatalf("%s: %v (%v) %s", name, o.Result, o.Err, o.Reason)
	}
	b.state.intents = nil
	return o
}

// said returns the commands of the last job with this verb.
func (b *bench) said(verb string) (found []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.commands {
		if c == verb || strings.HasPrefix(c, verb+" ") {
			found = append(found, c)
		}
	}
	return found
}

// holds compares what is below a folder of this disk: paths with contents, nothing else.
func holds(t *testing.T, root string, want map[string]string) {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		found[filepath.ToSlash(rel)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range found {
		switch expected, ok := want[name]; {
		case !ok:
			t.Errorf("%s: there is %q", root, name)
		case content != expected:
			t.Errorf("%s: %q has %d bytes of other content, want %d", root, name, len(content), len(expected))
		}
	}
	for name := range want {
		if _, ok := found[name]; !ok {
			t.Errorf("%s: there is no %q", root, name)
		}
	}
}

// noise is content of so many bytes in which no part is like another.
func noise(size int, seed byte) string {
	text := make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(text) // never fails
	return string(text)
}

// onEach runs a test on each real server, or the named ones.
func onEach(t *testing.T, o ftptest.RealOptions, test func(t *testing.T, b *bench), servers ...string) {
	t.Parallel()
	if servers == nil {
		servers = ftptest.RealServers
	}
	for _, name := range servers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, ftptest.Real(t, name, o)))
		})
	}
}

// again is the same server with another folder.
func (b *bench) again(t *testing.T) *bench { return newBench(t, b.server) }
