package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/service"
	"github.com/ftpferry/ftpferry/state"
)

// stateFile is the name of the one state file in the state folder.
const stateFile = "agent.db"

// openState opens the state of the configuration. What it warns of is told even by commands that log nothing but errors: it is
// about the one file that all depends on.
func (p *program) openState(ctx context.Context, cfg *config.Config, readOnly bool, logger *slog.Logger) (*state.DB, error) {
	if !logger.Enabled(ctx, slog.LevelWarn) {
		logger = p.logger(cfg, slog.LevelWarn)
	}
	return state.Open(filepath.Join(cfg.Agent.StateDir, stateFile), state.Options{
		AllowNetworkFilesystem: cfg.Agent.AllowNetworkStateDir, MaxSize: cfg.Agent.MaxStateSize, ReadOnly: readOnly, Logger: logger,
	})
}

// withService calls use with the running agent if there is one, and with one that runs just
// for this call otherwise.
//
// An agent that goes away in the middle (its own pass is over, or somebody stopped it) is not
// the end: the next one, or the caller, goes on.
func (p *program) withService(ctx context.Context, cfg *config.Config, logger *slog.Logger, use func(context.Context, control.Service) error) error {
	return retried(ctx, func() error { return p.withOneService(ctx, cfg, logger, use) })
}

// runningAgent returns the running agent, or nil if none runs and the configuration has no errors. That it cannot be asked is an error, and no reason to go around it.
func (p *program) runningAgent(ctx context.Context, cfg *config.Config) (*control.Client, error) {
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	switch {
	case err == nil:
		return client, nil
	case ctx.Err() != nil:
		return nil, exit{control.ExitUnfinished, errors.New("interrupted")}
	case errors.Is(err, control.ErrNotAllowed):
		return nil, exit{control.ExitNeedsPerson, err}
	case errors.Is(err, control.ErrNoAnswer):
		return nil, exit{control.ExitUnfinished, err}
	}
	return nil, p.refused // nobody else can do anything by a configuration with errors
}

// retried tries again for a while: between the end of one agent and the next, the state may be locked and nobody listen.
func retried(ctx context.Context, try func() error) error {
	for attempt := 1; ; attempt++ {
		err := try()
		passing := errors.Is(err, control.ErrGone) || errors.Is(err, control.ErrNoAnswer) || errors.Is(err, state.ErrLocked)
		retry := passing && attempt < serviceTries
		if !retry || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(serviceRetry):
		case <-ctx.Done():
		}
	}
}

const (
	// serviceRetry is the pause until another agent is looked for.
	serviceRetry = 200 * time.Millisecond
	// serviceTries bounds the search for an agent that stays, and the wait for one that holds
	// the state and does not answer; such a try takes seconds.
	serviceTries = 5
)

func (p *program) withOneService(ctx context.Context, cfg *config.Config, logger *slog.Logger, use func(context.Context, control.Service) error) error {
	client, err := p.runningAgent(ctx, cfg)
	switch {
	case err != nil:
		return err
	case client != nil:
		p.traceIsElsewhere()
		return use(ctx, client)
	}
	if cfg, err = p.complete(cfg); err != nil {
		return err
	}
	if err := p.mustBeAlone(ctx, cfg); err != nil {
		return err
	}
	db, err := p.openState(ctx, cfg, false, logger)
	if err != nil {
		return stateError(err)
	}
	defer db.Close()
	a := agent.New(cfg, db, agent.Options{Logger: logger, Control: true, Version: versionOf().Version, Ready: forgetBeginning})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	useErr := use(ctx, a)
	stop()
	if runErr := <-ended; runErr != nil && !errors.Is(runErr, context.Canceled) {
		// The agent failed, and that is why use did: its reason is the one that counts.
		return exit{control.ExitNeedsPerson, runErr}
	}
	return useErr
}

// withPlanner is withService for looking only: it creates no state.
func (p *program) withPlanner(ctx context.Context, cfg *config.Config, logger *slog.Logger, use func(context.Context, control.Service) error) error {
	return retried(ctx, func() error {
		client, err := p.runningAgent(ctx, cfg)
		switch {
		case err != nil:
			return err
		case client != nil:
			p.traceIsElsewhere()
			return use(ctx, client)
		}
		cfg, err := p.complete(cfg)
		if err != nil {
			return err
		}
		return p.withStateOnce(ctx, cfg, true, logger, func(ctx context.Context, s control.Service, _ *state.DB) error { return use(ctx, s) })
	})
}

// withState calls use with the running agent, or with one that does not run and works on the file directly, which it has too, unless
// there is none. An agent that ends at that moment is not the end: see withService. Nothing was printed when use returns
// control.ErrGone.
func (p *program) withState(ctx context.Context, cfg *config.Config, readOnly bool, logger *slog.Logger,
	use func(context.Context, control.Service, *state.DB) error) error {
	return retried(ctx, func() error { return p.withStateOnce(ctx, cfg, readOnly, logger, use) })
}

func (p *program) withStateOnce(ctx context.Context, cfg *config.Config, readOnly bool, logger *slog.Logger,
	use func(context.Context, control.Service, *state.DB) error) error {
	client, err := p.runningAgent(ctx, cfg)
	switch {
	case err != nil:
		return err
	case client != nil:
		return use(ctx, client, nil)
	}
	var db *state.DB
	// Only an agent makes a new state.
	if _, err := os.Stat(filepath.Join(cfg.Agent.StateDir, stateFile)); !errors.Is(err, fs.ErrNotExist) {
		db, err = p.openState(ctx, cfg, readOnly, logger)
		switch {
		case err == nil:
			defer db.Close()
		case readOnly && errors.Is(err, fs.ErrNotExist):
		default:
			return stateError(err)
		}
	} else if _, err := os.Lstat(service.StateFolder); err == nil && isStateElsewhere(cfg, p.env) {
		p.tell(slog.LevelWarn, fmt.Sprintf("warning: there is no state in %s; that of the service is in %s: sudo ftpferry", cfg.Agent.StateDir, service.StateFolder))
	} else if err := p.mustBeAlone(ctx, cfg); err != nil {
		return err
	}
	return use(ctx, agent.New(cfg, db, agent.Options{Logger: logger}), db)
}

// isStateElsewhere reports whether a service with this configuration keeps its state elsewhere than this user, by default: what is
// true of the one says nothing about the other.
func isStateElsewhere(cfg *config.Config, env func(string) string) bool {
	own, err := config.DefaultStateDir(env)
	return err == nil && cfg.Path == service.PackagedConfig && cfg.Agent.StateDir == own && own != service.StateFolder
}
