package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) approveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "approve SYNC",
		Short: "Let a halted sync go on, with what the guard stopped",
		Long: `Ends a halt. The next pass of the sync may do what the guard has stopped; "ftpferry plan"
says what that is. If the agent is not running, the next "run" or "once" makes that pass.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, names []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			logger := p.logger(cfg, slog.LevelError)
			return p.withService(c.Context(), cfg, logger, func(ctx context.Context, s control.Service) error {
				if err := s.Approve(ctx, names[0]); err != nil {
					return exit{control.ExitUsage, err}
				}
				fmt.Fprintf(p.stdout, "%s: approved for one pass\n", names[0])
				return nil
			})
		},
	}
}
