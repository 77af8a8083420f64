package main

import (
	"context"
	"fmt"
	"log/slog"
	"os/user"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
)

func (p *program) pauseCommand() *cobra.Command {
	var request control.PauseRequest
	howLong := ""
	c := p.withJSON(&cobra.Command{
		Use:   "pause [SYNC...]",
		Short: "Have syncs begin nothing new until they are resumed",
		Long: `Has syncs begin nothing new (all of them without arguments). What is under way
goes on to its end; with --now it is broken off, to be gone on with later. What
changes meanwhile is noted, and what schedules ask for waits: nothing is lost. A
pause outlives restarts. It ends with "ftpferry resume", or after the time of
--for. "ftpferry status" says who has paused a sync, when and why.

With --server it is the server that is paused, with all syncs that use it, also
those that the configuration gets later.`,
		RunE: func(c *cobra.Command, names []string) error {
			request.Syncs, request.By = names, p.whoAsks()
			if howLong != "" {
				var err error
				if request.For, err = config.ParseDuration(howLong); err != nil || request.For <= 0 {
					return exit{control.ExitUsage, fmt.Errorf(`--for %q is no time: write one such as "30m", "2h" or "1d"`, howLong)}
				}
			}
			return p.pause(c.Context(), request)
		},
	})
	c.Flags().StringVar(&howLong, "for", "", "how long, such as 2h (default until it is resumed)")
	c.Flags().StringVar(&request.Server, "server", "", "this `server`, with all of its syncs")
	c.Flags().StringVar(&request.Reason, "reason", "", "`text` that says why, for status and the log")
	c.Flags().BoolVar(&request.Now, "now", false, "break off what is under way")
	return c
}

func (p *program) pause(ctx context.Context, request control.PauseRequest) error {
	var paused control.Paused
	err := p.withOperator(ctx, func(ctx context.Context, s control.Service) (err error) {
		paused, err = s.Pause(ctx, request)
		return err
	})
	switch {
	case err != nil:
		return err
	case p.json:
		return p.printJSON(paused)
	}
	for _, name := range paused.Syncs {
		fmt.Fprintf(p.stdout, "%s: paused\n", oneLine(name))
	}
	if paused.Server != "" {
		fmt.Fprintf(p.stdout, "server %s: paused, with what will use it later\n", oneLine(paused.Server))
	}
	switch {
	case len(paused.Syncs) == 0 && paused.Server == "":
		fmt.Fprintln(p.stdout, "there is nothing to pause")
	case paused.Running > 0 && request.Now:
		fmt.Fprintf(p.stdout, "%s broken off\n", count(paused.Running, "job"))
	case paused.Running > 0:
		fmt.Fprintf(p.stdout, "%s under way to the end; --now breaks off\n", count(paused.Running, "job"))
	}
	return nil
}

func (p *program) resumeCommand() *cobra.Command {
	var request control.ResumeRequest
	c := p.withJSON(&cobra.Command{
		Use:   "resume [SYNC...]",
		Short: "Let paused syncs go on",
		Long: `Ends the pause of syncs (all of them without arguments), which go on where they
were. A halt is ended by "ftpferry approve" alone.

With --server the pause of a server ends; what was paused by itself stays so.
Without arguments all pauses end, of syncs and of servers.`,
		RunE: func(c *cobra.Command, names []string) error {
			request.Syncs, request.By = names, p.whoAsks()
			return p.resume(c.Context(), request)
		},
	})
	c.Flags().StringVar(&request.Server, "server", "", "the pause of this `server`")
	return c
}

func (p *program) resume(ctx context.Context, request control.ResumeRequest) error {
	var resumed control.Resumed
	err := p.withOperator(ctx, func(ctx context.Context, s control.Service) (err error) {
		resumed, err = s.Resume(ctx, request)
		return err
	})
	switch {
	case err != nil:
		return err
	case p.json:
		return p.printJSON(resumed)
	}
	for _, name := range resumed.Servers {
		fmt.Fprintf(p.stdout, "server %s: resumed\n", oneLine(name))
	}
	for _, name := range resumed.Syncs {
		fmt.Fprintf(p.stdout, "%s: resumed\n", oneLine(name))
	}
	for _, held := range resumed.Held {
		cure := oneLine(held.Sync)
		if held.Server != "" {
			cure = "--server " + oneLine(held.Server)
		}
		fmt.Fprintf(p.stdout, "%s: still paused: ftpferry resume %s\n", oneLine(held.Sync), cure)
	}
	switch {
	case len(resumed.Syncs)+len(resumed.Servers)+len(resumed.Held) > 0:
	case request.Server != "":
		fmt.Fprintln(p.stdout, "that server was not paused")
	default:
		fmt.Fprintln(p.stdout, "no such sync was paused")
	}
	return nil
}

// withOperator calls use with the running agent, or with one that does not run and works on the state, which is made if there is
// none.
func (p *program) withOperator(ctx context.Context, use func(context.Context, control.Service) error) error {
	cfg, err := p.loadToTalk(ctx)
	if err != nil {
		return err
	}
	logger := p.logger(cfg, slog.LevelError)
	return retried(ctx, func() error {
		client, err := p.runningAgent(ctx, cfg)
		switch {
		case err != nil:
			return err
		case client != nil:
			return operatorError(use(ctx, client))
		}
		if err := p.mustBeAlone(ctx, cfg); err != nil {
			return err
		}
		db, err := p.openState(ctx, cfg, false, logger)
		if err != nil {
			return stateError(err)
		}
		defer db.Close()
		return operatorError(use(ctx, agent.New(cfg, db, agent.Options{Logger: logger})))
	})
}

func operatorError(err error) error {
	if err == nil {
		return nil
	}
	return serviceError(err)
}

// whoAsks is the name of the person behind the process, as far as it tells.
func (p *program) whoAsks() string {
	if name := p.env("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return ""
}

func byWhom(name string) string {
	if name == "" {
		return ""
	}
	return " by " + strings.TrimSpace(oneLine(name))
}
