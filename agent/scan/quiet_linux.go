package scan

import (
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func touched(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctim.Unix())
	}
	return time.Time{}
}

// Writers reports whether somebody has the file open for writing, or mapped into memory for that; false where nobody can tell.
// The file must be open for reading alone.
//
// A read lease is refused with EAGAIN in just these cases (fcntl(2), F_SETLEASE), and with other errors to those who do not own
// the file, and on filesystems that have none. It is given back at once: whoever opens the file for writing in between waits for
// these microseconds, and this process gets a SIGIO, which Go programs ignore.
func Writers(file *os.File) (written bool) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false
	}
	_ = conn.Control(func(handle uintptr) { // an error means that the file is closed
		switch _, err := unix.FcntlInt(handle, unix.F_SETLEASE, unix.F_RDLCK); err {
		case nil:
			_, _ = unix.FcntlInt(handle, unix.F_SETLEASE, unix.F_UNLCK) // or when the file is closed, soon
		case unix.EAGAIN:
			written = true
		}
	})
	return written
}
