package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/plan"
)

// tone is an ANSI colour.
type tone string

const (
	plain  tone = ""
	bold   tone = "1"
	dim    tone = "2"
	red    tone = "1;31"
	green  tone = "32"
	yellow tone = "33"
	cyan   tone = "36"
)

// pathColumns is how much room paths get before what is said about them.
const pathColumns = 34

// lineOf is an activity as one line: what happened, to which path, and how.
func lineOf(a agent.Activity) (string, tone) {
	what, how, colour := string(a.Kind), a.Text, plain
	path := a.Sync + "/" + a.Path
	switch a.Kind {
	case agent.ActivityTriggered:
		what, how, colour = triggerOf(a)
	case agent.ActivityScanned:
		what, colour = "looked", dim
	case agent.ActivityQueued:
		how, colour = strings.ReplaceAll(a.Action, "_", " ")+": "+a.Text, dim
	case agent.ActivityDone:
		what, how, colour = doneOf(a)
	case agent.ActivityStale:
		how, colour = a.Text+"; it is looked at again", yellow
	case agent.ActivityRetry:
		how, colour = a.Text+"; it is tried again", yellow
	case agent.ActivityPaused:
		path, colour = a.Server, yellow
	case agent.ActivitySkipped:
		colour = yellow
	case agent.ActivityDead:
		what, how, colour = "PARKED", a.Text+"; it waits for a person", red
	case agent.ActivityHalted:
		what, colour = "HALTED", red
	}
	line := fmt.Sprintf("  %-8s %s  %s", what, padded(printable(path), pathColumns), oneLine(how))
	return strings.TrimRight(line, " "), colour
}

func triggerOf(a agent.Activity) (what, how string, colour tone) {
	switch what, rest, _ := strings.Cut(a.Text, " "); {
	case a.Text == "watch" && a.Path == "":
		return what, "anything may have changed", cyan
	case a.Text == "watch":
		return what, "changed", cyan
	default:
		return what, strings.TrimSpace(rest + " asks for a look at everything"), cyan
	}
}

func doneOf(a agent.Activity) (what, how string, colour tone) {
	took := "in " + durationText(a.Took)
	switch plan.Action(a.Action) {
	case plan.Upload, plan.Download:
		if a.Text != "" { // an unusual way of being done
			return "same", a.Text + ", " + a.Verified + " verified", green
		}
		what = "sent"
		if plan.Action(a.Action) == plan.Download {
			what = "fetched"
		}
		return what, fmt.Sprintf("%s %s over %s, %s verified, renamed into place", bytesText(a.Bytes), took, a.Method, a.Verified), green
	case plan.MakeRemoteDir, plan.MakeLocalDir:
		return "made", "folder " + took, green
	case plan.DeleteRemote, plan.DeleteLocal:
		if a.Text != "" {
			return "deleted", a.Text, yellow
		}
		return "deleted", took, yellow
	}
	return "done", strings.ReplaceAll(a.Action, "_", " ") + " " + took, dim
}

// tally counts what was done.
type tally struct {
	files, folders, deleted int
	bytes                   int64
	halted                  bool
}

func (t *tally) add(a agent.Activity) {
	if a.Kind == agent.ActivityHalted {
		t.halted = true
	}
	if a.Kind != agent.ActivityDone {
		return
	}
	switch plan.Action(a.Action) {
	case plan.Upload, plan.Download:
		if a.Text == "" {
			t.files++
			t.bytes += a.Bytes
		}
	case plan.MakeRemoteDir, plan.MakeLocalDir:
		t.folders++
	case plan.DeleteRemote, plan.DeleteLocal:
		t.deleted++
	}
}

// String lists what there is to tell.
func (t tally) String() string {
	var did []string
	if t.files > 0 {
		did = append(did, fmt.Sprintf("%s transferred (%s)", plural(t.files, "file"), bytesText(t.bytes)))
	}
	if t.folders > 0 {
		did = append(did, plural(t.folders, "folder")+" made")
	}
	if t.deleted > 0 {
		did = append(did, fmt.Sprintf("%d deleted", t.deleted))
	}
	if len(did) == 0 {
		return "nothing to do"
	}
	return strings.Join(did, ", ")
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

func bytesText(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}

func durationText(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// printable quotes names that would do something to a terminal.
func printable(name string) string {
	if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(name)
	}
	return name
}

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// padded fills text up to so many columns of a terminal, on which some characters take two or none.
func padded(text string, columns int) string {
	for _, r := range text {
		switch kind := width.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case kind == width.EastAsianWide || kind == width.EastAsianFullwidth:
			columns -= 2
		default:
			columns--
		}
	}
	return text + strings.Repeat(" ", max(columns, 0))
}

// screen prints in the order of the calls. Only when far behind does it make a caller wait: the
// agent's observer must not.
type screen struct {
	lines  chan string
	done   chan struct{}
	colour bool
}

func newScreen(w io.Writer, colour bool) *screen {
	s := &screen{lines: make(chan string, 10_000), done: make(chan struct{}), colour: colour}
	go func() {
		defer close(s.done)
		for line := range s.lines {
			fmt.Fprintln(w, line)
		}
	}()
	return s
}

// close returns when everything is printed.
func (s *screen) close() {
	close(s.lines)
	<-s.done
}

func (s *screen) put(text string, colour tone) {
	if s.colour && colour != plain {
		text = "\x1b[" + string(colour) + "m" + text + "\x1b[0m"
	}
	s.lines <- text
}

func (s *screen) say(format string, values ...any) { s.put(fmt.Sprintf(format, values...), plain) }

func (s *screen) headline(text string) { s.put("\n== "+text+" ==", bold) }

func (s *screen) activity(a agent.Activity) { s.put(lineOf(a)) }

func (s *screen) summary(t tally, took time.Duration) {
	s.put(fmt.Sprintf("  => %s, in %s; both sides are equal", t, durationText(took)), bold)
}

func (s *screen) quote(text string) {
	for line := range strings.Lines(text) {
		s.put("    "+strings.TrimSuffix(line, "\n"), dim)
	}
}

// withoutActivities is a log without what the screen shows already.
type withoutActivities struct{ slog.Handler }

// Handle implements slog.Handler.
func (h withoutActivities) Handle(ctx context.Context, r slog.Record) error {
	switch agent.ActivityKind(r.Message) {
	case agent.ActivityRetry, agent.ActivityPaused, agent.ActivityDead, agent.ActivityHalted:
		return nil
	}
	return h.Handler.Handle(ctx, r)
}
