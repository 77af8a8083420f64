//go:build unix

package state

import (
	"os"
	"syscall"
)

// sameOwner gives a file the owner, the group and the mode of another: when root runs the program once by hand, the
// service must still be able to open its file.
func sameOwner(from, to *os.File) error {
	info, err := from.Stat()
	if err != nil {
		return err
	}
	now, err := to.Stat()
	if err != nil {
		return err
	}
	want, ok := info.Sys().(*syscall.Stat_t)
	have, okay := now.Sys().(*syscall.Stat_t)
	if ok && okay && (want.Uid != have.Uid || want.Gid != have.Gid) {
		if err := to.Chown(int(want.Uid), int(want.Gid)); err != nil {
			return err
		}
	}
	return to.Chmod(info.Mode().Perm())
}
