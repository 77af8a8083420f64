package scan

import (
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
)

// TestDiskWithinTheFolderThatIsNotMounted: the folder that it was mounted on was there before, and is empty.
func TestDiskWithinTheFolderThatIsNotMounted(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(row *state.Baseline)
		deletes bool
	}{
		{"another folder, which was there before", func(row *state.Baseline) { row.Local.ID++ }, false},
		{"the same folder, emptied", func(*state.Baseline) {}, true},
		{"a folder that was made anew", func(row *state.Baseline) {
			row.Local.ID++
			row.When = row.When.Add(-time.Hour)
		}, true},
		{"a folder that nobody has looked at closely", func(row *state.Baseline) { row.Local.ID = 0 }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			if born(openRoot(t, t.TempDir()), "").IsZero() {
				test.deletes = true // this system or its disk does not tell
			}
			r := newRig(t, plan.Up)
			r.knows("disk/a", "disk/b/c", "other")
			r.remove("disk/a")
			r.remove("disk/b")
			row := r.base["disk"]
			row.When = time.Now().Add(time.Second)
			test.change(&row)
			r.base["disk"] = row
			for _, paths := range [][]string{nil, {"disk/a"}, {"disk/b/c"}, {"disk", "other"}} {
				result := r.scan(paths...)
				deletes := slices.ContainsFunc(result.Plan.Ops, func(op plan.Op) bool { return op.Action.Deletes() })
				if deletes != test.deletes {
					t.Errorf("%q: deletes %v, want %v: %q", paths, deletes, test.deletes, said(result))
				}
				if unknown := len(result.Unknown) > 0; unknown == test.deletes {
					t.Errorf("%q: unknown are %v", paths, result.Unknown)
				}
			}
			fill(t, r.local, "disk/new")
			if result := r.scan(); len(result.Unknown) > 0 {
				t.Errorf("with a file in it, unknown are %v", result.Unknown)
			}
		})
	}
}
