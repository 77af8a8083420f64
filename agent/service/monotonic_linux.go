package service

import "golang.org/x/sys/unix"

// monotonicMicroseconds is the clock by which systemd tells which reload a notification is about.
func monotonicMicroseconds() int64 {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0 // no kernel refuses this clock
	}
	return now.Nano() / 1000
}
