package ftpclient

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// DataError is the error of a transfer for which no data connection is to be had: the situation,
// every way that was tried, how it failed, and what can be done about it. Nothing was
// transferred, and no file was touched.
type DataError struct {
	Situation
	Attempts []DataAttempt
	// Notes are what the sources of external addresses disagree about (see extip.Verdict).
	Notes []string
	// Unheard are the sources that were asked and say nothing, each with its reason.
	Unheard map[string]error
}

// Situation is what the cures of failed attempts depend on.
type Situation struct {
	Host string // as it was dialled
	// Port is that of the control connection, 0 if not known.
	Port uint16
	// Local is this end of the control connection, View as whom the server sees it; the zero Addr
	// where that is not known.
	Local, View netip.Addr
	TLS         bool
	Policy      DataPolicy
	Ports       PortRange // DataOptions.ActivePorts
	// Gateway is the router that leads out of this network, the zero Addr if not known.
	Gateway netip.Addr
	// PlainHelper: without TLS, a NAT that reads along made active mode work from here.
	PlainHelper bool
}

// Error is the whole block: a line that says where, one for each attempt with its cure, one for
// each note. What one line has said, no other repeats.
func (e *DataError) Error() string {
	lines := []string{e.headline()}
	given := map[string]bool{}
	for _, a := range e.Attempts {
		line := fmt.Sprintf("  %s (%s): %s", a.Way, explained[a.Way.Method], outcomeOf(a))
		if cure := e.Cure(a); cure != "" && !given[cure] {
			given[cure] = true
			line += " -> " + cure
		}
		lines = append(lines, line)
	}
	for _, note := range e.notes() {
		lines = append(lines, "  note: "+note)
	}
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

// explained are the methods for those who know firewalls and not this program.
var explained = map[DataMethod]string{
	data.Passive:    "we connect to the server",
	data.Configured: "the server connects to data.external_ip",
	data.Direct:     "the server connects to this machine",
	data.Mapped:     "the server connects to a port that the router opens",
	data.Helper:     "the server connects through a NAT that reads along",
	data.Forwarded:  "the server connects to ports that the router forwards",
	data.Punched:    "both sides connect at once",
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
	if notes := e.notes(); len(notes) > 0 {
		for i := range notes {
			notes[i] = printable(notes[i])
		}
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

// notes are what no single attempt tells.
func (e *DataError) notes() []string {
	notes := e.hints()
	mapped := e.failed(data.Mapped)
	for _, note := range e.Notes {
		if mapped && strings.HasPrefix(note, "the gateway (") {
			continue // its line says who disagrees
		}
		notes = append(notes, note)
	}
	var silent, others []string
	for _, source := range slices.Sorted(maps.Keys(e.Unheard)) {
		if slices.Contains(gatewaySources, source) {
			silent = append(silent, refusalOf(source, e.Unheard[source]))
		} else {
			others = append(others, shortLine(source+": "+withoutName(source, e.Unheard[source].Error())))
		}
	}
	if len(silent) > 0 && !mapped && e.Policy != DataPassiveOnly {
		router := "the router"
		if e.Gateway.IsValid() {
			router += " " + e.Gateway.String()
		}
		notes = append(notes, fmt.Sprintf("%s opens no ports by itself: %s", router, strings.Join(silent, ", ")))
	}
	return append(notes, others...)
}

// hints follow from the situation.
func (e *DataError) hints() []string {
	var hints []string
	if len(e.Attempts) == 0 {
		return nil
	}
	if e.Policy == DataPassiveOnly {
		return []string{`only passive ways are allowed here (data.mode = "passive")`}
	}
	behind := e.translated() || !e.View.IsValid() && extip.Private(e.Local) && e.Local.IsValid() && !e.Local.IsLoopback()
	switch {
	case e.TLS && e.PlainHelper:
		hints = append(hints, "active mode worked from here without TLS, through a NAT that reads along and changes addresses; "+
			"TLS hides them from it")
	case e.TLS && e.Port == helperPort && behind:
		hints = append(hints, "TLS hides the commands from a NAT that could read along and let the server in (FTP helper, ALG): none can help here")
	}
	prepared := e.tried(data.Configured) || e.tried(data.Forwarded) || e.tried(data.Helper)
	if !prepared && e.translated() {
		hints = append(hints, "active mode through the NAT is not prepared: "+e.forward())
	}
	return hints
}

// helperPort is the only one at which NATs read along.
const helperPort = 21

// forward is how ports are forwarded, as an order.
func (s Situation) forward() string {
	here := "this machine"
	if s.Local.IsValid() {
		here = s.Local.String()
	}
	if s.Ports.First > 0 {
		return fmt.Sprintf("at the router, forward ports %d-%d (data.active_ports) to %s", s.Ports.First, max(s.Ports.First, s.Ports.Last), here)
	}
	return fmt.Sprintf(`at the router, forward some ports to %s, and name them: data.active_ports = "50000-50010"`, here)
}

// failed reports whether a method was tried and there was nothing to announce.
func (e *DataError) failed(method DataMethod) bool {
	return slices.ContainsFunc(e.Attempts, func(a DataAttempt) bool { return a.Way.Method == method && a.Stage == data.Unusable })
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
		return done + plainly(a.Err)
	case told != "":
		return done + told
	case a.Stage == data.Silent && a.Way.Command.Passive():
		return fmt.Sprintf("%sno answer in %s", done, took)
	case a.Stage == data.Silent:
		return fmt.Sprintf("%snobody connected in %s", done, took)
	case a.Err == nil:
		return done + "it works"
	}
	return done + plainly(a.Err)
}

// plainly tells an error of an attempt without what the line says anyway: the operation for
// which a data connection was wanted, and the addresses.
func plainly(err error) string {
	var refused *extip.GatewayError
	if errors.As(err, &refused) {
		reasons := make([]string, len(refused.Reasons))
		for i, reason := range refused.Reasons {
			reasons[i] = refusalOf("", reason)
		}
		return fmt.Sprintf("router %s opens no port: %s", refused.Gateway, strings.Join(reasons, ", "))
	}
	var failed *Error
	if errors.As(err, &failed) {
		var parts []string
		if failed.Code != 0 {
			parts = append(parts, fmt.Sprintf("the server says %q", shortLine(fmt.Sprintf("%d %s", failed.Code, failed.Text))))
		}
		if failed.Err != nil {
			parts = append(parts, failed.Err.Error())
		}
		return clause(strings.Join(parts, ": "), maxReason)
	}
	// An error that is nothing but one of dialling; what was put around it counts.
	if dialled, ok := errors.AsType[*net.OpError](err); ok && dialled.Op == "dial" && dialled.Error() == err.Error() {
		err = dialled.Err
		if call, ok := err.(*os.SyscallError); ok {
			err = call.Err
		}
	}
	return clause(err.Error(), maxReason)
}

const (
	maxReason  = 500 // bytes of a reason in a line
	maxRefusal = 110 // of each protocol's, where there are several
)

// refusalOf tells in a few words why a gateway opens no port by a protocol; name is that, if it
// is not at the beginning of the error.
func refusalOf(name string, err error) string {
	text := err.Error()
	for _, source := range gatewaySources {
		if rest := withoutName(source, text); rest != text {
			name, text = source, rest
		}
	}
	switch {
	case errors.Is(err, extip.ErrNoGateway):
		text = "no answer"
	case errors.Is(err, extip.ErrUnsupported):
		text = "not spoken there"
	case errors.Is(err, extip.ErrRefused):
		text = strings.TrimPrefix(text, extip.ErrRefused.Error()+": ")
		text = "refused, " + strings.TrimPrefix(text, name+" ")
	}
	if name == "" {
		return clause(text, maxRefusal)
	}
	return name + " " + clause(text, maxRefusal)
}

// withoutName takes the name of a source from the beginning of what it says.
func withoutName(name, text string) string {
	for strings.HasPrefix(text, name+": ") {
		text = text[len(name)+2:]
	}
	return text
}

// clause shortens a text to limit bytes at the end of one of its parts.
func clause(text string, limit int) string {
	text = strings.ReplaceAll(text, "\n", " / ")
	if len(text) <= limit {
		return text
	}
	for _, mark := range []string{"; ", ": ", ", ", " "} {
		if i := strings.LastIndex(text[:limit], mark); i > limit/3 {
			return text[:i]
		}
	}
	return strings.ToValidUTF8(text[:limit], "")
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
		return `if that host belongs to the server, data.pasv_address = "reply" and data.data_peer allow it; if not, do not trust this server`
	case errors.Is(a.Err, data.ErrEPSVAddress), errors.Is(a.Err, data.ErrPrivilegedPort):
		return "no honest server does that: ask its operator"
	case errors.Is(a.Err, data.ErrStranger):
		return "if the caller belongs to the server, name it in data.data_peer; if not, somebody tries to get at the data"
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
		return fmt.Sprintf("data.external_ip has to be %s, or %q", s.View, "auto")
	case a.Way.Method == data.Helper:
		return s.unhelped()
	case foreign:
		return fmt.Sprintf("the server takes only what it sees, %s", s.View)
	}
	return "the server has to allow active mode"
}

// unhelped is the cure where no NAT reads along.
func (s Situation) unhelped() string {
	return "no NAT on the way puts its own address there; " + s.forward()
}

// cureActive is about connections of the server that did not come.
func (s Situation) cureActive(a DataAttempt) string {
	ports := "ports"
	if p := portOf(a.Target); p != "" {
		ports = "port " + p
	}
	if s.Ports.First > 0 {
		ports = fmt.Sprintf("ports %d-%d", s.Ports.First, max(s.Ports.First, s.Ports.Last))
	}
	var refused *extip.GatewayError
	switch {
	case errors.Is(a.Err, data.ErrPortsBusy):
		return "name more ports in data.active_ports: each connection that waits for the server's call needs one; or see who else has them"
	case errors.As(a.Err, &refused):
		return "let the router open ports (PCP, NAT-PMP or UPnP); or " + s.forward()
	case a.Stage == data.Unusable && a.Way.Method == data.Mapped:
		return "ports opened at this router lead nowhere: ask the provider for a public address"
	case a.Stage == data.Unusable:
		return "choose other ports in data.active_ports, or another address in data.external_ip"
	case a.Stage == data.Broken:
		return "look at the server's log: the connection came and was of no use"
	}
	switch a.Way.Method {
	case data.Configured, data.Forwarded:
		return s.forward() + "; there, on this machine and on the server's side, let them through the firewall"
	case data.Direct:
		return fmt.Sprintf("on this machine, its network or the server's side: let %s through the firewall", ports)
	case data.Mapped:
		return "the router opened a port that cannot be reached: there is another NAT or a firewall beyond it; ask the provider for a public address"
	case data.Helper:
		return s.unhelped()
	}
	return "the NAT changes ports, or the server does not connect from port 20: nothing to be done from here"
}
