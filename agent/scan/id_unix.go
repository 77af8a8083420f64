//go:build unix

package scan

import (
	"io/fs"
	"syscall"
)

// localID is the number of the inode: a file keeps it when it is renamed.
func localID(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}
