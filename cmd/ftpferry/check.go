package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

// checkResult is what check prints as JSON.
type checkResult struct {
	Config   string   `json:"config"`
	Valid    bool     `json:"valid"`
	Errors   []string `json:"errors"`
	Warnings []string `json:"warnings"`
}

func (p *program) checkCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "check",
		Short: "Validate the configuration",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return p.check() },
	})
}

func (p *program) check() error {
	path, err := config.Find(p.configPath, p.env)
	if err != nil {
		return exit{control.ExitConfiguration, err}
	}
	cfg, err := config.Load(path, p.env)
	if p.json {
		if jsonErr := p.printJSON(newCheckResult(path, cfg, err)); jsonErr != nil {
			return jsonErr
		}
		if err != nil {
			return exit{code: control.ExitConfiguration}
		}
		return nil
	}
	if err != nil {
		// One problem per line and nothing in front: editors jump to FILE:LINE.
		fmt.Fprintln(p.stderr, err)
		return exit{code: control.ExitConfiguration}
	}
	p.warn(cfg)
	fmt.Fprintf(p.stdout, "%s: valid, %d servers, %d syncs\n", path, len(cfg.Servers), len(cfg.Syncs))
	return nil
}

func newCheckResult(path string, cfg *config.Config, err error) checkResult {
	r := checkResult{Config: path, Valid: err == nil, Errors: []string{}, Warnings: []string{}}
	var problems *config.Error
	if errors.As(err, &problems) {
		for _, problem := range problems.Problems {
			r.Errors = append(r.Errors, problem.String())
		}
	}
	if cfg != nil {
		for _, w := range cfg.Warnings {
			r.Warnings = append(r.Warnings, w.String())
		}
	}
	return r
}
