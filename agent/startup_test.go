package agent_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestWhatHappensWhileTheAgentIsDownIsFoundAtTheStart in the local folder alone: the server is away, and only told when it has to
// do something.
func TestWhatHappensWhileTheAgentIsDownIsFoundAtTheStart(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	r := newRig(t, server, "up", fromStateForADay, "watch = true")
	fill(t, r.local, map[string]string{"kept.txt": "1", "changed.txt": "1", "deleted.txt": "1", "folder/old.txt": "1", "gone/away.txt": "1"})
	r.mustBeInStep("first pass")
	server.Stop()
	nothing := &diary{}
	r.with(agent.Options{Triggers: true, Observe: nothing.add}, func(*agent.Agent) {
		eventually(t, "the local folder is looked at, without the server", func() bool { return nothing.has(isRescan) })
	})
	if nothing.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityPaused || a.Kind == agent.ActivityQueued }) {
		t.Error("the server was needed though nothing had happened")
	}
	fill(t, r.local, map[string]string{"changed.txt": "22", "new.txt": "2", "folder/sub/new.txt": "2"})
	remove(t, r.local, "deleted.txt", "gone")
	if err := os.Rename(filepath.Join(r.local, "folder/old.txt"), filepath.Join(r.local, "folder/renamed.txt")); err != nil {
		t.Fatal(err)
	}
	found := &diary{}
	r.with(agent.Options{Triggers: true, Observe: found.add}, func(a *agent.Agent) {
		eventually(t, "the changes are found", func() bool {
			return found.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityPaused })
		})
		server.Start()
		eventually(t, "the server has them", r.equal)
		status := statusOf(t, a)
		if status.Rescans != 0 || status.OnlyByRescan != 0 {
			t.Errorf("what the start found counts as missed by the watch: %+v", status)
		}
	})
	if found.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityScanned && a.Action == "scan" }) {
		t.Error("the server was listed")
	}
}

func isRescan(a agent.Activity) bool { return a.Kind == agent.ActivityScanned && a.Action == "rescan" }

func statusOf(t *testing.T, a *agent.Agent) control.SyncStatus {
	t.Helper()
	overview, err := a.Status(t.Context(), control.StatusFilter{})
	list := overview.Syncs
	if err != nil || len(list) != 1 {
		t.Fatalf("%d syncs, %v", len(list), err)
	}
	return list[0]
}

// TestAServerIsPolled: what changes there is fetched at the start and afterwards, in both directions too.
func TestAServerIsPolled(t *testing.T) {
	t.Parallel()
	for direction, option := range map[string]string{"down": "", "both": "watch = true"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), direction, `poll = "10s"`, option)
			fill(t, r.remote, map[string]string{"a/before.txt": "1"})
			seen := &diary{}
			r.with(agent.Options{Triggers: true, Observe: seen.add}, func(a *agent.Agent) {
				eventually(t, "what was there before arrives", r.equal)
				fill(t, r.remote, map[string]string{"a/later.txt": "2"})
				eventually(t, "what comes later arrives", r.equal)
				eventually(t, "the server is polled", func() bool {
					return seen.has(func(a agent.Activity) bool { return a.Kind == agent.ActivityTriggered && a.Text == "poll" })
				})
				if left := time.Until(statusOf(t, a).NextPoll); left > 15*time.Second {
					t.Errorf("the next poll is in %s", left)
				}
			})
			r.with(agent.Options{}, func(a *agent.Agent) {
				if status := statusOf(t, a); !status.NextPoll.IsZero() {
					t.Errorf("without triggers nothing is polled, and the next poll is at %s", status.NextPoll)
				}
			})
		})
	}
}

// TestOtherRulesReachWhatIsOnlyOnTheServer: what was left alone there is looked at again at the start, though the folder here is as
// it was.
func TestOtherRulesReachWhatIsOnlyOnTheServer(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "watch = true", `exclude = ["*.keep"]`)
	fill(t, r.local, map[string]string{"a.txt": "1"})
	r.mustBeInStep("first pass")
	fill(t, r.remote, map[string]string{"stranger.keep": "1"})
	r.adjust = func(cfg *config.Config) { cfg.Syncs["s"].Exclude = nil }
	r.with(agent.Options{Triggers: true}, func(*agent.Agent) {
		eventually(t, "the server has what is here and nothing else", r.equal)
	})
}
