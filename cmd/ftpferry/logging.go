package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/ftpferry/ftpferry/agent/config"
)

// logger writes to standard error, from level on.
func (p *program) logger(cfg *config.Config, level slog.Leveler) *slog.Logger {
	handler := p.logHandler(cfg.Agent.Log.Format, level)
	if p.tracing != nil {
		handler = tracer{Handler: handler, trace: p.tracing}
	}
	return slog.New(handler)
}

// changingLogger is logger for who lives through changes of log.level and log.format.
func (p *program) changingLogger(cfg *config.Config) (*slog.Logger, *logChoice) {
	choice := &logChoice{}
	h := changingHandler{choice: choice, handlers: map[config.LogFormat]slog.Handler{}}
	for _, format := range []config.LogFormat{config.LogAuto, config.LogText, config.LogJSON} {
		h.handlers[format] = p.logHandler(format, &choice.level)
	}
	choice.follow(cfg)
	if p.tracing != nil {
		return slog.New(tracer{Handler: h, trace: p.tracing}), choice
	}
	return slog.New(h), choice
}

// logChoice is what of the log can be changed. Safe for concurrent use.
type logChoice struct {
	level  slog.LevelVar
	format atomic.Pointer[config.LogFormat]
}

func (c *logChoice) follow(cfg *config.Config) {
	c.level.Set(cfg.Agent.Log.Level)
	c.format.Store(&cfg.Agent.Log.Format)
}

// changingHandler writes in the form that is chosen at the moment.
type changingHandler struct {
	choice   *logChoice
	handlers map[config.LogFormat]slog.Handler
}

// Enabled reports whether something of this level is logged.
func (h changingHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.choice.level.Level()
}

// Handle writes one line.
func (h changingHandler) Handle(ctx context.Context, record slog.Record) error {
	return h.handlers[*h.choice.format.Load()].Handle(ctx, record)
}

// WithAttrs adds to all forms.
func (h changingHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return h.with(func(form slog.Handler) slog.Handler { return form.WithAttrs(attributes) })
}

// WithGroup adds to all forms.
func (h changingHandler) WithGroup(name string) slog.Handler {
	return h.with(func(form slog.Handler) slog.Handler { return form.WithGroup(name) })
}

func (h changingHandler) with(more func(slog.Handler) slog.Handler) slog.Handler {
	next := changingHandler{h.choice, map[config.LogFormat]slog.Handler{}}
	for format, form := range h.handlers {
		next.handlers[format] = more(form)
	}
	return next
}

func (p *program) logHandler(format config.LogFormat, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	output := p.stderr
	if p.logOutput != nil {
		output = p.logOutput
	}
	switch {
	case format != config.LogJSON && toJournal(p.stderr, p.env("JOURNAL_STREAM")):
		return newJournalHandler(output, level)
	case format == config.LogText || format == config.LogAuto && isTerminal(p.stderr):
		return slog.NewTextHandler(output, options)
	}
	return slog.NewJSONHandler(output, options)
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	nothing, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, nothing)
}

// toJournal reports whether w is the connection to journald that $JOURNAL_STREAM names, see systemd.exec(5). It may have been
// redirected since.
func toJournal(w io.Writer, stream string) bool {
	file, ok := w.(*os.File)
	if !ok || stream == "" {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	device, inode, known := fileIdentity(info)
	return known && stream == fmt.Sprintf("%d:%d", device, inode)
}

// tell tells people what is wrong, and journald how bad it is, line by line.
func (p *program) tell(level slog.Level, text string) {
	text = "ftpferry: " + text + "\n"
	if toJournal(p.stderr, p.env("JOURNAL_STREAM")) {
		mark := fmt.Sprintf("<%d>", priority(level))
		text = mark + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+mark) + "\n"
	}
	io.WriteString(p.stderr, text)
}

// journalHandler writes text for journald: with the priority in front, as in sd-daemon(3), and without the time and the level, which
// journald keeps itself.
type journalHandler struct {
	slog.Handler // writes to line
	shared       *journalLine
}

type journalLine struct {
	mutex sync.Mutex
	line  bytes.Buffer
	out   io.Writer
}

func newJournalHandler(out io.Writer, level slog.Leveler) journalHandler {
	shared := &journalLine{out: out}
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey) {
			return slog.Attr{}
		}
		return a
	}}
	return journalHandler{slog.NewTextHandler(&shared.line, options), shared}
}

// Handle writes one line, by one write.
func (h journalHandler) Handle(ctx context.Context, record slog.Record) error {
	h.shared.mutex.Lock()
	defer h.shared.mutex.Unlock()
	h.shared.line.Reset()
	fmt.Fprintf(&h.shared.line, "<%d>", priority(record.Level))
	if err := h.Handler.Handle(ctx, record); err != nil {
		return err
	}
	_, err := h.shared.out.Write(h.shared.line.Bytes())
	return err
}

// WithAttrs keeps the form of the lines.
func (h journalHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(attributes), h.shared}
}

// WithGroup keeps the form of the lines.
func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.shared}
}

// priority is that of syslog.
func priority(level slog.Level) int {
	switch {
	case level >= slog.LevelError:
		return 3
	case level >= slog.LevelWarn:
		return 4
	case level >= slog.LevelInfo:
		return 6
	}
	return 7
}
