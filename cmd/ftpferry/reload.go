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
happened; of the others what is under way may go on for shutdown_grace. Then it is
in force, with alerts and all of [agent] but state_dir, which needs a restart: this
looks for the agent where state_dir says.

Exit codes: 0; 1 no agent is running; 75 try again; 78 the configuration is not
taken, as it has errors or cannot be had, and the agent goes on with the one it has.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return p.reload(c.Context()) },
	})
}

func (p *program) reload(ctx context.Context) error {
	cfg, err := p.loadToLook()
	wrong := err
	if err != nil {
		if cfg = p.wayOf(err); cfg == nil { // the agent may be asked all the same, and tells then that it has been
			return err
		}
	}
	client, err := control.Dial(ctx, cfg.Agent.StateDir)
	if errors.Is(err, control.ErrNotRunning) {
		if wrong != nil {
			return wrong
		}
		err = fmt.Errorf(`%w; the next one reads the configuration when it starts.
If one runs with another state folder, such as that of before a change of state_dir, nobody has asked it: have the service manager restart it`, err)
	}
	if err != nil {
		return exit{control.ExitNeedsPerson, err}
	}
	reloaded, err := client.Reload(ctx)
	if err != nil {
		return serviceError(err)
	}
	switch {
	case p.json:
		return p.printJSON(reloaded)
	case reloaded.Changes == 0:
		fmt.Fprintln(p.stdout, "the configuration is in force; no server and no sync has changed")
	default:
		fmt.Fprintf(p.stdout, "the configuration is in force; %d servers and syncs have changed\n", reloaded.Changes)
	}
	return nil
}

// serving is an agent while it runs as a service.
type serving struct {
	*program
	manager *manager
	agent   *agent.Agent
	logger  *slog.Logger
	log     *logChoice
	stop    context.CancelFunc

	asked    chan reloadAsked
	cfg      *config.Config // in force
	files    *settled       // those of the configuration that was read last
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

// run runs an agent until a signal ends it.
func (s *serving) run(ctx context.Context, cfg *config.Config, signals <-chan os.Signal) error {
	s.cfg, s.files = cfg, newSettled(cfg)
	s.logger, s.log = s.program.changingLogger(cfg)
	s.warn()
	if err := s.mustBeAlone(ctx, cfg); err != nil {
		return err
	}
	db, err := s.openLocked(ctx, cfg)
	if err != nil {
		s.cannotStart(ctx, cfg, err, s.logger)
		return stateError(err)
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
			return runError(err, s.logger)
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
			if s.stopping {
				return exit{control.ExitUnfinished, errors.New("stopped at once by a second signal")}
			}
			s.stopping = true
			s.manager.check(s.manager.Stopping("letting running transfers end"), s.logger)
			s.logger.Info("stop asked for", "signal", signal.String())
			stop()
		}
	}
}

// openLocked opens the state. Where another process has it that does not answer as an agent, it may be one that is about to end.
func (s *serving) openLocked(ctx context.Context, cfg *config.Config) (db *state.DB, err error) {
	var locked error // by one that answers: there is nothing to wait for
	err = retried(ctx, func() error {
		db, err = s.openState(ctx, cfg, false, s.logger)
		if !errors.Is(err, state.ErrLocked) {
			return err
		}
		if _, dialErr := control.Dial(ctx, cfg.Agent.StateDir); dialErr == nil {
			locked = err
			return nil
		}
		return err
	})
	return db, errors.Join(err, locked)
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
		s.agent.Refused(configurationError(err))
		s.refused(asked, err)
		return
	}
	s.files = newSettled(cfg)
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
	switch _, isRefused := errors.AsType[*config.Error](err); {
	case isRefused:
		s.refused(*asked, err)
		return
	case err != nil:
		asked.answer <- reloadAnswer{err: err}
		return
	}
	s.cfg = asked.cfg
	s.log.follow(s.cfg)
	s.manager.cfg.Store(s.cfg)
	s.warn()
	if !s.stopping && ctx.Err() == nil {
		s.manager.check(s.manager.Ready(standing(s.cfg, agent.Pulse{})), s.logger)
	}
	asked.answer <- reloadAnswer{reloaded: control.Reloaded{Changes: s.changes}}
}

// refused tells that a configuration is not taken. Nothing has changed.
func (s *serving) refused(asked reloadAsked, err error) {
	s.logger.Error("configuration not taken, going on with the old one", "error", err)
	s.manager.check(s.manager.Ready("the new configuration is not taken, going on with the old one"), s.logger)
	asked.answer <- reloadAnswer{err: fmt.Errorf("%w:\n%w", control.ErrConfiguration, err)}
}

// configurationError is the error of a configuration in its own words.
func configurationError(err error) error {
	if failure, ok := errors.AsType[*config.Error](err); ok {
		return failure
	}
	return err
}

func (s *serving) warn() {
	for _, w := range s.cfg.Warnings {
		s.logger.Warn("configuration", "problem", w.String())
	}
}
