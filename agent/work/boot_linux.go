package work

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is how long this machine has been running; ok is false where nobody tells.
func uptime() (d time.Duration, ok bool) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, false
	}
	return time.Duration(info.Uptime) * time.Second, true
}
