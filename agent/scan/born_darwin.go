package scan

import (
	"os"
	"syscall"
	"time"
)

// born is when what is at a local path was made, zero if nobody says.
func born(root *os.Root, rel string) time.Time {
	info, err := root.Lstat(osPath(rel))
	if err != nil {
		return time.Time{}
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Birthtimespec.Unix())
	}
	return time.Time{}
}
