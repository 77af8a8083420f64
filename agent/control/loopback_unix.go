//go:build unix

package control

import (
	"os"
	"syscall"
)

// createPrivate makes a file that only its owner may read.
func createPrivate(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// isTrusted reports whether a file belongs to the owner of its folder or to the system, since in some folders everybody may make files.
func isTrusted(path, folder string) (bool, error) {
	var file, around syscall.Stat_t
	if err := syscall.Stat(path, &file); err != nil {
		return false, err
	}
	if err := syscall.Stat(folder, &around); err != nil {
		return false, err
	}
	return file.Uid == 0 || file.Uid == around.Uid, nil
}
