//go:build !linux

package data

import (
	"context"
	"errors"
	"net/netip"
)

// CanPunch reports whether Punched works on this system.
const CanPunch = false

func listenPunching(context.Context, *listening, Endpoints, Options) (Pending, netip.AddrPort, error) {
	return nil, netip.AddrPort{}, errors.New("hole punching works on Linux only")
}
