// Package data decides which data channel to try next, and opens it.
package data

import (
	"fmt"
	"net/netip"
	"time"
)

// Mode is a way to get a data connection.
type Mode uint8

const (
	// EPSV asks the server for a port on the address of the control connection (RFC 2428).
	EPSV Mode = iota + 1
	// PASV asks the server for an IPv4 address and port (RFC 959).
	PASV
	// EPRT tells the server where to connect to (RFC 2428).
	EPRT
	// PORT tells the server where to connect to, IPv4 only (RFC 959).
	PORT
)

var modeNames = map[Mode]string{EPSV: "EPSV", PASV: "PASV", EPRT: "EPRT", PORT: "PORT"}

// String returns the command that the mode is named after.
func (m Mode) String() string {
	if name, ok := modeNames[m]; ok {
		return name
	}
	return fmt.Sprintf("Mode(%d)", uint8(m))
}

// Passive reports whether the client connects to the server.
func (m Mode) Passive() bool { return m == EPSV || m == PASV }

// Policy restricts the modes that may be tried.
type Policy uint8

const (
	// Auto tries passive modes first, and active ones where Env.ActiveReachable.
	Auto Policy = iota
	// PassiveOnly never lets the server connect to us.
	PassiveOnly
	// ActiveOnly never connects to a port that the server names.
	ActiveOnly
)

// Env is what is known before a data connection is opened.
type Env struct {
	Policy Policy
	// Server is the control connection's far end.
	Server netip.AddrPort
	// ActiveReachable says that an operator told us ports on which the server reaches us.
	ActiveReachable bool
	// Remembered is the mode that worked last on this server, 0 when unknown.
	Remembered Mode
	// EPSVRefused says that the server has answered EPSV with a 5yz before.
	EPSVRefused bool
}

// Stage is how far an attempt got.
type Stage uint8

const (
	// Refused: the server answered the command (EPSV, PASV, EPRT, PORT) with an error.
	Refused Stage = iota + 1
	// Unreachable: the command was accepted but no connection came to be.
	Unreachable
)

// Attempt is a mode that did not work.
type Attempt struct {
	Mode  Mode
	Stage Stage
	// Target is what was dialled or announced.
	Target string
	Took   time.Duration
	Err    error
}

// String tells the attempt in one line.
func (a Attempt) String() string {
	if a.Target == "" {
		return fmt.Sprintf("%s: %v", a.Mode, a.Err)
	}
	return fmt.Sprintf("%s %s: %v", a.Mode, a.Target, a.Err)
}

// Next returns the mode to try after the attempts in tried, and false when nothing is left.
// It is pure. The order is: what worked last, EPSV, PASV (IPv4 only), then, where the
// server can reach us, EPRT and PORT.
func Next(env Env, tried []Attempt) (Mode, bool) {
	candidates := []Mode{env.Remembered, EPSV, PASV, EPRT, PORT}
	ipv4 := env.Server.Addr().Unmap().Is4()
	if ipv4 {
		// PORT is the older word and works wherever EPRT does on IPv4, also through old
		// firewalls that only know PORT.
		candidates[3], candidates[4] = PORT, EPRT
	}
	for _, mode := range candidates {
		if allowed(env, mode, ipv4) && !given(tried, mode) {
			return mode, true
		}
	}
	return 0, false
}

func allowed(env Env, mode Mode, ipv4 bool) bool {
	switch mode {
	case EPSV:
		return env.Policy != ActiveOnly && !env.EPSVRefused
	case PASV:
		return env.Policy != ActiveOnly && ipv4
	case EPRT:
		return env.Policy == ActiveOnly || env.Policy == Auto && env.ActiveReachable
	case PORT:
		return ipv4 && (env.Policy == ActiveOnly || env.Policy == Auto && env.ActiveReachable)
	}
	return false
}

func given(tried []Attempt, mode Mode) bool {
	for _, a := range tried {
		if a.Mode == mode {
			return true
		}
	}
	return false
}
