package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// alertMemory is what the alerts have to know after a restart.
type alertMemory struct {
	alert.Memory
	// Expected is since when each expect of a sync is known, by its key: nobody is missed of the time before.
	Expected map[string]time.Time `json:"expected,omitempty"`
}

// alerts sees what is wrong and has it told, beside the work of an agent.
type alerts struct {
	agent  *Agent
	d      *dispatcher
	memory alertMemory
	seen   map[string]alert.Problem // those that are told by look, by key; of Run's goroutine
}

// runAlerts tells of trouble and gives signs of life until stop is called, which waits for what is under way.
func (a *Agent) runAlerts(ctx context.Context, d *dispatcher) (stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	stop = func() {
		cancel()
		running.Wait()
	}
	if a.cfg.Agent.Heartbeat.URL.Reveal() != "" {
		running.Go(func() {
			alert.Beat(ctx, a.cfg.Agent.Heartbeat, func(ctx context.Context) error { return a.current.Load().wellEnough(ctx) }, a.logger)
		})
	}
	s := &alerts{agent: a, d: d}
	now := time.Now()
	if s.memory, err = loadAlertMemory(a.db); err != nil {
		stop()
		return nil, err
	}
	s.begin(now)
	teller := alert.NewTeller(a.cfg.Alerts, s.memory.Memory, now, a.logger)
	in := make(chan alert.Problem)
	running.Go(func() { s.follow(ctx, in) })
	running.Go(func() {
		teller.Run(ctx, in, func(now time.Time) (alert.Sight, error) { return s.look(ctx, now) }, s.save)
	})
	return stop, nil
}

// follow passes on what happens as far as it is about alerts.
func (s *alerts) follow(ctx context.Context, in chan<- alert.Problem) {
	// An error is the end of ctx or of the agent.
	_ = s.agent.feed.follow(ctx, s.d.over, control.EventsRemembered, func(e control.Event) error {
		var p alert.Problem // without a kind it is a reason to look
		switch ActivityKind(e.Kind) {
		case ActivityMissed:
			if e.Missed > 0 { // that is about the reader of events
				return nil
			}
			p = alert.Problem{Key: "missed/" + e.Sync, Kind: alert.Missed, Sync: e.Sync, Text: e.Text, Since: e.When}
			if configured := s.agent.cfg.Syncs[e.Sync]; configured != nil {
				p.Server = configured.Server
			}
		case ActivityDead, ActivityHalted, ActivityAlert, ActivityCleared, ActivityPaused, ActivityScanned:
			select {
			case in <- p:
			default: // it is looking, and looks again soon
			}
			return nil
		default:
			return nil
		}
		select {
		case in <- p:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
}

func loadAlertMemory(db *state.DB) (m alertMemory, err error) {
	var data json.RawMessage
	err = db.View(func(tx *state.Tx) error {
		data, err = state.GetAlertMemory(tx)
		return err
	})
	if err != nil && !errors.Is(err, state.ErrBadRow) {
		return m, fmt.Errorf("read what was told: %w", err)
	}
	if len(data) > 0 && json.Unmarshal(data, &m) != nil {
		m = alertMemory{} // something may be told twice
	}
	return m, nil
}

// begin brings the memory up to date. The dispatcher does not work yet, so nobody else writes.
func (s *alerts) begin(now time.Time) {
	isNew, wasStopped := s.expect(now), s.afterStop(now)
	if !isNew && !wasStopped {
		return
	}
	data, err := json.Marshal(s.memory)
	if err == nil {
		err = s.agent.db.Update(putAlertMemory(data))
	}
	if err == nil && wasStopped {
		err = removeStopMark(s.agent.cfg.Agent.StateDir)
	}
	if err != nil {
		s.agent.logger.Warn("what was told is not remembered: it may be told again", "error", err)
	}
}

// save returns when the memory is in the state file; see dispatcher.saveMemory.
func (s *alerts) save(m alert.Memory) error {
	s.memory.Memory = m
	data, err := json.Marshal(s.memory)
	if err != nil {
		return err
	}
	if err := s.d.write(putAlertMemory(data)); err != nil {
		return fmt.Errorf("write down what was told: %w", err)
	}
	return nil
}

func putAlertMemory(data json.RawMessage) func(tx *state.Tx) error {
	return func(tx *state.Tx) error { return state.PutAlertMemory(tx, data) }
}

// wellEnough returns why there is no heartbeat: the dispatcher gives no sign of life, or a sync or a server waits for a person.
func (a *Agent) wellEnough(ctx context.Context) error {
	err := a.Health(ctx)
	if errors.Is(err, control.ErrNotRunning) {
		return alert.ErrNotYet
	}
	if err != nil {
		return err
	}
	for name := range a.syncs {
		var row state.SyncState
		var server state.Server
		err := a.db.View(func(tx *state.Tx) (err error) {
			if row, err = state.GetSync(tx, name); err != nil {
				return err
			}
			server, err = state.GetServer(tx, a.cfg.Syncs[name].Server)
			return err
		})
		switch {
		case errors.Is(err, state.ErrBadRow): // it is learned anew
		case err != nil:
			return err
		case row.Halt != "":
			return fmt.Errorf("sync %s is halted", name)
		case server.BlockedBy != "":
			return fmt.Errorf("server %s needs a person: %s", a.cfg.Syncs[name].Server, server.BlockedBy)
		}
	}
	return nil
}

// farewell bounds the last message of an agent that cannot go on.
const farewell = 20 * time.Second

// TellStopped tells by all channels that the agent cannot work, within 20 seconds. What was told in the last hour is not told
// again, as a service manager may start the agent over and over.
func TellStopped(ctx context.Context, cfg *config.Config, reason error, logger *slog.Logger) {
	if len(cfg.Alerts) == 0 {
		return
	}
	now := time.Now()
	mark := readStopMark(cfg.Agent.StateDir)
	if age := now.Sub(mark.When); mark.Reason == reason.Error() && age >= 0 && age < time.Hour {
		logger.Info("the stop was told already", "last", mark.When)
		return
	}
	limited, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), farewell, errors.New("the agent stops"))
	defer cancel()
	p := alert.Problem{Key: stoppedKey, Kind: alert.Stopped, Text: "the agent has stopped, nothing is synchronised: " + reason.Error(), Since: now}
	told := false
	for _, r := range alert.NewTeller(cfg.Alerts, alert.Memory{}, now, logger).Tell(limited, p) {
		if r.Error != "" {
			logger.Error("alert not sent", "alert", r.Channel, "error", r.Error)
			continue
		}
		told = true
		logger.Info("alert sent", "alert", r.Channel, "reply", r.Answer)
	}
	if told {
		mark.When, mark.Reason = now, reason.Error()
		if err := mark.write(cfg.Agent.StateDir); err != nil {
			logger.Warn("it is not remembered that the stop was told", "error", err)
		}
	}
}
