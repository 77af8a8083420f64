package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

const maxConnections = 64

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
	}
}

func (l *loader) servers(file map[string]*rawServer) map[string]*Server {
	servers := map[string]*Server{}
	for name, raw := range file {
		if !l.faults[key{"server", name}.id()] {
			servers[name] = l.server(name, raw)
		}
	}
	return servers
}

func (l *loader) server(name string, file *rawServer) *Server {
	at := key{"server", name}
	server := &Server{
		Name:          name,
		User:          l.required(at, "user", file.User, "anonymous"),
		Password:      l.secret(at.child("password"), file.Password),
		TLS:           oneOf(l, at.child("tls"), file.TLS, TLSExplicit, TLSImplicit, TLSNone),
		TLSCA:         l.path(at.child("tls_ca"), file.TLSCA),
		TLSServerName: file.TLSServerName,
		TLSVerify:     file.TLSVerify,
		Connections:   int(file.Connections),
		Data: Data{
			Mode:        oneOf(l, at.child("data").child("mode"), file.Data.Mode, DataAuto, DataPassive, DataActive),
			ActivePorts: l.ports(at.child("data").child("active_ports"), file.Data.ActivePorts),
			ExternalIP:  l.externalIP(at.child("data").child("external_ip"), file.Data.ExternalIP),
			PASVAddress: oneOf(l, at.child("data").child("pasv_address"), file.Data.PASVAddress, PASVControl, PASVReply),
		},
		ConnectTimeout: l.duration(at.child("connect_timeout"), file.ConnectTimeout, 1),
		ReplyTimeout:   l.duration(at.child("reply_timeout"), file.ReplyTimeout, 1),
		StallTimeout:   l.duration(at.child("stall_timeout"), file.StallTimeout, 1),
	}
	server.RootCAs = l.authorities(at.child("tls_ca"), server.TLSCA)
	if text := l.required(at, "address", file.Address, "ftp.example.com"); text != "" {
		var err error
		if server.Address, err = parseAddress(text, server.TLS); err != nil {
			l.fail(at.child("address"), "%s", err)
		}
	}
	if hasControl(file.User) {
		l.fail(at.child("user"), "%q contains a control character", file.User)
	}
	if file.TLSServerName != "" && !isHost(file.TLSServerName) {
		l.fail(at.child("tls_server_name"), "%q is not a host name", file.TLSServerName)
	}
	if file.Connections < 1 || file.Connections > maxConnections {
		l.fail(at.child("connections"), "%d is out of range: 1 to %d", file.Connections, maxConnections)
	}
	if server.TLS == TLSNone && server.Password.Reveal() != "" {
		l.warn(at.child("tls"), `the password and all files cross the network in clear: use "explicit" if the server can`)
	}
	if !server.TLSVerify && server.TLS != TLSNone {
		l.warn(at.child("tls_verify"),
			"ANYONE ON THE NETWORK CAN POSE AS THIS SERVER and read the password and all files: use tls_ca for a private certificate")
	}
	return server
}

// parseAddress returns HOST:PORT for a host with or without a port.
func parseAddress(text string, mode TLSMode) (string, error) {
	if scheme, rest, isURL := strings.Cut(text, "://"); isURL {
		rest = strings.TrimSuffix(rest, "/")
		cure := fmt.Sprintf("write the host alone, such as %q", rest)
		if strings.ContainsAny(rest, "@/") { // may hold a password
			cure = "write the host alone; user, password and folder have keys of their own"
		}
		if strings.EqualFold(scheme, "sftp") {
			cure = "SFTP is another protocol, which ftpferry does not speak"
		}
		return "", fmt.Errorf("must not be a URL: %s", cure)
	}
	host, port := text, ""
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		host = text[1 : len(text)-1]
	} else if _, err := netip.ParseAddr(text); err == nil && strings.Contains(text, ":") {
		return "", fmt.Errorf("%q: an IPv6 address stands in brackets: %q", text, "["+text+"]")
	} else if strings.Contains(text, ":") {
		if host, port, err = net.SplitHostPort(text); err != nil {
			return "", fmt.Errorf("%q is not HOST or HOST:PORT (an IPv6 address stands in brackets)", text)
		}
		if _, ok := parsePort(port); !ok {
			return "", fmt.Errorf("the port of %q must be a number from 1 to 65535", text)
		}
	}
	isBracketed := strings.HasPrefix(text, "[")
	if _, err := netip.ParseAddr(host); isBracketed && (err != nil || !strings.Contains(host, ":")) {
		return "", fmt.Errorf("%q: brackets are for IPv6 addresses", text)
	}
	if !isBracketed && !isHost(host) {
		return "", fmt.Errorf("%q is not a host name or IP address (a name with other letters is written as xn--...)", host)
	}
	if port == "" {
		port = "21"
		if mode == TLSImplicit {
			port = "990"
		}
	}
	return net.JoinHostPort(host, port), nil
}

// isHost accepts IPv4 addresses and names of ASCII letters, digits, '-', '_' and '.'.
func isHost(text string) bool {
	return text != "" && len(text) <= 253 && !strings.ContainsFunc(text, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
	})
}

func parsePort(text string) (uint16, bool) {
	port, err := strconv.ParseUint(text, 10, 16)
	return uint16(port), err == nil && port > 0
}

func (l *loader) ports(at key, text string) PortRange {
	if text == "" {
		return PortRange{}
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, okFirst := parsePort(strings.TrimSpace(low))
	last, okLast := parsePort(strings.TrimSpace(high))
	if !okFirst || !okLast || first > last {
		l.fail(at, `%q is not a range of ports: write "50000-50010", or one port, each 1 to 65535 and the smaller first`, text)
	}
	return PortRange{first, last}
}

func (l *loader) externalIP(at key, text string) netip.Addr {
	if text == "" || text == "auto" {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" || address.IsUnspecified() || address.IsMulticast() {
		l.fail(at, `%q is not an IP address that a server could connect to: write one such as "198.51.100.7", or "auto"`, text)
	}
	return address.Unmap()
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
	zone := time.Local
	if file.TimeZone != "" {
		var err error
		if zone, err = time.LoadLocation(file.TimeZone); err != nil {
			l.fail(at.child("time_zone"), `%q is not known: write an IANA name such as "Europe/Lisbon" or "UTC"`, file.TimeZone)
			zone = time.UTC
		}
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
