package ftpclient

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// splices reports whether file can be spliced to: some file systems cannot, and files that are appended to. Else that would show
// when the first bytes are out of the socket and nowhere. A pipe with nothing in it tells, and changes nothing.
func splices(file *os.File) bool {
	var ends [2]int
	if unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return false
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	raw, err := file.SyscallConn()
	if err != nil {
		return false
	}
	var refusal error
	err = raw.Control(func(fd uintptr) {
		_, refusal = unix.Splice(ends[0], nil, int(fd), nil, 1, unix.SPLICE_F_NONBLOCK)
	})
	return err == nil && errors.Is(refusal, unix.EAGAIN)
}
