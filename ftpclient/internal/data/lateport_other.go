//go:build !linux

package data

import (
	"context"
	"syscall"
)

// latePort is nil where the system knows no such thing, or does it anyway.
var latePort func(ctx context.Context, network, address string, socket syscall.RawConn) error
