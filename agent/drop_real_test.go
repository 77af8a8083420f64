package agent_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// newDropRig has a file that takes minutes on its way, on a single connection that is listened to.
func newDropRig(t *testing.T, name, direction string, more ...string) (*rig, *relay) {
	t.Helper()
	r := slowRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), direction, more...)
	slow := r.adjust
	r.adjust = func(cfg *config.Config) {
		slow(cfg)
		cfg.Servers["real"].Connections = 1
	}
	return r, r.behind()
}

func moves(tr control.Transfer) bool { return tr.Done > 0 }

func mustDrop(t *testing.T, a *agent.Agent, f control.JobFilter, want control.Changed) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	changed, err := a.DropJobs(ctx, f)
	if diff := cmp.Diff(want, changed); err != nil || diff != "" {
		t.Errorf("dropped: %v\n%s", err, diff)
	}
}

var oneBrokenOff = control.Changed{Jobs: 1, BrokenOff: 1}

// results are those of the history of a path.
func results(t *testing.T, a *agent.Agent, path string) (found []string) {
	t.Helper()
	err := a.History(t.Context(), control.HistoryFilter{}, func(row control.HistoryRow) error {
		if string(row.Path) == path {
			found = append(found, row.Result)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestARunningTransferIsDropped on each server in each direction: nothing of it is left on either side, and the connection goes on. A full pass
// sends the file again.
func TestARunningTransferIsDropped(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		for _, direction := range []string{"up", "down"} {
			t.Run(name+" "+direction, func(t *testing.T) {
				t.Parallel()
				r, relay := newDropRig(t, name, direction)
				source, target := r.local, r.remote
				if direction == "down" {
					source, target = target, source
				}
				r.with(agent.Options{}, func(a *agent.Agent) {
					for range 2 {
						reports := make(chan control.Report, 1)
						go func() {
							report, err := a.Pass(t.Context(), nil)
							if err != nil {
								t.Error(err)
							}
							reports <- report
						}()
						underway(t, a, "the transfer", moves)
						logins, aborts, began := relay.count("USER"), relay.count("ABOR"), time.Now()
						mustDrop(t, a, control.JobFilter{Path: "large", State: "running"}, oneBrokenOff)
						if here := tree(t, target); len(here) > 0 {
							t.Errorf("%d files are left where it was to go", len(here))
						}
						if report := <-reports; report.ExitCode() != control.ExitUnfinished || report.Syncs[0].Transferred > 0 || len(report.Syncs[0].Waiting) != 1 {
							t.Errorf("the pass: %+v", report)
						}
						if counts, err := a.Jobs(t.Context(), control.JobFilter{}, func(job control.Job) error {
							t.Errorf("a job is left: %+v", job)
							return nil
						}); err != nil || len(counts) > 0 {
							t.Errorf("%+v, %v", counts, err)
						}
						if n := relay.count("ABOR") - aborts; n > 1 { // none if the server has ended the transfer by then
							t.Errorf("%d times ABOR", n)
						}
						// A server has two seconds to tell that it is in step, and a busy machine may need more.
						if n := relay.count("USER") - logins; n != 0 && time.Since(began) < 2*time.Second {
							t.Errorf("%d logins more", n)
						}
					}
					// The next transfer is on the same connection.
					logins := relay.count("USER")
					remove(t, source, "large")
					fill(t, source, map[string]string{"small": "small"})
					report, err := a.Pass(t.Context(), nil)
					if err != nil || report.ExitCode() != 0 || report.Syncs[0].Transferred != 1 {
						t.Errorf("the next pass: %+v, %v", report, err)
					}
					if diff := cmp.Diff(map[string]string{"small": "small"}, tree(t, target)); diff != "" {
						t.Error(diff)
					}
					if n := relay.count("USER") - logins; n != 0 {
						t.Errorf("%d logins more", n)
					}
					if got := results(t, a, "large"); !cmp.Equal(got, []string{"dropped", "dropped"}) {
						t.Errorf("the history of the file: %q", got)
					}
				})
			})
		}
	}
}

// TestADropBesideAPause: whichever of the two breaks the transfer off, nothing is left of it.
func TestADropBesideAPause(t *testing.T) {
	t.Parallel()
	r, _ := newDropRig(t, "pyftpdlib", "up")
	r.with(agent.Options{}, func(a *agent.Agent) {
		duringPass(t, a, func() {
			underway(t, a, "the transfer", moves)
			paused := make(chan error, 1)
			go func() {
				_, err := a.Pause(t.Context(), control.PauseRequest{Now: true})
				paused <- err
			}()
			changed, err := a.DropJobs(t.Context(), control.JobFilter{Path: "large"})
			if err != nil || changed.Jobs != 1 {
				t.Errorf("%+v, %v", changed, err)
			}
			if err := <-paused; err != nil {
				t.Error(err)
			}
		})
		if _, err := a.Jobs(t.Context(), control.JobFilter{Path: "large"}, func(job control.Job) error {
			t.Errorf("left: %+v", job)
			return nil
		}); err != nil {
			t.Error(err)
		}
		if _, err := a.Resume(t.Context(), control.ResumeRequest{}); err != nil {
			t.Error(err)
		}
		remove(t, r.local, "large")
		fill(t, r.local, map[string]string{"small": "small"})
		if report, err := a.Pass(t.Context(), nil); err != nil || report.ExitCode() != 0 { // it sweeps up what was left
			t.Errorf("%+v, %v", report, err)
		}
	})
	if diff := cmp.Diff(tree(t, r.local), tree(t, r.remote)); diff != "" {
		t.Error(diff)
	}
}
