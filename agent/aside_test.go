package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestBothVersionsOfAConflictAreOnBothSides after two passes, and nothing is left to be done.
func TestBothVersionsOfAConflictAreOnBothSides(t *testing.T) {
	for _, name := range []string{"vsftpd", "proftpd"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "both")
			fill(t, r.local, map[string]string{"d/a.txt": "common"})
			r.mustBeInStep("first pass")
			fill(t, r.local, map[string]string{"d/a.txt": "changed here"})
			fill(t, r.remote, map[string]string{"d/a.txt": "changed on the server"})
			old := time.Now().Add(-time.Hour)
			if err := os.Chtimes(filepath.Join(r.remote, "d/a.txt"), old, old); err != nil {
				t.Fatal(err)
			}
			r.once()
			if report := r.once(); (control.Report{Syncs: []control.SyncReport{report}}).ExitCode() != 0 {
				t.Fatalf("the pass after the conflict: %+v", report)
			}
			r.mustBeInStep("after the conflict")
			found := map[string]string{}
			for path, content := range tree(t, r.local) {
				if strings.HasPrefix(path, "d/a (conflict ") {
					path = "conflict"
				}
				found[path] = content
			}
			if found["d/a.txt"] != "changed here" || found["conflict"] != "changed on the server" || len(found) != 3 {
				t.Errorf("both sides hold %v", tree(t, r.local))
			}
		})
	}
}

// TestTheTrashIsPurgedOnceADay at the end of a full scan, and holds what was deleted since.
func TestTheTrashIsPurgedOnceADay(t *testing.T) {
	for _, row := range [][2]string{{"vsftpd", "up"}, {"pure-ftpd", "up"}, {"vsftpd", "down"}, {"proftpd", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			direction := row[1]
			r := newRig(t, ftptest.Real(t, row[0], ftptest.RealOptions{}), direction, `trash = { keep = "30d" }`)
			text, err := os.ReadFile(r.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(r.config, []byte(strings.Replace(string(text), "delete = true", `delete = "trash"`, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			from, to := r.local, r.remote
			if direction == "down" {
				from, to = to, from
			}
			fill(t, from, map[string]string{"a": "a", "b": "b", "c": "c", "d": "d"})
			fill(t, to, map[string]string{".ferry-trash/2020-01-01/old": "old"})
			r.once()
			if _, err := os.Stat(filepath.Join(to, ".ferry-trash/2020-01-01")); err == nil {
				t.Error("what is old is still in the trash")
			}
			fill(t, to, map[string]string{".ferry-trash/2020-01-02/old": "old"})
			remove(t, from, "a")
			r.once()
			r.once()
			trash := tree(t, filepath.Join(to, ".ferry-trash"))
			if trash["2020-01-02/old"] != "old" || trash[time.Now().Format(time.DateOnly)+"/a"] != "a" {
				t.Errorf("in the trash: %v", trash)
			}
			if _, err := os.Stat(filepath.Join(to, "a")); err == nil {
				t.Error("the file is still at its place")
			}
		})
	}
}
