//go:build !linux

package ftptest

import (
	"errors"
	"testing"
)

// Tmpfs is there on Linux only; ask for it with [Need], as "tmpfs".
func Tmpfs(t testing.TB, _ int64, _ bool) string {
	t.Helper()
	t.Fatal(probeTmpfs())
	return ""
}

// RemountTmpfs is there on Linux only.
func RemountTmpfs(t testing.TB, _ string, _ int64, _ bool) {
	t.Helper()
	t.Fatal(probeTmpfs())
}

func probeTmpfs() error { return errors.New("there on Linux only; run the tests there to include it") }
