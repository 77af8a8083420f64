package agent_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestSeveralServers of different kinds: each of them gets the files, what one of them has lost comes back there alone, and the
// name of the sync means both. Each has a baseline of its own: while one is away the other goes on, and what was changed and
// deleted meanwhile reaches the first one when it is back.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	first, second := ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), ftptest.Real(t, "pure-ftpd", ftptest.RealOptions{})
	r := newRig(t, first, "up")
	text, err := os.ReadFile(r.config)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Replace(string(text), `server = "real"`, `server = ["real", "second"]`, 1)
	lines = strings.Replace(lines, first.RemoteRoot+"/site", "site", 1)
	lines += fmt.Sprintf("[server.second]\naddress = %q\nuser = %q\npassword = %q\ntls = \"none\"\n", second.Addr, second.User, second.Password)
	if err := os.WriteFile(r.config, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(second.Root, "site")
	if err := os.Mkdir(there, 0o777); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"a": "1", "b/": "", "b/c": "2"}
	fill(t, r.local, files)
	before := maps.Clone(files)
	pass := func(what string, on map[string]string, want ...control.SyncReport) {
		t.Helper()
		r.with(agent.Options{}, func(a *agent.Agent) {
			report, err := a.FullPass(t.Context(), []string{"s"})
			if err != nil || len(report.Syncs) != len(want) {
				t.Fatalf("%s: %+v, %v", what, report, err)
			}
			for i, s := range report.Syncs {
				got := control.SyncReport{Transferred: s.Transferred, Deleted: s.Deleted}
				if s.Sync != []string{"s@real", "s@second"}[i] || !cmp.Equal(got, want[i]) || (s.Unavailable == "") != (on[s.Sync] == "") {
					t.Errorf("%s: %+v", what, s)
				}
			}
		})
		for sync, root := range map[string]string{"s@real": r.remote, "s@second": there} {
			expected := files
			if on[sync] != "" {
				expected = before
			}
			if diff := cmp.Diff(expected, tree(t, root)); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", what, sync, diff)
			}
		}
	}
	sent := func(n int) control.SyncReport { return control.SyncReport{Transferred: n} }
	pass("first pass", nil, sent(2), sent(2))
	remove(t, there, "a")
	pass("lost on one of them", nil, sent(0), sent(1))

	second.Stop()
	remove(t, r.local, "a")
	delete(files, "a")
	maps.Copy(files, map[string]string{"b/c": "changed", "d": "new"})
	fill(t, r.local, files)
	pass("one of them is away", map[string]string{"s@second": "away"}, control.SyncReport{Transferred: 2, Deleted: 1}, sent(0))
	fill(t, r.local, map[string]string{"d": "newer"})
	files["d"] = "newer"
	second.Start()
	pass("it is back", nil, sent(1), control.SyncReport{Transferred: 2, Deleted: 1})
	pass("all is in step", nil, sent(0), sent(0))
}
