package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

func (p *program) explainCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "explain SYNC PATH",
		Short: "Say why a file is as it is, or is not there, and what happens next",
		Long: `Tells all that is known of one path: whether it takes part, what is here now,
what both sides were when they last agreed and when they were last seen, what
stands in its way, its jobs with what they go by, its history, and what happens
next. The path is relative to the folder of the sync, or a local one in it; one
in quotes is read as other commands show it: '"two\nlines"'. The server is not
asked.

Exit codes: 0; 64 there is no such sync, or the path is not in its folder.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, arguments []string) error {
			return p.explain(c.Context(), arguments[0], pathOf(arguments[1]))
		},
	})
}

func (p *program) explain(ctx context.Context, sync, path string) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	var e control.Explanation
	alone := false
	err = p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, db *state.DB) (err error) {
		alone = db != nil
		e, err = s.Explain(ctx, sync, path)
		return err
	})
	if err != nil {
		return serviceError(err)
	}
	if p.json {
		return p.printJSON(e)
	}
	return p.printing(func(out *bufio.Writer) error {
		printExplanation(&jobList{out: out, now: time.Now(), alone: alone}, e)
		return nil
	})
}

func printExplanation(l *jobList, e control.Explanation) {
	fmt.Fprintf(l.out, "%s: %s\n", oneLine(e.Sync), pathText(string(e.Path)))
	if e.Excluded != "" {
		fmt.Fprintf(l.out, "  takes no part: %s\n", oneLine(e.Excluded))
	}
	here := entryText(e.Local)
	if e.LocalError != "" {
		here = "cannot be looked at: " + oneLine(e.LocalError)
	}
	fmt.Fprintf(l.out, "  here now:         %s\n", here)
	switch {
	case e.Agreed == nil:
		fmt.Fprintf(l.out, "  last agreement:   none\n")
	case e.Agreed.Unreadable:
		fmt.Fprintf(l.out, "  last agreement:   cannot be read from the state file\n")
	default:
		fmt.Fprintf(l.out, "  last agreement:   %s\n", e.Agreed.When.Local().Format(time.DateTime))
		fmt.Fprintf(l.out, "    here:           %s\n    on the server:  %s\n", entryText(e.Agreed.Local), entryText(e.Agreed.Remote))
	}
	printLastSeen(l, e)
	if e.Note != nil {
		fmt.Fprintf(l.out, "  %s since %s:\n", e.Note.Kind, e.Note.Since.Local().Format(time.DateTime))
		l.out.WriteString(wrap(oneLine(e.Note.Reason), "    ", 0))
	}
	if e.Marked != "" {
		fmt.Fprintf(l.out, "  to be looked at:  %s, for %s\n", oneLine(e.Marked), ago(l.now.Sub(e.MarkedSince)))
	}
	for i, job := range e.Jobs {
		if i == 0 {
			fmt.Fprintf(l.out, "  jobs:\n")
		}
		fmt.Fprintf(l.out, "    %d %s %s %s, %d tries: %s\n", job.ID, strings.ReplaceAll(job.Kind, "_", " "), job.State, l.when(job), job.Attempts, oneLine(job.Why))
		printPlanned(l, job.Planned)
		if job.LastError != "" {
			l.out.WriteString(wrap(oneLine(job.LastError), "      ", 6))
		}
	}
	for i, row := range e.History {
		if i == 0 {
			fmt.Fprintf(l.out, "  history, newest first:\n")
		}
		l.out.WriteString("    " + historyLine(row))
	}
	l.out.WriteString(wrap("next: "+oneLine(e.Next), "  ", 0))
}

// seenBy says what has written down how a side looked.
var seenBy = map[string]string{
	control.SeenAgreed: "when both agreed", control.SeenPlanned: "when a job was planned", control.SeenNoted: "when it was left alone",
}

// printLastSeen prints what both sides were when they were last looked at. What the last agreement says is not said again.
func printLastSeen(l *jobList, e control.Explanation) {
	here, there := e.LastSeen.Local, e.LastSeen.Remote
	heading := func(s *control.Seen) {
		text := seenBy[s.By]
		if !s.When.IsZero() {
			text = s.When.Local().Format(time.DateTime) + ", " + text
		}
		fmt.Fprintf(l.out, "  last seen:        %s\n", text)
	}
	together := here != nil && there != nil && here.By == there.By && here.When.Equal(there.When)
	switch {
	case here == nil && there == nil:
		fmt.Fprintf(l.out, "  last seen:        nothing is known of the server's side\n")
		return
	case together && here.By == control.SeenAgreed:
		heading(here)
		return
	}
	if here != nil {
		heading(here)
		fmt.Fprintf(l.out, "    here:           %s\n", entryText(here.Entry))
	}
	if there != nil {
		if !together {
			heading(there)
		}
		fmt.Fprintf(l.out, "    on the server:  %s\n", entryText(there.Entry))
	}
}

// printPlanned prints what a job takes both sides to be.
func printPlanned(l *jobList, p *control.PlannedSides) {
	if p == nil {
		return
	}
	when := ""
	if !p.When.IsZero() {
		when = " on " + p.When.Local().Format(time.DateTime)
	}
	fmt.Fprintf(l.out, "      planned%s, going by\n", when)
	for _, side := range []struct {
		name string
		is   control.PlannedSide
	}{{"here", p.Local}, {"on the server", p.Remote}} {
		text := entryText(side.is.Entry)
		switch side.is.Knowledge {
		case control.PlannedUnknown:
			text = "unknown"
		case control.PlannedAssumed:
			text = "as agreed, " + text
		}
		fmt.Fprintf(l.out, "      %s: %s\n", side.name, text)
	}
}

// entryText describes one side.
func entryText(e entry.Entry) string {
	switch e.Kind {
	case entry.Absent:
		return "nothing"
	case entry.File:
	case entry.Link:
		return "link to " + pathText(e.Target)
	default:
		return e.Kind.String()
	}
	text := "file"
	if e.Size >= 0 {
		text += fmt.Sprintf(", %d bytes", e.Size)
	}
	if !e.ModTime.IsZero() {
		text += ", of " + e.ModTime.Local().Format(time.DateTime)
	}
	return text
}
