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

// TestAClockThatIsSet, by whomever, makes nobody wait for longer than what was meant.
func TestAClockThatIsSet(t *testing.T) {
	t.Parallel()
	t.Run("a state from the future", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBreaker(t, func(queue.Job) work.Outcome { return done })
			future := time.Now().AddDate(26, 0, 0)
			b.enqueue(string(plan.Upload), "up", future, "a", "b")
			b.enqueue(work.KindSweepRemote, "far", future, "c")
			err := b.db.Update(func(tx *state.Tx) error {
				for _, server := range []string{"acme", "other"} {
					jobs, err := queue.Claim(tx, future, queue.Request{Server: server, Limit: 9})
					if err != nil {
						return err
					}
					for _, job := range jobs {
						if _, err := queue.Fail(tx, future, job.ID, queue.Failure{Reason: "busy", RetryAt: future.Add(time.Minute)}); err != nil {
							return err
						}
					}
					hold := state.Hold{Reason: "full", Since: future, Until: future.Add(laterDelay), Job: 1, Size: 1}
					if err := state.PutServer(tx, server, state.Server{NotBefore: future.Add(time.Minute), Failures: 9, Hold: hold}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			b.run(func() { time.Sleep(queue.MostDelay + time.Minute) })
			if got := b.counts(""); got != (queue.Counts{}) {
				t.Errorf("left: %+v", got)
			}
		})
	})
	for name, step := range map[string]time.Duration{"forward and back": 10 * time.Hour, "back and forward": -10 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var broken atomic.Bool
				broken.Store(true)
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					switch {
					case !broken.Load():
						return done
					case job.Sync == "far":
						return work.Outcome{Err: errDown}
					case job.Kind == string(plan.Upload):
						return work.Outcome{Err: errQuota}
					}
					return work.Outcome{Err: &ftpclient.Error{Op: "delete", Command: "DELE", Code: 450, Text: "File busy"}}
				})
				b.enqueue(work.KindSweepRemote, "far", b.now(), paths("a", 5)...)
				b.enqueue(string(plan.Upload), "up", b.now(), paths("b", 5)...)
				b.enqueue(work.KindSweepRemote, "down", b.now(), paths("c", 5)...)
				b.run(func() {
					time.Sleep(time.Hour)
					b.step.Store(int64(step))
					from := time.Now()
					time.Sleep(3 * time.Hour)
					for _, sync := range []string{"far", "up", "down"} {
						if n := len(b.between(from, time.Now(), sync)); n < 3*4-2 {
							t.Errorf("%s: %d tries in three hours with a wrong clock", sync, n)
						}
					}
					broken.Store(false)
					b.step.Store(0)
					time.Sleep(2 * queue.MostDelay)
					if got := b.counts(""); got != (queue.Counts{}) {
						t.Errorf("left: %+v", got)
					}
				})
			})
		})
	}
}
