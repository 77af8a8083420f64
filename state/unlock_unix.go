//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package state

import (
	"os"

	"golang.org/x/sys/unix"
)

// unlock lets go of the engine's lock. Closing the file is not enough: a memory map that the
// engine leaves behind when it panics keeps the open file, and with it the lock, alive.
func unlock(file *os.File) { _ = unix.Flock(int(file.Fd()), unix.LOCK_UN) }
