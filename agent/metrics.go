package agent

import (
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// metrics counts what happens, from the start of the agent on; what stands at a moment is up to gauges. No label holds anything but words
// of the configuration and of this program, so that there are only so many of them.
type metrics struct {
	registry    *prometheus.Registry
	config      atomic.Pointer[config.Config]
	transfers   *prometheus.CounterVec   // by sync, direction and result
	bytes       *prometheus.CounterVec   // by sync and direction
	durations   *prometheus.HistogramVec // by sync and direction
	operations  *prometheus.CounterVec   // by sync, action and result
	failures    *prometheus.CounterVec   // by server and class
	scans       *prometheus.HistogramVec // by sync and kind
	halts       *prometheus.CounterVec   // by sync
	lateness    *prometheus.GaugeVec     // by sync and schedule
	operational map[string]bool          // the words for action
}

// outcomes are the words for what has come of a job. What a server or a full disk keeps all jobs from is counted once, as an error.
var outcomes = map[ActivityKind]string{
	ActivityDone: "done", ActivitySkipped: "skipped", ActivityStale: "stale", ActivityRetry: "failed", ActivityDead: "dead",
	ActivityDropped: "dropped",
}

var (
	// transferSeconds go from a small file on a quick line to a disk image.
	transferSeconds = []float64{.01, .03, .1, .3, 1, 3, 10, 30, 60, 300, 900, 3600, 4 * 3600}
	scanSeconds     = []float64{.01, .1, 1, 10, 60, 300, 900, 3600, 4 * 3600}
)

func newMetrics(a *Agent) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), operational: map[string]bool{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "ftpferry_" + name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "ftpferry_" + name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	m.transfers = counter("transfers_total", "Attempts to transfer a file, by what came of them: done, skipped, stale (overtaken by a change), failed (tried again), dead (waits for a person) or dropped (by a person).", "sync", "direction", "result")
	m.bytes = counter("transfer_bytes_total", "Bytes moved by transfers that are done.", "sync", "direction")
	m.durations = histogram("transfer_duration_seconds", "How long transfers took that are done.", transferSeconds, "sync", "direction")
	m.operations = counter("operations_total", "Attempts to do something else than a transfer, such as to delete or rename, by what came of them.", "sync", "action", "result")
	m.failures = counter("errors_total", "Failures by what can be done about them; those of a server that is down count once for all of its jobs.", "server", "class")
	m.scans = histogram("scan_duration_seconds", "How long looks took for what is to be done, by their kind.", scanSeconds, "sync", "kind")
	m.halts = counter("halts_total", "How often a guard has stopped a sync until a person approves.", "sync")
	m.lateness = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ftpferry_schedule_lateness_seconds", Help: "How long after its time the newest run of a schedule began, with the jitter that is configured.",
	}, []string{"sync", "schedule"})
	m.registry.MustRegister(m.lateness, gauges{a})
	for _, action := range work.FileKinds() {
		m.operational[action] = !isFileTransfer(action)
	}
	m.configure(a)
	return m
}

// configure has what the configuration of an agent names be counted, and forgets what it does not name any more.
func (m *metrics) configure(a *Agent) {
	was := m.config.Swap(a.cfg)
	if was == nil {
		was = &config.Config{}
	}
	for name, sync := range was.Syncs {
		now := a.cfg.Syncs[name]
		if now == nil {
			m.forget(prometheus.Labels{"sync": name})
			continue
		}
		for _, line := range sync.Schedules {
			if !slices.ContainsFunc(now.Schedules, func(s config.Schedule) bool { return s.Name == line.Name }) {
				m.forget(prometheus.Labels{"sync": name, "schedule": line.Name})
			}
		}
	}
	for name := range was.Servers {
		if a.cfg.Servers[name] == nil {
			m.forget(prometheus.Labels{"server": name})
		}
	}
	for name := range a.cfg.Servers {
		for class := ftpclient.ClassNone + 1; class <= ftpclient.ClassUnknown; class++ {
			m.failures.WithLabelValues(name, class.String())
		}
	}
	for name := range a.syncs { // so that there is a zero to begin with
		m.halts.WithLabelValues(name)
		for _, direction := range directionsOf(a.cfg.Syncs[name]) {
			m.bytes.WithLabelValues(name, direction)
			m.durations.WithLabelValues(name, direction)
			for _, result := range outcomes {
				m.transfers.WithLabelValues(name, direction, result)
			}
		}
	}
}

func (m *metrics) forget(what prometheus.Labels) {
	for _, series := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		m.transfers, m.bytes, m.durations, m.operations, m.failures, m.scans, m.halts, m.lateness,
	} {
		series.DeletePartialMatch(what)
	}
}

// directionsOf are the directions in which the files of a sync go.
func directionsOf(s *config.Sync) []string {
	if s.Direction == config.Both {
		return []string{string(config.Up), string(config.Down)}
	}
	return []string{string(s.Direction)}
}

// directionOf is that of a transfer.
func directionOf(action string) string {
	if plan.Action(action) == plan.Download {
		return string(config.Down)
	}
	return string(config.Up)
}

// observe counts something that happened. Any goroutine may call it.
func (m *metrics) observe(a Activity) {
	configured := m.config.Load()
	if _, known := configured.Servers[a.Server]; known && a.Cause != nil {
		m.failures.WithLabelValues(a.Server, classify(a.Cause).String()).Inc()
	}
	if _, known := configured.Syncs[a.Sync]; !known {
		return
	}
	result := outcomes[a.Kind]
	switch {
	case a.Kind == ActivityHalted:
		m.halts.WithLabelValues(a.Sync).Inc()
	case a.Kind == ActivityTriggered && a.Line != "":
		m.lateness.WithLabelValues(a.Sync, a.Line).Set(a.Late.Seconds())
	case a.Kind == ActivityScanned && a.Took > 0 && work.IsScan(a.Action):
		m.scans.WithLabelValues(a.Sync, a.Action).Observe(a.Took.Seconds())
	case a.Job == 0 || result == "":
	case m.operational[a.Action]:
		m.operations.WithLabelValues(a.Sync, a.Action, result).Inc()
	case isFileTransfer(a.Action):
		direction := directionOf(a.Action)
		m.transfers.WithLabelValues(a.Sync, direction, result).Inc()
		if a.Kind == ActivityDone {
			m.bytes.WithLabelValues(a.Sync, direction).Add(float64(max(a.Bytes, 0)))
			m.durations.WithLabelValues(a.Sync, direction).Observe(a.Took.Seconds())
		}
	}
}

// mostScrapes is how many may be answered at a time.
const mostScrapes = 4

// handler shows all of it, and how the process stands.
func (m *metrics) handler(logger *slog.Logger) http.Handler {
	process := prometheus.NewRegistry()
	process.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, process}, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: mostScrapes,
	})
}
