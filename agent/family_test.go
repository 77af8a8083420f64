package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestSeveralServers: each of them gets the files, what one of them has lost comes back there alone, and the name of the sync
// means both.
func TestSeveralServers(t *testing.T) {
	t.Parallel()
	first, second := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
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
	pass := func(transferred ...int) {
		t.Helper()
		r.with(agent.Options{}, func(a *agent.Agent) {
			report, err := a.Pass(t.Context(), []string{"s"})
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Syncs) != 2 {
				t.Fatalf("%+v", report)
			}
			for i, s := range report.Syncs {
				if s.Sync != []string{"s@real", "s@second"}[i] || s.Transferred != transferred[i] {
					t.Errorf("%+v", s)
				}
			}
		})
		for _, root := range []string{r.remote, there} {
			if diff := cmp.Diff(files, tree(t, root)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", root, diff)
			}
		}
	}
	pass(2, 2)
	if err := os.Remove(filepath.Join(there, "a")); err != nil {
		t.Fatal(err)
	}
	pass(0, 1)
}
