package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

const (
	maxConnections = 64

	// A command has at least room for a verb and a file name of a common length. Beyond 4096 bytes servers hang up, or
	// never answer.
	leastCommandLimit = 256
	mostCommandLimit  = 4096
	maxSegments       = 16
)

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
	user := l.required(at, "user", file.User, "anonymous")
	who := login{user: user, isUserOpen: !l.stands(at.child("user"))}
	if len(file.Address) > 0 {
		if address, err := parseAddress(file.Address[0], "21"); err == nil {
			who.host = hostOf(address)
		}
	}
	if file.Password.Netrc && who.isUserOpen && !l.withoutSecrets { // an error is told by the password
		if _, entry, _, err := l.netrc(who); err == nil && entry.login != "" {
			user = entry.login
		}
	}
	server := &Server{
		Name:           name,
		User:           user,
		Password:       l.secret(at.child("password"), "password", file.Password, who),
		Account:        l.secret(at.child("account"), "account", file.Account, who),
		VirtualHost:    file.VirtualHost,
		Proxy:          l.proxy(at.child("proxy"), file.Proxy, who),
		TLS:            TLSMode(file.TLS),
		Connections:    int(file.Connections),
		Segments:       int(file.Segments),
		CommandLimit:   int(file.CommandLimit),
		Compress:       file.Compress,
		Encoding:       l.encoding(at.child("encoding"), file.Encoding),
		ListTimeZone:   l.zone(at.child("list_time_zone"), file.ListTimeZone),
		Data:           l.data(at.child("data"), file.Data),
		ConnectTimeout: l.duration(at.child("connect_timeout"), file.ConnectTimeout, 1),
		ReplyTimeout:   l.duration(at.child("reply_timeout"), file.ReplyTimeout, 1),
		StallTimeout:   l.duration(at.child("stall_timeout"), file.StallTimeout, 1),
	}
	l.tls(at, file, server)
	l.addresses(at, file.Address, server)
	if table, err := ParseTimetable(file.Bandwidth); err != nil {
		l.fail(at.child("bandwidth"), "%s", err)
	} else {
		server.Bandwidth = table
	}
	if hasControl(user) {
		l.fail(at.child("user"), "%q contains a control character", user)
	}
	if credentials.MatchString(user) {
		l.warn(at.child("user"), "looks like USER:PASSWORD with a host behind it: a user is no secret, and stands in logs; a password has a key of its own")
	}
	if file.VirtualHost != "" && !isHost(file.VirtualHost) {
		l.fail(at.child("virtual_host"), `%q is not a host name: write the name alone, such as "ftp.example.com"`, file.VirtualHost)
	}
	if file.Connections < 1 || file.Connections > maxConnections {
		l.fail(at.child("connections"), "%d is out of range: 1 to %d", file.Connections, maxConnections)
	}
	if file.Segments < 1 || file.Segments > maxSegments {
		l.fail(at.child("segments"), "%d is out of range: 1 to %d", file.Segments, maxSegments)
	}
	if file.CommandLimit < leastCommandLimit || file.CommandLimit > mostCommandLimit {
		l.fail(at.child("command_limit"), "%d is out of range: %d to %d bytes", file.CommandLimit, leastCommandLimit, mostCommandLimit)
	}
	if file.Proxy.isEmpty() {
		l.checkData(at.child("data"), server)
	} else {
		l.checkProxied(at.child("data"), file.Data)
	}
	return server
}

// addresses fills in those of the server, without an error only if there is at least one.
func (l *loader) addresses(at key, file []string, server *Server) {
	if len(file) == 0 || slices.Contains(file, "") {
		l.required(at, "address", "", "ftp.example.com")
		return
	}
	for _, text := range file {
		address, err := parseAddress(text, defaultPorts[server.TLS])
		if err != nil {
			l.fail(at.child("address"), "%s", err)
			continue
		}
		if slices.Contains(server.Addresses, address) {
			l.fail(at.child("address"), "%q is in the list twice: keep one of them", text)
			continue
		}
		server.Addresses = append(server.Addresses, address)
	}
	if len(server.Addresses) > 0 {
		server.Address = server.Addresses[0]
	}
}

var defaultPorts = map[TLSMode]string{TLSExplicit: "21", TLSImplicit: "990", TLSNone: "21"}

// parseAddress returns HOST:PORT for a host with or without a port.
func parseAddress(text, defaultPort string) (string, error) {
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
	if strings.Contains(text, "@") { // what is in front of it may hold a password
		return "", errors.New("must not hold a user: write the host alone; user and password have keys of their own")
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
		port = defaultPort
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
