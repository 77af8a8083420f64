package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// loadToTalk is loadToLook for what a running agent does without reading the configuration again: errors in it keep nobody from talking to
// an agent that has begun without them, and that is when a person needs it. Then there is only what is in force in the agent: its state
// folder, and the names of its syncs and servers. Without such an agent the errors are returned.
func (p *program) loadToTalk(ctx context.Context) (*config.Config, error) {
	cfg, err := p.loadToLook()
	if err == nil {
		return cfg, nil
	}
	rest := p.wayOf(err)
	if rest == nil {
		return nil, err
	}
	client, dialErr := control.Dial(ctx, rest.Agent.StateDir)
	var inForce control.Overview
	if dialErr == nil {
		inForce, dialErr = client.Status(ctx, control.StatusFilter{Notes: 1})
	}
	if dialErr != nil {
		if !errors.Is(dialErr, control.ErrNotRunning) {
			p.tell(slog.LevelWarn, "warning: "+dialErr.Error())
		}
		return nil, err
	}
	rest.Syncs, rest.Servers = map[string]*config.Sync{}, map[string]*config.Server{}
	for _, s := range inForce.Syncs {
		rest.Syncs[s.Sync] = &config.Sync{Name: s.Sync, Family: familyOf(s)}
	}
	for _, s := range inForce.Servers {
		rest.Servers[s.Server] = &config.Server{Name: s.Server}
	}
	failure, _ := errors.AsType[*config.Error](err)
	p.refused = err
	p.tell(slog.LevelWarn, fmt.Sprintf(`warning: the configuration has errors ("ftpferry check" tells all of them): %s
The agent with the state in %s runs, and goes on with the configuration that it has.`, failure.Brief(), rest.Agent.StateDir))
	return rest, nil
}

// wayOf is what is left of a configuration with these errors if it leads to a running agent, else nil.
func (p *program) wayOf(err error) *config.Config {
	if _, hasErrors := errors.AsType[*config.Error](err); !hasErrors {
		return nil
	}
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return nil
	}
	rest := config.LoadRestWithoutSecrets(path, p.env)
	if rest.Agent.StateDir == "" {
		return nil
	}
	return rest
}

// familyOf is config.Sync.Family of a sync in force.
func familyOf(s control.SyncStatus) string { return strings.TrimSuffix(s.Sync, "@"+s.Server) }
