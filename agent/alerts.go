package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
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
	// Working is when the agent began that works now, zero after it has ended in good order. Cut is when it was found in the last hour that
	// one had not, and CutTold when that was last told at once.
	Working time.Time   `json:"working,omitzero"`
	Cut     []time.Time `json:"cut,omitempty"`
	CutTold time.Time   `json:"cut_told,omitzero"`
}

// alerts sees what is wrong and has it told, beside the work of an agent. All of it is of Run's goroutine, once that works.
type alerts struct {
	agent  *Agent // whose configuration is followed
	d      *dispatcher
	teller *alert.Teller
	memory alertMemory
	seen   map[string]alert.Problem // those that are told by look, by key
}

// runAlerts tells of trouble and gives signs of life until stop is called, which waits for what is under way.
func (a *Agent) runAlerts(ctx context.Context, d *dispatcher) (stop func(), err error) {
	s := &alerts{agent: a, d: d}
	now := time.Now()
	if s.memory, err = loadAlertMemory(a.db); err != nil {
		return nil, err
	}
	cut := s.begin(now)
	s.teller = alert.NewTeller(a.cfg.Alerts, s.memory.Memory, now, a.logger)
	if cut.Kind != "" && s.isLoop(now) {
		tellAtOnce(ctx, s.teller, alert.EventNotice, cut, a.logger)
		cut.Kind = ""
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	in := make(chan alert.Problem)
	running.Go(func() { a.giveSigns(ctx, a.toBeat) })
	running.Go(func() { a.follow(ctx, d, in, cut) })
	running.Go(func() {
		for relay(ctx, a.toLook, in) {
		}
	})
	running.Go(func() {
		s.teller.Run(ctx, in, func(now time.Time) (alert.Sight, error) { return s.look(ctx, now) }, s.save)
	})
	return func() {
		cancel()
		running.Wait()
		s.memory.Working = time.Time{}
		if err := s.save(s.memory.Memory); err != nil {
			a.logger.Warn("the next agent will take this one for cut off", "error", err)
		}
	}, nil
}

// relay waits for a signal and makes it a reason to look. It returns false when ctx is done.
func relay(ctx context.Context, signal <-chan struct{}, in chan<- alert.Problem) bool {
	select {
	case <-signal:
	case <-ctx.Done():
		return false
	}
	select {
	case in <- alert.Problem{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// giveSigns gives signs of life as the newest configuration says, until ctx is done.
func (a *Agent) giveSigns(ctx context.Context, changed <-chan struct{}) {
	for ctx.Err() == nil {
		h := a.current.Load().cfg.Agent.Heartbeat
		beating, stop := context.WithCancel(ctx)
		var beat sync.WaitGroup
		if h.URL.Reveal() != "" {
			beat.Go(func() {
				alert.Beat(beating, h, func(ctx context.Context) error { return a.current.Load().wellEnough(ctx) }, a.logger)
			})
		}
		for same := true; same; {
			select {
			case <-changed:
				same = reflect.DeepEqual(h, a.current.Load().cfg.Agent.Heartbeat)
			case <-ctx.Done():
				same = false
			}
		}
		stop()
		beat.Wait()
	}
}

// take follows the newest configuration. What was told stays told by channels that there still are; one that is new, by its name, is told
// of all that is wrong.
func (s *alerts) take(now time.Time) {
	newest := s.agent.current.Load()
	if newest == s.agent {
		return
	}
	s.agent = newest
	s.agent.lookout.forgetAbsences()
	s.expect(now)
	s.teller.Take(newest.cfg.Alerts)
}

// follow passes on what happens as far as it is about alerts, and first of all what has happened already.
func (a *Agent) follow(ctx context.Context, d *dispatcher, in chan<- alert.Problem, first alert.Problem) {
	select {
	case in <- first:
	case <-ctx.Done():
		return
	}
	// An error is the end of ctx or of the agent.
	_ = a.feed.follow(ctx, d.over, control.EventsRemembered, func(e control.Event) error {
		var p alert.Problem // without a kind it is a reason to look
		switch ActivityKind(e.Kind) {
		case ActivityMissed:
			if e.Missed > 0 { // that is about the reader of events
				return nil
			}
			p = alert.Problem{Key: "missed/" + e.Sync, Kind: alert.Missed, Sync: e.Sync, Text: e.Text, Since: e.When}
			if configured := a.current.Load().cfg.Syncs[e.Sync]; configured != nil {
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

// begin brings the memory up to date. The dispatcher does not work yet, so nobody else writes. cut tells that the agent before has not
// ended in good order and could not say so; else it has no kind.
func (s *alerts) begin(now time.Time) (cut alert.Problem) {
	s.expect(now)
	wasStopped := s.afterStop(now)
	m := &s.memory
	m.Cut = slices.DeleteFunc(m.Cut, func(at time.Time) bool { return now.Sub(at) >= time.Hour || at.After(now) })
	if !m.Working.IsZero() && !wasStopped {
		m.Cut = append(m.Cut, now)
		cut = alert.Problem{Key: "cut", Kind: alert.Stopped, Since: now, Text: fmt.Sprintf(
			"the agent that began at %s was cut off: killed, crashed, or without power; it works again", m.Working.Format(time.RFC3339))}
		if n := len(m.Cut); n > 1 {
			cut.Text += fmt.Sprintf(", for the %s time within an hour", ordinal(n))
		}
		s.agent.logger.Warn("the agent before was cut off in the middle of its work", "began", m.Working)
	}
	m.Working = now
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
	return cut
}

// loop is how often within an hour agents are cut off before that is told at once: they may not live for as long as a message usually
// waits for others.
const loop = 3

// isLoop reports whether that is to be told at once now, which it is once in an hour.
func (s *alerts) isLoop(now time.Time) bool {
	if age := now.Sub(s.memory.CutTold); len(s.memory.Cut) < loop || age >= 0 && age < time.Hour {
		return false
	}
	s.memory.CutTold = now
	data, err := json.Marshal(s.memory)
	return err == nil && s.agent.db.Update(putAlertMemory(data)) == nil
}

func ordinal(n int) string {
	ending := "th"
	if tens := n / 10 % 10; tens != 1 && n%10 >= 1 && n%10 <= 3 {
		ending = []string{"st", "nd", "rd"}[n%10-1]
	}
	return fmt.Sprint(n, ending)
}

// saveLimit bounds how long alerts wait for the dispatcher. A stuck one is what they have to tell of.
const saveLimit = 10 * time.Second

// save returns when the memory is in the state file, or when the dispatcher has not written it for a while; see dispatcher.write.
func (s *alerts) save(m alert.Memory) error {
	s.memory.Memory = m
	data, err := json.Marshal(s.memory)
	if err != nil {
		return err
	}
	if err := s.d.write(putAlertMemory(data), time.After(saveLimit)); err != nil {
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
	now := time.Now()
	mark := readStopMark(cfg.Agent.StateDir)
	if age := now.Sub(mark.When); !mark.Silent && mark.Reason == reason.Error() && age >= 0 && age < time.Hour {
		logger.Info("the stop was told already", "last", mark.When)
		return
	}
	markSilently(cfg.Agent.StateDir, now, reason, logger)
	if len(cfg.Alerts) == 0 {
		return
	}
	p := alert.Problem{Key: stoppedKey, Kind: alert.Stopped, Text: "the agent has stopped, nothing is synchronised: " + reason.Error(), Since: now}
	if tellAtOnce(ctx, alert.NewTeller(cfg.Alerts, alert.Memory{}, now, logger), alert.EventProblem, p, logger) && cfg.Agent.StateDir != "" {
		mark.When, mark.Reason, mark.Silent = now, reason.Error(), false
		if err := mark.write(cfg.Agent.StateDir); err != nil {
			logger.Warn("it is not remembered that the stop was told", "error", err)
		}
	}
}

// tellAtOnce tells by all channels, within 20 seconds, and reports whether one has taken it. A ctx that is done makes no difference.
func tellAtOnce(ctx context.Context, teller *alert.Teller, event alert.Event, p alert.Problem, logger *slog.Logger) (told bool) {
	limited, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), farewell, errors.New("the agent stops"))
	defer cancel()
	for _, r := range teller.Tell(limited, event, p) {
		if r.Error != "" {
			logger.Error("alert not sent", "alert", r.Channel, "error", r.Error)
			continue
		}
		told = true
		logger.Info("alert sent", "alert", r.Channel, "reply", r.Answer)
	}
	return told
}
