package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/doctor"
)

// checkResult is what check prints as JSON.
type checkResult struct {
	Config   string           `json:"config"`
	Valid    bool             `json:"valid"`
	Errors   []config.Problem `json:"errors"`
	Warnings []config.Problem `json:"warnings"`
	// State is nil unless it was asked for and the configuration is valid.
	State *stateCheck `json:"state,omitempty"`
	// Servers is nil unless they were asked for and the configuration is valid.
	Servers []doctor.Glance `json:"servers,omitempty"`
}

// checks are what is looked at beside the configuration.
type checks struct{ state, online bool }

func (p *program) checkCommand() *cobra.Command {
	var asked checks
	c := &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration, the servers with --online, the state with --state",
		Long: `Validates the configuration: all errors at once, each with file, line and
column. With --online it connects and logs in to each server, by each of its
addresses, and asks for the folders of its syncs; nothing is changed there.
With --state it examines the state file: of a running agent a copy, which needs
as much room in the state folder.

Exit codes: 0 all is well; 1 something is wrong with the state, or a server
needs a person; 69 a server is unavailable; 78 the configuration is wrong.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.check(c.Context(), asked) },
	}
	c.Flags().BoolVar(&asked.state, "state", false, "examine the state file, too")
	c.Flags().BoolVar(&asked.online, "online", false, "connect and log in to the servers, too")
	return p.withJSON(p.withTrace(c))
}

func (p *program) check(ctx context.Context, asked checks) error {
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
		stopTrace, err := p.startTrace(cfg)
		if err != nil {
			return err
		}
		defer stopTrace()
		if asked.online {
			result.Servers = p.lookAtServers(ctx, cfg)
		}
		if asked.state {
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
	worst := doctor.Well
	for _, server := range result.Servers {
		worst = doctor.Worst(worst, server.Outcome)
	}
	if worst != doctor.Well {
		return exit{code: doctorCodes[worst]}
	}
	return nil
}

// lookAtServers tells of each server as soon as it is known.
func (p *program) lookAtServers(ctx context.Context, cfg *config.Config) []doctor.Glance {
	ctx, stop := interruptible(ctx)
	defer stop()
	logger := p.logger(cfg, slog.LevelError)
	glances := []doctor.Glance{}
	for _, name := range slices.Sorted(maps.Keys(cfg.Servers)) {
		for _, address := range cfg.Servers[name].Addresses {
			if ctx.Err() != nil {
				return glances
			}
			server := *cfg.Servers[name]
			server.Address = address
			patient := doctor.Patient{Server: &server, Client: agent.ClientOptions(&server, logger.With("server", name))}
			glance := doctor.Look(ctx, patient, wantedFolders(cfg, name))
			glances = append(glances, glance)
			if !p.json {
				fmt.Fprint(p.stdout, glance.Text())
			}
		}
	}
	return glances
}

// wantedFolders are those on a server that its syncs are about.
func wantedFolders(cfg *config.Config, server string) []doctor.Wanted {
	made := map[string]bool{}
	for _, s := range cfg.Syncs {
		if s.Server == server && s.Enabled {
			made[s.Remote] = made[s.Remote] || s.Direction != config.Down
		}
	}
	var folders []doctor.Wanted
	for _, folder := range slices.Sorted(maps.Keys(made)) {
		folders = append(folders, doctor.Wanted{Path: folder, Made: made[folder]})
	}
	return folders
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
