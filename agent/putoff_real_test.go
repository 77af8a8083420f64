package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAFolderThatIsEmptiedAndFilledAgain, or moved away and back, seconds later: both sides end equal without a person, and nothing was
// deleted meanwhile.
func TestAFolderThatIsEmptiedAndFilledAgain(t *testing.T) {
	for i, row := range []struct {
		what, direction string
		away            time.Duration
	}{
		{"emptied", "up", 12 * time.Second}, {"emptied", "both", 12 * time.Second},
		{"moved", "up", 20 * time.Second}, {"moved", "both", 20 * time.Second},
		{"removed", "up", 12 * time.Second},
	} {
		name := ftptest.RealServers[i%len(ftptest.RealServers)]
		t.Run(fmt.Sprintf("%s/%s/%s", row.what, row.direction, name), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, ftptest.Real(t, name, ftptest.RealOptions{}), row.direction, "watch = true")
			r.patient = true
			fill(t, r.local, drillTree)
			r.mustBeInStep("at first")
			before := tree(t, r.remote)
			seen := &diary{}
			saw := func(kind agent.ActivityKind) bool {
				return seen.has(func(a agent.Activity) bool { return a.Kind == kind })
			}
			r.with(agent.Options{Triggers: true, Observe: seen.add}, func(*agent.Agent) {
				eventually(t, "the watch stands", func() bool { return saw(agent.ActivityScanned) })
				took, aside := time.Now(), r.local+" aside"
				switch row.what {
				case "emptied":
					names, err := os.ReadDir(r.local)
					if err != nil {
						t.Fatal(err)
					}
					for _, name := range names {
						remove(t, r.local, name.Name())
					}
				case "moved":
					if err := os.Rename(r.local, aside); err != nil {
						t.Fatal(err)
					}
				default:
					remove(t, filepath.Dir(r.local), filepath.Base(r.local))
				}
				eventually(t, "it is noticed", func() bool { return saw(agent.ActivityPutOff) || saw(agent.ActivityHalted) })
				time.Sleep(row.away - time.Since(took))
				if diff := cmp.Diff(before, tree(t, r.remote)); diff != "" {
					t.Errorf("on the server meanwhile:\n%s", diff)
				}
				if row.what == "moved" {
					if err := os.Rename(aside, r.local); err != nil {
						t.Fatal(err)
					}
				} else {
					fill(t, r.local, drillTree)
				}
				eventually(t, "the wait is over", func() bool { return saw(agent.ActivityAverted) || saw(agent.ActivityHalted) })
				eventually(t, "both sides are equal", r.equal)
			})
			if saw(agent.ActivityHalted) {
				t.Error("it has halted")
			}
			r.mustBeInStep("afterwards")
		})
	}
}
