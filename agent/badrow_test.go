package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// spoil overwrites the rows whose key ends so, in the tables named.
func (r *rig) spoil(end string, tables ...string) {
	r.t.Helper()
	db := r.openState()
	defer db.Close()
	err := db.Update(func(tx *state.Tx) error {
		for _, name := range tables {
			var keys []string
			table := tx.Table(name)
			err := table.Scan(nil, nil, func(key, _ []byte) (bool, error) {
				if strings.HasSuffix(string(key), end) {
					keys = append(keys, string(key))
				}
				return true, nil
			})
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				r.t.Errorf("table %s has no row of %q", name, end)
			}
			for _, key := range keys {
				if err := table.Put([]byte(key), []byte("\x00garbage")); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// unsound counts the rows that a check of the state complains about.
func (r *rig) unsound() (n int) {
	r.t.Helper()
	db := r.openState()
	defer db.Close()
	if err := db.Check(func(string) { n++ }); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func exitCode(report control.SyncReport) int {
	return control.Report{Syncs: []control.SyncReport{report}}.ExitCode()
}

func TestABaselineThatCannotBeReadDeletesNothing(t *testing.T) {
	t.Parallel()
	for _, direction := range []string{"up", "down"} {
		t.Run(direction, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), direction, `max_delete = "100%"`)
			source, target := r.local, r.remote
			if direction == "down" {
				source, target = target, source
			}
			fill(t, source, map[string]string{"bad": "1", "same": "2", "edited": "3", "good": "4", "d/bad": "5", "back": "6"})
			r.mustBeInStep("first pass")
			for _, end := range []string{"\x00bad", "\x00same", "\x00edited", "\x00back"} {
				r.spoil(end, "baseline")
			}
			remove(t, source, "bad", "good", "d/bad", "back")
			fill(t, source, map[string]string{"edited": "3, edited"})
			for range 2 {
				report := r.once()
				if exitCode(report) != 1 || len(report.Conflicts) != 3 {
					t.Errorf("want a report of three conflicts: %+v", report)
				}
			}
			want := map[string]string{"bad": "1", "same": "2", "edited": "3, edited", "d/": "", "d/bad": "5", "back": "6"}
			if diff := cmp.Diff(want, tree(t, target)); diff != "" {
				t.Errorf("what was deleted at the source stays where nobody can tell that it was in step:\n%s", diff)
			}
			if n := r.unsound(); n != 3 {
				t.Errorf("%d rows are unsound; want those of the conflicts, the others are written anew", n)
			}
			// A person decides: one file comes back, the others go.
			fill(t, source, map[string]string{"back": "6"})
			remove(t, target, "bad", "d/bad")
			r.mustBeInStep("afterwards")
			if n := r.unsound(); n != 0 {
				t.Errorf("%d rows are still unsound", n)
			}
		})
	}
}

func TestRowsThatCannotBeReadStopNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", `schedule = ["@daily"]`)
	fill(t, r.local, map[string]string{"a": "1"})
	r.mustBeInStep("first pass")
	db := r.openState()
	err := db.Update(func(tx *state.Tx) error {
		for table, key := range map[string][]byte{
			"dirty": state.Key("s", "x"), "intents": state.Key("s", "", "b"), "schedules": state.Key("s", "@daily"),
			"servers": state.Key("real"), "locator": state.Key("memory"), "counts": state.Key("baseline", "s"),
		} {
			if err := tx.Table(table).Put(key, []byte("\x00garbage")); err != nil {
				return err
			}
		}
		return nil
	})
	db.Close()
	if err != nil {
		t.Fatal(err)
	}
	r.spoil("", "history")
	fill(t, r.local, map[string]string{"b": "2"})
	r.mustBeInStep("with bad rows")
	r.with(agent.Options{Triggers: true}, func(*agent.Agent) {
		fill(t, r.local, map[string]string{"c": "3"})
	})
	r.mustBeInStep("afterwards")
}

func TestASyncWhoseStateCannotBeReadIsHalted(t *testing.T) {
	t.Parallel()
	r := newRig(t, ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{}), "up", "max_delete = 2")
	fill(t, r.local, many(10))
	r.mustBeInStep("first pass")
	r.spoil("", "syncs")
	remove(t, r.local, "f000", "f001", "f002", "f003")
	for range 2 { // the reason outlives a restart
		if report := r.once(); !strings.Contains(report.Halt, "cannot be read") || exitCode(report) != 1 {
			t.Fatalf("no halt: %+v", report)
		}
	}
	approve := func() {
		t.Helper()
		r.with(agent.Options{}, func(a *agent.Agent) {
			if err := a.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"s"}}); err != nil {
				t.Fatal(err)
			}
		})
	}
	approve()
	if report := r.once(); !strings.Contains(report.Halt, "max_delete") {
		t.Fatalf("who approves that the sync goes on has not seen its deletions: %+v", report)
	}
	if _, err := os.Stat(filepath.Join(r.remote, "f000")); err != nil {
		t.Error(err)
	}
	approve()
	r.mustBeInStep("afterwards")
}
