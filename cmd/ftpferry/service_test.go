package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/service"
	"github.com/ftpferry/ftpferry/state"
)

// alone is a program with a configuration whose server nobody is at.
func alone(t *testing.T, settings string) (p *program, cfg *config.Config, told *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	told = &bytes.Buffer{}
	p = &program{env: func(string) string { return "" }, stdout: told, stderr: told, configPath: filepath.Join(dir, "agent.toml")}
	if err := os.Mkdir(filepath.Join(dir, "www"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, p.configPath, fmt.Sprintf(`
[agent]
state_dir = "state"
log = { format = "text" }
%s
[server.acme]
address = "127.0.0.1:1"
tls = "none"
[sync.web]
server = "acme"
local = "www"
remote = "/"
direction = "up"
`, settings))
	cfg, err := p.load()
	if err != nil {
		t.Fatal(err)
	}
	return p, cfg, told
}

func (p *program) mustOpen(t *testing.T, cfg *config.Config, logger *slog.Logger) *state.DB {
	t.Helper()
	db, err := p.openState(t.Context(), cfg, false, logger)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// fill70MB needs more room than any file without data.
func fill70MB(tx *state.Tx) error {
	for i := range uint64(70) {
		if err := tx.Table("queue/filler").Put(state.Key(i), make([]byte, 1<<20)); err != nil {
			return err
		}
	}
	return nil
}

func TestTheSizeOfTheStateIsBounded(t *testing.T) {
	t.Parallel()
	p, cfg, _ := alone(t, `max_state_size = "64MiB"`)
	db := p.mustOpen(t, cfg, p.logger(cfg, slog.LevelError))
	defer db.Close()
	if err := db.Update(fill70MB); !errors.Is(err, state.ErrFull) {
		t.Errorf("70 MB in a file of 64 MiB at most: %v", err)
	}
}

// TestACompactionIsTold: the program's log has it.
func TestACompactionIsTold(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // where nothing is compacted
	}
	t.Parallel()
	p, cfg, told := alone(t, "")
	logger := p.logger(cfg, slog.LevelInfo)
	db := p.mustOpen(t, cfg, logger)
	err := db.Update(fill70MB)
	if err == nil {
		err = db.Update(func(tx *state.Tx) error {
			_, err := tx.Table("queue/filler").DeletePrefix(nil)
			return err
		})
	}
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if told.Len() > 0 {
		t.Errorf("told before: %s", told)
	}
	if err := p.mustOpen(t, cfg, logger).Close(); err != nil {
		t.Fatal(err)
	}
	if text := told.String(); strings.Count(text, "the state file was compacted") != 1 || !strings.Contains(text, cfg.Agent.StateDir) {
		t.Errorf("told: %s", text)
	}
}

// TestALostCommitIsTold by every command that opens the file, those included that log nothing but errors.
func TestALostCommitIsTold(t *testing.T) {
	t.Parallel()
	p, cfg, _ := alone(t, "")
	for range 2 { // so that there is a commit before the last one
		if err := p.mustOpen(t, cfg, slog.New(slog.DiscardHandler)).Close(); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(cfg.Agent.StateDir, stateFile)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const transactionAt = 16 + 48 // behind the header of a page
	newer, pageSize := 0, os.Getpagesize()
	if binary.NativeEndian.Uint64(sound[pageSize+transactionAt:]) > binary.NativeEndian.Uint64(sound[transactionAt:]) {
		newer = pageSize
	}
	sound[newer+transactionAt]++ // which its checksum does not fit
	for _, command := range [][]string{
		{"once"}, {"plan"}, {"approve", "web"}, {"queue"}, {"queue", "retry", "--all"}, {"history"}, {"check", "--state"},
		{"state", "backup", filepath.Join(t.TempDir(), "backup")},
	} {
		write(t, path, string(sound))
		var told bytes.Buffer
		code := run(append([]string{"-c", p.configPath}, command...), p.env, &told, &told)
		if text := told.String(); strings.Count(text, "the last commit to the state file is not readable") != 1 {
			t.Errorf("%q: exit code %d: %s", command, code, text)
		}
	}
}

// TestAStateOfAnOlderVersionIsNoProblem: check says what becomes of it, and the next start does that.
func TestAStateOfAnOlderVersionIsNoProblem(t *testing.T) {
	t.Parallel()
	p, cfg, _ := alone(t, "")
	packed, err := os.Open(filepath.Join("..", "..", "state", "testdata", "schema-1.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	reader, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	old, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(cfg.Agent.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(cfg.Agent.StateDir, stateFile)
	write(t, path, string(old))
	check := func(want string, more ...string) {
		t.Helper()
		var told bytes.Buffer
		code := run(append([]string{"-c", p.configPath, "check", "--state"}, more...), p.env, &told, &told)
		if code != 0 || !strings.Contains(told.String(), want) {
			t.Errorf("exit code %d, want 0 and %q:\n%s", code, want, &told)
		}
	}
	check("of an older version, ")
	check(`"outdated": true`, "--json")
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, old) {
		t.Errorf("the check changed the file: %v", err)
	}
	if err := p.mustOpen(t, cfg, slog.New(slog.DiscardHandler)).Close(); err != nil {
		t.Fatal(err)
	}
	check("agent.db: sound")
	// An old file that is damaged is a problem like any other.
	write(t, path, string(old[:3*os.Getpagesize()]))
	if code := run([]string{"-c", p.configPath, "check", "--state"}, p.env, io.Discard, io.Discard); code != 1 {
		t.Errorf("exit code %d for a file that is cut short", code)
	}
}

// TestAnAgentThatHangs is told of as one: what reads or changes the state must not be said to be for another time, or another user.
func TestAnAgentThatHangs(t *testing.T) {
	t.Parallel()
	p, cfg, told := alone(t, "")
	if err := os.MkdirAll(cfg.Agent.StateDir, 0o700); err != nil {
		t.Fatal(err)
	}
	listener, err := control.Listen(cfg.Agent.StateDir) // and nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if _, err := p.runningAgent(t.Context(), cfg); !errors.Is(err, control.ErrNoAnswer) || p.exitCode(err) != control.ExitUnfinished {
		t.Errorf("%v: %s", err, told)
	}
	listener.Close()
	if client, err := p.runningAgent(t.Context(), cfg); client != nil || err != nil {
		t.Errorf("none runs: %v, %v", client, err)
	}
}

func TestWhoseStateItIs(t *testing.T) {
	t.Parallel()
	env := func(name string) string { return map[string]string{"XDG_STATE_HOME": "/home/kim/state"}[name] }
	for _, row := range []struct {
		sentence, path, stateDir string
		want                     bool
	}{
		{"somebody looks without sudo", service.PackagedConfig, "/home/kim/state/ftpferry", true},
		{"the configuration says where", service.PackagedConfig, "/srv/state", false},
		{"or that it is where that of the service is", service.PackagedConfig, service.StateFolder, false},
		{"with a configuration of their own", "/home/kim/agent.toml", "/home/kim/state/ftpferry", false},
	} {
		if got := isStateElsewhere(&config.Config{Path: row.path, Agent: config.Agent{StateDir: row.stateDir}}, env); got != row.want && runtime.GOOS != "windows" {
			t.Errorf("%s: %t", row.sentence, got)
		}
	}
}
