package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) approveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approve SYNC",
		Short: "Let a halted sync go on, with what the guard stopped",
		Long: `Ends a halt. The sync may do what the guard has stopped; "ftpferry plan" says
what that is. If the agent is not running, the next "run" or "once" makes that
pass. A pause or a block of the server ends, too.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			cfg, err := p.loadToLook()
			if err != nil {
				return err
			}
			if err := p.approve(c.Context(), cfg, names[0]); err != nil {
				return err
			}
			fmt.Fprintf(p.stdout, "%s: approved\n", names[0])
			return nil
		},
	}
}

func (p *program) approve(ctx context.Context, cfg *config.Config, sync string) error {
	if client, err := control.Dial(ctx, cfg.Agent.StateDir); err == nil {
		if err := client.Approve(ctx, sync); err != nil {
			return serviceError(err)
		}
		return nil
	}
	logger := p.logger(cfg, slog.LevelError)
	db, err := p.openState(ctx, cfg, false, logger)
	if err != nil {
		return stateError(err)
	}
	defer db.Close()
	if err := agent.New(cfg, db, agent.Options{Logger: logger}).ApproveStopped(sync); err != nil {
		return serviceError(err)
	}
	return nil
}
