package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestAMillionRowsTakeLittleMemory holds two promises: with 1,000,000 rows of the baseline the service starts with a few seconds
// of the processor, and needs no more than 150 MB.
func TestAMillionRowsTakeLittleMemory(t *testing.T) {
	const most, soon, files = 150_000, 10 * time.Second, 300 // in kilobytes, and of the processor
	server := ftptest.Real(t, "vsftpd", ftptest.RealOptions{})
	large := filepath.Join(t.TempDir(), "large")
	if err := os.Mkdir(large, 0o700); err != nil {
		t.Fatal(err)
	}
	g := newPair(t, server, plot{direction: "up", rules: fmt.Sprintf(`watch = true
[sync.large]
server = "real"
local = %q
remote = "/large"
direction = "up"
schedule = ["0 3 29 2 *"]
`, large)})
	manyRows(t, g.stateFile(), "large")
	small := make(map[string]int)
	for i := range files {
		small[fmt.Sprintf("folder %d/%d.txt", i%7, i)] = i
	}
	fill(t, g.local, small)
	p := g.start("run")
	waitFor(t, "the first file is there", func() bool { return len(sizes(g.remote)) > 0 })
	if took := processorTime(t, p.Process.Pid); took > soon {
		t.Errorf("the first file is there after %v of the processor", took)
	}
	waitFor(t, "the files are there under their names", func() bool {
		there := 0
		for name := range sizes(g.remote) {
			if !strings.Contains(name, ".ftpferry-") {
				there++
			}
		}
		return there == files
	})
	if peak := peakMemory(t, p.Process.Pid); peak > most {
		t.Errorf("the service needs %d kB, the most is %d", peak, most)
	}
	t.Logf("%d kB", peakMemory(t, p.Process.Pid))
	p.kill()
	g.mustBeEqual("after the run")
}

// manyRows makes a state file with 1,000,000 rows of the baseline of a sync.
func manyRows(t *testing.T, path, sync string) {
	t.Helper()
	db, err := state.Open(path, state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	const folders, files, atOnce = 10_000, 100, 2000
	at := time.Unix(1_700_000_000, 123456789)
	look := entry.Entry{Kind: entry.File, Size: 4711, ModTime: at, Precision: 1}
	var names []string
	for i := range files {
		names = append(names, fmt.Sprintf("a file with a usual name %03d.html", i))
	}
	for folder := 0; folder < folders; folder += atOnce {
		err := db.Update(func(tx *state.Tx) error {
			if err := state.PutBaseline(tx, sync, state.Baseline{Path: "a/file", Local: look, Remote: look, When: at, Job: 1}); err != nil {
				return err
			}
			// The rest as copies of that one, which takes a tenth of the time.
			rows := tx.Table("baseline")
			row := bytes.Clone(rows.Get(state.Key(sync, "a", "file")))
			for i := range atOnce {
				prefix := state.Key(sync, fmt.Sprintf("folder %05d", folder+i), "")
				for _, name := range names {
					if err := rows.Put(append(bytes.Clone(prefix), name...), row); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// peakMemory returns the most that a process had in memory, in kilobytes.
func peakMemory(t *testing.T, pid int) (peak int) {
	t.Helper()
	return memory(t, pid, "VmHWM:")
}

// memory returns a line of what the kernel says of the memory of a process, in kilobytes; see proc(5).
func memory(t *testing.T, pid int, what string) (kilobytes int) {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, what); ok {
			if _, err := fmt.Sscan(value, &kilobytes); err != nil {
				t.Fatal(err)
			}
		}
	}
	return kilobytes
}
