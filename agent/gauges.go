package agent

import (
	"errors"
	"maps"
	"runtime"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ftpferry/ftpferry/agent/alert"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// gauges tells how everything stands when it is asked. It costs the same however many files, jobs and notes there are,
// but for the notes of a sync after they have changed; see noteSummaries.
type gauges struct{ agent *Agent }

// measure is a number that is read when somebody asks for it.
type measure struct {
	description *prometheus.Desc
	kind        prometheus.ValueType
}

func newMeasure(kind prometheus.ValueType, name, help string, labels ...string) measure {
	return measure{prometheus.NewDesc("ftpferry_"+name, help, labels, nil), kind}
}

var (
	agentInfo    = newMeasure(prometheus.GaugeValue, "agent_info", "The running agent; always 1.", "version", "go_version")
	agentStarted = newMeasure(prometheus.GaugeValue, "agent_start_timestamp_seconds", "When the agent began to work with this configuration.")
	agentAlive   = newMeasure(prometheus.GaugeValue, "agent_alive_timestamp_seconds", "When the dispatcher last gave a sign of life, which it does every 30 seconds at least.")
	configTaken  = newMeasure(prometheus.GaugeValue, "config_last_reload_successful", "1 if the configuration that was read last is in force, 0 if it was refused.")
	configWhen   = newMeasure(prometheus.GaugeValue, "config_last_reload_success_timestamp_seconds", "When the configuration in force was taken.")
	stateBytes   = newMeasure(prometheus.GaugeValue, "state_bytes", "Size of the state file.")
	stateLimit   = newMeasure(prometheus.GaugeValue, "state_limit_bytes", "What the state file may grow to (max_state_size).")

	jobsMeasure   = newMeasure(prometheus.GaugeValue, "jobs", "Jobs in the queue: running, due, waiting, retrying (waiting after a failure) or dead (waiting for a person).", "sync", "state")
	knownPaths    = newMeasure(prometheus.GaugeValue, "sync_known_paths", "Paths that were in step when they were last looked at.", "sync")
	syncStopped   = newMeasure(prometheus.GaugeValue, "sync_stopped", "1 for what keeps the jobs of a sync from going on: halt (until a person approves), paused (by a person), block and pause (of its server), full, waiting or window.", "sync", "by")
	lastSuccess   = newMeasure(prometheus.GaugeValue, "sync_last_success_timestamp_seconds", "When something was last done, or a look at everything has left nothing to do.", "sync")
	lastFullScan  = newMeasure(prometheus.GaugeValue, "sync_last_full_scan_timestamp_seconds", "When both sides were last looked at in full.", "sync")
	rescans       = newMeasure(prometheus.CounterValue, "rescans_total", "Looks at the whole local folder that no event had asked for.", "sync")
	onlyByRescan  = newMeasure(prometheus.CounterValue, "rescan_only_changes_total", "Changes that only such a look has found; 0 where the watch works.", "sync")
	underwayNow   = newMeasure(prometheus.GaugeValue, "transfers_underway", "Files that are on their way.", "sync", "direction")
	speed         = newMeasure(prometheus.GaugeValue, "transfers_underway_bytes_per_second", "How fast they move, over the last seconds.", "sync", "direction")
	watchState    = newMeasure(prometheus.GaugeValue, "watch_state", "1 for how local changes are noticed: watching, starting, degraded, polling or missing.", "sync", "state")
	watchFolders  = newMeasure(prometheus.GaugeValue, "watch_folders", "Folders that are watched.", "sync")
	missedRuns    = newMeasure(prometheus.CounterValue, "schedule_missed_total", "Times of a schedule that were left out.", "sync", "schedule")
	lastRun       = newMeasure(prometheus.GaugeValue, "schedule_last_run_timestamp_seconds", "The time for which a schedule was last carried out.", "sync", "schedule")
	lastFinished  = newMeasure(prometheus.GaugeValue, "schedule_last_finished_timestamp_seconds", "When the last run of a schedule was over.", "sync", "schedule")
	serverState   = newMeasure(prometheus.GaugeValue, "server_state", "1 for how a server stands: up, idle, paused, blocked (login refused), full, window or suspended (paused by a person).", "server", "state")
	connections   = newMeasure(prometheus.GaugeValue, "server_connections", "Open connections, busy or idle.", "server", "use")
	mostConnected = newMeasure(prometheus.GaugeValue, "server_connection_limit", "How many connections there may be: as configured, or fewer if the server takes no more.", "server")
	certificateBy = newMeasure(prometheus.GaugeValue, "server_certificate_expiry_timestamp_seconds", "When the certificate of a server ends, as of the last handshake; of the address whose certificate ends first.", "server")
	agentProblems = newMeasure(prometheus.GaugeValue, "agent_problems", "What is wrong with the agent itself now, by the kinds of alerts: stopped (it is stuck), or configuration (refused, or its listen cannot be had).", "kind")
	syncProblems  = newMeasure(prometheus.GaugeValue, "sync_problems", "What is wrong with a sync now, by the kinds of alerts: how many dead jobs and how many paths in conflict, that differ or are unknown, and 1 for anything else.", "sync", "kind")
	serverTrouble = newMeasure(prometheus.GaugeValue, "server_problems", "What is wrong with a server now, by the kinds of alerts.", "server", "kind")
)

// measures are all of them.
var measures = []measure{
	agentInfo, agentStarted, agentAlive, configTaken, configWhen, stateBytes, stateLimit, jobsMeasure, knownPaths, syncStopped, lastSuccess, lastFullScan, rescans, onlyByRescan,
	underwayNow, speed, watchState, watchFolders, missedRuns, lastRun, lastFinished, serverState, connections, mostConnected, certificateBy, agentProblems, syncProblems, serverTrouble,
}

// Describe implements prometheus.Collector.
func (g gauges) Describe(to chan<- *prometheus.Desc) {
	for _, m := range measures {
		to <- m.description
	}
}

// Collect implements prometheus.Collector.
func (g gauges) Collect(to chan<- prometheus.Metric) {
	g.agent = g.agent.current.Load() // the configuration may be another one than at the last scrape
	now, d := time.Now(), g.agent.running.Load()
	if d == nil {
		return // it has not begun to work, or has ended
	}
	g.collectAgent(to)
	for _, name := range slices.Sorted(maps.Keys(g.agent.syncs)) {
		if err := g.collectSync(to, name, now); err != nil {
			to <- prometheus.NewInvalidMetric(jobsMeasure.description, err)
		}
	}
	g.collectTransfers(to, d, now)
	if err := g.collectProblems(to, now); err != nil {
		to <- prometheus.NewInvalidMetric(syncProblems.description, err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.servers)) {
		if err := g.collectServer(to, d, name, now); err != nil {
			to <- prometheus.NewInvalidMetric(serverState.description, err)
		}
	}
}

func (m measure) send(to chan<- prometheus.Metric, value float64, labels ...string) {
	to <- prometheus.MustNewConstMetric(m.description, m.kind, value, labels...)
}

// sendTime sends nothing if it is not known when.
func (m measure) sendTime(to chan<- prometheus.Metric, when time.Time, labels ...string) {
	if !when.IsZero() {
		m.send(to, float64(when.UnixMilli())/1000, labels...)
	}
}

// sendState sends 1 for the state that it is in, and 0 for all others.
func (m measure) sendState(to chan<- prometheus.Metric, of string, states []string, is string) {
	for _, state := range states {
		value := 0.0
		if state == is {
			value = 1
		}
		m.send(to, value, of, state)
	}
}

func (g gauges) collectAgent(to chan<- prometheus.Metric) {
	a := g.agent
	agentInfo.send(to, 1, a.options.Version, runtime.Version())
	agentStarted.sendTime(to, a.started)
	if alive := a.alive.Load(); alive != nil {
		agentAlive.sendTime(to, *alive)
	}
	taken, since := 1.0, a.started
	if is := a.onDisk.Load(); is != nil {
		since = is.taken
		if is.err != nil {
			taken = 0
		}
	}
	configTaken.send(to, taken)
	configWhen.sendTime(to, since)
	stateBytes.send(to, float64(a.db.Size()))
	if limit := a.cfg.Agent.MaxStateSize; limit > 0 {
		stateLimit.send(to, float64(limit))
	}
}

// stops and the others are the words that there are.
var (
	stops        = []string{control.StopHalt, control.StopPerson, control.StopBlock, control.StopPause, control.StopFull, control.StopWindow, control.StopWait}
	watchStates  = []string{control.WatchWorks, control.WatchStarting, control.WatchDegraded, control.WatchPolling, control.WatchMissing}
	serverStates = []string{control.ServerUp, control.ServerIdle, control.ServerPaused, control.ServerBlocked, control.ServerFull, control.ServerWindow, control.ServerSuspended}
)

func (g gauges) collectSync(to chan<- prometheus.Metric, name string, now time.Time) error {
	var row state.SyncState
	var jobs queue.Counts
	var known int
	var stop *control.Stop
	var lines map[string]state.Schedule
	err := g.agent.db.View(func(tx *state.Tx) (err error) {
		if row, err = state.GetSync(tx, name); err != nil {
			return err
		}
		if jobs, err = queue.Summary(tx, name); err != nil {
			return err
		}
		if known, err = state.CountBaseline(tx, name); err != nil {
			return err
		}
		if lines, err = state.Schedules(tx, name); err != nil {
			return err
		}
		stop, err = g.agent.stopOf(tx, name, now)
		return err
	})
	if err != nil {
		return err
	}
	for word, n := range map[string]int{
		"running": jobs.Running, "due": jobs.Due, "waiting": jobs.Waiting - jobs.Retrying, "retrying": jobs.Retrying, "dead": jobs.Dead,
	} {
		jobsMeasure.send(to, float64(n), name, word)
	}
	knownPaths.send(to, float64(known), name)
	by := ""
	if stop != nil {
		by = stop.By
	}
	syncStopped.sendState(to, name, stops, by)
	lastSuccess.sendTime(to, row.LastSuccess, name)
	lastFullScan.sendTime(to, row.LastFullScan, name)
	rescans.send(to, float64(row.Rescans), name)
	onlyByRescan.send(to, float64(row.OnlyByRescan), name)
	for _, line := range g.agent.cfg.Syncs[name].Schedules {
		missedRuns.send(to, float64(lines[line.Name].Missed), name, line.Name)
		lastRun.sendTime(to, lines[line.Name].LastFired, name, line.Name)
		lastFinished.sendTime(to, lines[line.Name].LastFinished, name, line.Name)
	}
	if watch := g.agent.watching.status(name); watch != nil {
		watchState.sendState(to, name, watchStates, watch.State)
		watchFolders.send(to, float64(watch.Folders), name)
	}
	return nil
}

// The kinds of problems that there are of the agent, a sync and a server, so that there are zeros.
var (
	kindsOfAgent   = []alert.Kind{alert.Stopped, alert.Configuration}
	kindsOfSyncs   = []alert.Kind{alert.Halted, alert.Dead, alert.Full, alert.Watch, alert.Absence, alert.Conflict, alert.Differs, alert.Unknown}
	kindsOfServers = []alert.Kind{alert.ServerDown, alert.Blocked, alert.Full, alert.Certificate}
)

func (g gauges) collectProblems(to chan<- prometheus.Metric, now time.Time) error {
	sight, err := g.agent.problems(now)
	if err != nil {
		return err
	}
	type about struct {
		measure *measure
		name    string
		kind    alert.Kind
	}
	numbers := map[about]int{}
	for _, kind := range kindsOfAgent {
		numbers[about{&agentProblems, "", kind}] = 0
	}
	for name := range g.agent.syncs {
		for _, kind := range kindsOfSyncs {
			numbers[about{&syncProblems, name, kind}] = 0
		}
		for _, kind := range kindsOfServers {
			numbers[about{&serverTrouble, g.agent.cfg.Syncs[name].Server, kind}] = 0
		}
	}
	for _, p := range sight.Problems {
		of := about{&syncProblems, p.Sync, p.Kind}
		switch {
		case p.Sync == "" && p.Server == "":
			of = about{&agentProblems, "", p.Kind}
		case p.Sync == "":
			of = about{&serverTrouble, p.Server, p.Kind}
		}
		switch {
		case !isNear(p, now):
		case isCounted(p.Kind):
			numbers[of] = p.Grade
		default:
			numbers[of]++
		}
	}
	for of, n := range numbers {
		labels := []string{string(of.kind)} // of the only agent
		if of.measure != &agentProblems {
			labels = []string{of.name, string(of.kind)}
		}
		of.measure.send(to, float64(n), labels...)
	}
	return nil
}

// isCounted reports whether the grade of a problem is how many there are.
func isCounted(kind alert.Kind) bool {
	switch kind {
	case alert.Dead, alert.Conflict, alert.Differs, alert.Unknown:
		return true
	}
	return false
}

func (g gauges) collectTransfers(to chan<- prometheus.Metric, d *dispatcher, now time.Time) {
	type way struct{ sync, direction string }
	numbers, speeds := map[way]int{}, map[way]int64{}
	names := slices.Sorted(maps.Keys(g.agent.syncs))
	for _, t := range d.transfers(now, names) {
		numbers[way{t.Sync, t.Direction}]++
		speeds[way{t.Sync, t.Direction}] += t.Rate
	}
	for _, name := range names {
		for _, direction := range directionsOf(g.agent.cfg.Syncs[name]) {
			underwayNow.send(to, float64(numbers[way{name, direction}]), name, direction)
			speed.send(to, float64(speeds[way{name, direction}]), name, direction)
		}
	}
}

func (g gauges) collectServer(to chan<- prometheus.Metric, d *dispatcher, name string, now time.Time) error {
	s, err := g.agent.serverStatus(d, name, g.agent.syncsOf(name), now)
	if err != nil {
		return err
	}
	serverState.sendState(to, name, serverStates, s.State)
	connections.send(to, float64(s.Busy), name, "busy")
	connections.send(to, float64(max(s.Connections-s.Busy, 0)), name, "idle")
	mostConnected.send(to, float64(s.Limit), name)
	var row state.Server
	err = g.agent.db.View(func(tx *state.Tx) (err error) {
		row, err = state.GetServer(tx, name)
		return err
	})
	_, ends := g.agent.certificateEnds(name, row)
	certificateBy.sendTime(to, ends, name)
	if errors.Is(err, state.ErrBadRow) { // which is learned anew
		return nil
	}
	return err
}
