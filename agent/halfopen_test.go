package agent

import (
	"context"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// flowing is an upload to a server in memory that lasts for a time, and of which a byte a second goes through as long as flows says.
// The worker shows it meanwhile.
func flowing(t *testing.T, server *ftptest.Memory, w *worker, job queue.Job, lasts, flows time.Duration) {
	t.Helper()
	proxy, err := url.Parse(ftptest.Proxy)
	if err != nil {
		t.Error(err)
		return
	}
	options := ftpclient.Options{User: "u", TLS: ftpclient.TLSNone, Proxy: proxy, DialContext: server.Dial, StallTimeout: 2 * lasts}
	options.Data.Policy = ftpclient.DataPassiveOnly
	ctx := context.WithoutCancel(t.Context())
	conn, err := ftpclient.Dial(ctx, server.Addr, options)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	transfer, err := conn.Store(ctx, "/large", 0)
	if err != nil {
		t.Error(err)
		return
	}
	w.current.Store(&underway{job: job, live: work.LiveOf(transfer, 1<<40)})
	defer w.current.Store(nil)
	begin := time.Now()
	for ; time.Since(begin) < flows; time.Sleep(time.Second) {
		if _, err := transfer.Write([]byte("x")); err != nil {
			t.Error(err)
			break
		}
	}
	time.Sleep(lasts - time.Since(begin))
	if _, err := transfer.Finish(ctx); err != nil {
		t.Error(err)
	}
}

// TestALongTransferDoesNotHoldAServer: neither a transfer by which a server is tried again nor one that was under way when others could not
// connect keeps the rest of the jobs waiting for its end. That a data connection was made, and took what this machine keeps of what it
// sends, proves nothing.
func TestALongTransferDoesNotHoldAServer(t *testing.T) {
	t.Parallel()
	const takes = time.Hour
	atFirst := func(_ queue.Job, since time.Duration) bool { return since < time.Second }
	for name, test := range map[string]struct {
		isDown func(job queue.Job, since time.Duration) bool
		within time.Duration // of the start
		flows  time.Duration
		holds  bool // nobody else uses the server
	}{
		"that tries it again":      {isDown: atFirst, within: 2 * time.Minute, flows: takes},
		"that was under way":       {isDown: func(job queue.Job, since time.Duration) bool { return job.Path != "large" && since < time.Minute }, within: 5 * time.Minute, flows: takes},
		"over a line that is dead": {isDown: atFirst, within: takes / 2, flows: time.Second, holds: true},
		"of which nothing moves":   {isDown: atFirst, within: takes / 2, holds: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				w, server := &worker{}, ftptest.NewMemory(t, ftptest.Abilities{})
				var done, isOver atomic.Int64
				var hasBegun atomic.Bool
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					switch {
					case test.isDown(job, time.Since(begin)), job.Path != "large" && !hasBegun.Load(): // no other job tries it in its place
						return work.Outcome{Err: errDown}
					case job.Path == "large":
						hasBegun.Store(true)
						flowing(t, server, w, job, takes, test.flows)
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
					want := [2]int64{100, 1}
					if test.holds {
						want = [2]int64{}
					}
					if got := [2]int64{done.Load(), int64(b.tells(ActivityCleared))}; got != want || isOver.Load() != 0 {
						t.Errorf("beside the long one %d of 100 jobs were done, and it was told %d times that the server can be used again", got[0], got[1])
					}
					time.Sleep(takes)
				})
			})
		})
	}
}

// TestOneTrialAtATimeThoughTheClockWasSetBack: what began after that did so before the end of the pause, as the clock tells, and is a trial all
// the same.
func TestOneTrialAtATimeThoughTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		workers := make(chan *worker, 4)
		var tries, most atomic.Int64
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			w := <-workers
			w.current.Store(&underway{job: job, live: new(work.Live)})
			tries.Add(1)
			most.Store(max(most.Load(), int64(cap(workers)-len(workers))))
			time.Sleep(30 * time.Second)
			w.current.Store(nil)
			workers <- w
			return work.Outcome{Err: errDown}
		})
		b.before = func(d *dispatcher) {
			for range cap(workers) {
				w := &worker{}
				d.servers["acme"].workers = append(d.servers["acme"].workers, w)
				workers <- w
			}
		}
		b.enqueue(work.KindSweepRemote, "up", time.Now(), paths("a", cap(workers))...)
		b.run(func() {
			for len(workers) > 0 { // all are at it before it is known that the server is down
				time.Sleep(time.Second)
			}
			for len(workers) < cap(workers) {
				time.Sleep(time.Millisecond)
			}
			b.step.Store(int64(-5 * time.Hour))
			tries.Store(0)
			most.Store(0)
			time.Sleep(time.Hour)
			if tries.Load() < 4 || most.Load() != 1 {
				t.Errorf("%d trials, up to %d at a time", tries.Load(), most.Load())
			}
		})
	})
}
