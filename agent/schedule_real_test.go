package agent_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestAScheduleThatOnlyLooks at a real server: what is alike on both sides is in step afterwards, and nothing else has moved.
func TestAScheduleThatOnlyLooks(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", `schedule = [{ cron = "@daily", do = "scan" }]`)
	fill(t, r.local, map[string]string{"both.txt": "the same", "d/here.txt": "only here"})
	fill(t, r.remote, map[string]string{"both.txt": "the same"})
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for _, root := range []string{r.local, r.remote} {
		if err := os.Chtimes(filepath.Join(root, "both.txt"), old, old); err != nil {
			t.Fatal(err)
		}
	}
	db := r.openState()
	err := db.Update(func(tx *state.Tx) error {
		return state.PutSchedule(tx, "s", "scan @daily", state.Schedule{Upto: time.Now().Add(-25 * time.Hour)})
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	var is control.SyncStatus
	r.with(agent.Options{Triggers: true}, func(a *agent.Agent) {
		eventually(t, "the run is over", func() bool {
			overview, err := a.Status(t.Context(), control.StatusFilter{})
			list := overview.Syncs
			if err != nil {
				t.Fatal(err)
			}
			is = list[0]
			return !is.Schedules[0].Finished.IsZero()
		})
	})
	if got := is.Schedules[0]; got.Result != "a sync would do: 1 upload, 1 make remote dir; 1 found in step" || got.Do != "scan" || got.Fired.IsZero() {
		t.Errorf("got %+v", got)
	}
	if is.Known != 1 || is.Jobs.Due+is.Jobs.Waiting+is.Jobs.Running != 0 || is.State != control.StateNew {
		t.Errorf("got %+v", is)
	}
	if _, err := os.Stat(filepath.Join(r.remote, "d")); err == nil {
		t.Error("the folder was made")
	}
	r.mustBeInStep("afterwards")
}
