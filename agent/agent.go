// Package agent joins triggers, queue and workers into a service. It owns every goroutine:
// one dispatcher, which alone writes the state, workers per server, and the triggers.
package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// Options are what an Agent needs besides its configuration.
type Options struct {
	Logger *slog.Logger // required
	// Triggers watches and schedules. Without, the agent only does what it is asked to.
	Triggers bool
	// Control opens the socket through which other processes reach the agent.
	Control bool
	// Listen serves the status page, metrics and the state of health where the configuration has a listen.
	Listen bool
	// Alerts tells people of trouble, and gives signs of life, as the configuration says.
	Alerts bool
	// Observe, if set, is told everything that happens, after it was committed. It is called
	// from one goroutine and must not block.
	Observe func(Activity)
	// Version is that of the program, for people.
	Version string
	// Ready, if set, is called once: when the triggers run, the socket takes connections and the dispatcher is about to work. It
	// is called from the dispatcher's goroutine, as Pulse is; neither may block.
	Ready func()
	// Pulse, if set, is called every PulseInterval as long as the dispatcher works, and later or not at all if it is stuck.
	Pulse         func(Pulse)
	PulseInterval time.Duration // > 0 if Pulse is set
	// Reload, if set, reads the configuration again for whoever asks for that through the socket. It returns when the new one is in
	// force, or that a restart has begun which leads to it.
	Reload func(ctx context.Context) (control.Reloaded, error)
}

// Agent keeps the syncs of one configuration in step. It implements control.Service; the
// methods of that work while Run does.
type Agent struct {
	cfg     *config.Config
	db      *state.DB
	options Options
	logger  *slog.Logger
	syncs   map[string]work.Sync // enabled ones
	bounds  bounds
	// longestPutOff is how long a halt is put off in all.
	longestPutOff time.Duration
	// dial takes the place of the network; nil for that.
	dial dialer
	*lasting
}

// lasting is what an agent keeps when it gets another configuration: then another Agent with the same lasting parts takes its place, and neither
// of them ever changes. See Reconfigure.
type lasting struct {
	requests chan request
	reloads  chan reload
	running  atomic.Pointer[dispatcher] // whose pools may be used; nil unless Run works
	current  atomic.Pointer[Agent]      // the one with the newest configuration
	last     *dispatcher                // the newest one; after Run, or in the dispatcher's goroutine
	ended    chan struct{}              // closed when Run returns
	// snapshots holds one value while somebody reads a copy of the state.
	snapshots chan struct{}
	watching  watching
	alive     atomic.Pointer[time.Time]         // when the dispatcher gave its last sign of life; nil before the first
	putOffs   atomic.Pointer[map[string]putOff] // those of the dispatcher, as of its last commit
	feed      *feed
	stopped   atomic.Pointer[map[string]queue.Held] // what workers are not to begin, by sync; set by the dispatcher
	dropping  atomic.Pointer[drops]                 // those of the dispatcher
	started   time.Time                             // when New was called
	metrics   *metrics
	lookout   *lookout
	listening atomic.Pointer[string] // the address of what listen has served; nil if nothing is
	// deaf is why nothing is served where listen says; nil if something is, or nothing is meant to be.
	deaf          atomic.Pointer[webTrouble]
	webChanges    chan webChange
	reconfiguring sync.Mutex // held by Reconfigure
	// toBeat and toLook have giveSigns and alerts look again, by one value, when there is another configuration or one was refused.
	toBeat, toLook chan struct{}
	onDisk         atomic.Pointer[onDisk] // nil: the configuration is that of the start
}

// New returns an agent that works with db, which it does not close.
func New(cfg *config.Config, db *state.DB, o Options) *Agent {
	a := &Agent{
		db: db, options: o, logger: o.Logger, bounds: boundsFor(maxOpen), longestPutOff: plan.LongestPutOff,
		lasting: &lasting{
			requests: make(chan request), reloads: make(chan reload), ended: make(chan struct{}), snapshots: make(chan struct{}, 1),
			feed: newFeed(time.Now()), webChanges: make(chan webChange), lookout: newLookout(),
			started: time.Now(), toBeat: make(chan struct{}, 1), toLook: make(chan struct{}, 1),
		},
	}
	a.configure(cfg)
	a.metrics = newMetrics(a)
	a.current.Store(a)
	return a
}

// configure is for an agent that nobody knows yet.
func (a *Agent) configure(cfg *config.Config) {
	a.cfg, a.syncs = cfg, map[string]work.Sync{}
	host, err := os.Hostname()
	if err != nil {
		host = "" // it only tells people where a version was set aside
		a.logger.Warn("the name of this machine is not known", "error", err)
	}
	for name, s := range cfg.Syncs {
		if s.Enabled {
			a.syncs[name] = workSync(s, host)
		}
	}
}

// Current implements control.Current.
func (a *Agent) Current() control.Service { return a.current.Load() }

// errStopped ends what is still under way when the grace of a shutdown is over.
var errStopped = fmt.Errorf("the agent stops: %w", context.Canceled)

// Run works until ctx is done; then no new job is begun, those under way get the configured
// grace, and the rest waits in the state for the next start. An error means that the agent
// cannot go on: after a failed commit nobody knows what is true (see state.CommitError), and
// only a new start finds out. Run may be called once.
func (a *Agent) Run(ctx context.Context) error {
	defer close(a.ended)
	if err := removeSnapshots(a.cfg.Agent.StateDir); err != nil {
		a.logger.Warn("a left-over copy of the state stays", "error", err)
	}
	d, err := newDispatcher(a)
	if err == nil {
		err = a.run(ctx, d)
	}
	switch {
	case err == nil:
		a.logger.Info("stopped")
	case a.options.Alerts && !errors.Is(err, context.Canceled):
		TellStopped(ctx, a.cfg, err, a.logger)
	}
	return err
}

func (a *Agent) run(ctx context.Context, d *dispatcher) error {
	defer runLocator(ctx, d.locator, a.logger)() // when all connections are closed
	defer func() { a.last.closePools() }()
	if a.options.Alerts {
		stopAlerts, err := a.runAlerts(ctx, d)
		if err != nil {
			close(d.over) // it never begins, and nobody waits for it
			return err
		}
		defer stopAlerts()
	}
	// Workers outlive ctx by the grace; the dispatcher ends them.
	working, stopWork := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stopWork(errStopped)
	d.stopWork = func() { stopWork(errStopped) }

	var workers sync.WaitGroup
	group, grouped := errgroup.WithContext(ctx)
	d.hire = func(s *server, syncs map[string]work.Sync) {
		for _, seat := range s.seats {
			w := &worker{pool: s.pool, syncs: syncs, db: a.db, segments: s.config.Segments, stopped: a.isStopped, dropped: a.isDropped, logger: a.logger.With("server", s.config.Name)}
			s.workers = append(s.workers, w)
			workers.Go(func() { w.run(working, grouped, seat.jobs, d.reports) })
		}
	}
	d.dismiss = func(s *server) {
		for _, seat := range s.seats {
			close(seat.jobs)
		}
		workers.Go(func() { s.pool.Close() })
	}
	for _, s := range d.servers {
		d.hire(s, a.syncs)
	}
	a.running.Store(d)
	defer a.running.Store(nil)
	a.signOfLife(time.Now()) // who is answered through the socket, or was told that all is ready, must not hear that nobody runs
	ready := a.options.Ready
	if a.options.Triggers {
		triggers := triggering{}
		d.retrigger = func(a *Agent, syncs []string) error { return triggers.start(grouped, group, a, syncs, d.emit) }
		if err := d.retrigger(a, slices.Sorted(maps.Keys(a.syncs))); err != nil {
			group.Go(func() error { return err }) // ends the others
			ready = nil
		}
	}
	if a.options.Control {
		a.startControl(grouped, group)
	}
	if a.options.Listen {
		group.Go(func() error {
			a.serveWeb(grouped)
			return nil
		})
	}
	group.Go(func() error {
		if ready != nil {
			ready()
		}
		err := d.run(grouped)
		stopWork(errStopped)
		a.last.closeJobs()
		// After an error workers may still have something to report; nobody wants it any more.
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			workers.Wait()
		}()
		for {
			select {
			case <-d.reports:
			case <-ended:
				return err
			}
		}
	})
	return group.Wait()
}

// startControl makes a socket that cannot be opened a warning: the agent's work does not
// depend on it.
func (a *Agent) startControl(ctx context.Context, group *errgroup.Group) {
	listener, err := control.Listen(a.cfg.Agent.StateDir)
	if err != nil {
		a.logger.Warn("other commands cannot reach this agent", "error", err)
		return
	}
	group.Go(func() error { return control.Serve(ctx, listener, a, a.logger) })
}

// request asks the dispatcher for something; answer gets a value when it is committed.
type request struct {
	pass    *pass
	approve *approval
	// change is carried out in a transaction and returns the servers to be tried at once; see Agent.transact.
	change func(tx *state.Tx, now time.Time) (servers []string, err error)
	pauses []string // the syncs whose pauses change has changed, with
	// pausedServers, and by whom that was asked for.
	pausedServers []string
	by            string
	drop          *drop // nil, or the jobs under way that change has found and that are to be gone
	answer        chan error
}

// ask hands a request to the dispatcher and waits until it is committed.
func (a *Agent) ask(ctx context.Context, r request) error {
	r.answer = make(chan error, 1)
	select {
	case a.requests <- r:
	case <-a.ended:
		return control.ErrGone
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-r.answer:
		return err
	case <-a.ended:
		return control.ErrGone
	}
}

// Pass implements control.Service.
func (a *Agent) Pass(ctx context.Context, syncs []string) (control.Report, error) {
	return a.pass(ctx, syncs, false)
}

// FullPass implements control.Service.
func (a *Agent) FullPass(ctx context.Context, syncs []string) (control.Report, error) {
	return a.pass(ctx, syncs, true)
}

func (a *Agent) pass(ctx context.Context, syncs []string, full bool) (control.Report, error) {
	names, err := a.names(syncs)
	if err != nil {
		return control.Report{}, err
	}
	p := newPass(names, time.Now())
	p.full = full
	if err := a.ask(ctx, request{pass: p}); err != nil {
		return control.Report{}, err
	}
	select {
	case r := <-p.finished:
		return r, nil
	case <-a.ended:
		return control.Report{}, control.ErrGone
	case <-ctx.Done():
		return control.Report{}, context.Cause(ctx)
	}
}

// Approve implements control.Service.
func (a *Agent) Approve(ctx context.Context, r control.ApproveRequest) error {
	if len(r.Syncs) == 0 {
		return fmt.Errorf("%w: no sync is named", control.ErrInvalid)
	}
	word := &approval{seen: r.Reason}
	for _, name := range r.Syncs {
		names, err := a.toApprove(name)
		if err != nil {
			return err
		}
		word.syncs = append(word.syncs, names...)
	}
	if err := a.ask(ctx, request{approve: word}); err != nil {
		return err
	}
	return word.refused
}

// ApproveStopped is Approve for an agent that does not run: the next one to run finds the
// approval in the state, and tries the server at once.
func (a *Agent) ApproveStopped(sync string) error {
	names, err := a.toApprove(sync)
	if err != nil {
		return err
	}
	return a.db.Update(func(tx *state.Tx) error {
		now := time.Now()
		for _, name := range names {
			if err := approve(tx, name, a.cfg.Syncs[name].Server, now); err != nil {
				return err
			}
			if err := a.endPause(tx, a.cfg.Syncs[name].Server, now); err != nil {
				return err
			}
		}
		return nil
	})
}
