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
what both sides were when they last agreed, what stands in its way, its jobs and
its history, and what happens next. The path is relative to the folder of the
sync, or a local one in it; one in quotes is read as other commands show it:
'"two\nlines"'. The server is not asked.

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
