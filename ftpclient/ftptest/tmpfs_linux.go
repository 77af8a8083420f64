package ftptest

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
)

// Tmpfs mounts a file system of that many bytes, of which files get a little less, and returns its folder, open to all users. It is gone with
// the test. With readOnly nothing can be written to it. Ask for it with [Need], as "tmpfs".
func Tmpfs(t testing.TB, size int64, readOnly bool) string {
	t.Helper()
	folder := t.TempDir()
	if err := mountTmpfs(folder, size, readOnly); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
	})
	return folder
}

// RemountTmpfs gives one that Tmpfs has made another size, or makes it read-only.
func RemountTmpfs(t testing.TB, folder string, size int64, readOnly bool) {
	t.Helper()
	if err := syscall.Mount("none", folder, "tmpfs", syscall.MS_REMOUNT|tmpfsFlags(readOnly), fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
}

func mountTmpfs(folder string, size int64, readOnly bool) error {
	return syscall.Mount("none", folder, "tmpfs", tmpfsFlags(readOnly), fmt.Sprintf("size=%d,mode=0777", size))
}

func tmpfsFlags(readOnly bool) uintptr {
	if readOnly {
		return syscall.MS_RDONLY
	}
	return 0
}

func probeTmpfs() error {
	folder, err := os.MkdirTemp("", "ftptest-tmpfs-")
	if err != nil {
		return err
	}
	defer os.Remove(folder)
	if err := mountTmpfs(folder, 64<<10, false); err != nil {
		return errors.Join(errors.New("cannot mount file systems; run the tests as root, outside of containers or in a privileged one"), err)
	}
	return syscall.Unmount(folder, 0)
}
