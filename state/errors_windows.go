package state

import (
	"errors"
	"io/fs"

	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/windows"
)

// isFull says that an error means that the file cannot grow.
func isFull(err error) bool {
	return errors.Is(err, bolterrors.ErrMaxSizeReached) || errors.Is(err, windows.ERROR_DISK_FULL) ||
		errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// isDenied says that an error means that the user of this process may not write here.
func isDenied(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, windows.ERROR_WRITE_PROTECT)
}

// syncFolder has nothing to do: the system keeps names by itself.
func syncFolder(string) error { return nil }
