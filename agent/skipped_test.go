package agent

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// TestWhatIsLeftAloneIsToldOnce: when it is new, again when the reason is another one, or when it was gone for a while, and not
// after a restart. The report of each pass names all of it.
func TestWhatIsLeftAloneIsToldOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := map[string]string{}
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			found := &scan.Result{Unknown: []scan.Unknown{{Path: "folder", Reason: "no permission"}}}
			for path, why := range left {
				found.Plan.Notes = append(found.Plan.Notes, plan.Note{Path: path, Text: why, Conflict: path == "both"})
			}
			return work.Outcome{Result: work.Done, Scan: found}
		})
		steps := []struct {
			name string
			left map[string]string
			told []string
		}{
			{"all is new", map[string]string{"a": "a link", "both": "changed on both sides"}, []string{"a: a link", "both: changed on both sides", "folder: no permission"}},
			{"nothing is", map[string]string{"a": "a link", "both": "changed on both sides"}, nil},
			{"a reason is", map[string]string{"a": "a device", "both": "changed on both sides"}, []string{"a: a device"}},
			{"one is gone", map[string]string{"both": "changed on both sides"}, nil},
			{"it is there again", map[string]string{"a": "a device", "both": "changed on both sides"}, []string{"a: a device"}},
		}
		pass := func() (told []string) {
			b.mu.Lock()
			b.told = nil
			b.mu.Unlock()
			p := newPass([]string{"up"}, b.now())
			if err := b.agent.ask(t.Context(), request{pass: p}); err != nil {
				t.Fatal(err)
			}
			report := (<-p.finished).Syncs[0]
			if got := len(report.Skipped) + len(report.Conflicts) + len(report.Unknown); got != len(left)+1 {
				t.Errorf("the report names %d of %d: %+v", got, len(left)+1, report)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			for _, a := range b.told {
				if a.Kind == ActivitySkipped || a.Kind == ActivityConflict || a.Kind == ActivityUnknown {
					told = append(told, fmt.Sprintf("%s: %s", a.Path, a.Text))
				}
			}
			slices.Sort(told)
			return told
		}
		b.run(func() {
			for _, step := range steps {
				left = step.left
				if told := pass(); !slices.Equal(told, step.told) {
					t.Errorf("%s: told %q, want %q", step.name, told, step.told)
				}
				time.Sleep(time.Minute)
			}
		})
		b.run(func() {
			if told := pass(); told != nil {
				t.Errorf("after a restart: told %q", told)
			}
		})
	})
}
