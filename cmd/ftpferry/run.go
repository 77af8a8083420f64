package main

import (
	"context"
	"errors"
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
SIGHUP reads the configuration again; one with errors is reported and not taken.`,
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

// serve runs an agent, and another one after each good SIGHUP.
func (p *program) serve(ctx context.Context) error {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	stopTrace, err := p.startTrace(cfg)
	if err != nil {
		return err
	}
	defer stopTrace()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	manager := newManager(p.env)
	for {
		next, err := p.serveOnce(ctx, cfg, manager, signals)
		if err != nil || next == nil {
			return err
		}
		cfg = next
	}
}

// serveOnce runs one agent until a signal ends it. It returns the configuration to go on
// with, nil to stop.
func (p *program) serveOnce(ctx context.Context, cfg *config.Config, manager *manager, signals <-chan os.Signal) (*config.Config, error) {
	logger := p.logger(cfg, cfg.Agent.Log.Level)
	for _, w := range cfg.Warnings {
		logger.Warn("configuration", "problem", w.String())
	}
	db, err := p.openState(ctx, cfg, false, logger)
	if err != nil {
		if !errors.Is(err, state.ErrLocked) { // else another agent works
			agent.TellStopped(ctx, cfg, err, logger)
		}
		return nil, stateError(err)
	}
	defer db.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	a := agent.New(cfg, db, manager.options(cfg, logger))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	logger.Info("running", "version", versionOf().Version, "config", cfg.Path, "state", cfg.Agent.StateDir, "syncs", len(cfg.Syncs))
	var next *config.Config
	stopping := false
	for {
		select {
		case err := <-ended:
			return next, runError(err, logger)
		case s := <-signals:
			switch {
			case s == syscall.SIGHUP && !stopping:
				manager.check(manager.Reloading(), logger)
				if next = p.reload(logger); next == nil {
					manager.check(manager.Ready("the new configuration has errors, going on with the old one"), logger)
					continue
				}
				logger.Info("configuration read again, restarting the agent")
			case s == syscall.SIGHUP:
				continue
			case stopping && next == nil:
				return nil, exit{control.ExitUnfinished, errors.New("stopped at once by a second signal")}
			default:
				next = nil
				manager.check(manager.Stopping("letting running transfers end"), logger)
				logger.Info("stop asked for", "signal", s.String())
			}
			stopping = true
			stop()
		}
	}
}

func (p *program) reload(logger *slog.Logger) *config.Config {
	cfg, err := p.load()
	if err != nil {
		logger.Error("configuration not taken, going on with the old one", "error", err)
		return nil
	}
	return cfg
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
