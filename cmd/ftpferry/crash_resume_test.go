package main

import (
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
			server := ftptest.Real(t, name, ftptest.RealOptions{Throttle: 24 << 20})
			g := newPair(t, server, plot{direction: "up", settings: "connections = 1"})
			fill(t, g.local, map[string]int{"abcdefgh": size / 8})
			program := g.start("once", "-v")
			waitFor(t, "some of the file", func() bool {
				for _, there := range temporary(g.remote) {
					return there > size*3/10
				}
				return false
			})
			program.kill()
			left := temporary(g.remote)
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
