package ftpclient

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

func mustWay(t *testing.T, text string) DataWay {
	t.Helper()
	way, ok := data.ParseWay(text)
	if !ok {
		t.Fatalf("no way: %q", text)
	}
	return way
}

func reply(code int, text string) control.Reply {
	return control.Reply{Code: code, Lines: []string{text}}
}

var behindNAT = Situation{Host: "ftp.example", Local: netip.MustParseAddr("10.10.0.2"), View: netip.MustParseAddr("203.0.113.7")}

func TestEachFailureHasItsCure(t *testing.T) {
	prepared := behindNAT
	prepared.Ports = PortRange{First: 50000, Last: 50010}
	tests := []struct {
		name    string
		in      Situation
		way     string
		attempt DataAttempt
		outcome string // and what is said of it
		cure    string // what has to be in it
	}{
		{"a firewall in front of the server", behindNAT, "passive EPSV", DataAttempt{Stage: data.Silent, Target: "198.51.100.10:60088", Took: 8 * time.Second},
			"dialled 198.51.100.10:60088, no answer in 8s", "let its passive ports through the firewall"},
		{"a server behind NAT without forwarded ports", behindNAT, "passive EPSV",
			DataAttempt{Stage: data.Rejected, Target: "198.51.100.10:60088", Err: errors.New("connection refused")},
			"dialled 198.51.100.10:60088, connection refused", "forward them if it is behind NAT"},
		{"a server without passive mode", behindNAT, "passive PASV", DataAttempt{Stage: data.Refused, Reply: reply(502, "no PASV")},
			`the server says "502 no PASV"`, "has to offer passive mode"},
		{"a server without free ports", behindNAT, "passive EPSV", DataAttempt{Stage: data.Refused, Reply: reply(425, "no port")},
			`the server says "425 no port"`, "widen its range of passive ports"},
		{"a reply without a port", behindNAT, "passive EPSV", DataAttempt{Stage: data.Refused, Err: fmt.Errorf("%w: in %q", data.ErrNonsense, "229 soon")},
			`the reply names no port for data: in "229 soon"`, "garbles its reply"},
		{"a connection that came to nothing", behindNAT, "passive EPSV", DataAttempt{Stage: data.Broken, Target: "198.51.100.10:60088", Err: io.ErrUnexpectedEOF},
			"dialled 198.51.100.10:60088, unexpected EOF", "server's log"},
		{"a third host", behindNAT, "passive PASV", DataAttempt{Stage: data.Unusable, Err: fmt.Errorf("%w: 192.0.2.1:2000", data.ErrThirdHost)},
			"the server names another host for data: 192.0.2.1:2000", `data.pasv_address = "reply" and data.data_peer`},
		{"a privileged port", behindNAT, "passive PASV", DataAttempt{Stage: data.Unusable, Err: fmt.Errorf("%w: 25", data.ErrPrivilegedPort)},
			"the server names a privileged port for data: 25", "no honest server"},
		{"the network's refusal, without addresses that stand there already", behindNAT, "passive EPSV",
			DataAttempt{Stage: data.Rejected, Target: "198.51.100.10:60088", Err: fmt.Errorf("%w", &net.OpError{Op: "dial", Net: "tcp",
				Addr: &net.TCPAddr{IP: net.IPv4(198, 51, 100, 10), Port: 60088}, Err: os.NewSyscallError("connect", errors.New("no route to host"))})},
			"dialled 198.51.100.10:60088, no route to host", "forward them if it is behind NAT"},
		{"a refusal with its own cure, without the operation", behindNAT, "passive EPSV",
			DataAttempt{Stage: data.Broken, Target: "198.51.100.10:60088", Err: &Error{Op: "list", Path: "/in", Code: 425, Text: "Unable to build data connection",
				Err: fmt.Errorf("%w: %s; allow this", ErrNotResumed, strings.Repeat("very long ", 20))}},
			`dialled 198.51.100.10:60088, the server says "425 Unable to build data connection": ` + ErrNotResumed.Error() + ": " +
				strings.Repeat("very long ", 20) + "; allow this", "server's log"},
		{"a router that opens no ports", behindNAT, "mapped PORT", DataAttempt{Stage: data.Unusable, Err: &extip.GatewayError{
			Gateway: netip.MustParseAddr("10.10.0.1"), Reasons: []error{
				fmt.Errorf("PCP: %w: PCP result 8, NO_RESOURCES: it has no port left, or no public address of its own: ask the provider for one", extip.ErrRefused),
				fmt.Errorf("NAT-PMP: NAT-PMP: %w: it speaks PCP", extip.ErrUnsupported),
				fmt.Errorf("UPnP: %w to a UPnP search", extip.ErrNoGateway)}}},
			"router 10.10.0.1 opens no port: PCP refused, result 8, NO_RESOURCES: it has no port left, or no public address of its own, " +
				"NAT-PMP not spoken there, UPnP no answer", "let the router open ports"},
		{"strangers", behindNAT, "direct PORT", DataAttempt{Stage: data.Silent, Target: "203.0.113.7:50000", Err: fmt.Errorf("%w: 192.0.2.9", data.ErrStranger)},
			"announced 203.0.113.7:50000, another host than the server connected: 192.0.2.9", "data.data_peer"},
		{"an address that is not ours any more", behindNAT, "configured PORT",
			DataAttempt{Stage: data.Refused, Target: "203.0.113.8:50000", Reply: reply(500, "Illegal PORT command.")},
			`announced 203.0.113.8:50000, the server says "500 Illegal PORT command."`, `data.external_ip has to be 203.0.113.7, or "auto"`},
		{"ports that nobody forwards", prepared, "configured PORT",
			DataAttempt{Stage: data.Silent, Target: "203.0.113.7:51000", Listened: "10.10.0.2:50000", Took: 3500 * time.Millisecond},
			"announced 203.0.113.7:51000 for 10.10.0.2:50000, nobody connected in 3.5s", "forward ports 50000-50010 (data.active_ports) to 10.10.0.2"},
		{"assumed ports that nobody forwards", prepared, "forwarded PORT", DataAttempt{Stage: data.Silent, Target: "203.0.113.7:50000"},
			"announced 203.0.113.7:50000, nobody connected in 0s", "forward ports 50000-50010 (data.active_ports) to 10.10.0.2"},
		{"all configured ports are taken", prepared, "configured PORT", DataAttempt{Stage: data.Unusable, Err: errors.New("no free port in 50000-50010")},
			"no free port in 50000-50010", "other ports in data.active_ports"},
		{"a firewall in front of the client", behindNAT, "direct PORT", DataAttempt{Stage: data.Silent, Target: "203.0.113.7:40001"},
			"announced 203.0.113.7:40001, nobody connected in 0s", "let port 40001 through the firewall"},
		{"the server is told so by a firewall", behindNAT, "direct PORT",
			DataAttempt{Stage: data.Rejected, Target: "203.0.113.7:40001", Reply: reply(425, "Connection refused"), Err: data.ErrNotCalled},
			`announced 203.0.113.7:40001, the server says "425 Connection refused"`, "let port 40001 through the firewall"},
		{"two NATs", behindNAT, "mapped PORT", DataAttempt{Stage: data.Unusable, Err: errors.New("router 10.10.0.1 says 10.64.0.2, the server sees 203.0.113.7: two NATs")},
			"router 10.10.0.1 says 10.64.0.2, the server sees 203.0.113.7: two NATs", "ask the provider for a public address"},
		{"a mapping that leads nowhere", behindNAT, "mapped PORT", DataAttempt{Stage: data.Silent, Target: "203.0.113.7:50002"},
			"announced 203.0.113.7:50002, nobody connected in 0s", "another NAT or a firewall"},
		{"no helper, says the server", behindNAT, "helper PORT", DataAttempt{Stage: data.Refused, Target: "10.10.0.2:40001", Reply: reply(500, "Illegal PORT command.")},
			`announced 10.10.0.2:40001, the server says "500 Illegal PORT command."`, `to 10.10.0.2, and name them: data.active_ports = "50000-50010"`},
		{"no helper, says the silence", behindNAT, "helper PORT", DataAttempt{Stage: data.Silent, Target: "10.10.0.2:40001"},
			"announced 10.10.0.2:40001, nobody connected in 0s", `to 10.10.0.2, and name them: data.active_ports = "50000-50010"`},
		{"a server without active mode", Situation{}, "direct PORT", DataAttempt{Stage: data.Refused, Reply: reply(500, "no")}, `the server says "500 no"`, "allow active mode"},
		{"a NAT that changes ports", behindNAT, "punched PORT", DataAttempt{Stage: data.Silent, Target: "203.0.113.7:40001"},
			"announced 203.0.113.7:40001, nobody connected in 0s", "NAT changes ports"},
	}
	for _, test := range tests {
		test.attempt.Way = mustWay(t, test.way)
		if got := outcomeOf(test.attempt); got != test.outcome {
			t.Errorf("%s: the outcome is %q, want %q", test.name, got, test.outcome)
		}
		if got := test.in.Cure(test.attempt); !strings.Contains(got, test.cure) {
			t.Errorf("%s: the cure is %q, want something with %q", test.name, got, test.cure)
		}
	}
}

func exampleDataError(t *testing.T) *DataError {
	situation := behindNAT
	situation.Gateway = netip.MustParseAddr("10.10.0.1")
	return &DataError{
		Situation: situation,
		Attempts: []DataAttempt{
			{Way: mustWay(t, "passive EPSV"), Stage: data.Silent, Target: "198.51.100.10:60088", Took: 8001 * time.Millisecond, Err: errors.New("i/o timeout")},
			{Way: mustWay(t, "helper PORT"), Stage: data.Refused, Target: "10.10.0.2:40001", Reply: reply(500, "Illegal\x1b[2J PORT\ncommand."), Err: errors.New("no")},
			{Way: mustWay(t, "helper EPRT"), Stage: data.Refused, Target: "10.10.0.2:40001", Reply: reply(500, "no"), Err: errors.New("no")},
		},
		Notes: []string{"the sources say something else"},
		Unheard: map[string]error{
			extip.SourcePCP:    fmt.Errorf("PCP: %w: it may be switched off", extip.ErrRefused),
			extip.SourceNATPMP: fmt.Errorf("NAT-PMP: %w: read udp 10.10.0.2:38608->10.10.0.1:5351: read: connection refused", extip.ErrNoGateway),
			extip.SourceSTUN:   errors.New("STUN: no answer from 192.0.2.1"),
		},
	}
}

func TestTheBlockOfAnErrorWithoutDataChannel(t *testing.T) {
	e := &Error{Op: "store", Path: "/a\nb", Err: exampleDataError(t)}
	want := `store /a?b: no data channel to ftp.example (we are 10.10.0.2, the server sees us as 203.0.113.7)
  passive EPSV (we connect to the server): dialled 198.51.100.10:60088, no answer in 8s -> on the server's side: let its passive ports through the firewall
  helper PORT (the server connects through a NAT that reads along): announced 10.10.0.2:40001, the server says "500 Illegal\x1b[2J PORT / command." -> no NAT on the way puts its own address there; at the router, forward some ports to 10.10.0.2, and name them: data.active_ports = "50000-50010"
  helper EPRT (the server connects through a NAT that reads along): announced 10.10.0.2:40001, the server says "500 no"
  note: the sources say something else
  note: the router 10.10.0.1 opens no ports by itself: NAT-PMP no answer, PCP refused, it may be switched off
  note: STUN: no answer from 192.0.2.1`
	if got := e.Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got := exampleDataError(t).Summary(); strings.Contains(got, "\n") || !strings.Contains(got, "no answer in 8s; helper PORT announced") {
		t.Errorf("summary %q", got)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Warn("no data channel", "problem", exampleDataError(t))
	for _, attribute := range []string{"problem.host=ftp.example", "problem.seen_as=203.0.113.7", "problem.passive_EPSV.target=198.51.100.10:60088",
		"problem.passive_EPSV.took_ms=8001", "problem.helper_PORT.cure=", "problem.notes="} {
		if !strings.Contains(log.String(), attribute) {
			t.Errorf("the log has no %s: %s", attribute, log.String())
		}
	}
}

func TestTheLogOfAnErrorWithoutDataChannelIsReadable(t *testing.T) {
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "problem", exampleDataError(t))
	if !strings.Contains(log.String(), `"took_ms":8001`) {
		t.Errorf("how long it took is not readable: %s", log.String())
	}
}

// TestNoLineOfTheBlockRepeatsAnother is about the router, of which three sources and an attempt tell.
func TestNoLineOfTheBlockRepeatsAnother(t *testing.T) {
	e := exampleDataError(t)
	e.Notes = []string{"the gateway (PCP) says 1.2.3.9, but the server sees us as 1.2.3.2: two NATs", "STUN says something else"}
	e.Attempts = append(e.Attempts, DataAttempt{Way: mustWay(t, "mapped PORT"), Stage: data.Unusable, Err: errors.New("router 10.10.0.1 says 1.2.3.9")})
	got := e.Error()
	if strings.Contains(got, "note: the gateway") || strings.Contains(got, "opens no ports by itself") || !strings.Contains(got, "note: STUN says something else") {
		t.Errorf("%s", got)
	}
	if cures := strings.Count(got, "data.active_ports"); cures != 1 {
		t.Errorf("ports are spoken of %d times: %s", cures, got)
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "problem", e)
	if strings.Contains(log.String(), "the gateway (PCP)") {
		t.Errorf("the log repeats it: %s", log.String())
	}
}

func TestHintsOfAnErrorWithoutDataChannel(t *testing.T) {
	secret := exampleDataError(t)
	secret.TLS, secret.PlainHelper = true, true
	if got := secret.Error(); !strings.Contains(got, "worked from here without TLS") {
		t.Errorf("no word of the helper: %s", got)
	}
	secret.PlainHelper, secret.Port = false, 21
	if got := secret.Error(); !strings.Contains(got, "TLS hides the commands from a NAT") {
		t.Errorf("no word of what TLS hides: %s", got)
	}
	for name, change := range map[string]func(*DataError){
		"a port of which no NAT knows":  func(e *DataError) { e.Port = 990 },
		"no NAT":                        func(e *DataError) { e.View = e.Local },
		"clear text, which it can read": func(e *DataError) { e.TLS = false },
	} {
		other := *secret
		if change(&other); strings.Contains(other.Error(), "TLS hides") {
			t.Errorf("%s: TLS is to blame: %s", name, &other)
		}
	}
	secret.TLS, secret.PlainHelper = false, true
	if got := secret.Error(); strings.Contains(got, "worked from here without TLS") {
		t.Errorf("a helper without TLS is no reason: %s", got)
	}
	secret.Policy = DataPassiveOnly
	if got := secret.Error(); !strings.Contains(got, "only passive ways are allowed") || strings.Contains(got, "not prepared") {
		t.Errorf("no word of what is allowed: %s", got)
	}
}
