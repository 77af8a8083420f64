package scan

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/ftpferry/ftpferry/state"
)

func deviceOfHandle(handle uintptr) (device state.Device) {
	var stat unix.Stat_t
	if unix.Fstat(int(handle), &stat) == nil {
		device.Number = uint64(uint32(stat.Dev))
	}
	var fs unix.Statfs_t
	if unix.Fstatfs(int(handle), &fs) == nil {
		device.ID = fmt.Sprintf("%08x%08x", uint32(fs.Fsid.Val[0]), uint32(fs.Fsid.Val[1]))
		device.Mount = unix.ByteSliceToString(fs.Mntfromname[:]) + " " + unix.ByteSliceToString(fs.Fstypename[:])
	}
	return device
}
