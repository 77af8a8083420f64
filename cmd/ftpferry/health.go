package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/control"
)

// healthPatience bounds the answer of an agent: whoever asks will ask again.
const healthPatience = 10 * time.Second

// healthState is what health prints as JSON.
type healthState struct {
	Healthy bool   `json:"healthy"`
	Problem string `json:"problem,omitempty"`
}

func (p *program) healthCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "health",
		Short: "Say whether an agent runs and works, for containers and monitors",
		Long: `Asks the running agent for a sign of life. It is healthy as long as it works, also
when a server is down or a sync is halted: a restart would mend neither. How the
syncs stand says "ftpferry status".

Exit codes: 0 it works; 1 it does not answer, or is stuck; 78 the configuration
has errors, and no agent runs that has begun without them.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.health(c.Context()) },
	})
}

func (p *program) health(ctx context.Context) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, healthPatience, errors.New("no answer in time"))
	defer cancel()
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	if err == nil {
		err = client.Health(ctx)
	}
	state := healthState{Healthy: err == nil}
	text := "healthy"
	if err != nil {
		state.Problem, text = err.Error(), "not healthy: "+err.Error()
	}
	if p.json {
		if err := p.printJSON(state); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(p.stdout, text)
	}
	if !state.Healthy {
		return exit{code: control.ExitNeedsPerson}
	}
	return nil
}
