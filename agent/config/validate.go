package config

import (
	"log/slog"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
)

func (l *loader) agent(file rawAgent) Agent {
	at := key{"agent"}
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	stateDir := l.path(at.child("state_dir"), file.StateDir)
	if stateDir == "" {
		var err error
		if stateDir, err = DefaultStateDir(l.env); err != nil {
			l.fail(at.child("state_dir"), "%s", err)
		}
	}
	if isOpenToAll(stateDir) { // to its socket, too
		l.warn(at.child("state_dir"), "everybody can write in %q, and so take the place of the agent: chmod 700 %s", stateDir, stateDir)
	}
	return Agent{
		StateDir: stateDir,
		Log: Log{
			Level:  levels[file.Log.Level],
			Format: LogFormat(file.Log.Format),
		},
		Listen:               l.listen(at.child("listen"), file.Listen, !file.ListenToken.isEmpty()),
		ListenToken:          l.listenToken(at.child("listen_token"), file.ListenToken, file.Listen != ""),
		Reload:               Reload(file.Reload),
		ShutdownGrace:        l.duration(at.child("shutdown_grace"), file.ShutdownGrace, 0),
		AllowNetworkStateDir: file.AllowNetworkStateDir,
		MaxStateSize:         l.stateSize(at.child("max_state_size"), file.MaxStateSize),
		History:              l.history(at.child("history"), file.History),
		AddressSources:       l.addressSources(at.child("address_sources"), file.AddressSources),
		Heartbeat:            l.heartbeat(at.child("heartbeat"), file.Heartbeat),
	}
}

// leastStateSize leaves room for the steps in which the file grows.
const leastStateSize = 64 << 20

func (l *loader) stateSize(at key, file size) int64 {
	if file != 0 && file < leastStateSize {
		l.fail(at, `is less than a state file needs: write "64MiB" or more, or "" for no limit`)
	}
	return int64(file)
}

// mostHistoryRows is what a history file of some 50 GB holds.
const mostHistoryRows = 100_000_000

func (l *loader) history(at key, file rawHistory) History {
	if file.Keep < duration(time.Hour) {
		l.fail(at.child("keep"), `%s is too short: write "1h" or more, such as "90d"`, time.Duration(file.Keep))
	}
	if file.Rows < 1 || file.Rows > mostHistoryRows {
		l.fail(at.child("rows"), "%d is out of range: write a number of rows from 1 to %d", file.Rows, mostHistoryRows)
	}
	return History{Keep: time.Duration(file.Keep), Rows: int(file.Rows)}
}

// zone returns nil for "", and for a name that is not known.
func (l *loader) zone(at key, name string) *time.Location {
	if name == "" {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		l.fail(at, `%q is not known: write an IANA name such as "Europe/Lisbon" or "UTC"`, name)
	}
	return zone
}

// patterns checks rules of include or exclude.
func (l *loader) patterns(at key, patterns []string) []string {
	for _, pattern := range patterns {
		if hasControl(pattern) {
			l.fail(at, "the pattern %q contains a control character", pattern)
		} else if err := scan.CheckPattern(pattern); err != nil {
			l.fail(at, "%s", err)
		}
	}
	return patterns
}

// required returns the value and reports an empty one.
func (l *loader) required(at key, name, value, example string) string {
	if value == "" && !l.faults[at.child(name).id()] {
		l.fail(at, "%s is required, such as %s = %q", name, name, example)
	}
	return value
}

func (l *loader) duration(at key, value duration, least time.Duration) time.Duration {
	switch d := time.Duration(value); {
	case d < 0:
		l.fail(at, "%s is negative", d)
	case d < least:
		l.fail(at, "must be more than zero")
	}
	return time.Duration(value)
}
