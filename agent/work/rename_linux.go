package work

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// renameNew renames from to to, never over something: then the error is fs.ErrExist.
func renameNew(root *os.Root, from, to string) error {
	old, err := openPlain(root, filepath.Dir(from))
	if err != nil {
		return err
	}
	defer old.Close()
	folder, err := openPlain(root, filepath.Dir(to))
	if err != nil {
		return err
	}
	defer folder.Close()
	err = unix.Renameat2(int(old.Fd()), filepath.Base(from), int(folder.Fd()), filepath.Base(to), unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) { // not on every filesystem
		return lookThenRename(root, from, to)
	}
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// openPlain is plainFolder as a file.
func openPlain(root *os.Root, rel string) (*os.File, error) {
	folder, err := plainFolder(root, rel)
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	return folder.Open(".")
}
