package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestFoldersOnRealServersAreNeverSpared: they keep files on a Unix filesystem, where a file that is overwritten in place leaves the time
// of its folder as it was. Each is found by the next poll, after a restart too.
func TestFoldersOnRealServersAreNeverSpared(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"proftpd": "not trusted", "pure-ftpd": "not trusted", "pyftpdlib": "not trusted", "vsftpd": "learning"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, kind, ftptest.RealOptions{}), "down", `poll = "10m"`)
			fill(t, r.remote, map[string]string{"a/one.txt": "first", "a/two.txt": "first", "b/three.txt": "first"})
			r.mustBeInStep("first pass")
			for run := range 2 {
				r.with(agent.Options{}, func(a *agent.Agent) {
					for i := range 2 {
						overwrite(t, filepath.Join(r.remote, "a/one.txt"), strings.Repeat("overwritten in place", 1+i+2*run))
						eventually(t, "a poll begins", func() bool {
							return a.Emit(t.Context(), trigger.Event{Sync: "s", Why: "poll", Regular: true, Poll: true})
						})
						eventually(t, "it finds what was overwritten", r.equal)
					}
					if got := statusOf(t, a).FolderTimes; got == nil || got.State != want || got.Spared != 0 {
						t.Errorf("%+v, want %s", got, want)
					}
				})
			}
		})
	}
}

// overwrite writes another content into the file that is there.
func overwrite(t *testing.T, name, content string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(content)
	if closeErr := f.Close(); err != nil || closeErr != nil {
		t.Fatal(err, closeErr)
	}
}
