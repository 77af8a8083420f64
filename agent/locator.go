package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/state"
)

// mayCall reports whether a server may be asked to connect to this machine.
func mayCall(s *config.Server) bool {
	return s.Data.Mode != config.DataPassive && s.Proxy.Reveal() == ""
}

func wantsLocator(cfg *config.Config) bool {
	useful := false
	for _, s := range cfg.Servers {
		useful = useful || mayCall(s)
	}
	from := cfg.Agent.AddressSources
	return useful && (from.Gateway || len(from.STUN)+len(from.HTTPS) > 0)
}

// newLocator returns nil where there is nobody to ask, or no server that could make use of the answer.
func newLocator(cfg *config.Config, memory extip.Memory, save func(extip.Memory) error, logger *slog.Logger) *extip.Locator {
	if !wantsLocator(cfg) {
		return nil
	}
	return extip.NewLocator(locatorOptions(cfg, memory, save, logger))
}

func locatorOptions(cfg *config.Config, memory extip.Memory, save func(extip.Memory) error, logger *slog.Logger) extip.Options {
	from := cfg.Agent.AddressSources
	return extip.Options{Gateway: from.Gateway, STUN: from.STUN, HTTP: from.HTTPS, Memory: memory, Save: save, Logger: logger}
}

// usefulLocator is nil where there is nobody to ask.
func (d *dispatcher) usefulLocator() *extip.Locator {
	if wantsLocator(d.agent.cfg) {
		return d.locator
	}
	return nil
}

// runLocator keeps what the locator has opened, until stop is called: that takes it back at the gateway, which may
// last a few seconds. That ctx is done does not end it, as transfers go on for a while then.
func runLocator(ctx context.Context, locator *extip.Locator, logger *slog.Logger) (stop func()) {
	if locator == nil {
		return func() {}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- locator.Run(running) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			logger.Warn("ports may stay open at the gateway", "error", err)
		}
	}
}

// saveMemory returns when the memory is in the state file. The dispatcher writes it while it runs. After its end
// (the locator outlives it, to take back what it has opened) nobody else writes.
func (d *dispatcher) saveMemory(memory extip.Memory) error {
	data, err := json.Marshal(memory)
	if err != nil {
		return fmt.Errorf("write down what the gateway has opened: %w", err)
	}
	if err := d.write(func(tx *state.Tx) error { return state.PutLocatorMemory(tx, data) }, nil); err != nil {
		return fmt.Errorf("write down what the gateway has opened: %w", err)
	}
	return nil
}

// errNotWritten is the answer of a dispatcher that gives none in time.
var errNotWritten = errors.New("the dispatcher has not written it in time")

// write returns when something is written that concerns nobody else. It is for those who work beside the dispatcher and may outlive it.
// After giveUp it is not waited for any longer, and may be written later; nil is never.
func (d *dispatcher) write(put func(tx *state.Tx) error, giveUp <-chan time.Time) error {
	r := request{answer: make(chan error, 1), change: func(tx *state.Tx, _ time.Time) ([]string, error) { return nil, put(tx) }}
	select {
	case d.agent.requests <- r:
		select {
		case err := <-r.answer:
			return err
		case <-d.over: // in the middle of this
		case <-giveUp:
			return errNotWritten
		}
	case <-d.over:
	case <-giveUp:
		return errNotWritten
	}
	if failure := d.agent.last.failure; failure != nil {
		return failure
	}
	return d.agent.db.Update(put)
}

// loadMemory reads what an earlier locator left. What cannot be read is forgotten: what is open at the gateway closes by
// itself in time.
func loadMemory(tx *state.Tx) (extip.Memory, error) {
	data, err := state.GetLocatorMemory(tx)
	if errors.Is(err, state.ErrBadRow) {
		data, err = nil, nil
	}
	if err != nil {
		return extip.Memory{}, fmt.Errorf("read what the gateway has opened: %w", err)
	}
	var memory extip.Memory
	if len(data) > 0 && json.Unmarshal(data, &memory) != nil {
		memory = extip.Memory{}
	}
	return memory, nil
}

// memoryForPlan is what a plan may make use of: it is the same client to the gateway, and takes back only what it
// opened itself, since it changes nothing.
func (a *Agent) memoryForPlan() (memory extip.Memory, err error) {
	if a.db == nil {
		return extip.Memory{}, nil
	}
	err = a.db.View(func(tx *state.Tx) error {
		memory, err = loadMemory(tx)
		return err
	})
	memory.Mappings = nil
	return memory, err
}
