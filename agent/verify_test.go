package agent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// verifying is a schedule of a sync that compares contents. It never fires in a test, but for times that were missed.
const verifying = `schedule = { cron = "0 3 29 2 *", do = "verify" }`

// verified runs the agent until what its schedule had missed is made up for, and returns the result with the status behind it.
func (r *rig) verified() (result string, s control.SyncStatus) {
	r.t.Helper()
	cfg := r.load()
	db, err := state.Open(filepath.Join(cfg.Agent.StateDir, "agent.db"), state.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	err = db.Update(func(tx *state.Tx) error {
		return state.PutSchedule(tx, "s", cfg.Syncs["s"].Schedules[0].Name, state.Schedule{Upto: time.Now().AddDate(-9, 0, 0)})
	})
	if err := db.Close(); err != nil {
		r.t.Fatal(err)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	ran := make(chan struct{}, 100)
	observe := func(a agent.Activity) {
		if a.Kind == agent.ActivityRan {
			ran <- struct{}{}
		}
	}
	r.with(agent.Options{Triggers: true, Observe: observe}, func(a *agent.Agent) {
		select {
		case <-ran:
		case <-time.After(patience):
			r.t.Fatal("the comparison does not end")
		}
		overview, err := a.Status(r.t.Context(), control.StatusFilter{})
		list := overview.Syncs
		if err != nil {
			r.t.Fatal(err)
		}
		s = list[0]
	})
	return s.Schedules[0].Result, s
}

// flip changes the byte in the middle of a file, and leaves its size, time and inode.
func flip(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = file.Write(content)
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, info.ModTime()); err != nil {
		t.Fatal(err)
	}
}

// TestVerifyFindsWhatNoScanDoes: a byte is another one on one of the sides, under the same size and time.
func TestVerifyFindsWhatNoScanDoes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		server, direction string
		options           ftptest.RealOptions
		how               string
	}{
		{"proftpd", "up", ftptest.RealOptions{Modules: []string{"digest"}}, "11 files compared: 11 by hash, 0 by reading them back; "},
		{"vsftpd", "both", ftptest.RealOptions{}, "11 files compared: 0 by hash, 11 by reading them back; "},
		{"pure-ftpd", "down", ftptest.RealOptions{TLS: true}, "11 files compared: 0 by hash, 11 by reading them back; "},
	} {
		t.Run(c.server, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, c.server, c.options), c.direction, verifying)
			source := r.local
			if c.direction == "down" {
				source = r.remote
			}
			fill(t, source, sampleTree)
			r.mustBeInStep("at first")
			if result, s := r.verified(); result != c.how+"0 differ" || s.State != control.StateInStep {
				t.Errorf("all is well: %q, %+v", result, s)
			}
			side := r.remote
			if c.direction == "both" {
				side = r.local
			}
			flip(t, filepath.Join(side, "big.bin"))
			r.differs(c.how)
			flip(t, filepath.Join(side, "big.bin"))
			if result, s := r.verified(); result != c.how+"0 differ" || s.Differ != 0 || len(s.Notes) > 0 || s.State != control.StateInStep {
				t.Errorf("repaired: %q, %+v", result, s)
			}
			r.mustBeInStep("in the end")
		})
	}
}

// differs demands that scans pass over what is wrong with big.bin, and that a comparison of contents tells of it and leaves it alone.
func (r *rig) differs(how string) {
	t := r.t
	t.Helper()
	here, there := tree(t, r.local), tree(t, r.remote)
	if report := r.once(); report.Transferred != 0 || len(report.Conflicts) > 0 {
		t.Fatalf("a scan has seen it: %+v", report)
	}
	for _, when := range []string{"at first", "once more, after a full scan"} {
		result, s := r.verified()
		if result != how+"1 differ" || s.Differ != 1 || s.State != control.StatePerson || control.StatusExitCode([]control.SyncStatus{s}) != control.ExitNeedsPerson {
			t.Errorf("%s: %q, %+v", when, result, s)
		}
		if len(s.Notes) != 1 || s.Notes[0].Path != "big.bin" || s.Notes[0].Kind != "differs" || !strings.Contains(s.Notes[0].Reason, "content on the server differs") {
			t.Errorf("%s: notes %+v", when, s.Notes)
		}
		r.with(agent.Options{}, func(a *agent.Agent) {
			if _, err := a.Pass(t.Context(), nil); err != nil {
				t.Error(err)
			}
			e, err := a.Explain(t.Context(), "s", "big.bin")
			if err != nil || e.Note == nil || !strings.HasPrefix(e.Next, "a person has to decide which side is right") {
				t.Errorf("%s: explained as %+v, %v", when, e, err)
			}
			told := slices.IndexFunc(e.History, func(h control.HistoryRow) bool { return h.Op == "verify" && h.Result == "differs" })
			if told < 0 {
				t.Errorf("%s: history %+v", when, e.History)
			}
		})
	}
	if diff := cmp.Diff(here, tree(t, r.local)) + cmp.Diff(there, tree(t, r.remote)); diff != "" {
		t.Errorf("something was changed:\n%s", diff)
	}
}
