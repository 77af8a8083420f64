package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// checkResult is what check prints as JSON.
type checkResult struct {
	Config   string           `json:"config"`
	Valid    bool             `json:"valid"`
	Errors   []config.Problem `json:"errors"`
	Warnings []config.Problem `json:"warnings"`
	// State is nil unless it was asked for and the configuration is valid.
	State *stateCheck `json:"state,omitempty"`
}

func (p *program) checkCommand() *cobra.Command {
	withState := false
	c := &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration, and the state with --state",
		Long: `Validates the configuration. With --state the state file, too: of a running
agent a copy is made and examined, which needs as much room in the state folder.

Exit codes: 0 all is well; 1 something is wrong with the state; 78 with the
configuration.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.check(c.Context(), withState) },
	}
	c.Flags().BoolVar(&withState, "state", false, "examine the state file, too")
	return p.withJSON(c)
}

func (p *program) check(ctx context.Context, withState bool) error {
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return exit{control.ExitConfiguration, err}
	}
	cfg, err := config.Load(path, p.env)
	result := newCheckResult(path, cfg, err)
	if err == nil {
		if !p.json {
			p.warn(cfg)
			fmt.Fprintf(p.stdout, "%s: valid, %s, %s\n", path, count(len(cfg.Servers), "server"), count(len(cfg.Syncs), "sync"))
		}
		if withState {
			if result.State, err = p.checkState(ctx, cfg); err != nil {
				return err
			}
		}
	}
	if p.json {
		if err := p.printJSON(result); err != nil {
			return err
		}
	} else if err != nil {
		// One problem per line and nothing in front: editors jump to FILE:LINE.
		fmt.Fprintln(p.stderr, err)
	} else if result.State != nil {
		p.printStateCheck(*result.State)
	}
	switch {
	case !result.Valid:
		return exit{code: control.ExitConfiguration}
	case result.State != nil && len(result.State.Problems) > 0:
		return exit{code: control.ExitNeedsPerson}
	}
	return nil
}

func newCheckResult(path string, cfg *config.Config, err error) checkResult {
	r := checkResult{Config: path, Valid: err == nil, Errors: []config.Problem{}, Warnings: []config.Problem{}}
	var problems *config.Error
	if errors.As(err, &problems) {
		r.Errors = problems.Problems
	}
	if cfg != nil {
		r.Warnings = append(r.Warnings, cfg.Warnings...)
	}
	return r
}
