package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestAKilledTransferGoesOn kills the program in the middle of a file: the next start transfers the rest of it and no more.
func TestAKilledTransferGoesOn(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+"/"+direction, func(t *testing.T) {
				t.Parallel()
				const size = 4 << 20
				server := ftptest.Real(t, name, ftptest.RealOptions{})
				const slow = "bandwidth = \"256KiB\"\n" // many seconds to be killed in
				g := newPair(t, server, plot{direction: direction, settings: "connections = 1\n" + slow})
				number(t, filepath.Join(g.source(), "file"), size)
				left := g.killAt(size / 10)
				if len(left) != 1 || len(temporary(g.target())) != 1 {
					t.Fatalf("left: %v", left)
				}
				config, err := os.ReadFile(g.config)
				if err != nil {
					t.Fatal(err)
				}
				write(t, g.config, strings.Replace(string(config), slow, "", 1))
				g.mustBeInStep("after the next start")
				g.look(func(tx *state.Tx) error {
					rows, _, err := state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
					transfers := 0
					for _, h := range rows {
						if h.Op != "upload" && h.Op != "download" || h.Result != "done" {
							continue
						}
						transfers++
						for _, there := range left {
							if at := fmt.Sprintf("resumed at %d", there); h.Bytes == 0 || h.Bytes > size-there || direction == "down" && !strings.HasSuffix(h.Verified, at) {
								t.Errorf("%s of %d bytes after %d of %d, verified: %s", h.Op, h.Bytes, there, size, h.Verified)
							}
						}
					}
					if transfers != 1 {
						t.Errorf("%d transfers", transfers)
					}
					return err
				})
			})
		}
	}
}

// number makes a file of so many bytes no two parts of which are the same, for everybody to read.
func number(t *testing.T, path string, size int) {
	t.Helper()
	text := make([]byte, 0, size+64)
	for len(text) < size {
		text = fmt.Appendf(text, "%063x\n", len(text)/64)
	}
	if err := os.WriteFile(path, text[:size], 0o644); err != nil {
		t.Fatal(err)
	}
}

// killAt kills a pass when so many bytes are at the target under a name, and returns the names with their sizes.
func (g *pair) killAt(size int64) (left map[string]int64) {
	g.t.Helper()
	program := g.start("once", "-v")
	waitFor(g.t, "some of the file", func() bool {
		for _, there := range sizes(g.target()) {
			return there > size
		}
		return false
	})
	program.kill()
	return sizes(g.target())
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
			server := ftptest.Real(t, name, ftptest.RealOptions{Throttle: 16 << 20})
			g := newPair(t, server, plot{direction: "up", rules: "upload = { atomic = false }\non_foreign_change = \"" + policy + "\"\n"})
			fill(t, g.local, map[string]int{"abcdefgh": 2})
			g.mustRun(0, []string{"in step"}, "once")
			fill(t, g.local, map[string]int{"abcdefgh": size / 8})
			if left := g.killAt(size * 3 / 10); len(left) != 1 || len(temporary(g.remote)) > 0 {
				t.Errorf("left: %v", left)
			}
			g.mustBeInStep("after the next start")
		})
	}
}
