package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhatChangesWhileItsJobRuns is looked at again when the job has ended, whoever looked meanwhile: that was compared with what
// was agreed on before the job.
func TestWhatChangesWhileItsJobRuns(t *testing.T) {
	const changed, ends = 2 * time.Second, 10 * time.Second
	before, after := ends-changed-time.Second, ends-changed+500*time.Millisecond
	for sentence, row := range map[string]struct {
		takes time.Duration
		event trigger.Event
	}{
		"a look ends before the job":               {before, trigger.Event{Sync: "up", Paths: []string{"a"}, Why: "event"}},
		"a look ends shortly after the job":        {after, trigger.Event{Sync: "up", Paths: []string{"a"}, Why: "event"}},
		"a scan of all ends before the job":        {before, trigger.Event{Sync: "up", Why: "schedule"}},
		"a scan of all ends shortly after the job": {after, trigger.Event{Sync: "up", Why: "schedule"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if !isScanning(job.Kind) {
						time.Sleep(ends - time.Since(began))
					}
					return done
				})
				var looked []string
				b.walk = func(queue.Job) []plan.Op {
					if time.Since(began) < ends {
						time.Sleep(row.takes)
						return nil
					}
					for _, mark := range b.marks() {
						looked = append(looked, mark.Path)
					}
					return nil
				}
				b.enqueue(string(plan.Upload), "up", b.now(), "a")
				b.run(func() {
					time.Sleep(changed)
					b.update(func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "a", "event", false, b.now()) })
					if err := b.d.emit(t.Context(), row.event); err != nil {
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				})
				if left := b.marks(); !slices.Equal(looked, []string{"a"}) || len(left) > 0 {
					t.Errorf("looked at after the job: %q; left: %+v", looked, left)
				}
			})
		})
	}
}
