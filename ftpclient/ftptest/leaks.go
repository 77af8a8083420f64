package ftptest

import (
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leakPatience is how long a goroutine or a descriptor may take to go away: the kernel and the other side have a say.
const leakPatience = time.Minute

// memoryWithoutCollection is how much a test may use before the garbage is collected all the same.
const memoryWithoutCollection = 1 << 30

// Leaks sees to it that at the end of the test no goroutine is left that was not there at the call, and, on Linux, no
// file, pipe or socket either: it switches the garbage collector off, which would close what is forgotten. Call it first, so that it looks after all other cleanups, and not in a test that runs in
// parallel with others; its own subtests may.
func Leaks(t testing.TB) {
	t.Helper()
	leaksAfter(t, leakPatience)
}

// leaksAfter is apart from [Leaks] for tests that leave something.
func leaksAfter(t testing.TB, patience time.Duration) {
	t.Helper()
	known := goleak.IgnoreCurrent()
	before := descriptors()
	// The collector closes what was forgotten, and nobody would see it.
	percent, limit := debug.SetGCPercent(-1), debug.SetMemoryLimit(memoryWithoutCollection)
	t.Cleanup(func() {
		defer debug.SetGCPercent(percent)
		defer debug.SetMemoryLimit(limit)
		deadline := time.Now().Add(patience)
		err := goleak.Find(known)
		for err != nil && time.Now().Before(deadline) { // its own patience is half a second
			err = goleak.Find(known)
		}
		if err != nil {
			t.Errorf("left behind: %v", err)
		}
		var left []string
		for ; ; time.Sleep(20 * time.Millisecond) {
			left = left[:0]
			for number, what := range descriptors() {
				if before[number] != what {
					left = append(left, number+" "+what)
				}
			}
			if len(left) == 0 || time.Now().After(deadline) {
				break
			}
		}
		if slices.Sort(left); len(left) > 0 {
			t.Errorf("left open: %s", strings.Join(left, ", "))
		}
	})
}

// descriptors maps the numbers of what this process has open to what it is; empty where the system does not tell. What
// the runtime keeps for itself is left out.
func descriptors() map[string]string {
	const folder = "/proc/self/fd"
	open := map[string]string{}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return open
	}
	for _, entry := range entries {
		if what, err := os.Readlink(filepath.Join(folder, entry.Name())); err == nil {
			open[entry.Name()] = what
		} // else it was the folder itself
	}
	maps.DeleteFunc(open, func(_, what string) bool { return strings.HasPrefix(what, "anon_inode:") })
	return open
}
