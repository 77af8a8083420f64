package agent

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// TestNothingStarves: small files that keep coming in, faster than they can be sent, hold up a scan and the deletions of
// their sync for a while, but not for ever.
func TestNothingStarves(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name     string
		kind     string
		takes    time.Duration // one upload
		patience time.Duration
	}{
		{"a full scan goes on after ten minutes", work.KindScan, 5 * time.Second, scanPatience},
		{"a deletion goes on after a day", string(plan.DeleteRemote), 10 * time.Minute, deletePatience},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Kind == string(plan.Upload) {
						time.Sleep(row.takes)
					}
					return work.Outcome{Result: work.Done}
				})
				began := time.Now()
				b.enqueue(string(plan.Upload), "up", began, paths("first", 40)...)
				b.enqueue(row.kind, "up", began, map[bool]string{true: "old", false: ""}[row.kind != work.KindScan])
				b.run(func() {
					for i := 0; time.Since(began) < row.patience+10*row.takes+2*patienceInterval; i++ {
						if b.counts("up").Due < 30 {
							b.enqueue(string(plan.Upload), "up", time.Now(), paths(fmt.Sprint("more ", i, " "), 20)...)
						}
						time.Sleep(row.takes)
					}
				})
				var at time.Duration
				for _, try := range b.tries {
					if try.job.Kind == row.kind && at == 0 {
						at = try.at.Sub(began)
					}
				}
				if at < row.patience || at > row.patience+5*row.takes+2*patienceInterval {
					t.Errorf("it began after %s of uploads, want soon after %s", at, row.patience)
				}
			})
		})
	}
}

// TestDeletionsGoLastAfterAnOutage: a server that was away for as long as deletions have patience has made nobody wait for what
// keeps coming in. (Longer, and they would have been tried in vain, and be patient again.)
func TestDeletionsGoLastAfterAnOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := newBreaker(t, func(queue.Job) work.Outcome {
			if time.Since(began) < deletePatience {
				return work.Outcome{Err: errDown}
			}
			time.Sleep(10 * time.Second)
			return work.Outcome{Result: work.Done}
		})
		b.enqueue(string(plan.Upload), "up", began, paths("file ", 100)...)
		b.enqueue(string(plan.DeleteRemote), "up", began, "old")
		b.run(func() { time.Sleep(deletePatience + time.Hour) })
		sent := 0
		for _, try := range b.tries {
			if try.out.Err != nil {
				continue
			}
			if try.job.Kind == string(plan.DeleteRemote) && sent < 100 {
				t.Fatalf("deleted after %d of 100 uploads", sent)
			}
			sent++
		}
		if sent != 101 {
			t.Errorf("%d of 101 jobs are done", sent)
		}
	})
}
