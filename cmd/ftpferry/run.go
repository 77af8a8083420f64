package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/service"
	"github.com/ftpferry/ftpferry/state"
)

func (p *program) runCommand() *cobra.Command {
	return p.withTrace(&cobra.Command{
		Use:   "run",
		Short: "Run the service in the foreground",
		Long: `Watches, schedules and transfers until it is told to stop.

SIGTERM and SIGINT let running transfers end (shutdown_grace); a second one stops at once.
SIGHUP, "ftpferry reload" and, with reload = "auto", a change of its files have the configuration read again. What is the same goes
on, transfers too; one with errors is reported and not taken.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return service.Run(c.Context(), func(ctx context.Context, log io.Writer) error {
				if log != nil {
					p.stderr = log
				}
				return p.serve(ctx)
			}, func(err error) { os.Exit(p.exitCode(err)) })
		},
	})
}

// serve runs an agent.
func (p *program) serve(ctx context.Context) error {
	cfg, err := p.load()
	if failure, ok := errors.AsType[*config.Error](err); ok {
		rest := p.loadRest()
		p.cannotStart(ctx, rest, fmt.Errorf("configuration: %s", failure.Brief()), p.logger(rest, rest.Agent.Log.Level))
	}
	if err != nil {
		return err
	}
	stopTrace, err := p.startTrace(cfg)
	if err != nil {
		p.cannotStart(ctx, cfg, err, p.logger(cfg, cfg.Agent.Log.Level))
		return err
	}
	defer stopTrace()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	s := newServing(p)
	return s.run(ctx, cfg, signals)
}

// cannotStart tells people that no agent works, by the alerts that there are, unless one does: somebody may have started another one by
// mistake. Nothing has to be said to a heartbeat, which stays away.
func (p *program) cannotStart(ctx context.Context, cfg *config.Config, reason error, logger *slog.Logger) {
	if cfg.Agent.StateDir != "" {
		if _, err := control.Dial(ctx, cfg.Agent.StateDir); err == nil {
			return
		}
	}
	agent.TellStopped(ctx, cfg, fmt.Errorf("it cannot start: %w", reason), logger)
}

// runError ends the process non-zero when the state is not to be trusted any more: the next
// start reads what is true from the file.
func runError(err error, logger *slog.Logger) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return nil
	}
	var commit *state.CommitError
	if errors.As(err, &commit) {
		logger.Error("the state could not be written, stopping", "error", err)
	}
	return exit{control.ExitNeedsPerson, err}
}
