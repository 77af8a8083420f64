package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// homeOfUser is the home of somebody with an account here; "" if nobody can tell.
func homeOfUser(name string) string {
	if account, err := user.Lookup(name); err == nil {
		return account.HomeDir
	}
	return ""
}

// stateBeside is the state that somebody who has come here by sudo has by default, without sudo, where the configuration does not say
// where the state is: it may be one of the same folders. "" if there is none.
func (p *program) stateBeside(cfg *config.Config) (name, stateDir string) {
	name = p.env("SUDO_USER")
	if name == "" || !cfg.StateByDefault {
		return "", ""
	}
	homeOf := p.homeOf
	if homeOf == nil {
		homeOf = homeOfUser
	}
	home := homeOf(name)
	if !filepath.IsAbs(home) {
		return "", ""
	}
	stateDir = filepath.Join(home, ".local", "state", "ftpferry")
	if _, err := os.Stat(filepath.Join(stateDir, stateFile)); err != nil || stateDir == cfg.Agent.StateDir {
		return "", ""
	}
	return name, stateDir
}

// mustBeAlone refuses to work with another state than an agent has that is at the same syncs, as all would be done twice and each would
// take what the other one does for changes by somebody. Where none runs there may still be another state, of which it warns before a
// new one is made.
func (p *program) mustBeAlone(ctx context.Context, cfg *config.Config) error {
	name, beside := p.stateBeside(cfg)
	if beside == "" {
		return nil
	}
	const cure = "do this without sudo, or write state_dir"
	client, err := control.Dial(ctx, beside)
	if errors.Is(err, control.ErrNoAnswer) {
		return exit{control.ExitUnfinished, fmt.Errorf("state_dir is not set, and so the agent of %s (its state is in %s) may be at the same syncs: %w", oneLine(name), beside, err)}
	}
	if err == nil {
		inForce, err := client.Status(ctx, control.StatusFilter{Notes: 1})
		if err != nil {
			return serviceError(err)
		}
		for _, s := range inForce.Syncs {
			if cfg.Syncs[s.Sync] != nil {
				return exit{control.ExitConfiguration, fmt.Errorf("%s: an agent of %s (its state is in %s) works on sync %q; state_dir is not set, and so this would be another agent for the same, with its state in %s: %s",
					cfg.Path, oneLine(name), beside, s.Sync, cfg.Agent.StateDir, cure)}
			}
		}
		return nil
	}
	if _, err := os.Lstat(filepath.Join(cfg.Agent.StateDir, stateFile)); err != nil {
		p.tell(slog.LevelWarn, fmt.Sprintf("warning: state_dir is not set: the state is in %s now, and knows nothing of that of %s in %s; if that is of the same folders, %s",
			cfg.Agent.StateDir, oneLine(name), beside, cure))
	}
	return nil
}
