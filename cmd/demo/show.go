package main

import (
	"cmp"
	"fmt"
	"log"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/plan"
)

// bold is the ANSI code of what sums up.
const bold = "1"

// colours are the ANSI codes for what happens.
var colours = map[string]string{
	"watch": "36", "start": "36", "schedule": "36", "looked": "2", "queued": "2",
	"sent": "32", "fetched": "32", "same": "32", "made": "32", "deleted": "33", "renamed": "32",
	"stale": "33", "retry": "33", "paused": "33", "skipped": "33", "dead": "1;31", "halted": "1;31",
}

// lineOf is one line for an activity: what happened, to which path, and how.
func lineOf(what, how string, a agent.Activity) string {
	return fmt.Sprintf("  %-8s %-35s %s", what, printable(a.Sync+"/"+a.Path), printable(how))
}

// wordsOf says in a word what happened, and then how.
func wordsOf(a agent.Activity) (what, how string) {
	action, took := strings.ReplaceAll(a.Action, "_", " "), "in "+durationText(a.Took)
	switch a.Kind {
	case agent.ActivityTriggered:
		what, how, _ = strings.Cut(a.Text, " ")
		if a.Path == "" {
			return what, strings.TrimSpace(how + " asks for a look at everything")
		}
		return what, "changed"
	case agent.ActivityScanned:
		return "looked", a.Text
	case agent.ActivityQueued:
		return "queued", action + ": " + a.Text
	case agent.ActivityDone:
	default:
		return string(a.Kind), strings.TrimSpace(a.Server + " " + a.Text)
	}
	switch plan.Action(a.Action) {
	case plan.MakeRemoteDir, plan.MakeLocalDir:
		return "made", "folder " + took
	case plan.MoveRemote, plan.MoveLocal:
		return "renamed", strings.TrimSpace(a.Text + " " + took)
	case plan.DeleteRemote, plan.DeleteLocal:
		return "deleted", strings.TrimSpace(a.Text + " " + took)
	case plan.Upload:
		what = "sent"
	case plan.Download:
		what = "fetched"
	default:
		return "done", action + " " + took
	}
	if a.Text != "" && a.Method == "" { // why it was not transferred
		return "same", a.Text + ", " + a.Verified + " verified"
	}
	how = fmt.Sprintf("%s %s over %s, %s verified, renamed into place", bytesText(a.Bytes), took, a.Method, a.Verified)
	if a.Text != "" {
		how += " (" + a.Text + ")"
	}
	return what, how
}

// tally counts what happened, by the word for it, and "bytes".
type tally map[string]int64

// String is what counts in the end.
func (t tally) String() string {
	parts := []string{}
	for _, what := range []string{"made", "sent", "fetched", "renamed", "deleted"} {
		if t[what] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", t[what], what))
		}
	}
	if t["bytes"] > 0 {
		parts = append(parts, bytesText(t["bytes"]))
	}
	return cmp.Or(strings.Join(parts, ", "), "nothing to do")
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

// screen prints lines, each in one piece.
type screen struct {
	*log.Logger
	hasColours bool
}

// paint prints a line in the colour of an ANSI code, "" for none.
func (s screen) paint(code, line string) {
	if s.hasColours && code != "" {
		line = "\x1b[" + code + "m" + line + "\x1b[0m"
	}
	s.Print(line)
}

func (s screen) headline(text string) { s.paint(bold, "\n== "+text+" ==") }
