package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestStatusTellsHowChangesAreNoticed on a real folder, from the first event on; the canary leaves nothing behind, here or there.
func TestStatusTellsHowChangesAreNoticed(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "vsftpd", ftptest.RealOptions{}), "up", "watch = true")
	fill(t, r.local, map[string]string{"a/b/file": "1"})
	r.with(agent.Options{Triggers: true}, func(a *agent.Agent) {
		watch := func() control.Watch {
			overview, err := a.Status(t.Context(), control.StatusFilter{})
			list := overview.Syncs
			if err != nil || len(list) != 1 {
				t.Fatalf("%+v, %v", list, err)
			}
			if list[0].Watch == nil {
				return control.Watch{}
			}
			return *list[0].Watch
		}
		eventually(t, "the watch stands and events come", func() bool {
			w := watch()
			// Where the tests run on overlay or the like, that is what it says.
			return w.State == control.WatchWorks && w.Folders == 3 && w.Every == 0 || w.State == control.WatchPolling && strings.Contains(w.Reason, "does not tell")
		})
		away := r.local + " away"
		if err := os.Rename(r.local, away); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the folder is missed", func() bool { return watch().State == control.WatchMissing && watch().Reason != "" })
		if err := os.Rename(away, r.local); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the folder is back", func() bool { return watch().State != control.WatchMissing })
	})
	for _, root := range []string{r.local, r.remote} {
		if left, err := filepath.Glob(filepath.Join(root, ".*")); err != nil || len(left) > 0 {
			t.Errorf("left behind: %q, %v", left, err)
		}
	}
}

// TestWordsOfAWatch are the same for programs that read the status.
func TestWordsOfAWatch(t *testing.T) {
	for state, word := range map[trigger.HealthState]string{
		trigger.HealthWatching: control.WatchWorks, trigger.HealthStarting: control.WatchStarting, trigger.HealthDegraded: control.WatchDegraded,
		trigger.HealthPolling: control.WatchPolling, trigger.HealthMissing: control.WatchMissing,
	} {
		if string(state) != word {
			t.Errorf("%q is %q", state, word)
		}
	}
}
