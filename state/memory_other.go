//go:build !linux

package state

// forgetPages leaves it to the system: elsewhere the advice is none, or does not count.
func forgetPages(_, _ uintptr) {}

func processSize() (size int64, known bool) { return 0, false }
