package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

const batch = 64

func newJobs(from int) []New {
	jobs := make([]New, batch)
	for i := range jobs {
		jobs[i] = New{Kind: "up", Sync: "web", Server: "acme", Path: fmt.Sprintf("folder/%d/file-%d.html", from%100, from+i), Why: "changed"}
	}
	return jobs
}

// BenchmarkEnqueue commits batches of 64 new jobs.
func BenchmarkEnqueue(b *testing.B) {
	db := openNew(b)
	n := 0
	for b.Loop() {
		jobs := newJobs(n)
		n += batch
		update(b, db, func(tx *state.Tx) error { _, err := Enqueue(tx, start, jobs...); return err })
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/job")
}

// BenchmarkClaimComplete completes one batch and claims the next in one commit, as the
// dispatcher does, on a queue of 20,000 jobs with others ahead of them on hold.
func BenchmarkClaimComplete(b *testing.B) {
	db := openNew(b)
	for n := 0; n < 20_000; n += 1000 {
		update(b, db, func(tx *state.Tx) error {
			for i := range 1000 {
				held := New{Kind: "up", Sync: "held", Server: "acme", Path: fmt.Sprint(n + i)}
				free := New{Kind: "up", Sync: "web", Server: "acme", Path: fmt.Sprint(n + i), Priority: 1}
				if _, err := Enqueue(tx, start, held, free); err != nil {
					return err
				}
			}
			return nil
		})
	}
	hold := func(sync string) Held { return heldAll(sync == "held") }
	var claimed []Job
	jobs := 0
	for b.Loop() {
		update(b, db, func(tx *state.Tx) (err error) {
			for _, job := range claimed {
				if _, err := Complete(tx, start, job.ID); err != nil {
					return err
				}
				// Keep the queue at its length.
				if _, err := Enqueue(tx, start.Add(time.Second), job.New); err != nil {
					return err
				}
			}
			claimed, err = Claim(tx, start.Add(time.Hour), Request{Server: "acme", Limit: batch, Hold: hold})
			return err
		})
		jobs += len(claimed)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(jobs), "ns/job")
}
