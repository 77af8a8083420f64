package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestInBothDirectionsTheServerIsNotListedForEachLookThatIsDue: on a filesystem that tells of nothing the local folder is looked at
// every minute. The server is only asked about what has changed here, once.
func TestInBothDirectionsTheServerIsNotListedForEachLookThatIsDue(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "both", `conflict = "ask"`)
	fill(t, r.local, map[string]string{"kept.txt": "1", "changed.txt": "1", "deleted.txt": "1", "folder/old.txt": "1", "gone/away.txt": "1", "fought.txt": "1"})
	r.mustBeInStep("first pass")
	fill(t, r.local, map[string]string{"fought.txt": "here"})
	fill(t, r.remote, map[string]string{"fought.txt": "on the server"})
	if report := r.once(); len(report.Conflicts) != 1 {
		t.Fatalf("%+v", report)
	}
	looks := func(d *diary) (kinds []string) {
		d.has(func(a agent.Activity) bool {
			if a.Kind == agent.ActivityScanned {
				kinds = append(kinds, a.Action)
			}
			return false
		})
		return kinds
	}
	due := trigger.Event{Sync: "s", Local: true, Regular: true, Why: "watch poll"}
	look := func(a *agent.Agent, d *diary) {
		before := len(looks(d))
		eventually(t, "the agent runs", func() bool { return a.Emit(t.Context(), due) })
		eventually(t, "the local folder is looked at", func() bool { return len(looks(d)) > before })
	}
	server.Stop()
	nothing := &diary{}
	r.with(agent.Options{Observe: nothing.add}, func(a *agent.Agent) {
		for range 3 {
			look(a, nothing)
		}
	})
	if got := looks(nothing); !slices.Equal(got, []string{"rescan", "rescan", "rescan"}) || nothing.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityPaused }) {
		t.Errorf("nothing has happened, and there were %q", got)
	}
	server.Start()
	if err := os.Rename(filepath.Join(r.local, "folder/old.txt"), filepath.Join(r.local, "folder/renamed.txt")); err != nil {
		t.Fatal(err)
	}
	fill(t, r.local, map[string]string{"changed.txt": "22", "new.txt": "2", "sub/folder/new.txt": "2"})
	remove(t, r.local, "deleted.txt", "gone", "fought.txt")
	found := &diary{}
	r.with(agent.Options{Observe: found.add}, func(a *agent.Agent) {
		look(a, found)
		eventually(t, "both sides are the same", r.equal)
	})
	if slices.Contains(looks(found), "scan") {
		t.Errorf("the server was listed: %q", looks(found))
	}
	r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Rescan = 1 }
	full := &diary{}
	r.with(agent.Options{Observe: full.add}, func(a *agent.Agent) { look(a, full) })
	if !slices.Contains(looks(full), "scan") {
		t.Errorf("now and then everything is looked at, and there were %q", looks(full))
	}
}

// TestInBothDirectionsAPolledFolderIsNotListedOnTheServer: a folder that events do not tell of everything in is looked at every minute
// on this side alone, and what has changed in it arrives, also if something else happens at the same time.
func TestInBothDirectionsAPolledFolderIsNotListedOnTheServer(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "both", "")
	fill(t, r.local, map[string]string{"mounted/kept": "1", "mounted/changed": "1", "mounted/gone/away": "1", "mounted/sub/old": "1", "other": "1"})
	r.mustBeInStep("first pass")
	due := trigger.Event{Sync: "s", Paths: []string{"mounted"}, Local: true, Regular: true, Why: "watch poll"}
	looks := func(d *diary) (n int) {
		d.has(func(a agent.Activity) bool {
			if a.Kind == agent.ActivityScanned && a.Action == "look" {
				n++
			}
			return false
		})
		return n
	}
	server.Stop()
	nothing := &diary{}
	r.with(agent.Options{Observe: nothing.add}, func(a *agent.Agent) {
		for range 3 {
			before := looks(nothing)
			eventually(t, "the agent runs", func() bool { return a.Emit(t.Context(), due) })
			eventually(t, "the folder is looked at", func() bool { return looks(nothing) > before })
		}
	})
	if nothing.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityPaused }) {
		t.Error("nothing has happened, and the server was asked")
	}
	server.Start()
	fill(t, r.local, map[string]string{"mounted/changed": "22", "mounted/new": "2", "mounted/sub/deep/new": "2", "other": "22"})
	remove(t, r.local, "mounted/gone")
	if err := os.Rename(filepath.Join(r.local, "mounted/sub/old"), filepath.Join(r.local, "mounted/sub/renamed")); err != nil {
		t.Fatal(err)
	}
	r.with(agent.Options{}, func(a *agent.Agent) {
		eventually(t, "the agent runs", func() bool { return a.Emit(t.Context(), due) })
		eventually(t, "it takes an event", func() bool {
			return a.Emit(t.Context(), trigger.Event{Sync: "s", Paths: []string{"other"}, Local: true, Why: "watch"})
		})
		eventually(t, "both sides are the same", r.equal)
	})
	remove(t, r.local, "mounted")
	r.with(agent.Options{}, func(a *agent.Agent) {
		eventually(t, "the agent runs", func() bool { return a.Emit(t.Context(), due) })
		eventually(t, "the folder itself is gone there too", r.equal)
	})
}
