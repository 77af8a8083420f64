package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

func (p *program) reloadCommand() *cobra.Command {
	return p.withJSON(&cobra.Command{
		Use:   "reload",
		Short: "Have the running agent take a changed configuration",
		Long: `Has the running agent read its configuration again, and returns when the new one
is in force. Servers and syncs that are the same go on as if nothing had
happened; of the others what is under way may go on for shutdown_grace. Some
keys of [agent] have the whole agent start anew.

Exit codes: 0; 1 no agent is running; 75 the agent did not come back in time;
78 the configuration has errors, and the agent goes on with the one it has.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.reload(c.Context()) },
	})
}

func (p *program) reload(ctx context.Context) error {
	cfg, err := p.loadToLook()
	if err != nil {
		return err
	}
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	if errors.Is(err, control.ErrNotRunning) {
		err = fmt.Errorf("%w; the next one reads the configuration when it starts", err)
	}
	if err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	before, err := client.Status(ctx, control.StatusFilter{Notes: 1})
	if err != nil {
		return serviceError(err)
	}
	reloaded, err := client.Reload(ctx)
	if err != nil {
		return serviceError(err)
	}
	if reloaded.Restarts {
		if err := p.awaitAnother(ctx, cfg, before.Started); err != nil {
			return err
		}
	}
	switch {
	case p.json:
		return p.printJSON(reloaded)
	case reloaded.Restarts:
		fmt.Fprintln(p.stdout, "the configuration is in force; the agent has started anew")
	case reloaded.Changes == 0:
		fmt.Fprintln(p.stdout, "the configuration is in force; no server and no sync has changed")
	default:
		fmt.Fprintf(p.stdout, "the configuration is in force; %d servers and syncs have changed\n", reloaded.Changes)
	}
	return nil
}

// restartPatience is how long an agent may take to start, beside shutdown_grace for the one before.
const restartPatience = 2 * time.Minute

// awaitAnother returns when an agent answers that was not started at that time.
func (p *program) awaitAnother(ctx context.Context, cfg *config.Config, started time.Time) error {
	ctx, stop := context.WithTimeout(ctx, cfg.Agent.ShutdownGrace+restartPatience)
	defer stop()
	for {
		if client, err := control.Dial(ctx, cfg.Agent.StateDir); err == nil {
			if now, err := client.Status(ctx, control.StatusFilter{Notes: 1}); err == nil && !now.Started.Equal(started) {
				return nil
			}
		}
		select {
		case <-time.After(serviceRetry):
		case <-ctx.Done():
			return exit{control.ExitUnfinished, errors.New("the configuration is right, but the agent has not started anew so far: look at its log")}
		}
	}
}

// serving is one agent while it runs as a service.
type serving struct {
	*program
	manager *manager
	agent   *agent.Agent
	logger  *slog.Logger
	level   slog.LevelVar
	stop    context.CancelFunc

	asked    chan reloadAsked
	cfg      *config.Config // in force
	files    *settled       // those of the configuration that was read last
	next     *config.Config // to go on with after a restart; nil: to stop
	stopping bool
	// taking is who waits for the configuration that the agent is about to take; nil if it is not. taken gets what came of it.
	taking *reloadAsked
	taken  chan error
	// changes is how many servers and syncs differ, once it is taken.
	changes int
}

// reloadAsked is somebody who wants the configuration read again; answer takes one value without anybody waiting.
type reloadAsked struct {
	answer chan reloadAnswer
	cfg    *config.Config
}

type reloadAnswer struct {
	reloaded control.Reloaded
	err      error
}

// run runs an agent until a signal ends it. It returns the configuration to go on with, nil to stop.
func (s *serving) run(ctx context.Context, cfg *config.Config, signals <-chan os.Signal) (*config.Config, error) {
	s.cfg, s.files = cfg, newSettled(cfg)
	s.level.Set(cfg.Agent.Log.Level)
	s.logger = s.program.logger(cfg, &s.level)
	s.warn()
	db, err := s.openState(ctx, cfg, false, s.logger)
	if err != nil {
		if !errors.Is(err, state.ErrLocked) { // else another agent works
			agent.TellStopped(ctx, cfg, err, s.logger)
		}
		return nil, stateError(err)
	}
	defer db.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	s.stop = stop
	options := s.manager.options(cfg, s.logger)
	options.Reload = s.reloadFor
	s.agent = agent.New(cfg, db, options)
	ended := make(chan error, 1)
	go func() { ended <- s.agent.Run(running) }()
	s.logger.Info("running", "version", versionOf().Version, "config", cfg.Path, "state", cfg.Agent.StateDir, "syncs", len(cfg.Syncs))
	look := time.NewTicker(settledLook)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			if s.taking != nil {
				<-s.taken // it has ended with the agent
			}
			return s.next, runError(err, s.logger)
		case err := <-s.taken:
			s.took(running, err)
		case asked := <-s.asked:
			s.reload(running, asked)
		case now := <-look.C:
			if s.cfg.Agent.Reload == config.ReloadAuto && s.taking == nil && !s.stopping && s.files.changed(now) {
				s.reload(running, reloadAsked{answer: make(chan reloadAnswer, 1)})
			}
		case signal := <-signals:
			if signal == syscall.SIGHUP {
				s.reload(running, reloadAsked{answer: make(chan reloadAnswer, 1)})
				continue
			}
			if s.stopping && s.next == nil {
				return nil, exit{control.ExitUnfinished, errors.New("stopped at once by a second signal")}
			}
			s.next, s.stopping = nil, true
			s.manager.check(s.manager.Stopping("letting running transfers end"), s.logger)
			s.logger.Info("stop asked for", "signal", signal.String())
			stop()
		}
	}
}

// reloadFor reads the configuration again for somebody else.
func (s *serving) reloadFor(ctx context.Context) (control.Reloaded, error) {
	asked := reloadAsked{answer: make(chan reloadAnswer, 1)}
	select {
	case s.asked <- asked:
	case <-ctx.Done():
		return control.Reloaded{}, context.Cause(ctx)
	}
	select {
	case a := <-asked.answer:
		return a.reloaded, a.err
	case <-ctx.Done():
	}
	select {
	case a := <-asked.answer: // that it restarts, which is why ctx has ended
		return a.reloaded, a.err
	default:
		return control.Reloaded{}, context.Cause(ctx)
	}
}

// reload reads the configuration again, and has the agent take it or start anew. One with errors changes nothing.
func (s *serving) reload(ctx context.Context, asked reloadAsked) {
	switch {
	case s.stopping:
		asked.answer <- reloadAnswer{err: control.ErrGone}
		return
	case s.taking != nil:
		asked.answer <- reloadAnswer{err: fmt.Errorf("a changed configuration is being taken already: try again when %q says so", "the configuration is in force")}
		return
	}
	s.manager.check(s.manager.Reloading(), s.logger)
	s.files.look()
	cfg, err := s.load()
	if err != nil {
		s.logger.Error("configuration not taken, going on with the old one", "error", err)
		s.manager.check(s.manager.Ready("the new configuration has errors, going on with the old one"), s.logger)
		asked.answer <- reloadAnswer{err: fmt.Errorf("%w:\n%w", control.ErrConfiguration, err)}
		return
	}
	s.files = newSettled(cfg)
	if agent.NeedsRestart(s.cfg, cfg) {
		s.logger.Info("configuration read again, restarting the agent")
		asked.answer <- reloadAnswer{reloaded: control.Reloaded{Restarts: true}}
		s.next, s.stopping = cfg, true
		s.stop()
		return
	}
	s.logger.Info("configuration read again")
	asked.cfg = cfg
	s.taking = &asked
	go func() {
		changes, err := s.agent.Reconfigure(ctx, cfg)
		s.changes = changes
		s.taken <- err
	}()
}

// took ends what reload has begun.
func (s *serving) took(ctx context.Context, err error) {
	asked := s.taking
	s.taking = nil
	if err != nil {
		asked.answer <- reloadAnswer{err: err}
		return
	}
	s.cfg = asked.cfg
	s.level.Set(s.cfg.Agent.Log.Level)
	s.manager.cfg.Store(s.cfg)
	s.warn()
	if !s.stopping && ctx.Err() == nil {
		s.manager.check(s.manager.Ready(standing(s.cfg, agent.Pulse{})), s.logger)
	}
	asked.answer <- reloadAnswer{reloaded: control.Reloaded{Changes: s.changes}}
}

func (s *serving) warn() {
	for _, w := range s.cfg.Warnings {
		s.logger.Warn("configuration", "problem", w.String())
	}
}
