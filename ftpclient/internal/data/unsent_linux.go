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

// limitUnsent has the system take in no more than mostUnsent bytes that it cannot send yet. It bounds no buffer: how much may be on
// its way is the system's business as before. An error changes nothing but how far the count of what has moved is ahead.
func (g *Guarded) limitUnsent() {
	socket, ok := g.Conn.(syscall.Conn)
	if !ok {
		return
	}
	if raw, err := socket.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, mostUnsent) })
	}
}
