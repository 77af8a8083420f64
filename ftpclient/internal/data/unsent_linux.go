package data

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// Unsent is how many bytes that were written have not reached the peer's system yet, and
// whether that is known.
func (g *Guarded) Unsent() (count int, known bool) {
	socket, ok := g.Conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0, false
	}
	failed := raw.Control(func(fd uintptr) { count, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return count, failed == nil && err == nil
}
