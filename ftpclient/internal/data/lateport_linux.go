package data

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// latePort has the system choose the local port when the socket connects, and not when its address is bound: a port that another
// connection has had may go to any other destination. Else the ports of this machine would be used up by some 28,000 small files a
// minute, as each leaves one behind for that long, and to find a free one among thousands costs more than all else of a file. See
// IP_BIND_ADDRESS_NO_PORT in ip(7). A kernel before 4.2 does it the other way.
func latePort(_ context.Context, _, _ string, socket syscall.RawConn) error {
	return socket.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) })
}
