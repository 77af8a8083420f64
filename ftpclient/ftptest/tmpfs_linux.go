package ftptest

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

// Tmpfs returns a new file system of that size, in bytes, which goes away with the test. Ask for it with Need(t, "tmpfs").
func Tmpfs(t testing.TB, size int) string {
	t.Helper()
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, tmpfsSize(size)); err != nil {
		t.Fatalf("mount a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(folder, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", folder, err)
		}
	})
	return folder
}

// RemountTmpfs gives such a file system another size, or lets nobody write to it.
func RemountTmpfs(t testing.TB, folder string, size int, readOnly bool) {
	t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	if err := syscall.Mount("tmpfs", folder, "tmpfs", flags, tmpfsSize(size)); err != nil {
		t.Fatalf("remount %s: %v", folder, err)
	}
}

func tmpfsSize(size int) string { return fmt.Sprintf("size=%d,mode=0777", size) }

func probeTmpfs() error {
	if err := probeRoot(); err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "ftptest")
	if err != nil {
		return err
	}
	defer os.Remove(folder)
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, tmpfsSize(1<<16)); err != nil {
		return fmt.Errorf("no file system can be mounted: %w; run the tests outside of containers or in a privileged one", err)
	}
	return syscall.Unmount(folder, syscall.MNT_DETACH)
}
