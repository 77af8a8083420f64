package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestNoRoomForTheState fills the disk of the state: the program ends and says what to do, and goes on when there is room.
func TestNoRoomForTheState(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	eachDirection(t, "pyftpdlib", func(t *testing.T, server *ftptest.RealServer, direction string) {
		folder := ftptest.Tmpfs(t, 128<<10, false)
		g := newPair(t, server, plot{direction: direction, states: folder})
		files := map[string]int{}
		for i := range 300 {
			files[fmt.Sprintf("folder %d/%s %d", i%7, strings.Repeat("long name ", 10), i)] = 1
		}
		fill(t, g.source(), files)
		g.mustRun(1, []string{g.stateFile(), "no room for the state file", "make room"}, "once")
		for path := range files {
			content, err := os.ReadFile(filepath.Join(g.target(), path))
			if err == nil && string(content) != path {
				t.Errorf("%s: %q at the target", path, content)
			}
		}
		ftptest.RemountTmpfs(t, folder, 64<<20, false)
		g.mustBeInStep("when there is room")
	})
}

// TestNoRoomForDownloads fills the disk of the local folder: what has no room waits and says why, nothing torn is to be
// seen, and it goes on when there is room.
func TestNoRoomForDownloads(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	t.Parallel()
	folder := ftptest.Tmpfs(t, 1<<20, false)
	// One after the other, small ones first: what is next to a file that fills the disk has no room either.
	g := newPair(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), plot{direction: "down", local: folder, settings: "connections = 1"})
	fill(t, g.remote, map[string]int{"small": 1000, "huge": 1 << 19, "tiny": 1})
	g.mustRun(75, []string{"left: huge", "no space left on device"}, "once")
	want := hashes(t, g.remote)
	delete(want, "huge")
	if diff := cmp.Diff(want, hashes(t, g.local)); diff != "" {
		t.Errorf("want (-) and have (+) without room:\n%s", diff)
	}
	ftptest.RemountTmpfs(t, folder, 64<<20, false)
	g.mustBeInStep("when there is room")
}

// TestReadOnlyState has the disk of the state be read-only, as after an error of the disk.
func TestReadOnlyState(t *testing.T) {
	ftptest.Need(t, "tmpfs")
	t.Parallel()
	folder := ftptest.Tmpfs(t, 64<<20, false)
	g := inStep(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), plot{direction: "up", states: folder})
	fill(t, g.local, map[string]int{"new": 3})
	ftptest.RemountTmpfs(t, folder, 64<<20, true)
	g.mustBeUntouched(func() {
		for _, command := range []string{"once", "run"} {
			g.mustRun(1, []string{g.stateFile(), "read-only file system"}, command)
		}
		g.mustRun(0, []string{"new"}, "plan")
	})
	ftptest.RemountTmpfs(t, folder, 64<<20, false)
	g.mustBeInStep("when it can be written")
}
