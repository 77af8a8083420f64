package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) onceCommand() *cobra.Command {
	var o onceOptions
	c := &cobra.Command{
		Use:   "once [SYNC...]",
		Short: "Make one full pass of each sync, to the end, and exit",
		Long: `Makes one full pass of each sync (all of them without arguments) and exits when nothing is
left to do. If the agent is running, it makes the pass. A line is printed for each
file that was transferred, then what came of each sync; on a terminal bars show
how far transfers have come.

With direction "up" the server is only asked about what has changed here, as long
as the last look at it is not older than "recheck" and nothing is in doubt.
With --full it is looked at in any case: that finds what others have changed or
removed there.

Exit codes: 0 in step; 1 something needs a person (halted, conflicts, parked jobs);
69 a server is unavailable; 75 something is left and will be tried again.

Ctrl+C lets what is under way end (shutdown_grace), a second one does not. A
running agent goes on with the pass.`,
		RunE: func(c *cobra.Command, names []string) error { return p.once(c.Context(), names, o) },
	}
	c.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "log everything that happens")
	c.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "no lines about files, no bars")
	c.Flags().BoolVar(&o.full, "full", false, "look at the servers in any case")
	return p.withJSON(p.withTrace(c))
}

type onceOptions struct{ verbose, quiet, full bool }

func (p *program) once(ctx context.Context, names []string, o onceOptions) error {
	cfg, err := p.loadToLook()
	if err != nil {
		return err
	}
	p.warn(cfg)
	stopTrace, err := p.startTrace(cfg)
	if err != nil {
		return err
	}
	defer stopTrace()
	level := slog.LevelError
	if o.verbose {
		level = min(cfg.Agent.Log.Level, slog.LevelInfo)
	}
	ctx, stop := interruptible(ctx)
	defer stop()
	return p.withService(ctx, cfg, p.logger(cfg, level), func(ctx context.Context, s control.Service) error {
		pass := func() (control.Report, error) {
			if o.full {
				return s.FullPass(ctx, names)
			}
			return s.Pass(ctx, names)
		}
		var report control.Report
		var err error
		if o.quiet || o.verbose || p.json {
			report, err = pass()
		} else {
			report, err = p.passing(ctx, cfg, s, names, pass)
		}
		if _, through := s.(*control.Client); ctx.Err() != nil && through {
			return exit{control.ExitUnfinished, errors.New("interrupted; the running agent goes on with the pass")}
		}
		if ctx.Err() != nil {
			fmt.Fprintf(p.stderr, "ftpferry: what is under way may end, for %s at most; Ctrl+C again ends it at once\n", cfg.Agent.ShutdownGrace)
			return exit{control.ExitUnfinished, errors.New("interrupted; what is left waits for the next pass")}
		}
		if err != nil {
			return serviceError(err)
		}
		if p.json {
			err = p.printJSON(report)
		} else {
			account := &account{to: p.stdout}
			for _, r := range report.Syncs {
				p.printReport(r, account)
			}
		}
		if code := report.ExitCode(); err == nil && code != control.ExitDone {
			return exit{code: code}
		}
		return err
	})
}

func (p *program) printReport(r control.SyncReport, account *account) {
	var did []string
	count := func(n int, what string) {
		if n > 0 {
			did = append(did, fmt.Sprintf("%d %s", n, what))
		}
	}
	count(r.Transferred, "transferred ("+bytesText(r.Bytes)+")")
	count(r.Folders, "folders made")
	count(r.Deleted, "deleted")
	count(r.Renamed, "renamed")
	count(r.Adopted, "found in step")
	state := "in step"
	switch {
	case r.Halt != "":
		state = "HALTED: " + r.Halt
	case r.Paused != "":
		state = account.headline(r.Paused)
	case r.Blocked != "":
		state = "BLOCKED: " + account.headline(r.Blocked)
	case r.Unavailable != "":
		state = "server unavailable: " + account.headline(r.Unavailable)
	case len(r.Dead)+len(r.Conflicts)+len(r.Unknown) > 0:
		state = "needs a person"
	case r.Unfinished > 0:
		state = "unfinished"
	case len(r.Held) > 0:
		state = "waiting"
	}
	if len(did) == 0 {
		did = []string{"nothing done"}
	}
	fmt.Fprintf(p.stdout, "%s: %s; %s\n", r.Sync, state, strings.Join(did, ", "))
	account.print()
	if r.Paused != "" {
		fmt.Fprintf(p.stdout, "  let it go on with: ftpferry resume %s\n", r.Sync)
	}
	if r.Halt != "" {
		fmt.Fprintf(p.stdout, "  look at it with: ftpferry plan %s; let it go on with: ftpferry approve %s\n", r.Sync, r.Sync)
	}
	for _, list := range []struct {
		name  string
		paths []control.PathReason
	}{{"parked", r.Dead}, {"conflict", r.Conflicts}, {"not to be seen", r.Unknown}, {"left", r.Waiting}, {"held", r.Held}, {"skipped", r.Skipped}} {
		if list.name == "left" && r.Halt != "" {
			continue // it waits for the same approval
		}
		for _, item := range list.paths {
			fmt.Fprintf(p.stdout, "  %s: %s: %s\n", list.name, pathText(string(item.Path)), account.headline(item.Reason))
			if list.name != "left" || r.Unavailable == "" {
				account.print() // else it is the account of the server, perhaps of an earlier try
			}
		}
	}
}

// pathText shows a path: as it is, or as a string of Go where a terminal would not show what it is. See pathOf.
func pathText(path string) string {
	if path == "" {
		return "(the whole sync)"
	}
	// Names come from anybody.
	unclear := path[0] == '"' || path != strings.TrimSpace(path)
	if unclear || strings.ContainsFunc(path, func(r rune) bool { return moves(r) || r == utf8.RuneError }) {
		return strconv.Quote(path)
	}
	return path
}

// pathOf reads a path that a person may have copied from where pathText has shown it.
func pathOf(text string) string {
	if path, err := strconv.Unquote(text); err == nil && path != "" && text[0] == '"' {
		return path
	}
	return text
}

// moves reports a character that must not reach a terminal, since it does more there than to stand in its place.
func moves(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if moves(r) {
			return ' '
		}
		return r
	}, text)
}

// account prints what reasons say below their first line, indented, and each such text once: all jobs of a server fail
// for the same reason, to which that of the server only adds.
type account struct {
	to   io.Writer
	rest string
	seen []string
}

// headline returns the first line of a reason; print prints the others.
func (a *account) headline(reason string) string {
	first, rest, _ := strings.Cut(reason, "\n")
	a.rest = rest
	return oneLine(first)
}

func (a *account) print() {
	// That of the server goes on where that of its jobs ends.
	if a.rest == "" || slices.ContainsFunc(a.seen, func(seen string) bool { return strings.HasPrefix(seen+"\n", a.rest+"\n") }) {
		return
	}
	a.seen = append(a.seen, a.rest)
	for line := range strings.SplitSeq(a.rest, "\n") {
		fmt.Fprintf(a.to, "    %s\n", strings.TrimRight(oneLine(line), " "))
	}
}

func bytesText(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	value, prefix := float64(n)/unit, 0
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}
