package work

import (
	"time"

	"golang.org/x/sys/unix"
)

// uptime is how long this machine has been running; ok is false where nobody tells.
func uptime() (d time.Duration, ok bool) {
	boot, err := unix.SysctlTimeval("kern.boottime")
	if err != nil {
		return 0, false
	}
	return time.Since(time.Unix(boot.Unix())), true
}
