package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// stateFile is the name of the one state file in the state folder.
const stateFile = "agent.db"

func openState(cfg *config.Config, readOnly bool) (*state.DB, error) {
	return state.Open(filepath.Join(cfg.Agent.StateDir, stateFile), state.Options{
		AllowNetworkFilesystem: cfg.Agent.AllowNetworkStateDir, ReadOnly: readOnly,
	})
}

// withService calls use with the running agent if there is one, and with one that runs just
// for this call otherwise.
func (p *program) withService(ctx context.Context, cfg *config.Config, logger *slog.Logger, use func(context.Context, control.Service) error) error {
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	if err == nil {
		return use(ctx, client)
	}
	db, err := openState(cfg, false)
	if err != nil {
		return stateError(err)
	}
	defer db.Close()
	a := agent.New(cfg, db, agent.Options{Logger: logger, Control: true})
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- a.Run(running) }()
	useErr := use(ctx, a)
	stop()
	if runErr := <-ended; runErr != nil && !errors.Is(runErr, context.Canceled) {
		return exit{control.ExitNeedsPerson, errors.Join(runErr, useErr)}
	}
	return useErr
}

// withPlanner is withService for looking only: it creates no state.
func (p *program) withPlanner(ctx context.Context, cfg *config.Config, logger *slog.Logger, use func(context.Context, control.Service) error) error {
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	if err == nil {
		return use(ctx, client)
	}
	db, err := openState(cfg, true)
	if errors.Is(err, fs.ErrNotExist) {
		return use(ctx, agent.New(cfg, nil, agent.Options{Logger: logger}))
	}
	if err != nil {
		return stateError(err)
	}
	defer db.Close()
	return use(ctx, agent.New(cfg, db, agent.Options{Logger: logger}))
}
