//go:build !linux

package ftptest

import (
	"errors"
	"testing"
)

// DeafPort is there on Linux only; ask by [Need].
func DeafPort(t testing.TB) int {
	t.Helper()
	t.Fatalf("%v; Need(t, %q) comes first", probeDeafPort(), "deaf port")
	return 0
}

// DeafAddress is there on Linux only; ask by [Need].
func DeafAddress(t testing.TB, _ string) int { return DeafPort(t) }

func probeDeafPort() error {
	return errors.New("there on Linux only; run the tests there to include it")
}
