package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) planCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "plan [SYNC...]",
		Short: "Say what once would do, and why; change nothing anywhere",
		RunE:  func(c *cobra.Command, names []string) error { return p.plan(c.Context(), names) },
	})
}

func (p *program) plan(ctx context.Context, names []string) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	p.warn(cfg)
	// A plan that is broken off closes what it has opened: connections, and ports of the gateway.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
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
			for _, planned := range plans {
				p.printPlan(planned)
			}
		}
		if code := control.PlanExitCode(plans); code != control.ExitDone {
			return exit{code: code}
		}
		return nil
	})
}

func (p *program) printPlan(planned control.SyncPlan) {
	if planned.Failure != "" {
		account := &account{to: p.stdout}
		fmt.Fprintf(p.stdout, "%s: no plan: %s\n", planned.Sync, account.headline(planned.Failure))
		account.print()
		return
	}
	counts := map[string]int{}
	for _, op := range planned.Ops {
		action := strings.ReplaceAll(string(op.Action), "_", " ")
		counts[action]++
		size := ""
		if n := max(op.Local.Entry.Size, op.Remote.Entry.Size); n > 0 && !op.Action.Deletes() {
			size = " [" + bytesText(n) + "]"
		}
		fmt.Fprintf(p.stdout, "%s: %s %s%s: %s\n", planned.Sync, action, pathText(op.Path), size, op.Reason)
	}
	for _, n := range planned.Note {
		fmt.Fprintf(p.stdout, "%s: leave %s: %s\n", planned.Sync, pathText(n.Path), n.Text)
	}
	for _, u := range planned.Unknown {
		fmt.Fprintf(p.stdout, "%s: cannot see %s: %s\n", planned.Sync, pathText(u.Path), oneLine(u.Reason))
	}
	if planned.Halt != nil {
		fmt.Fprintf(p.stdout, "%s: WOULD HALT (%s): %s\n", planned.Sync, planned.Halt.Code, planned.Halt.Reason)
	}
	var totals []string
	for _, action := range []string{"upload", "download", "link remote", "link local", "make remote dir", "make local dir", "move remote", "move local",
		"set aside remote", "set aside local", "delete remote", "delete local"} {
		if counts[action] > 0 {
			totals = append(totals, fmt.Sprintf("%d x %s", counts[action], action))
		}
	}
	if len(totals) == 0 {
		totals = []string{"nothing to do"}
	}
	fmt.Fprintf(p.stdout, "%s: %s; %d paths known, %d more found in step\n", planned.Sync, strings.Join(totals, ", "), planned.Known, planned.Adopt)
}
