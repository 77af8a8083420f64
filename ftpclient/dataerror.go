package ftpclient

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// DataError is the error of a transfer for which no data connection is to be had: the situation,
// every way that was tried, how it failed, and what can be done about it. Nothing was
// transferred, and no file was touched.
type DataError struct {
	Situation
	Attempts []DataAttempt
	// Notes are what the sources of external addresses disagree about (see extip.Verdict), and why
	// others say nothing.
	Notes []string
}

// Situation is what the cures of failed attempts depend on.
type Situation struct {
	Host string // as it was dialled
	// Local is this end of the control connection, View as whom the server sees it; the zero Addr
	// where that is not known.
	Local, View netip.Addr
	TLS         bool
	Policy      DataPolicy
	Ports       PortRange // DataOptions.ActivePorts
	// PlainHelper: without TLS, a NAT that reads along made active mode work from here.
	PlainHelper bool
}

// Error is the whole block: a line that says where, one for each attempt with its cure, one for
// each note.
func (e *DataError) Error() string {
	lines := []string{e.headline()}
	for _, a := range e.Attempts {
		line := fmt.Sprintf("  %-14s %s", a.Way, outcomeOf(a))
		if cure := e.Cure(a); cure != "" {
			line += " -> " + cure
		}
		lines = append(lines, line)
	}
	for _, note := range append(e.hints(), e.Notes...) {
		lines = append(lines, "  note: "+note)
	}
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Summary is the error in one line, without cures.
func (e *DataError) Summary() string {
	tried := make([]string, len(e.Attempts))
	for i, a := range e.Attempts {
		tried[i] = a.Way.String() + " " + outcomeOf(a)
	}
	return printable(strings.Join(append([]string{e.headline()}, tried...), "; "))
}

func (e *DataError) headline() string {
	to := ""
	if e.Host != "" {
		to = " to " + e.Host
	}
	if len(e.Attempts) == 0 {
		return "no data channel" + to + ": the options allow no way that could work"
	}
	var known []string
	if e.Local.IsValid() {
		known = append(known, "we are "+e.Local.String())
	}
	if e.View.IsValid() {
		known = append(known, "the server sees us as "+e.View.String())
	}
	if len(known) == 0 {
		return "no data channel" + to
	}
	return fmt.Sprintf("no data channel%s (%s)", to, strings.Join(known, ", "))
}

// LogValue implements slog.LogValuer: an event with attributes instead of a block of text.
func (e *DataError) LogValue() slog.Value {
	attributes := []slog.Attr{slog.String("host", e.Host), slog.Bool("tls", e.TLS)}
	if e.Local.IsValid() {
		attributes = append(attributes, slog.String("local", e.Local.String()))
	}
	if e.View.IsValid() {
		attributes = append(attributes, slog.String("seen_as", e.View.String()))
	}
	for _, a := range e.Attempts {
		attributes = append(attributes, slog.Group(strings.ReplaceAll(a.Way.String(), " ", "_"),
			slog.String("target", a.Target), slog.String("outcome", printable(outcomeOf(a))), slog.Int64("took_ms", a.Took.Milliseconds()),
			slog.String("cure", printable(e.Cure(a)))))
	}
	if notes := append(e.hints(), e.Notes...); len(notes) > 0 {
		attributes = append(attributes, slog.Any("notes", notes))
	}
	return slog.GroupValue(attributes...)
}

// Unwrap returns the errors of the attempts.
func (e *DataError) Unwrap() []error {
	var errs []error
	for _, a := range e.Attempts {
		if a.Err != nil {
			errs = append(errs, a.Err)
		}
	}
	return errs
}

// class is that of the setup, unless the server said that it cannot offer a port now: it may
// have run out of them.
func (e *DataError) class() Class {
	for _, a := range e.Attempts {
		var refusal *data.ReplyError
		if a.Way.Command.Passive() && errors.As(a.Err, &refusal) && refusal.Reply.Code < 500 {
			return ClassConnection
		}
	}
	return ClassSetup
}

// hints are what no single attempt tells.
func (e *DataError) hints() []string {
	var hints []string
	if e.TLS && e.PlainHelper {
		hints = append(hints, "active mode worked from here without TLS, through a NAT that reads along and changes addresses; "+
			"TLS hides them from it")
	}
	prepared := e.tried(data.Configured) || e.tried(data.Forwarded)
	if e.Policy != DataPassiveOnly && !prepared && len(e.Attempts) > 0 && e.translated() {
		hints = append(hints, fmt.Sprintf("active mode through the NAT is not prepared: forward some ports to %s and name them in active_ports", e.Local))
	}
	if e.Policy == DataPassiveOnly && len(e.Attempts) > 0 {
		hints = append(hints, "only passive ways are allowed here")
	}
	return hints
}

func (e *DataError) tried(method DataMethod) bool {
	for _, a := range e.Attempts {
		if a.Way.Method == method {
			return true
		}
	}
	return false
}

// translated reports whether a NAT is known to be on the way.
func (s Situation) translated() bool {
	return s.View.IsValid() && s.Local.IsValid() && s.View.Unmap() != s.Local.Unmap().WithZone("")
}

// outcomeOf tells what was done in an attempt and what came of it.
func outcomeOf(a DataAttempt) string {
	var done string
	switch {
	case a.Target == "":
	case a.Way.Command.Passive():
		done = "dialled " + a.Target + ", "
	case a.Listened != "" && portOf(a.Listened) != portOf(a.Target):
		done = fmt.Sprintf("announced %s for %s, ", a.Target, a.Listened)
	default:
		done = "announced " + a.Target + ", "
	}
	told := ""
	if a.Reply.Code >= 400 {
		told = fmt.Sprintf("the server says %q", shortLine(a.Reply.String()))
	}
	took := a.Took.Round(100 * time.Millisecond)
	switch {
	case errors.Is(a.Err, data.ErrStranger), errors.Is(a.Err, data.ErrThirdHost), errors.Is(a.Err, data.ErrEPSVAddress),
		errors.Is(a.Err, data.ErrPrivilegedPort):
		return done + shortLine(a.Err.Error())
	case told != "":
		return done + told
	case a.Stage == data.Silent && a.Way.Command.Passive():
		return fmt.Sprintf("%sno answer in %s", done, took)
	case a.Stage == data.Silent:
		return fmt.Sprintf("%snobody connected in %s", done, took)
	case a.Err == nil:
		return done + "it works"
	}
	return done + shortLine(a.Err.Error())
}

// portOf is the port of an address in text, "" without one.
func portOf(address string) string {
	return address[strings.LastIndexByte(address, ':')+1:]
}

// shortLine is a text of others as part of a line.
func shortLine(text string) string {
	const limit = 300
	text = strings.ReplaceAll(text, "\n", " / ")
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "..."
	}
	return text
}

// Cure says what can be done about a failed attempt, "" where nothing has to be: another way is
// meant to follow. It is pure.
func (s Situation) Cure(a DataAttempt) string {
	switch {
	case errors.Is(a.Err, data.ErrThirdHost):
		return `if that host belongs to the server, pasv_address = "reply" and data_peer allow it; if not, do not trust this server`
	case errors.Is(a.Err, data.ErrEPSVAddress), errors.Is(a.Err, data.ErrPrivilegedPort):
		return "no honest server does that: ask its operator"
	case errors.Is(a.Err, data.ErrStranger):
		return "if the caller belongs to the server, name it in data_peer; if not, somebody tries to get at the data"
	case errors.Is(a.Err, data.ErrNonsense):
		return "the server, or something on the way, garbles its reply: ask its operator"
	}
	if a.Way.Command.Passive() {
		return curePassive(a)
	}
	if a.Stage == data.Refused {
		return s.cureRefusal(a)
	}
	return s.cureActive(a)
}

func curePassive(a DataAttempt) string {
	switch {
	case a.Stage == data.Refused && a.Reply.Code >= 500:
		return "the server has to offer passive mode"
	case a.Stage == data.Refused:
		return "the server may be out of ports: widen its range of passive ports"
	case a.Stage == data.Rejected:
		return "on the server's side: open its passive ports, and forward them if it is behind NAT"
	case a.Stage == data.Broken:
		return "look at the server's log: the connection came and was of no use"
	case portOf(a.Target) != "":
		return "on the server's side: let its passive ports through the firewall (it offered " + portOf(a.Target) + ")"
	}
	return "on the server's side: let its passive ports through the firewall"
}

// cureRefusal is about servers that do not take what is announced: most of them only what
// they see as the client's address.
func (s Situation) cureRefusal(a DataAttempt) string {
	announced, err := netip.ParseAddrPort(a.Target)
	foreign := err == nil && s.View.IsValid() && announced.Addr().Unmap() != s.View.Unmap()
	switch {
	case a.Way.Method == data.Configured && foreign:
		return fmt.Sprintf("external_ip has to be %s, or %q", s.View, "auto")
	case a.Way.Method == data.Helper:
		return "nothing on the way changes addresses in PORT: forward ports to this machine and name them in active_ports"
	case foreign:
		return fmt.Sprintf("the server takes only what it sees, %s", s.View)
	}
	return "the server has to allow active mode"
}

// cureActive is about connections of the server that did not come.
func (s Situation) cureActive(a DataAttempt) string {
	here := "this machine"
	if s.Local.IsValid() {
		here = s.Local.String()
	}
	ports := "ports"
	if p := portOf(a.Target); p != "" {
		ports = "port " + p
	}
	if s.Ports.First > 0 {
		ports = fmt.Sprintf("ports %d-%d", s.Ports.First, max(s.Ports.First, s.Ports.Last))
	}
	switch {
	case errors.Is(a.Err, data.ErrPortsBusy):
		return "name more ports in active_ports: each connection that waits for the server's call needs one; or see who else has them"
	case a.Stage == data.Unusable && a.Way.Method == data.Mapped:
		return "ports opened at this router lead nowhere, or it opens none: forward some by hand, or ask the provider for a public address"
	case a.Stage == data.Unusable:
		return "choose other ports in active_ports, or another address in external_ip"
	case a.Stage == data.Broken:
		return "look at the server's log: the connection came and was of no use"
	}
	switch a.Way.Method {
	case data.Configured, data.Forwarded:
		return fmt.Sprintf("at the router: forward %s to %s; on this machine and on the server's side: let them through the firewall", ports, here)
	case data.Direct:
		return fmt.Sprintf("on this machine, its network or the server's side: let %s through the firewall", ports)
	case data.Mapped:
		return "the router opened a port that cannot be reached: there is another NAT or a firewall beyond it; ask the provider for a public address"
	case data.Helper:
		return "no NAT on the way changes addresses in PORT: forward ports to this machine and name them in active_ports"
	}
	return "the NAT changes ports, or the server does not connect from port 20: nothing to be done from here"
}
