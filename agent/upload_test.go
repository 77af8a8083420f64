package agent_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// edit replaces a line of the configuration.
func (r *rig) edit(old, new string) {
	r.t.Helper()
	text, err := os.ReadFile(r.config)
	if err != nil {
		r.t.Fatal(err)
	}
	if !strings.Contains(string(text), old) {
		r.t.Fatalf("no %q in the configuration", old)
	}
	if err := os.WriteFile(r.config, []byte(strings.Replace(string(text), old, new, 1)), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func exit(report control.SyncReport) int {
	return control.Report{Syncs: []control.SyncReport{report}}.ExitCode()
}

// TestADropBoxGetsEachFileOnce sends to servers that show nobody what they have, in three passes.
func TestADropBoxGetsEachFileOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"proftpd", "vsftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{WriteOnly: true}), "up", `upload = { atomic = false }`)
			r.edit("delete = true", "delete = false")
			fill(t, r.local, map[string]string{"one": "1", "two": "22"})
			first := r.once()
			if first.Transferred != 2 || exit(first) != 0 {
				t.Errorf("first pass: %+v", first)
			}
			for _, what := range []string{"second", "third"} {
				if again := r.once(); again.Transferred != 0 || exit(again) != 0 {
					t.Errorf("%s pass: %+v", what, again)
				}
			}
			fill(t, r.local, map[string]string{"two": "changed", "three": "new"})
			if last := r.once(); last.Transferred != 2 || exit(last) != 0 {
				t.Errorf("after changes: %+v", last)
			}
			if diff := cmp.Diff(tree(t, r.local), tree(t, r.remote)); diff != "" {
				t.Errorf("local (-) and remote (+) differ:\n%s", diff)
			}
		})
	}
}
