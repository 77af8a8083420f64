package data

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// Method is a way through whatever lies between client and server.
type Method uint8

const (
	// Passive: the client connects to the port that the server names.
	Passive Method = iota + 1
	// Configured: the server connects to the external address that an operator has configured.
	Configured
	// Direct: the server connects to the client's own address; nothing translates.
	Direct
	// Mapped: the server connects to a port that the gateway was asked to open.
	Mapped
	// Helper: the client's private address is announced, and a NAT that reads along (an
	// application level gateway) puts its own there.
	Helper
	// Forwarded: the external address that was found out is announced, with configured ports,
	// which somebody may have forwarded.
	Forwarded
	// Punched: the client's own call opens the NAT for that of the server.
	Punched
)

var methodNames = map[Method]string{
	Passive: "passive", Configured: "configured", Direct: "direct", Mapped: "mapped",
	Helper: "helper", Forwarded: "forwarded", Punched: "punched",
}

// String returns the method's name, in lower case.
func (m Method) String() string {
	if name, ok := methodNames[m]; ok {
		return name
	}
	return fmt.Sprintf("Method(%d)", uint8(m))
}

// Way is a method and the command that asks the server for it. As a text it is "passive EPSV".
type Way struct {
	Method  Method
	Command Mode
}

// String returns the way as ParseWay reads it.
func (w Way) String() string { return w.Method.String() + " " + w.Command.String() }

// ParseWay reads what Way.String wrote.
func ParseWay(text string) (Way, bool) {
	method, command, _ := strings.Cut(text, " ")
	var w Way
	for m, name := range methodNames {
		if name == method {
			w.Method = m
		}
	}
	for m, name := range modeNames {
		if name == command {
			w.Command = m
		}
	}
	return w, w.Method != 0 && w.Command != 0
}

// Policy restricts the ways that may be tried.
type Policy uint8

const (
	// Auto tries passive ways first.
	Auto Policy = iota
	// PassiveOnly never lets the server connect to us.
	PassiveOnly
	// ActiveOnly never connects to a port that the server names.
	ActiveOnly
)

// Env is what is known before a data connection is opened.
type Env struct {
	Policy Policy
	// Local and Server are the ends of the control connection.
	Local, Server netip.AddrPort
	TLS           bool
	// TrustPASV says that the address in the reply to PASV is dialled, so that PASV may work
	// where EPSV was silent.
	TrustPASV bool
	// Ports says that an operator configured the ports to listen on.
	Ports bool
	// External is the external address that an operator configured, if any.
	External netip.Addr
	// Punching says that an operator allows hole punching, and that this system can.
	Punching bool
	// EPSVRefused says that the server has answered EPSV with a 5yz before.
	EPSVRefused bool
	// Remembered is the way that worked last with this server from this network, the zero Way
	// when unknown.
	Remembered Way

	// Surveyed says that the fields below are known. Until then Next judges active ways by the
	// most that they could be, and the caller has to find out before it takes an active one.
	Surveyed bool
	// View is the client's address as the server sees it, if it tells.
	View netip.Addr
	// Detected is the best external address known (View before all others), if any.
	Detected netip.Addr
	// PortsChange says that the NAT was seen to give outgoing connections other ports than they had,
	// so that nobody knows which one a hole is at.
	PortsChange bool
	// Mapper says that the gateway speaks a protocol for opening ports.
	Mapper bool
}

// Stage is how far an attempt got.
type Stage uint8

const (
	// Refused: the server answered the command (EPSV, PASV, EPRT, PORT) with an error or nonsense.
	Refused Stage = iota + 1
	// Unusable: there was nothing to dial or to announce that could work or may be used: a
	// gateway without an external address, a reply that names another host.
	Unusable
	// Rejected: the network refused the connection at once (reset, unreachable).
	Rejected
	// Silent: nobody answered or called within the time.
	Silent
	// Broken: there was a connection, but nothing came of it: no TLS, not the server.
	Broken
)

// Attempt is a way that did not work.
type Attempt struct {
	Way   Way
	Stage Stage
	// Target is the address and port that was dialled or announced, for people; "" when it
	// did not come to that.
	Target string
	// Listened is the local address and port in active ways, "" if none.
	Listened string
	Took     time.Duration
	// Reply is the last one of the server about it, if there was any: the refusal, or the
	// agreement to what then stayed silent, or the 425 at the end.
	Reply control.Reply
	Err   error
}

// String tells the attempt in one line.
func (a Attempt) String() string {
	if a.Target == "" {
		return fmt.Sprintf("%s: %v", a.Way, a.Err)
	}
	return fmt.Sprintf("%s %s: %v", a.Way, a.Target, a.Err)
}
