package agent_test

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// planned is what a plan says of the only sync.
func (r *rig) planned() (planned control.SyncPlan) {
	r.t.Helper()
	r.with(agent.Options{}, func(a *agent.Agent) {
		plans, err := a.Plan(r.t.Context(), nil)
		if err != nil || len(plans) != 1 || plans[0].Failure != "" {
			r.t.Fatalf("plan: %+v, %v", plans, err)
		}
		planned = plans[0]
	})
	return planned
}

// TestAPlanHaltsAsThePassDoes: deletions that wait in the queue count for both, and what a person has let pass for neither.
func TestAPlanHaltsAsThePassDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "max_delete = 4")
	fill(t, r.local, many(20))
	r.mustBeInStep("first pass")
	r.adjust = func(cfg *config.Config) { // the window is closed for hours
		from := time.Now().Add(10 * time.Hour)
		window, err := config.ParseWindow(from.Format("15:04")+"-"+from.Add(time.Hour).Format("15:04"), time.Local)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Syncs["s"].Allowed = []config.Window{window}
	}
	remove(t, r.local, "f000", "f001", "f002")
	planned := r.planned()
	if planned.Halt != nil || planned.Totals.Deletes != 3 || planned.Totals.Actions["delete_remote"] != 3 {
		t.Errorf("plan of three deletions: %+v", planned)
	}
	if planned.Waits == nil || planned.Waits.By != control.StopWindow || !strings.HasPrefix(planned.Waits.Reason, "waits until ") {
		t.Errorf("the window is closed: %+v", planned.Waits)
	}
	if report := r.once(); report.Halt != "" || report.Deleted > 0 || report.Unfinished != 3 {
		t.Fatalf("outside of the window: %+v", report)
	}
	if again := r.planned(); again.Halt != nil {
		t.Errorf("the same three count twice: %+v", again.Halt)
	}
	// Three come back before they are gone, and three others go: by themselves they would pass.
	for _, name := range []string{"f000", "f001", "f002"} {
		fill(t, r.local, map[string]string{name: "back again"})
	}
	remove(t, r.local, "f003", "f004", "f005")
	planned = r.planned()
	report := r.once()
	if report.Halt == "" || planned.Halt == nil || planned.Halt.Reason != report.Halt || planned.Halt.Deletes != 6 || planned.Halt.Code != "max-delete" {
		t.Errorf("the plan says %+v, and the pass %q", planned.Halt, report.Halt)
	}
	want := *planned.Halt
	want.Standing = true
	if standing := r.planned(); planned.Halt.Standing || standing.Halt == nil || *standing.Halt != want {
		t.Errorf("while it is halted the plan says %+v, want %+v", standing.Halt, want)
	}
	if left := len(tree(t, r.remote)); left != 20 {
		t.Errorf("%d files are left on the server", left)
	}
}

// TestAPlanCountsBytes in both directions, and keeps names as they are.
func TestAPlanCountsBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "both")
	name := "odd"
	if runtime.GOOS == "linux" {
		name = "odd\xc9"
	}
	fill(t, r.local, map[string]string{"a": "12345", "b": "123"})
	if err := os.WriteFile(filepath.Join(r.local, name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	fill(t, r.remote, map[string]string{"c": "1234"})
	planned := r.planned()
	if got := planned.Totals; got.BytesUp != 8 || got.BytesDown != 4 || got.Actions["download"] != 1 {
		t.Errorf("totals: %+v", got)
	}
	found := false
	for _, op := range planned.Ops {
		found = found || string(op.Path) == name
	}
	for _, n := range planned.Note {
		found = found || string(n.Path) == name
	}
	if !found {
		t.Errorf("nothing is said of %q: %+v", name, planned)
	}
}

// TestWhatIsBeyondLimitsMayBeOnTheServer: such files leave no trace in the state, so explain says that there may be one.
func TestWhatIsBeyondLimitsMayBeOnTheServer(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
	for direction, want := range map[string]bool{"down": true, "both": true, "up": false} {
		r := newRig(t, server, direction, `max_size = "3KiB"`)
		r.with(agent.Options{}, func(a *agent.Agent) {
			e, err := a.Explain(t.Context(), "s", "large")
			if said := strings.Contains(e.Next, "may be beyond the limits"); err != nil || said != want {
				t.Errorf("%s: %q, %v", direction, e.Next, err)
			}
		})
	}
}
