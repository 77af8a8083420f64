package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// shownNotes is how many paths per sync are named for people.
const shownNotes = 20

func (p *program) statusCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "status [SYNC...]",
		Short: "Say how the syncs stand, and which paths nothing is done about",
		Long: `Says of each sync whether it is in step, what is left to be done, what keeps it
from going on, and which paths are left alone: conflicts wait for a person,
skipped paths are left out by a rule, and unknown ones could not be looked at.

Exit codes: 0; 1 something needs a person: dead jobs, a halt, a refused login,
conflicts, or paths that nobody can look at.`,
		RunE: func(c *cobra.Command, names []string) error { return p.status(c.Context(), names) },
	})
}

func (p *program) status(ctx context.Context, names []string) error {
	cfg, err := p.loadToLook()
	if err != nil {
		return err
	}
	filter := control.StatusFilter{Syncs: names}
	if !p.json {
		filter.Notes = shownNotes
	}
	var o control.Overview
	alone := false
	err = p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, _ *state.DB) (err error) {
		_, through := s.(*control.Client)
		alone = !through
		o, err = s.Status(ctx, filter)
		return err
	})
	if err != nil {
		return serviceError(err)
	}
	if p.json {
		err = p.printJSON(o)
	} else {
		err = p.printing(func(out *bufio.Writer) error {
			jobs := jobList{out: out, now: time.Now(), alone: alone}
			if alone {
				out.WriteString("no agent is running; this is how things stood when one last did\n")
			}
			for _, s := range o.Syncs {
				printStatus(&jobs, s)
			}
			return nil
		})
	}
	if code := control.StatusExitCode(o.Syncs); err == nil && code != control.ExitDone {
		return exit{code: code}
	}
	return err
}

func printStatus(l *jobList, s control.SyncStatus) {
	scanned := "never looked at in full"
	if !s.LastScan.IsZero() {
		scanned = "looked at in full " + ago(l.now.Sub(s.LastScan)) + " ago"
	}
	word := s.State
	if stop := s.Jobs.Stop; word == control.StopWindow && stop != nil {
		word, _, _ = strings.Cut(oneLine(stop.Reason), ": ") // "waits until 22:00"
	}
	fmt.Fprintf(l.out, "%s: %s; %s, %d paths in step; %s\n", oneLine(s.Sync), word, arrow(s.Direction)+" "+oneLine(s.Server), s.Known, scanned)
	if parts := l.counts(s.Jobs); len(parts) > 0 {
		fmt.Fprintf(l.out, "  jobs: %s\n", strings.Join(parts, ", "))
	}
	if s.Jobs.Stop != nil {
		l.out.WriteString(wrap(l.stopText(s.Sync, *s.Jobs.Stop), "  ", 0))
	}
	for _, schedule := range s.Schedules {
		l.out.WriteString(wrap(scheduleText(schedule, l.now), "  ", 3))
	}
	if s.Watch != nil && s.Watch.State != control.WatchWorks {
		l.out.WriteString(wrap("watch: "+watchText(*s.Watch), "  ", 0))
	}
	printLooks(l, s)
	for _, n := range s.Notes {
		fmt.Fprintf(l.out, "  %-8s %s\n", n.Kind, pathText(string(n.Path)))
		l.out.WriteString(wrap(oneLine(n.Reason), "           ", 3))
	}
	if rest := s.Conflicts + s.Skipped + s.Unknown + s.Differ - len(s.Notes); rest > 0 {
		fmt.Fprintf(l.out, "  ... and %d more paths (%d conflicts, %d skipped, %d unknown, %d differ in all); --json names them\n", rest, s.Conflicts, s.Skipped, s.Unknown, s.Differ)
	}
	printHeld(l, s)
}

func printHeld(l *jobList, s control.SyncStatus) {
	for _, h := range s.Held {
		fmt.Fprintf(l.out, "  %-8s %s\n", state.NoteHeld, pathText(string(h.Path)))
		l.out.WriteString(wrap(oneLine(h.Reason), "           ", 3))
	}
	if rest := s.HeldAll - len(s.Held); rest > 0 {
		fmt.Fprintf(l.out, "  ... and %d more files that are not complete; --json names them\n", rest)
	}
}

// watchText says how changes are noticed, if not in the usual way.
func watchText(w control.Watch) string {
	if w.State == control.WatchStarting {
		return fmt.Sprintf("starting, %d folders so far", w.Folders)
	}
	text := w.State
	if w.Every > 0 {
		text = fmt.Sprintf("polling every %s", ago(w.Every))
		if w.State == control.WatchDegraded {
			text = "degraded, " + text
		}
	}
	text += ": " + oneLine(w.Reason)
	if w.Cure != "" {
		text += "; " + oneLine(w.Cure)
	}
	return text
}

// printLooks tells what the watch has missed, and when the server is asked again.
func printLooks(l *jobList, s control.SyncStatus) {
	if s.OnlyByRescan > 0 {
		text := fmt.Sprintf("%d changes were found by looks at the whole folder (%d so far, the last one %s ago) and no event has told of them",
			s.OnlyByRescan, s.Rescans, ago(l.now.Sub(s.LastRescan)))
		l.out.WriteString(wrap(text, "  ", 0))
	}
	if times := s.FolderTimes; times != nil && times.State == control.FolderTimesTrusted {
		fmt.Fprintf(l.out, "  folders on the server whose times have not changed are left out by polls (%d so far)\n", times.Spared)
	}
	// A poll whose time has come waits for what is under way.
	if s.NextPoll.After(l.now) && s.Jobs.Stop == nil && !l.alone {
		fmt.Fprintf(l.out, "  the server is asked for changes in %s\n", ago(max(s.NextPoll.Sub(l.now), 0)))
	}
}

// scheduleText says what a line of a schedule does, when it comes again, and how it last went. What may be long comes last: the
// text may be cut.
func scheduleText(s control.Schedule, now time.Time) string {
	text := fmt.Sprintf("schedule %s, %s: ", oneLine(s.Spec), oneLine(s.Do))
	if !s.Next.IsZero() {
		text += fmt.Sprintf("next in %s, %s; ", ago(max(s.Next.Sub(now), 0)), s.Next.Local().Format(time.DateTime))
	}
	if s.Fired.IsZero() {
		text += "has not run yet"
	} else {
		text += "last for " + s.Fired.Local().Format(time.DateTime)
	}
	if s.Missed > 0 {
		text += fmt.Sprintf(", %d left out", s.Missed)
	}
	if s.Result != "" {
		text += " (" + oneLine(s.Result) + ")"
	}
	return text
}

func arrow(direction string) string {
	switch direction {
	case string(config.Up):
		return "to"
	case string(config.Down):
		return "from"
	}
	return "with"
}

func (p *program) explainCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "explain SYNC PATH",
		Short: "Say why a file is as it is, or is not there, and what happens next",
		Long: `Tells all that is known of one path: whether it takes part, what is here now,
what both sides were when they last agreed, what stands in its way, its jobs and
its history, and what happens next. The path is relative to the folder of the
sync, or a local one in it. The server is not asked.`,
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, arguments []string) error {
			return p.explain(c.Context(), arguments[0], arguments[1])
		},
	})
}

func (p *program) explain(ctx context.Context, sync, path string) error {
	cfg, err := p.loadToLook()
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
