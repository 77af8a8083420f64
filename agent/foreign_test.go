package agent_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// pathsOf are those of a list of a report, sorted.
func pathsOf(list []control.PathReason) (paths []string) {
	for _, r := range list {
		paths = append(paths, string(r.Path))
	}
	slices.Sort(paths)
	return paths
}

// tellsOf checks that status has such notes and no others, and that each path explains itself by its note.
func (r *rig) tellsOf(what, kind string, paths ...string) {
	r.t.Helper()
	r.stopped(func(a *agent.Agent, _ *state.DB) {
		overview, err := a.Status(r.t.Context(), control.StatusFilter{})
		syncs := overview.Syncs
		if err != nil || len(syncs) != 1 {
			r.t.Fatalf("%s: status %+v, %v", what, syncs, err)
		}
		var noted []string
		for _, n := range syncs[0].Notes {
			if n.Kind != kind {
				continue
			}
			noted = append(noted, string(n.Path))
			e, err := a.Explain(r.t.Context(), "s", string(n.Path))
			if err != nil || e.Note == nil || e.Note.Kind != kind || !strings.Contains(e.Next, n.Reason) {
				r.t.Errorf("%s: explain %s: %+v, %v", what, n.Path, e, err)
			}
		}
		if slices.Sort(noted); !slices.Equal(noted, paths) {
			r.t.Errorf("%s: status has %s of %q, want %q", what, kind, noted, paths)
		}
	})
}

// lastSeen checks what explain says that both sides were when a conflict was found.
func (r *rig) lastSeen(path string, here, there control.Seen) {
	r.t.Helper()
	r.stopped(func(a *agent.Agent, _ *state.DB) {
		e, err := a.Explain(r.t.Context(), "s", path)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, side := range []struct {
			got  *control.Seen
			want control.Seen
		}{{e.LastSeen.Local, here}, {e.LastSeen.Remote, there}} {
			got, want := side.got, side.want.Entry
			if got == nil || got.By != control.SeenNoted || got.Entry.Kind != want.Kind || got.Entry.Size != want.Size || got.When.IsZero() || e.Agreed == nil || e.Agreed.Remote.Size != 1 {
				r.t.Errorf("%s was last seen as %+v, want %+v; agreed: %+v", path, got, want, e.Agreed)
			}
		}
	})
}

// TestWhatOthersChangeAtTheTarget goes through the policies with the same changes: "conflict" and "keep" leave them, "restore"
// does not. What was not touched there goes on in any case.
func TestWhatOthersChangeAtTheTarget(t *testing.T) {
	for _, row := range [][2]string{{"vsftpd", "up"}, {"pure-ftpd", "up"}, {"proftpd", "down"}, {"pyftpdlib", "down"}} {
		t.Run(row[0]+" "+row[1], func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, row[0], ftptest.RealOptions{}), row[1], `on_foreign_change = "conflict"`)
			source, target := r.local, r.remote
			if row[1] == "down" {
				source, target = target, source
			}
			fill(t, source, map[string]string{"both": "1", "edited": "1", "gone": "1", "plain": "1", "d/touched": "1"})
			r.mustBeInStep("first pass")
			remove(t, target, "gone")
			fill(t, target, map[string]string{"both": "by somebody else", "edited": "by somebody else"})
			setTime(t, target, "d/touched", time.Now().Add(-100*time.Hour))
			fill(t, source, map[string]string{"both": "22", "plain": "22"})
			left := map[string]string{"both": "by somebody else", "edited": "by somebody else", "plain": "22", "d/": "", "d/touched": "1"}
			pass := func(what string, transferred int, conflicts, skipped []string) {
				t.Helper()
				report := r.once()
				got := map[string][]string{"conflicts": pathsOf(report.Conflicts), "skipped": pathsOf(report.Skipped)}
				if diff := cmp.Diff(map[string][]string{"conflicts": conflicts, "skipped": skipped}, got); diff != "" || report.Transferred != transferred {
					t.Errorf("%s: %+v: %s", what, report, diff)
				}
				if diff := cmp.Diff(left, tree(t, target)); diff != "" {
					t.Fatalf("%s: at the target: wanted -, got +:\n%s", what, diff)
				}
			}
			pass("conflict", 1, []string{"both", "d/touched", "edited", "gone"}, nil)
			r.tellsOf("conflict", "conflict", "both", "d/touched", "edited", "gone")
			atSource, atTarget := control.Seen{Entry: entry.Entry{Kind: entry.File, Size: 2}}, control.Seen{Entry: entry.Entry{Kind: entry.File, Size: 16}}
			if row[1] == "up" {
				r.lastSeen("both", atSource, atTarget)
			} else {
				r.lastSeen("both", atTarget, atSource)
			}

			r.edit(`"conflict"`, `"keep"`)
			pass("keep", 0, []string{"both"}, []string{"d/touched", "edited", "gone"})
			r.tellsOf("keep", "conflict", "both")
			r.tellsOf("keep", "skipped", "d/touched", "edited", "gone")

			fill(t, source, map[string]string{"gone": "22", "new": "22"})
			maps.Copy(left, map[string]string{"gone": "22", "new": "22"})
			pass("keep, and what is gone there changes at the source", 2, []string{"both"}, []string{"d/touched", "edited"})

			r.edit(`"keep"`, `"restore"`)
			r.mustBeInStep("restore")
			if got := tree(t, target); got["both"] != "22" || got["edited"] != "1" {
				t.Errorf("restored: %v", got)
			}
			r.tellsOf("restore", "conflict")
		})
	}
}

// TestAConflictIsDecidedAsConfigured: "ask" leaves that path alone, and each of the others has its winner on both sides.
func TestAConflictIsDecidedAsConfigured(t *testing.T) {
	for _, name := range []string{"vsftpd", "pyftpdlib"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newBothRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), `conflict = "ask"`)
			fill(t, r.local, map[string]string{"d/older": "1", "newer": "1", "free": "1"})
			r.mustBeInStep("first pass")
			clash := func(what string) {
				t.Helper()
				for path, age := range map[string]time.Duration{"d/older": 1000, "newer": 500} { // of the local one
					fill(t, r.local, map[string]string{path: "here: " + what})
					fill(t, r.remote, map[string]string{path: "on the server: " + what})
					setTime(t, r.local, path, time.Now().Add(-age*time.Hour))
					setTime(t, r.remote, path, time.Now().Add(-750*time.Hour))
				}
			}
			clash("ask")
			for pass, free := range []string{"changed", "changed again"} {
				fill(t, r.local, map[string]string{"free": free})
				report := r.once()
				if got := pathsOf(report.Conflicts); report.Transferred != 1 || !slices.Equal(got, []string{"d/older", "newer"}) || exit(report) != 1 {
					t.Errorf("ask, pass %d: %+v", pass, report)
				}
				here, there := tree(t, r.local), tree(t, r.remote)
				if there["free"] != free || here["newer"] != "here: ask" || there["newer"] != "on the server: ask" || len(here) != 4 || len(there) != 4 {
					t.Errorf("ask, pass %d: here %v, on the server %v", pass, here, there)
				}
			}
			r.tellsOf("ask", "conflict", "d/older", "newer")

			decided := func(policy, older, newer string) {
				t.Helper()
				r.mustBeInStep(policy)
				want := map[string]string{"d/": "", "d/older": older + ": " + policy, "newer": newer + ": " + policy, "free": "changed again"}
				if diff := cmp.Diff(want, tree(t, r.local)); diff != "" {
					t.Errorf("%s: wanted -, got +:\n%s", policy, diff)
				}
				r.tellsOf(policy, "conflict")
			}
			r.edit(`"ask"`, `"newer"`)
			clash("newer")
			decided("newer", "on the server", "here")
			r.edit(`"newer"`, `"local"`)
			clash("local")
			decided("local", "here", "here")
			r.edit(`"local"`, `"remote"`)
			clash("remote")
			decided("remote", "on the server", "on the server")
		})
	}
}
