package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) planCommand() *cobra.Command {
	return p.withJSON(p.withTrace(&cobra.Command{
		Use:   "plan [SYNC...]",
		Short: "Say what once would do, and why; change nothing anywhere",
		Long: `Looks at both sides of each sync (all of them without arguments) and says what
"once" would do with each path, and why. Nothing is changed, here or there.`,
		RunE: func(c *cobra.Command, names []string) error { return p.plan(c.Context(), names) },
	}))
}

func (p *program) plan(ctx context.Context, names []string) error {
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
	// A plan that is broken off closes what it has opened: connections, and ports of the gateway.
	ctx, stop := interruptible(ctx)
	defer stop()
	return p.withPlanner(ctx, cfg, p.logger(cfg, slog.LevelError), func(ctx context.Context, s control.Service) error {
		plans, err := s.Plan(ctx, names)
		if ctx.Err() != nil {
			return exit{control.ExitUnfinished, errors.New("interrupted")}
		}
		if err != nil {
			return serviceError(err)
		}
		if p.json {
			if err := p.printJSON(plans); err != nil {
				return err
			}
		} else {
			err := p.printing(func(out *bufio.Writer) error {
				for _, planned := range plans {
					printPlan(out, planned)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		if code := control.PlanExitCode(plans); code != control.ExitDone {
			return exit{code: code}
		}
		return nil
	})
}

func printPlan(out io.Writer, planned control.SyncPlan) {
	if planned.Failure != "" {
		account := &account{to: out}
		fmt.Fprintf(out, "%s: no plan: %s\n", planned.Sync, account.headline(planned.Failure))
		account.print()
		return
	}
	for _, op := range planned.Ops {
		where := pathText(string(op.Path))
		switch {
		case op.From != "":
			where = pathText(string(op.From)) + " -> " + where
		case op.To != "":
			where += " -> " + pathText(string(op.To))
		}
		if op.Bytes > 0 {
			where += " [" + bytesText(op.Bytes) + "]"
		}
		fmt.Fprintf(out, "%s: %s %s: %s\n", planned.Sync, actionText(op.Action), where, oneLine(op.Reason))
	}
	for _, n := range planned.Note {
		fmt.Fprintf(out, "%s: leave %s: %s\n", planned.Sync, pathText(string(n.Path)), oneLine(n.Text))
	}
	for _, u := range planned.Unknown {
		fmt.Fprintf(out, "%s: cannot see %s: %s\n", planned.Sync, pathText(string(u.Path)), oneLine(u.Reason))
	}
	if planned.Halt != nil {
		verb := "WOULD HALT"
		if planned.Halt.Standing {
			verb = "HALTED"
		}
		fmt.Fprintf(out, "%s: %s (%s): %s\n", planned.Sync, verb, planned.Halt.Code, oneLine(planned.Halt.Reason))
	}
	if planned.Waits != nil {
		fmt.Fprintf(out, "%s: %s\n", planned.Sync, oneLine(planned.Waits.Reason))
	}
	fmt.Fprintf(out, "%s: %s; %d paths known, %d more found in step\n", planned.Sync, totalsText(planned.Totals), planned.Known, planned.Adopt)
}

func actionText(action string) string { return strings.ReplaceAll(action, "_", " ") }

// totalsText says in one line how much there is to do.
func totalsText(totals control.PlanTotals) string {
	var parts []string
	for _, action := range []string{"upload", "download", "link_remote", "link_local", "make_remote_dir", "make_local_dir", "move_remote", "move_local",
		"set_aside_remote", "set_aside_local", "compare", "delete_remote", "delete_local"} {
		if totals.Actions[action] == 0 {
			continue
		}
		text := fmt.Sprintf("%d x %s", totals.Actions[action], actionText(action))
		switch action {
		case "upload":
			text += " [" + bytesText(totals.BytesUp) + "]"
		case "download":
			text += " [" + bytesText(totals.BytesDown) + "]"
		}
		parts = append(parts, text)
	}
	if len(parts) == 0 {
		return "nothing to do"
	}
	if folders := totals.Actions["delete_remote"] + totals.Actions["delete_local"] - totals.Deletes; folders > 0 {
		parts = append(parts, fmt.Sprintf("%d files and %d folders deleted in all", totals.Deletes, folders))
	}
	return strings.Join(parts, ", ")
}
