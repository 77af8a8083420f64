package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/service"
)

// manager tells the service manager how the service stands, as far as there is one that listens.
type manager struct {
	service.Notifier
	problem error
	told    atomic.Bool // that it cannot be told
	cfg     atomic.Pointer[config.Config]
	stops   atomic.Bool
}

// newManager takes what is meant for this process out of the environment.
func newManager(env func(string) string) *manager {
	m := &manager{}
	m.Notifier, m.problem = service.NewNotifier(env, os.Getpid())
	for _, variable := range service.Variables {
		if err := os.Unsetenv(variable); err != nil && m.problem == nil {
			m.problem = err
		}
	}
	return m
}

// options are those of an agent that reports to the manager.
func (m *manager) options(cfg *config.Config, logger *slog.Logger) agent.Options {
	m.check(m.problem, logger)
	m.cfg.Store(cfg)
	o := agent.Options{Logger: logger, Triggers: true, Control: true, Listen: true, Alerts: true, Version: versionOf().Version}
	o.Ready = func() {
		m.check(m.Ready(standing(m.cfg.Load(), agent.Pulse{})), logger)
		forgetBeginning()
	}
	if o.PulseInterval = m.Interval(); o.PulseInterval > 0 {
		o.Pulse = func(p agent.Pulse) {
			tell, status := m.Alive, standing(m.cfg.Load(), p)
			if m.stops.Load() {
				tell, status = m.Draining, "letting running transfers end: "+status
			}
			m.check(tell(status), logger)
		}
	}
	return o
}

// stopping tells that the service ends, and has the signs of life ask for as much time as shutdown_grace gives.
func (m *manager) stopping(logger *slog.Logger) {
	m.stops.Store(true)
	m.check(m.Stopping("letting running transfers end"), logger)
}

// check logs the first thing that went wrong: a manager that was not reached takes measures of its own.
func (m *manager) check(err error, logger *slog.Logger) {
	if err != nil && m.told.CompareAndSwap(false, true) {
		logger.Warn("the service manager does not learn how the service stands", "error", err)
	}
}

// standing is the line that "systemctl status" shows.
func standing(cfg *config.Config, p agent.Pulse) string {
	parts := []string{count(len(cfg.Syncs), "sync")}
	if p.Running > 0 {
		parts = append(parts, count(p.Running, "job")+" running")
	}
	if p.Halted > 0 {
		parts = append(parts, fmt.Sprintf("%d HALTED, see ftpferry status", p.Halted))
	}
	return strings.Join(parts, ", ")
}
