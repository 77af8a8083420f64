package scan

import (
	"os"

	"github.com/ftpferry/ftpferry/state"
)

// deviceOf tells the filesystem of the local folder, as far as the system says: a folder that a disk is mounted on looks the same
// without that disk, but for what is in it.
func deviceOf(root *os.Root) (device state.Device) {
	dir, err := root.Open(".")
	if err != nil {
		return device
	}
	defer dir.Close()
	conn, err := dir.SyscallConn()
	if err != nil {
		return device
	}
	if err := conn.Control(func(handle uintptr) { device = deviceOfHandle(handle) }); err != nil {
		return state.Device{}
	}
	return device
}
