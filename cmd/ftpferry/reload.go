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

	asked    chan chan<- reloadAnswer // each takes one value without anybody waiting
	ready    chan struct{}            // closed when the agent is ready; nil once that is known
	cfg      *config.Config           // in force
	files    *settled                 // those of the configuration that was read last
	stopping bool
	// wanted is that the configuration is to be read again, as soon as that can be: the agent has to be ready, and to have taken the one before.
	// waiting is who wants to know what comes of it, if anybody does.
	wanted  bool
	waiting []chan<- reloadAnswer
	// taking is that it is read and taken, for those that are told; taken gets what came of it.
	taking bool
	told   []chan<- reloadAnswer
	taken  chan reloadTaken
}

func newServing(p *program) *serving {
	return &serving{
		program: p, manager: newManager(p.env), asked: make(chan chan<- reloadAnswer), ready: make(chan struct{}), taken: make(chan reloadTaken, 1),
	}
}

type reloadAnswer struct {
	reloaded control.Reloaded
	err      error
}

// reloadTaken is what came of a configuration that was read again.
type reloadTaken struct {
	cfg     *config.Config // nil if it has errors
	changes int            // how many servers and syncs differ
	err     error
}

// run runs an agent until a signal ends it.
func (s *serving) run(ctx context.Context, cfg *config.Config, signals <-chan os.Signal) (err error) {
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
	defer func() { leave(db, err) }()
	running, stop := context.WithCancel(ctx)
	defer stop()
	options := s.manager.options(cfg, s.logger)
	options.Reload = s.reloadFor
	options.Ready = s.thenReady(options.Ready)
	s.agent = agent.New(cfg, db, options)
	ended := make(chan error, 1)
	go func() { ended <- s.agent.Run(running) }()
	s.logger.Info("running", "version", versionOf().Version, "config", cfg.Path, "state", cfg.Agent.StateDir, "syncs", len(cfg.Syncs))
	look := time.NewTicker(settledLook)
	defer look.Stop()
	for {
		select {
		case err := <-ended:
			stop()
			if s.taking {
				<-s.taken // it ends with the agent
			}
			return runError(err, s.logger)
		case <-s.ready:
			s.ready = nil
			s.begin(running)
		case taken := <-s.taken:
			s.took(running, taken)
		case answer := <-s.asked:
			s.reload(running, answer)
		case now := <-look.C:
			if s.cfg.Agent.Reload == config.ReloadAuto && !s.taking && !s.stopping && s.files.changed(now) {
				s.reload(running)
			}
		case signal := <-signals:
			if signal == syscall.SIGHUP {
				s.reload(running)
				continue
			}
			if s.stopping {
				return exit{control.ExitUnfinished, errAtOnce}
			}
			s.stopAsked(signal)
			stop()
		}
	}
}

var errAtOnce = errors.New("stopped at once by a second signal")

// leave closes the state, which waits for all who read or write it: where err says at once, the end of the process does it.
func leave(db *state.DB, err error) {
	if !errors.Is(err, errAtOnce) {
		db.Close()
	}
}

// thenReady has the configuration read again by nobody before the agent is ready: what the service manager is told of that says that it is.
func (s *serving) thenReady(tell func()) func() {
	ready := s.ready
	return func() {
		tell()
		close(ready)
	}
}

// stopAsked tells everybody that a stop has begun.
func (s *serving) stopAsked(signal os.Signal) {
	s.stopping, s.wanted = true, false
	for _, answer := range s.waiting {
		answer <- reloadAnswer{err: control.ErrGone}
	}
	s.waiting = nil
	s.manager.stopping(s.logger)
	s.logger.Info("stop asked for", "signal", signal.String())
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
	answer := make(chan reloadAnswer, 1)
	select {
	case s.asked <- answer:
	case <-ctx.Done():
		return control.Reloaded{}, context.Cause(ctx)
	}
	select {
	case a := <-answer:
		return a.reloaded, a.err
	case <-ctx.Done():
		return control.Reloaded{}, context.Cause(ctx)
	}
}

// reload has the configuration read again, now or as soon as that can be: what is taken now was read before it was asked for.
func (s *serving) reload(ctx context.Context, answers ...chan<- reloadAnswer) {
	if s.stopping {
		for _, answer := range answers {
			answer <- reloadAnswer{err: control.ErrGone}
		}
		return
	}
	s.wanted, s.waiting = true, append(s.waiting, answers...)
	if s.taking || s.ready != nil {
		s.logger.Info("the configuration is read again when what is under way is done")
	}
	s.begin(ctx)
}

// begin has the configuration read and taken if that is wanted and can be.
func (s *serving) begin(ctx context.Context) {
	if !s.wanted || s.taking || s.ready != nil {
		return
	}
	s.taking, s.wanted = true, false
	s.told, s.waiting = s.waiting, nil
	s.manager.check(s.manager.Reloading(), s.logger)
	s.files.look()
	go func() { s.taken <- s.take(ctx) }()
}

// take reads the configuration, which takes as long as programs need for its secrets, and has the agent take it. One with errors changes nothing.
func (s *serving) take(ctx context.Context) (t reloadTaken) {
	cfg, err := s.loadUntil(ctx)
	if ctx.Err() != nil {
		return reloadTaken{err: control.ErrGone}
	}
	if err != nil {
		s.agent.Refused(configurationError(err))
		return reloadTaken{err: err}
	}
	s.logger.Info("configuration read again")
	changes, err := s.agent.Reconfigure(ctx, cfg)
	return reloadTaken{cfg, changes, err}
}

// took ends what begin has begun, and begins again what was asked for meanwhile.
func (s *serving) took(ctx context.Context, t reloadTaken) {
	answer := s.follow(ctx, t)
	for _, told := range s.told {
		told <- answer
	}
	s.taking, s.told = false, nil
	s.begin(ctx)
}

// follow goes on by a configuration that the agent has taken.
func (s *serving) follow(ctx context.Context, t reloadTaken) reloadAnswer {
	if t.cfg != nil {
		s.files = newSettled(t.cfg)
	}
	switch _, isRefused := errors.AsType[*config.Error](t.err); {
	case ctx.Err() != nil && t.err != nil:
		return reloadAnswer{err: t.err}
	case isRefused || t.cfg == nil:
		return s.refused(t.err)
	case t.err != nil:
		return reloadAnswer{err: t.err}
	}
	s.cfg = t.cfg
	s.log.follow(s.cfg)
	s.manager.cfg.Store(s.cfg)
	s.warn()
	if !s.stopping && ctx.Err() == nil {
		s.manager.check(s.manager.Ready(standing(s.cfg, agent.Pulse{})), s.logger)
	}
	return reloadAnswer{reloaded: control.Reloaded{Changes: t.changes}}
}

// refused tells that a configuration is not taken. Nothing has changed.
func (s *serving) refused(err error) reloadAnswer {
	s.logger.Error("configuration not taken, going on with the old one", "error", err)
	s.manager.check(s.manager.Ready("the new configuration is not taken, going on with the old one"), s.logger)
	return reloadAnswer{err: fmt.Errorf("%w:\n%w", control.ErrConfiguration, err)}
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
