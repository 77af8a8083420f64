package agent

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestALinkWaitsAsLongAsItsTargetMayCome, and is for a person when that was given up, or nothing brings it for hours.
func TestALinkWaitsAsLongAsItsTargetMayCome(t *testing.T) {
	t.Parallel()
	refused := work.Outcome{Err: &ftpclient.Error{Op: "store", Command: "STOR", Code: 553, Text: "Could not create file."}}
	busy := work.Outcome{Err: &ftpclient.Error{Op: "store", Command: "STOR", Code: 450, Text: "File busy"}}
	note := func(at time.Time) func(tx *state.Tx) error {
		return func(tx *state.Tx) error {
			_, err := state.PutNote(tx, "up", state.Note{Path: "target", Kind: state.NoteHeld, Text: "waits for target.done"}, at)
			return err
		}
	}
	mark := func(at time.Time) func(tx *state.Tx) error {
		return func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "target", "changed", false, at) }
	}
	look := func(at time.Time) func(tx *state.Tx) error {
		return func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, at, queue.New{Kind: work.KindScan, Sync: "up", Server: "acme", Priority: priorityLook})
			return err
		}
	}
	for name, test := range map[string]struct {
		upload      work.Outcome // of the target; without any there is no job for it
		known       func(at time.Time) func(tx *state.Tx) error
		lasts, over time.Duration // it waits for that long, and has been given up by then; 0: never
		why         string
	}{
		"its upload is tried again and again": {upload: busy, lasts: 24 * time.Hour},
		"its upload was given up":             {upload: refused, over: time.Minute, why: "Could not create file."},
		"nothing is about to bring it":        {lasts: longestAwaited - time.Minute, over: longestAwaited + 10*time.Minute, why: "nothing is about to bring it"},
		"it is not complete yet":              {known: note, lasts: 24 * time.Hour},
		"a scan may come to it":               {known: look, lasts: 23 * time.Hour},
		"it is still to be looked at":         {known: mark, lasts: 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					switch job.Kind {
					case string(plan.LinkRemote):
						return work.Outcome{Err: &work.AwaitedError{Target: "target", Path: "target"}}
					case string(plan.Upload):
						return test.upload
					case work.KindScan:
						time.Sleep(24 * time.Hour)
					}
					return busy
				})
				b.enqueue(string(plan.LinkRemote), "up", begin, "link")
				if test.upload.Err != nil {
					b.enqueue(string(plan.Upload), "up", begin, "target")
				}
				if test.known != nil {
					if err := b.db.Update(test.known(begin)); err != nil {
						t.Fatal(err)
					}
				}
				link := func() (job queue.Job) {
					err := b.db.View(func(tx *state.Tx) (err error) {
						job, _, err = queue.Lookup(tx, string(plan.LinkRemote), "up", "link")
						return err
					})
					if err != nil {
						t.Fatal(err)
					}
					return job
				}
				b.run(func() {
					time.Sleep(test.lasts)
					if job := link(); test.lasts > 0 && job.State == queue.Dead {
						t.Errorf("given up: %s", job.LastError)
					}
					time.Sleep(max(test.over-test.lasts, 0))
					if job := link(); test.over > 0 && (job.State != queue.Dead || !strings.Contains(job.LastError, `"target"`) || !strings.Contains(job.LastError, test.why)) {
						t.Errorf("%s: %s", job.State, job.LastError)
					}
				})
				told := slices.ContainsFunc(b.history(), func(h state.History) bool { return h.Path == "link" && strings.Contains(h.Error, test.why) })
				if told != (test.over > 0) {
					t.Errorf("in the history: %v", told)
				}
			})
		})
	}
}
