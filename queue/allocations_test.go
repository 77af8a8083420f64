package queue

import (
	"runtime"
	"testing"

	"github.com/ftpferry/ftpferry/state"
)

// TestAllocationsOfAJob: a job is written three times and read twice on its way through the queue, for each file that is transferred.
// With rows of JSON that took twice as many pieces of memory.
func TestAllocationsOfAJob(t *testing.T) {
	const jobs, most = 640, 110
	db := openNew(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	update(t, db, func(tx *state.Tx) error {
		for n := range jobs {
			job := newJob("web", n)
			job.Payload = []byte(`{"action":"upload"}`)
			if _, err := Enqueue(tx, start, job); err != nil {
				return err
			}
		}
		return nil
	})
	var claimed []Job
	for range jobs/batch + 1 {
		update(t, db, func(tx *state.Tx) (err error) {
			for _, job := range claimed {
				if _, err := Complete(tx, start, job.ID); err != nil {
					return err
				}
			}
			claimed, err = Claim(tx, start, Request{Server: "acme", Limit: batch})
			return err
		})
	}
	runtime.ReadMemStats(&after)
	got := (after.Mallocs - before.Mallocs) / jobs
	t.Logf("%d allocations for each job", got)
	if got > most {
		t.Errorf("%d allocations for each job, at most %d are wanted", got, most)
	}
	_ = db.View(func(tx *state.Tx) error {
		if counts, err := Summary(tx, ""); counts != (Counts{}) || err != nil {
			t.Errorf("left: %+v, %v", counts, err)
		}
		return nil
	})
}
