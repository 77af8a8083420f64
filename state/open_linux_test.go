package state

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// waitForOpen waits until this process has the file at path open that often.
func waitForOpen(t *testing.T, path string, times int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		descriptors, err := filepath.Glob("/proc/self/fd/*")
		check(t, err)
		found := 0
		for _, descriptor := range descriptors {
			if name, err := os.Readlink(descriptor); err == nil && name == path {
				found++
			}
		}
		if found >= times {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the file is open %d times, want %d", found, times)
		}
	}
}
