package work

import (
	"time"

	"golang.org/x/sys/windows"
)

// uptime is how long this machine has been running; ok is false where nobody tells.
func uptime() (d time.Duration, ok bool) { return windows.DurationSinceBoot(), true }
