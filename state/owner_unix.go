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

// ownerOfFolder gives a new file to whom its folder belongs to, if root makes it: "sudo ftpferry pause" must not leave a state that
// the service cannot open. Who may not do that is left with its own file.
func ownerOfFolder(file *os.File, folder string) {
	info, err := os.Stat(folder)
	if err != nil || os.Geteuid() != 0 {
		return
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 {
		_ = file.Chown(int(owner.Uid), int(owner.Gid))
	}
}
