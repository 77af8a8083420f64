package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// TestLogsForTheJournal: lines with a priority and without what journald knows, as long as that is what reads them.
func TestLogsForTheJournal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	device, inode, known := fileIdentity(info)
	if !known {
		return // no journald on this system
	}
	for _, c := range []struct {
		sentence, stream string
		format           config.LogFormat
		want             string
	}{
		{"to the journal", fmt.Sprintf("%d:%d", device, inode), config.LogAuto,
			"<7>msg=debugging a=1 server=acme\n<6>msg=\"for information\"\n<4>msg=careful\n<3>msg=wrong group.error=\"x\\ny\" group.time=5\n"},
		{"to the journal as text", fmt.Sprintf("%d:%d", device, inode), config.LogText, "<7>msg=debugging a=1 server=acme\n"},
		{"redirected to a file", fmt.Sprintf("%d:%d", device, inode+1), config.LogAuto, `{"time":`},
		{"without systemd", "", config.LogAuto, `{"time":`},
		{"to the journal as JSON", fmt.Sprintf("%d:%d", device, inode), config.LogJSON, `{"time":`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			if err := file.Truncate(0); err != nil {
				t.Fatal(err)
			}
			if _, err := file.Seek(0, 0); err != nil {
				t.Fatal(err)
			}
			p := &program{stderr: file, env: func(name string) string { return map[string]string{"JOURNAL_STREAM": c.stream}[name] }}
			logger := p.logger(&config.Config{Agent: config.Agent{Log: config.Log{Format: c.format}}}, slog.LevelDebug)
			logger.With("a", 1).Debug("debugging", "server", "acme")
			logger.Info("for information")
			logger.Warn("careful")
			logger.WithGroup("group").Error("wrong", "error", "x\ny", "time", 5)
			text, err := os.ReadFile(file.Name())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), c.want) {
				t.Errorf("got %s\nwant %s", text, c.want)
			}
		})
	}
}

// TestComplaintsForTheJournal: what ends the program is an error there, too.
func TestComplaintsForTheJournal(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	device, inode, known := fileIdentity(info)
	if !known {
		return // no journald on this system
	}
	stream := ""
	p := &program{stderr: file, env: func(string) string { return stream }}
	p.exitCode(exit{control.ExitConfiguration, errors.New("not to the journal")})
	stream = fmt.Sprintf("%d:%d", device, inode)
	p.exitCode(exit{control.ExitConfiguration, errors.New("agent.toml:1:1: what?\nagent.toml:2:1: what?")})
	p.warn(&config.Config{Warnings: []config.Problem{{Text: "careful"}}})
	text, err := os.ReadFile(file.Name())
	want := "ftpferry: not to the journal\n<3>ftpferry: agent.toml:1:1: what?\n<3>agent.toml:2:1: what?\n<4>ftpferry: warning: careful\n"
	if err != nil || string(text) != want {
		t.Errorf("%v, told\n%swant\n%s", err, text, want)
	}
}

func TestATraceIsOfOneServer(t *testing.T) {
	var traced, logged bytes.Buffer
	at := time.Date(2026, 11, 23, 8, 15, 0, 123e6, time.UTC)
	handler := tracer{Handler: slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelInfo}),
		trace: &trace{servers: []string{"acme"}, out: &traced, now: func() time.Time { return at }}}
	logger := slog.New(handler)
	wire := logger.With("server", "acme").With("local", "192.0.2.1:40312")
	wire.Debug("command", "line", "PASS ***")
	wire.Debug("reply", "code", 230, "text", "Hello\r\nthere\x1b[31m\u202e")
	wire.Info("connections that the server takes", "limit", 3)
	logger.With("server", "other").Debug("command", "line", "QUIT")
	logger.Debug("command", "line", "QUIT")
	want := "2026-11-23T08:15:00.123Z acme 192.0.2.1:40312 > PASS ***\n" +
		"2026-11-23T08:15:00.123Z acme 192.0.2.1:40312 < 230 Hello\n" +
		"2026-11-23T08:15:00.123Z acme 192.0.2.1:40312 < there?[31m?\n" +
		"2026-11-23T08:15:00.123Z acme 192.0.2.1:40312 - connections that the server takes limit=3\n"
	if traced.String() != want {
		t.Errorf("trace:\n%swant:\n%s", traced.String(), want)
	}
	if got := logged.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "limit=3") {
		t.Errorf("log:\n%s", got)
	}
	if logger.Enabled(context.Background(), slog.LevelDebug) || !wire.Enabled(context.Background(), slog.LevelDebug) {
		t.Error("debug level is on where it is not needed, or off where it is")
	}
}

// TestTheLogFollowsTheConfiguration in its level and its form, loggers that were made before too.
func TestTheLogFollowsTheConfiguration(t *testing.T) {
	var out bytes.Buffer
	p := &program{stderr: &out, env: func(string) string { return "" }}
	with := func(level slog.Level, format config.LogFormat) *config.Config {
		return &config.Config{Agent: config.Agent{Log: config.Log{Level: level, Format: format}}}
	}
	logger, choice := p.changingLogger(with(slog.LevelInfo, config.LogJSON))
	about := logger.With("server", "acme").WithGroup("more")
	about.Debug("nothing")
	about.Info("one", "a", 1)
	choice.follow(with(slog.LevelDebug, config.LogText))
	about.Debug("two", "a", 2)
	choice.follow(with(slog.LevelWarn, config.LogAuto))
	about.Info("nothing")
	about.Warn("three", "a", 3)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], `"msg":"one","server":"acme","more":{"a":1}}`) ||
		!strings.HasSuffix(lines[1], `level=DEBUG msg=two server=acme more.a=2`) || !strings.HasSuffix(lines[2], `"msg":"three","server":"acme","more":{"a":3}}`) {
		t.Errorf("%q", lines)
	}
}
