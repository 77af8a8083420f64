package doctor

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// recorder sees what passes between the client and the world: the first connection that is
// dialled, the first reply, and warnings. Safe for concurrent use.
type recorder struct {
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mutex         sync.Mutex
	local, remote net.Addr
	took          time.Duration
	greeting      string
	warnings      []string
}

func newRecorder(o ftpclient.Options) *recorder {
	r := &recorder{dial: o.DialContext}
	if r.dial == nil {
		dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4}}
		r.dial = dialer.DialContext
	}
	return r
}

// attach returns o with the recorder in it.
func (r *recorder) attach(o ftpclient.Options) ftpclient.Options {
	next := slog.DiscardHandler
	if o.Logger != nil {
		next = o.Logger.Handler()
	}
	o.Logger = slog.New(listener{next, r})
	o.DialContext = r.DialContext
	return o
}

// DialContext is that of ftpclient.Options.
func (r *recorder) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	began := time.Now()
	conn, err := r.dial(ctx, network, address)
	took := time.Since(began)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if err == nil && r.remote == nil {
		r.local, r.remote, r.took = conn.LocalAddr(), conn.RemoteAddr(), took
	}
	return conn, err
}

// told returns what was recorded of the first connection.
func (r *recorder) told() (local, remote, greeting string, took time.Duration) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if r.remote != nil {
		local, remote = r.local.String(), r.remote.String()
	}
	return local, remote, clean(r.greeting), r.took
}

// notes adds the warnings to the report.
func (r *recorder) notes(report *Report) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	report.Notes = append(report.Notes, r.warnings...)
}

// listener is the recorder as a log handler: the client logs each reply at debug level.
type listener struct {
	slog.Handler
	recorder *recorder
}

// Enabled implements slog.Handler.
func (l listener) Enabled(context.Context, slog.Level) bool { return true }

// Handle implements slog.Handler.
func (l listener) Handle(ctx context.Context, record slog.Record) error {
	l.recorder.hear(record)
	if l.Handler.Enabled(ctx, record.Level) {
		return l.Handler.Handle(ctx, record)
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (l listener) WithAttrs(attributes []slog.Attr) slog.Handler {
	return listener{l.Handler.WithAttrs(attributes), l.recorder}
}

// WithGroup implements slog.Handler.
func (l listener) WithGroup(name string) slog.Handler {
	return listener{l.Handler.WithGroup(name), l.recorder}
}

func (r *recorder) hear(record slog.Record) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	switch {
	case record.Message == "reply" && r.greeting == "":
		values := map[string]string{}
		record.Attrs(func(a slog.Attr) bool {
			values[a.Key] = a.Value.String()
			return true
		})
		lines := strings.Split(values["text"], "\n")
		for i := range lines {
			lines[i] = strings.Trim(strings.TrimPrefix(lines[i], values["code"]+"-"), "- \r")
		}
		r.greeting = strings.TrimSpace(values["code"] + " " + strings.Join(lines, "\n"))
	case record.Level >= slog.LevelWarn:
		text := clean(record.Message)
		if !slices.Contains(r.warnings, text) {
			r.warnings = append(r.warnings, text)
		}
	}
}

// maxText bounds a text of the server in a report, in bytes.
const maxText = 2000

// clean keeps bytes of the server from commanding the terminal that shows them, or from
// turning its text around. Line ends become " / ".
func clean(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "..."
	}
	s = strings.ToValidUTF8(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "?")
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control) {
			return '?'
		}
		return r
	}, strings.ReplaceAll(s, "\n", " / "))
}

// cleanLines is clean for what has lines of its own.
func cleanLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	for i := range lines {
		indent := len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
		lines[i] = strings.Repeat(" ", indent) + clean(lines[i])
	}
	return strings.Join(lines, "\n")
}
