package agent_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestServersThatTellLocalTimes: what they say is five hours off, and nothing is sent twice for that.
func TestServersThatTellLocalTimes(t *testing.T) {
	for _, name := range ftptest.RealServers {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+"/"+direction, func(t *testing.T) {
				t.Parallel()
				options := ftptest.RealOptions{TimeZone: "EST5", LocalTime: ftptest.Offers(name, "LocalTime")}
				r := newRig(t, ftptest.Real(t, name, options), direction)
				source, target := r.local, r.remote
				if direction == "down" {
					source, target = target, source
				}
				old := time.Date(2024, 2, 29, 12, 34, 56, 0, time.UTC)
				fill(t, source, map[string]string{"old.txt": "1", "b/old.txt": "2", "b/new.txt": "3", "c.txt": "4", "d.txt": "5"})
				for _, path := range []string{"old.txt", "b/old.txt"} {
					if err := os.Chtimes(filepath.Join(source, path), old, old); err != nil {
						t.Fatal(err)
					}
				}
				r.mustBeInStep("two passes")
				r.mustBeInStep("two more")
				for _, path := range []string{"old.txt", "b/old.txt"} {
					info, err := os.Stat(filepath.Join(target, path))
					if err != nil || direction == "up" && !info.ModTime().Equal(old) {
						t.Errorf("%s is of %v, %v", path, info.ModTime().UTC(), err)
					}
				}
				fill(t, source, map[string]string{"old.txt": "another", "e.txt": "new"})
				if third := r.mustBeInStep("after changes"); third.Transferred != 2 {
					t.Errorf("after changes: %+v", third)
				}
			})
		}
	}
}
