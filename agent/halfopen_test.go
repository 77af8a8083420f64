package agent

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestALongTransferDoesNotHoldAServer: neither a transfer by which a server is tried again nor one that was under way when others could not
// connect keeps the rest of the jobs waiting for its end.
func TestALongTransferDoesNotHoldAServer(t *testing.T) {
	t.Parallel()
	const takes = 10 * time.Hour
	for name, test := range map[string]struct {
		isDown func(job queue.Job, since time.Duration) bool
		within time.Duration // of the start
	}{
		"that tries it again": {func(_ queue.Job, since time.Duration) bool { return since < time.Second }, 2 * time.Minute},
		"that was under way":  {func(job queue.Job, since time.Duration) bool { return job.Path != "large" && since < time.Minute }, 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w := &worker{}
				var done, isOver atomic.Int64
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					switch {
					case test.isDown(job, time.Since(begin)):
						return work.Outcome{Err: errDown}
					case job.Path == "large":
						w.current.Store(&underway{job: job, live: work.LiveOf(&ftpclient.Transfer{}, 1<<40)})
						time.Sleep(takes)
						w.current.Store(nil)
						isOver.Store(1)
					default:
						done.Add(1)
					}
					return work.Outcome{Result: work.Done}
				})
				b.before = func(d *dispatcher) { d.servers["acme"].workers = []*worker{w} }
				err := b.db.Update(func(tx *state.Tx) error {
					for _, path := range append([]string{"large"}, paths("a", 100)...) {
						bulk := queue.New{Kind: string(plan.Upload), Sync: "up", Server: "acme", Path: path, Priority: priorityBulk, Payload: []byte("{}")}
						if _, err := queue.Enqueue(tx, begin, bulk); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				b.run(func() {
					time.Sleep(test.within)
					if n := done.Load(); n != 100 || isOver.Load() != 0 {
						t.Errorf("%d of 100 jobs were done beside the long one", n)
					}
					if n := b.tells(ActivityCleared); n != 1 {
						t.Errorf("told %d times that the server can be used again", n)
					}
					time.Sleep(takes)
				})
			})
		})
	}
}
