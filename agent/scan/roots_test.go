package scan

import (
	"testing"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestAFolderInWhichNothingIsMissing: links that are on one side only are known, and an empty folder is as empty as it was.
func TestAFolderInWhichNothingIsMissing(t *testing.T) {
	link := entry.Entry{Kind: entry.Link, Target: "a"}
	left := func(here, there entry.Entry) map[string]state.Baseline {
		return ledger{"x": {Path: "x", Local: here, Remote: there, Left: "not made"}, "y": {Path: "y", Local: here, Remote: there, Left: "not made"}}
	}
	for _, test := range []struct {
		name          string
		base          ledger
		local, remote plan.Root
	}{
		{"links that are here only", left(link, entry.Entry{}), plan.RootEmpty, plan.RootUnseen},
		{"links that are on the server only", left(entry.Entry{}, link), plan.RootUnseen, plan.RootEmpty},
		{"one that nobody can read", ledger{"x": {Path: "x", Bad: "damaged"}}, plan.RootEmpty, plan.RootEmpty},
		{"nothing is known", nil, plan.RootEmpty, plan.RootEmpty},
	} {
		for _, paths := range [][]string{nil, {"x"}} {
			r := newRig(t, plan.Both)
			r.base, r.remote = test.base, &Remote{Conn: model{}, Root: "/"}
			if got := r.scan(paths...).Totals; got.Local != test.local || got.Remote != test.remote {
				t.Errorf("%s, looking at %q: local %v, remote %v; want %v, %v", test.name, paths, got.Local, got.Remote, test.local, test.remote)
			}
		}
	}
}
