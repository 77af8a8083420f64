//go:build !linux

package data

import (
	"net"
	"time"
)

// LimitSilence does nothing: this system has no such option.
func LimitSilence(net.Conn, time.Duration) {}
