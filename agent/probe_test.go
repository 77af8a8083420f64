package agent_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestProbesAreNoFolders: an empty folder that tried what becomes of odd names, left behind by a crash, is no reason for a
// halt and nobody's copy. It is swept as soon as it is surely nobody's, where the server tells its age.
func TestProbesAreNoFolders(t *testing.T) {
	for _, row := range []struct {
		server, direction string
		age               time.Duration
		swept             bool
	}{
		{"proftpd", "up", 48 * time.Hour, true},
		{"pyftpdlib", "up", 48 * time.Hour, true},
		{"proftpd", "up", 0, false},             // somebody may be trying it right now
		{"vsftpd", "up", 48 * time.Hour, false}, // has no MLST
		{"proftpd", "down", 48 * time.Hour, false},
	} {
		t.Run(row.server+" "+row.direction+" "+row.age.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row.server, ftptest.RealOptions{}), row.direction)
			probe := filepath.Join(r.remote, "ftpferry-probe-0123abcd.")
			if err := os.Mkdir(probe, 0o777); err != nil {
				t.Fatal(err)
			}
			made := time.Now().Add(-row.age)
			if err := os.Chtimes(probe, made, made); err != nil {
				t.Fatal(err)
			}
			source, target := r.local, r.remote
			if row.direction == "down" {
				source, target = target, source
			}
			want := map[string]string{"a.txt": "a"}
			fill(t, source, want)
			if report := r.once(); report.Halt != "" || report.Transferred != 1 || report.Folders+report.Deleted+report.Unfinished+len(report.Dead) > 0 {
				t.Errorf("pass: %+v", report)
			}
			if _, err := os.Lstat(probe); os.IsNotExist(err) != row.swept {
				t.Errorf("swept is not %v: %v", row.swept, err)
			}
			os.Remove(probe)
			if diff := cmp.Diff(want, tree(t, target)); diff != "" {
				t.Errorf("target (-want +got):\n%s", diff)
			}
		})
	}
}
