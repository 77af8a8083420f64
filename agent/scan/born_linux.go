package scan

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// born is when what is at a local path was made, zero if nobody says.
func born(root *os.Root, rel string) (at time.Time) {
	file, err := OpenLocal(root, rel)
	if err != nil {
		return at
	}
	defer file.Close()
	conn, err := file.SyscallConn()
	if err != nil {
		return at
	}
	_ = conn.Control(func(handle uintptr) { // an error leaves the zero time
		var found unix.Statx_t
		if unix.Statx(int(handle), "", unix.AT_EMPTY_PATH, unix.STATX_BTIME, &found) == nil && found.Mask&unix.STATX_BTIME != 0 {
			at = time.Unix(found.Btime.Sec, int64(found.Btime.Nsec))
		}
	})
	return at
}
