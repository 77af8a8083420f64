//go:build unix

package state

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"

	bolterrors "go.etcd.io/bbolt/errors"
)

// isFull says that an error means that the file cannot grow.
func isFull(err error) bool {
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		return true
	}
	for _, number := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG} {
		// The engine keeps only the text of what truncate and fsync say.
		if errors.Is(err, number) || err != nil && strings.Contains(err.Error(), number.Error()) {
			return true
		}
	}
	return false
}

// isDenied says that an error means that the user of this process may not write here.
func isDenied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// syncFolder makes the names in a folder survive a power loss. Not every file system can do it; then there is nothing to
// be done about it.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = folder.Close() }()
	if err := folder.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.ENOTSUP) {
		return err
	}
	return nil
}
