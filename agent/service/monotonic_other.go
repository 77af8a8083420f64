//go:build !linux

package service

// monotonicMicroseconds has nobody to tell it to: systemd is for Linux.
func monotonicMicroseconds() int64 { return 0 }
