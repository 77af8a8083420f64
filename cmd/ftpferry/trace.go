package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// traceAsked is what the command line says about traces.
type traceAsked struct {
	servers []string
	file    string
}

// withTrace gives a command that connects the flags of a trace.
func (p *program) withTrace(c *cobra.Command) *cobra.Command {
	c.Flags().StringSliceVar(&p.trace.servers, "trace", nil, "write all that is said to and by `SERVER`, without passwords, to standard error")
	c.Flags().StringVar(&p.trace.file, "trace-file", "", "append the trace to `FILE` instead")
	return c
}

// startTrace checks what was asked for and opens the file. stop is to be called at the end.
func (p *program) startTrace(cfg *config.Config) (stop func(), err error) {
	stop = func() {}
	if len(p.trace.servers) == 0 {
		if p.trace.file != "" {
			return stop, exit{control.ExitUsage, fmt.Errorf("--trace-file needs --trace SERVER")}
		}
		return stop, nil
	}
	if _, err := serverNames(cfg, p.trace.servers); err != nil {
		return stop, err
	}
	shared := &sharedWriter{out: p.stderr}
	p.logOutput = shared
	p.tracing = &trace{servers: p.trace.servers, out: shared, now: time.Now}
	if p.trace.file != "" {
		file, err := os.OpenFile(p.trace.file, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return stop, exit{control.ExitNeedsPerson, fmt.Errorf("trace: %w", err)}
		}
		p.tracing.out = file
		stop = func() { file.Close() }
	}
	return stop, nil
}

// traceIsElsewhere says that the running agent does the work, of which this process sees nothing.
func (p *program) traceIsElsewhere() {
	if p.tracing != nil {
		fmt.Fprintln(p.stderr, "ftpferry: no trace: the running agent does this; start it with --trace, or stop it for a moment")
	}
}

// sharedWriter has one write at a time reach out: a log and traces each write whole lines.
type sharedWriter struct {
	mutex sync.Mutex
	out   io.Writer
}

func (w *sharedWriter) Write(p []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.out.Write(p)
}

// trace is where the lines of the protocol go. Safe for concurrent use.
type trace struct {
	servers []string
	now     func() time.Time
	out     io.Writer // takes several at a time, each write whole
}

func (t *trace) write(lines string) {
	_, _ = io.WriteString(t.out, lines) // a trace that cannot be written stops nothing
}

// tracer is a log handler that also writes what is said to and by a server. The client masks secrets.
type tracer struct {
	slog.Handler
	trace         *trace
	server, local string // of the logger; server is empty where it is not traced
}

// Enabled reports true for all that a trace tells.
func (t tracer) Enabled(ctx context.Context, level slog.Level) bool {
	return t.server != "" || t.Handler.Enabled(ctx, level)
}

// WithAttrs finds out which server the logger is about.
func (t tracer) WithAttrs(attributes []slog.Attr) slog.Handler {
	for _, a := range attributes {
		switch name := a.Value.String(); {
		case a.Key == "server" && slices.Contains(t.trace.servers, name):
			t.server = name
		case a.Key == "local":
			t.local = name
		}
	}
	t.Handler = t.Handler.WithAttrs(attributes)
	return t
}

// WithGroup keeps the trace.
func (t tracer) WithGroup(name string) slog.Handler {
	t.Handler = t.Handler.WithGroup(name)
	return t
}

// Handle writes a line for each one of the protocol, and for what else is said about the server.
func (t tracer) Handle(ctx context.Context, record slog.Record) error {
	if t.server != "" {
		t.trace.write(t.lines(record))
	}
	if !t.Handler.Enabled(ctx, record.Level) {
		return nil
	}
	return t.Handler.Handle(ctx, record)
}

// lines are such as "2026-11-23T08:15:00.123Z acme 192.0.2.1:40312 > STOR x", with ">" for commands, "<" for replies, and "-" for
// what is no protocol.
func (t tracer) lines(record slog.Record) string {
	values := map[string]string{}
	var others []string
	record.Attrs(func(a slog.Attr) bool {
		values[a.Key] = a.Value.Resolve().String()
		others = append(others, a.Key+"="+values[a.Key])
		return true
	})
	mark, text := "-", strings.TrimSpace(record.Message+" "+strings.Join(others, " "))
	switch record.Message {
	case "command":
		mark, text = ">", values["line"]
	case "reply":
		mark, text = "<", values["code"]+" "+values["text"]
	}
	head := t.trace.now().UTC().Format("2006-01-02T15:04:05.000Z") + " " + t.server + " "
	if t.local != "" {
		head += t.local + " "
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimRight(text, "\r\n"), "\n") {
		b.WriteString(head + mark + " " + visible(line) + "\n")
	}
	return b.String()
}

// visible takes the control characters out of what a server says: it may be read on a terminal.
func visible(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(strings.TrimRight(line, "\r"), "?"))
}
