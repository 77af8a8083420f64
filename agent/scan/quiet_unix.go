//go:build darwin || freebsd || netbsd

package scan

import (
	"io/fs"
	"syscall"
	"time"
)

func touched(info fs.FileInfo) time.Time {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(stat.Ctimespec.Unix())
	}
	return time.Time{}
}
