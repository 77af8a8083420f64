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
)

// shownNotes is how many paths per sync are named for people.
const shownNotes = 20

func (p *program) statusCommand() *cobra.Command {
	every := ""
	c := p.withJSON(&cobra.Command{
		Use:   "status [SYNC...]",
		Short: "Say how syncs, servers and transfers stand, and which paths nothing is done about",
		Long: `Says of each sync whether it is in step, what is under way and what is left to
be done, what keeps it from going on, and which paths are left alone: conflicts
wait for a person, skipped paths are left out by a rule, and unknown ones could
not be looked at. Then it says how each server stands. With names of syncs it
says so of these and their servers.

--watch says it again and again, until Ctrl+C: in place on a terminal, block
after block elsewhere, with --json one object per line. There are colors on a
terminal unless NO_COLOR is set.

Exit codes: 0; 1 something needs a person: dead jobs, a halt, a refused login or
certificate, conflicts, files that differ, paths that nobody can look at,
expected files that are missing, a configuration that was not taken, or a
service that has ended as it could not go on. With --watch: 0 after Ctrl+C.`,
		RunE: func(c *cobra.Command, names []string) error {
			if !c.Flags().Changed("watch") {
				return p.status(c.Context(), names)
			}
			return p.watchStatus(c.Context(), names, every)
		},
	})
	c.Flags().StringVarP(&every, "watch", "w", "", "say it again every `interval`, such as 5s (default 2s)")
	c.Flags().Lookup("watch").NoOptDefVal = watchDefault
	return c
}

func (p *program) status(ctx context.Context, names []string) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	o, alone, err := p.overview(ctx, cfg, names)
	if err != nil {
		return serviceError(err)
	}
	if p.json {
		err = p.printJSON(o)
	} else {
		err = p.printing(func(out *bufio.Writer) error {
			printOverview(&jobList{out: out, now: time.Now(), alone: alone, stateDir: cfg.Agent.StateDir, paint: p.paint()}, o)
			return nil
		})
	}
	if code := o.ExitCode(); err == nil && code != control.ExitDone {
		return exit{code: code}
	}
	return err
}

// overview asks the running agent how things stand, or the state file: then alone is true.
func (p *program) overview(ctx context.Context, cfg *config.Config, names []string) (o control.Overview, alone bool, err error) {
	filter := control.StatusFilter{Syncs: names}
	if !p.json {
		filter.Notes = shownNotes
	}
	err = p.withState(ctx, cfg, true, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service, _ *state.DB) (err error) {
		_, through := s.(*control.Client)
		alone = !through
		o, err = s.Status(ctx, filter)
		return err
	})
	return o, alone, err
}

func printStatus(l *jobList, s control.SyncStatus) {
	scanned := "never looked at in full"
	if !s.LastScan.IsZero() {
		scanned = "looked at in full " + ago(l.now.Sub(s.LastScan)) + " ago"
	}
	word := control.StateWord(s.State)
	if s.State == control.StateWorking && l.alone { // nobody does
		word = "unfinished"
	}
	name := oneLine(s.Sync) + ": "
	text := fmt.Sprintf("%s%s; %s %s, %d paths in step; %s", name, word, arrow(s.Direction), oneLine(s.Server), s.Known, scanned)
	l.headline(text, name, word, colorOfSync(s.State))
	if !s.LastSuccess.IsZero() {
		fmt.Fprintf(l.out, "  last success %s ago\n", ago(l.now.Sub(s.LastSuccess)))
	}
	if parts := l.counts(s.Jobs); len(parts) > 0 {
		fmt.Fprintf(l.out, "  jobs: %s\n", strings.Join(parts, ", "))
	}
	printTroubles(l, s)
	if s.Jobs.Stop != nil {
		l.out.WriteString(wrap(l.stopText(s.Sync, *s.Jobs.Stop), "  ", 0))
	}
	if p := s.Paused; p != nil && (s.Jobs.Stop == nil || s.Jobs.Stop.By != control.StopPerson) {
		whom := s.Sync
		if p.Server != "" {
			whom = "--server " + p.Server
		}
		l.out.WriteString(wrap(fmt.Sprintf("also paused%s: ftpferry resume %s", byWhom(p.By), whom), "  ", 0))
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

// printTroubles says why jobs have failed, and what a person can do about those that are not tried again.
func printTroubles(l *jobList, s control.SyncStatus) {
	dead := 0
	for _, job := range s.Troubles {
		word, most := "failed", 2
		if job.State == "dead" {
			word, most = "dead", 3
			dead++
		}
		fmt.Fprintf(l.out, "  %-8s %s %s\n", word, oneLine(strings.ReplaceAll(job.Kind, "_", " ")), pathText(string(job.Path)))
		reason, _, _ := strings.Cut(job.LastError, "\n")
		l.out.WriteString(wrap(oneLine(reason), "           ", most))
	}
	if s.Jobs.Dead > 0 {
		text := fmt.Sprintf("try dead jobs again with: ftpferry queue retry --sync %s", oneLine(s.Sync))
		if rest := s.Jobs.Dead - dead; rest > 0 {
			text = fmt.Sprintf("... and %d more, see: ftpferry queue --sync %s; ", rest, oneLine(s.Sync)) + text
		}
		l.out.WriteString(wrap(text, "  ", 0))
	}
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
