// Package data decides which data channel to try next, and opens it.
package data

import (
	"fmt"
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
