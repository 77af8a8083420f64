package agent

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// TestFoldersDoNotKeepTheirContentWaiting: deletions of folders may be older than those of what is in them, where files came and went
// before it was their turn. More of them than are handed out together must not be tried over and over while no file is.
func TestFoldersDoNotKeepTheirContentWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const folders = 3 * streamJobs
		var mu sync.Mutex
		there := map[string]bool{}
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			time.Sleep(50 * time.Millisecond) // the time of a server that is not near
			mu.Lock()
			defer mu.Unlock()
			if file := job.Path + "/file"; there[file] {
				return work.Outcome{Result: work.Stale, NotEmpty: true, Reason: "not empty"}
			}
			delete(there, job.Path)
			return done
		})
		names := paths("folder", folders)
		b.enqueue(string(plan.DeleteRemote), "up", time.Now(), names...)
		for _, name := range names {
			there[name+"/file"] = true
			b.enqueue(string(plan.DeleteRemote), "up", time.Now(), name+"/file")
		}
		b.run(func() {
			time.Sleep(5 * time.Minute)
			if left := b.counts("up"); left != (queue.Counts{}) {
				t.Errorf("left: %+v", left)
			}
		})
		tries, numbers := b.between(time.Time{}, time.Now(), "up"), map[string]queue.ID{}
		if len(tries) > 3*folders {
			t.Errorf("%d tries to delete %d folders with a file each", len(tries), folders)
		}
		for _, try := range tries {
			if was, known := numbers[try.job.Path]; known && was != try.job.ID {
				t.Fatalf("%q was job %d, under which people know it, and is %d", try.job.Path, was, try.job.ID)
			}
			numbers[try.job.Path] = try.job.ID
		}
	})
}
