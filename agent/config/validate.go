package config

import (
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

func (l *loader) agent(file rawAgent) Agent {
	at := key{"agent"}
	levels := map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	oneOf(l, at.child("log").child("level"), file.Log.Level, "debug", "info", "warn", "error")
	stateDir := l.path(at.child("state_dir"), file.StateDir)
	if stateDir == "" {
		var err error
		if stateDir, err = DefaultStateDir(l.env); err != nil {
			l.fail(at.child("state_dir"), "%s", err)
		}
	}
	if file.Listen != "" {
		l.fail(at.child("listen"), "the status page does not exist in this version: remove the line")
	}
	return Agent{
		StateDir: stateDir,
		Log: Log{
			Level:  levels[file.Log.Level],
			Format: oneOf(l, at.child("log").child("format"), file.Log.Format, LogAuto, LogText, LogJSON),
		},
		ShutdownGrace:        l.duration(at.child("shutdown_grace"), file.ShutdownGrace, 0),
		AllowNetworkStateDir: file.AllowNetworkStateDir,
		MaxStateSize:         l.stateSize(at.child("max_state_size"), file.MaxStateSize),
		History:              l.history(at.child("history"), file.History),
		AddressSources:       l.addressSources(at.child("address_sources"), file.AddressSources),
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

func (l *loader) syncs(file map[string]*rawSync, servers map[string]*rawServer) map[string]*Sync {
	syncs := map[string]*Sync{}
	for name, raw := range file {
		at := key{"sync", name}
		if l.faults[at.id()] {
			continue
		}
		syncs[name] = l.sync(name, raw)
		if server := l.required(at, "server", raw.Server, "NAME of a [server.NAME]"); server != "" && servers[server] == nil {
			text := fmt.Sprintf("there is no [server.%s]", server)
			known := make([]string, 0, len(servers))
			for name := range servers {
				known = append(known, name)
			}
			slices.Sort(known)
			if near := nearest(server, known); near != "" {
				text += fmt.Sprintf(" (did you mean %q?)", near)
			} else if len(known) > 0 {
				text += " (known: " + strings.Join(known, ", ") + ")"
			}
			l.fail(at.child("server"), "%s", text)
		}
	}
	return syncs
}

func (l *loader) sync(name string, file *rawSync) *Sync {
	at := key{"sync", name}
	sync := &Sync{
		Name:      name,
		Server:    file.Server,
		Local:     l.path(at.child("local"), l.required(at, "local", file.Local, "/srv/www")),
		Remote:    l.required(at, "remote", file.Remote, "/htdocs"),
		Direction: l.direction(at, file.Direction),
		Watch:     file.Watch,
		Schedules: l.schedules(at, file),
		Include:   l.patterns(at.child("include"), file.Include),
		Exclude:   l.patterns(at.child("exclude"), file.Exclude),
		Delete:    file.Delete,
		MaxDelete: file.MaxDelete,
		Settle:    l.duration(at.child("settle"), file.Settle, 0),
		Marker:    file.Marker,
		Enabled:   file.Enabled,
	}
	if hasControl(sync.Remote) {
		l.fail(at.child("remote"), "%q contains a control character", sync.Remote)
	}
	if sync.Remote != "" {
		sync.Remote = path.Clean(sync.Remote)
	}
	if sync.Watch && sync.Direction == Down {
		l.fail(at.child("watch"), `an FTP server does not announce changes: with direction = "down" use schedule, such as "@every 10m"`)
	}
	if len(sync.Include) == 0 {
		l.fail(at.child("include"), `selects nothing: remove the line, or write ["**"] for all files`)
	}
	if file.Marker != "" && (!filepath.IsLocal(filepath.FromSlash(file.Marker)) || hasControl(file.Marker)) {
		l.fail(at.child("marker"), `%q is not below the local folder: write a file name relative to it, such as ".mounted"`, file.Marker)
	}
	if sync.Enabled && !sync.Watch && len(sync.Schedules) == 0 {
		l.warn(at, "has neither watch nor schedule: it runs only by \"ftpferry once %s\"", name)
	}
	l.checkLocal(at.child("local"), sync)
	return sync
}

func (l *loader) checkLocal(at key, sync *Sync) {
	if sync.Local == "" {
		return
	}
	switch info, err := os.Stat(sync.Local); {
	case err == nil && !info.IsDir():
		l.fail(at, "%q is not a folder", sync.Local)
	case err != nil && sync.Direction == Up && sync.Enabled:
		l.warn(at, "%q cannot be read (%s): the sync halts until it appears", sync.Local, reason(err))
	}
}

func (l *loader) direction(at key, text string) Direction {
	switch text {
	case "":
		l.required(at, "direction", "", "up")
		return ""
	case "both":
		l.fail(at.child("direction"), `"both" is not supported in this version: write "up" or "down"`)
		return ""
	}
	return oneOf(l, at.child("direction"), text, Up, Down)
}

func (l *loader) schedules(at key, file *rawSync) []Schedule {
	zone := l.zone(at.child("time_zone"), file.TimeZone)
	if zone == nil {
		zone = time.Local
	}
	var schedules []Schedule
	for _, spec := range file.Schedule {
		schedule, err := ParseSchedule(spec, zone)
		if err != nil {
			l.fail(at.child("schedule"), "%s", err)
			continue
		}
		schedules = append(schedules, schedule)
	}
	return schedules
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

func (l *loader) patterns(at key, patterns []string) []string {
	for _, pattern := range patterns {
		if problem := checkPattern(pattern); problem != "" {
			l.fail(at, "the pattern %q %s", pattern, problem)
		}
	}
	return patterns
}

// checkPattern returns what is wrong with an include or exclude pattern, or "".
func checkPattern(pattern string) string {
	bare := strings.TrimSuffix(strings.TrimPrefix(pattern, "/"), "/")
	switch {
	case bare == "":
		return "is empty"
	case hasControl(pattern):
		return "contains a control character"
	case strings.HasPrefix(pattern, "!"):
		return `begins with "!", which has no meaning here: use include and exclude (or "\\!" for a name that begins so)`
	case !doublestar.ValidatePattern(bare):
		return "is malformed: look for a [, { or \\ without its counterpart"
	}
	for _, part := range strings.Split(bare, "/") {
		if part == "" || part == "." || part == ".." {
			return `can never match: names are separated by single slashes, without "." and ".."`
		}
	}
	return ""
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

// oneOf checks a word against the words allowed for it.
func oneOf[T ~string](l *loader, at key, value string, allowed ...T) T {
	if !slices.Contains(allowed, T(value)) {
		words := make([]string, len(allowed))
		for i, word := range allowed {
			words[i] = strconv.Quote(string(word))
		}
		last := len(words) - 1
		l.fail(at, "%q is not known: write %s or %s", value, strings.Join(words[:last], ", "), words[last])
	}
	return T(value)
}
