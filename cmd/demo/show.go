package main

import (
	"fmt"
	"log"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/width"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/plan"
)

// colour is an ANSI colour.
type colour string

const (
	plain  colour = ""
	bold   colour = "1"
	dim    colour = "2"
	red    colour = "1;31"
	green  colour = "32"
	yellow colour = "33"
	cyan   colour = "36"
)

// colours are those of what lineOf says that happened.
var colours = map[string]colour{
	"watch": cyan, "start": cyan, "schedule": cyan, "looked": dim, "queued": dim,
	"sent": green, "fetched": green, "same": green, "made": green, "deleted": yellow,
	"stale": yellow, "retry": yellow, "paused": yellow, "skipped": yellow, "PARKED": red, "HALTED": red,
}

// lineOf is an activity in a word and as one line: what happened, to which path, and how.
func lineOf(a agent.Activity) (what, line string, paint colour) {
	what, how := wordsOf(a)
	line = fmt.Sprintf("  %-8s %s %s", what, padded(printable(a.Sync+"/"+a.Path), 35), printable(how))
	return what, line, colours[what]
}

func wordsOf(a agent.Activity) (what, how string) {
	action := strings.ReplaceAll(a.Action, "_", " ")
	switch a.Kind {
	case agent.ActivityTriggered:
		what, detail, _ := strings.Cut(a.Text, " ")
		if a.Path == "" {
			return what, strings.TrimSpace(detail + " asks for a look at everything")
		}
		return what, "changed"
	case agent.ActivityScanned:
		return "looked", a.Text
	case agent.ActivityQueued:
		return "queued", action + ": " + a.Text
	case agent.ActivityStale:
		return "stale", a.Text + "; it is looked at again"
	case agent.ActivityRetry:
		return "retry", a.Text + "; it is tried again"
	case agent.ActivityDead:
		return "PARKED", a.Text + "; it waits for a person"
	case agent.ActivityHalted:
		return "HALTED", a.Text
	case agent.ActivityDone:
	default:
		return string(a.Kind), strings.TrimSpace(a.Server + " " + a.Text)
	}
	took := "in " + durationText(a.Took)
	switch plan.Action(a.Action) {
	case plan.MakeRemoteDir, plan.MakeLocalDir:
		return "made", "folder " + took
	case plan.DeleteRemote, plan.DeleteLocal:
		return "deleted", strings.TrimSpace(a.Text + " " + took)
	case plan.Upload, plan.Download:
		if a.Text != "" { // done without a transfer
			return "same", a.Text + ", " + a.Verified + " verified"
		}
		what = map[plan.Action]string{plan.Upload: "sent", plan.Download: "fetched"}[plan.Action(a.Action)]
		return what, fmt.Sprintf("%s %s over %s, %s verified, renamed into place", bytesText(a.Bytes), took, a.Method, a.Verified)
	}
	return "done", action + " " + took
}

// tally counts what happened, by the word for it.
type tally struct {
	times map[string]int
	bytes int64
}

func (t *tally) add(what string, bytes int64) {
	if t.times == nil {
		t.times = map[string]int{}
	}
	t.times[what]++
	t.bytes += bytes
}

// String tells what a person wants to know in the end.
func (t tally) String() string {
	var did []string
	for _, what := range []string{"made", "sent", "fetched", "deleted"} {
		if n := t.times[what]; n > 0 {
			did = append(did, fmt.Sprintf("%d %s", n, what))
		}
	}
	return strings.Join(append(did, bytesText(t.bytes)+" in all"), ", ")
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

// printable quotes what would do something to a terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return strconv.Quote(text)
	}
	return text
}

// padded fills text up to so many columns of a terminal, where some characters take two or none.
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

// screen prints lines, each in one piece.
type screen struct {
	log     *log.Logger
	colours bool
}

func (s screen) paint(c colour, format string, values ...any) {
	if s.colours && c != plain {
		format = "\x1b[" + string(c) + "m" + format + "\x1b[0m"
	}
	s.log.Printf(format, values...)
}

func (s screen) say(format string, values ...any) { s.paint(plain, format, values...) }

func (s screen) headline(text string) { s.paint(bold, "\n== %s ==", text) }
