//go:build unix

package main

import (
	"io/fs"
	"syscall"
)

// fileIdentity is what tells an open file from all others.
func fileIdentity(info fs.FileInfo) (device, inode uint64, known bool) {
	if system, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(system.Dev), uint64(system.Ino), true
	}
	return 0, 0, false
}
