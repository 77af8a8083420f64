package main

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestAKilledUploadGoesOn kills the program in the middle of a file: the next start sends the rest of it and no more.
func TestAKilledUploadGoesOn(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const size = 20 << 20
			server := ftptest.Real(t, name, ftptest.RealOptions{Throttle: 5 << 20})
			g := newPair(t, server, plot{direction: "up", settings: "connections = 1"})
			fill(t, g.local, map[string]int{"abcdefgh": size / 8})
			left := g.killAt(server, size*3/10)
			if len(left) != 1 {
				t.Fatalf("temporary files: %v", left)
			}
			g.mustBeInStep("after the next start")
			g.look(func(tx *state.Tx) error {
				rows, _, err := state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
				for _, h := range rows {
					for _, there := range left {
						if h.Op == "upload" && h.Result == "done" && (h.Bytes == 0 || h.Bytes > size-there) {
							t.Errorf("sent %d bytes after %d of %d", h.Bytes, there, size)
						}
					}
				}
				return err
			})
		})
	}
}

// killAt kills a pass, and the server, when so many bytes are there under a name, and returns the names with their sizes.
func (g *pair) killAt(server *ftptest.RealServer, size int64) (left map[string]int64) {
	g.t.Helper()
	program := g.start("once", "-v")
	waitFor(g.t, "some of the file", func() bool {
		for _, there := range sizes(g.remote) {
			return there > size
		}
		return false
	})
	program.kill()
	server.Stop() // or else it goes on writing what it has got, for as long as it likes
	server.Start()
	return sizes(g.remote)
}

// sizes are those of all files below root.
func sizes(root string) map[string]int64 {
	found := map[string]int64{}
	filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // gone meanwhile
		}
		if info, err := d.Info(); err == nil {
			found[path] = info.Size()
		}
		return nil
	})
	return found
}

// TestAKilledDirectUploadIsRepaired: what is torn at the final name is replaced by the next start, whatever the rules say
// about changes of somebody else.
func TestAKilledDirectUploadIsRepaired(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]string{"vsftpd": "restore", "proftpd": "keep", "pyftpdlib": "conflict"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const size = 8 << 20
			server := ftptest.Real(t, name, ftptest.RealOptions{Throttle: 2 << 20})
			g := newPair(t, server, plot{direction: "up", rules: "upload = { atomic = false }\non_foreign_change = \"" + policy + "\"\n"})
			fill(t, g.local, map[string]int{"abcdefgh": 2})
			g.mustRun(0, []string{"in step"}, "once")
			fill(t, g.local, map[string]int{"abcdefgh": size / 8})
			if left := g.killAt(server, size*3/10); len(left) != 1 || len(temporary(g.remote)) > 0 {
				t.Errorf("left: %v", left)
			}
			g.mustBeInStep("after the next start")
		})
	}
}
