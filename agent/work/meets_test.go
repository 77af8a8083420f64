package work

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/state"
)

// TestEqualFilesThatWereNeverInStep, or that have changed on both sides since, are not transferred, whatever their times are, where the server says what they hold.
func TestEqualFilesThatWereNeverInStep(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name        string
		modules     []string
		here, there string
		known       string // of which sides it was known when they were in step that they held something else
		adopted     bool
	}{
		{"equal, and the server computes hashes", []string{"digest"}, "content", "content", "", true},
		{"of equal size alone", []string{"digest"}, "content", "another", "", false},
		{"equal, and both have changed", []string{"digest"}, "content", "content", "both", true},
		{"of equal size alone, and both have changed", []string{"digest"}, "content", "another", "both", false},
		{"equal, but the one here is as it was, with something else there", []string{"digest"}, "content", "content", "there", false},
		{"equal, but the one there is as it was, with something else here", []string{"digest"}, "content", "content", "here", false},
		{"equal, and the server computes none", nil, "content", "content", "", false},
		{"equal, both have changed, and the server computes none", nil, "content", "content", "both", false},
	} {
		for action, verb := range map[plan.Action]string{plan.Upload: "STOR", plan.Download: "RETR"} {
			t.Run(string(action)+" "+row.name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, ftptest.Real(t, "proftpd", ftptest.RealOptions{Modules: row.modules}))
				b.sync.Rules.Direction = plan.Up
				source, other := row.here, row.there
				if action == plan.Download {
					b.sync.Rules.Direction = plan.Down
					source, other = other, source
				}
				b.write("a.txt", row.here)
				b.offer("a.txt", row.there)
				// Older at the target than at the source, so that the times do not say that they are equal.
				root := map[plan.Action]string{plan.Upload: b.remote, plan.Download: b.local}[action]
				if err := os.Chtimes(filepath.Join(root, "a.txt"), stamped, stamped.Add(-24*time.Hour)); err != nil {
					t.Fatal(err)
				}
				op := b.planned(action, "a.txt")
				if row.known != "" {
					base := plan.Base{Local: op.Local.Entry, Remote: op.Remote.Entry}
					if row.known != "there" {
						base.Local.Size = 3
					}
					if row.known != "here" {
						base.Remote.Size = 3
					}
					op.Base, b.state.base = &base, &state.Baseline{Path: "a.txt", Local: base.Local, Remote: base.Remote}
				}
				o := mustBe(t, Done, b.do(t.Context(), op, 1))
				if o.Already != row.adopted || row.adopted == (len(b.said(verb)) > 0) || row.adopted && o.Verified != "content" {
					t.Errorf("%+v; %q", o, b.said(verb))
				}
				if source != other && o.Already {
					t.Error("another file was adopted")
				}
				for _, folder := range []string{b.local, b.remote} {
					holds(t, folder, map[string]string{"a.txt": source})
				}
			})
		}
	}
}
