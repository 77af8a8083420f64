package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// fromStateForADay is what is the default of larger trees only.
const fromStateForADay = `recheck = "24h"`

// countLogins has the agents of a rig reach the server by a listener that counts the connections to it.
func countLogins(t *testing.T, r *rig) *atomic.Int32 {
	t.Helper()
	logins := &atomic.Int32{}
	address := ftptest.Relay(t, r.server.Addr, func() ftptest.Ears {
		logins.Add(1)
		return ftptest.Ears{Command: func(string) (string, bool) { return "", true }, Reply: func(string) bool { return true }}
	})
	r.adjust = func(cfg *config.Config) { cfg.Servers["real"].Addresses = []string{address} }
	return logins
}

// TestAPassFromStateConnectsToNobody: where nothing has changed here, no connection is made. What has changed is carried out, and what
// somebody else has done on the server is found by a full pass.
func TestAPassFromStateConnectsToNobody(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), "up", fromStateForADay)
			logins := countLogins(t, r)
			fill(t, r.local, sampleTree)
			if first := r.fromState(); first.Transferred != 11 {
				t.Fatalf("first pass: %+v", first)
			}
			if logins.Swap(0) == 0 {
				t.Fatal("the first pass is not counted")
			}
			nothing := r.fromState()
			if n := logins.Load(); n != 0 {
				t.Errorf("%d connections for a pass in which nothing has changed", n)
			}
			if nothing.Took = 0; !cmp.Equal(nothing, control.SyncReport{Sync: "s"}) {
				t.Errorf("nothing was to be done, but %+v", nothing)
			}

			fill(t, r.local, map[string]string{"plain.txt": "changed", "new folder/new": "new"})
			remove(t, r.local, "deep", "empty.txt")
			if changed := r.fromState(); changed.Transferred != 2 || changed.Deleted == 0 {
				t.Errorf("after changes here: %+v", changed)
			}
			if diff := cmp.Diff(tree(t, r.local), tree(t, r.remote)); diff != "" {
				t.Errorf("after changes here, local (-) and remote (+):\n%s", diff)
			}

			remove(t, r.remote, "plain.txt")
			r.fromState()
			logins.Store(0)
			if r.fromState(); logins.Load() != 0 {
				t.Error("a pass from state has asked the server, though nothing has changed here")
			}
			if full := r.once(); full.Transferred != 1 || logins.Load() == 0 {
				t.Errorf("a full pass has not brought back what is gone on the server: %+v", full)
			}
		})
	}
}

// TestADeletionFromStateLooksFirst: what somebody else has put in the place of a file that is gone here stays, and all of it if the folder
// here is empty.
func TestADeletionFromStateLooksFirst(t *testing.T) {
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", fromStateForADay, `on_foreign_change = "keep"`, `max_delete = "100%"`)
	fill(t, r.local, map[string]string{"a": "1", "b": "1", "c": "1"})
	logins := countLogins(t, r)
	r.once()
	r.once()
	fill(t, r.remote, map[string]string{"b": "somebody else's"})
	remove(t, r.local, "a", "b")
	logins.Store(0)
	if report := r.fromState(); report.Deleted != 1 || logins.Load() == 0 {
		t.Errorf("%+v", report)
	}
	if got := tree(t, r.remote); got["b"] != "somebody else's" || len(got) != 2 {
		t.Errorf("on the server: %q", got)
	}
}

// TestGuardsOfPassesFromState: a folder that is empty, or gone, halts without the server.
func TestGuardsOfPassesFromState(t *testing.T) {
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", fromStateForADay)
	fill(t, r.local, map[string]string{"a": "1", "b": "1", "c": "1"})
	logins := countLogins(t, r)
	r.once()
	r.once()
	logins.Store(0)
	remove(t, r.local, "a", "b", "c")
	if report := r.fromState(); report.Halt == "" || logins.Load() != 0 {
		t.Errorf("%d connections: %+v", logins.Load(), report)
	}
	if got := tree(t, r.remote); len(got) != 3 {
		t.Errorf("on the server: %q", got)
	}
}

// TestAPassFromStateInBothDirections leaves the server alone only where recheck says so.
func TestAPassFromStateInBothDirections(t *testing.T) {
	for _, direction := range []string{"down", "both"} {
		for _, recheck := range []string{"", "1h"} {
			t.Run(fmt.Sprintf("%s/recheck=%s", direction, recheck), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), direction, fmt.Sprintf("recheck = %q", recheck))
				logins := countLogins(t, r)
				fill(t, r.remote, map[string]string{"a": "1", "folder/b": "1", "c": "1"})
				r.once()
				r.once()
				logins.Store(0)
				r.fromState()
				if asked := logins.Load() > 0; asked != (recheck == "") {
					t.Errorf("the server was asked: %v", asked)
				}
				if err := os.WriteFile(filepath.Join(r.local, "a"), []byte("changed here"), 0o666); err != nil {
					t.Fatal(err)
				}
				remove(t, r.local, "folder/b")
				fill(t, r.local, map[string]string{"new": "here"})
				r.fromState()
				if diff := cmp.Diff(tree(t, r.local), tree(t, r.remote)); diff != "" && direction == "both" {
					t.Errorf("local (-) and remote (+):\n%s", diff)
				}
				if got := tree(t, r.local); direction == "down" && (got["a"] != "1" || got["folder/b"] != "1") {
					t.Errorf("what was changed here is not as on the server: %q", got)
				}
			})
		}
	}
}
