package work

import (
	"os"

	"golang.org/x/sys/unix"
)

// dropCache asks for a file that is on disk to be read from there next time. If that is refused, memory answers.
func dropCache(file *os.File) { _ = unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED) }
