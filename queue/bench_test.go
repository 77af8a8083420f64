package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// All benchmarks commit to a real file, fsync included; jobs are claimed and completed in batches of 64, as the dispatcher does it.
// What counts is ns/job.
const batch = 64

// pathOf spreads files over folders of a hundred, in the order in which a scan finds them.
func pathOf(n int) string { return fmt.Sprintf("folder-%06d/file-%08d.html", n/100, n) }

func newJob(sync string, n int) New {
	return New{Kind: "up", Sync: sync, Server: "acme", Path: pathOf(n), Priority: 50, Why: "changed"}
}

func perJob(b *testing.B, jobs int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(jobs), "ns/job")
	b.ReportMetric(0, "ns/op")
}

// fill enqueues the jobs first to last-1 of a sync, and records their paths as in step if rows
// of the baseline are wanted as well.
func fill(b *testing.B, db *state.DB, sync string, first, last int, baseline bool) {
	b.Helper()
	const large = 20_000 // rows of one commit
	for first < last {
		end := min(first+large, last)
		update(b, db, func(tx *state.Tx) error {
			for ; first < end; first++ {
				if _, err := Enqueue(tx, start, newJob(sync, first)); err != nil {
					return err
				}
				if !baseline {
					continue
				}
				if err := putBaseline(tx, sync, pathOf(first)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func putBaseline(tx *state.Tx, sync, path string) error {
	e := entry.Entry{Kind: entry.File, Size: 4711, ModTime: start}
	return state.PutBaseline(tx, sync, state.Baseline{Path: path, Local: e, Remote: e, When: start, Job: 1})
}

// BenchmarkEnqueue commits so many new jobs at once to a queue that grows.
func BenchmarkEnqueue(b *testing.B) {
	for _, jobs := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("jobs=%d", jobs), func(b *testing.B) {
			db := openNew(b)
			n := 0
			for b.Loop() {
				fill(b, db, "web", n, n+jobs, false)
				n += jobs
			}
			perJob(b, n)
		})
	}
}

// BenchmarkClaimComplete works off a queue of so many jobs: each commit completes what was
// claimed by the one before and claims more.
func BenchmarkClaimComplete(b *testing.B) {
	for _, queued := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("queued=%d", queued), func(b *testing.B) {
			db := openNew(b)
			jobs := 0
			for b.Loop() {
				b.StopTimer()
				fill(b, db, "web", jobs, jobs+queued, false)
				b.StartTimer()
				var claimed []Job
				for {
					claimed = turn(b, db, claimed, nil)
					if len(claimed) == 0 {
						break
					}
					jobs += len(claimed)
				}
			}
			perJob(b, jobs)
		})
	}
}

// turn is a commit of the dispatcher: jobs end, with what they leave behind, and others begin.
func turn(b *testing.B, db *state.DB, done []Job, end func(*state.Tx, Job) error) (claimed []Job) {
	b.Helper()
	hold := func(sync string) Held { return heldAll(sync == "held") }
	update(b, db, func(tx *state.Tx) (err error) {
		for _, job := range done {
			if _, err := Complete(tx, start, job.ID); err != nil {
				return err
			}
			if end != nil {
				if err := end(tx, job); err != nil {
					return err
				}
			}
		}
		claimed, err = Claim(tx, start.Add(time.Hour), Request{Server: "acme", Limit: batch, Hold: hold})
		return err
	})
	return claimed
}

// BenchmarkRows does the same over so many rows of the baseline, with as many open jobs as a sync may have at most, on paths
// one after the other and on paths all over the tree. Every job that ends writes the row of its path and makes room for a new
// job, so that the number of rows stays.
func BenchmarkRows(b *testing.B) {
	for _, order := range []struct {
		name string
		step int // from the path of one job to the next; it has no divisor in common with the numbers of rows
	}{{"in order", 1}, {"all over", 611_953}} {
		for _, rows := range []int{1000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/rows=%d", order.name, rows), func(b *testing.B) { overRows(b, rows, order.step) })
		}
	}
}

func overRows(b *testing.B, rows, step int) {
	const large = 20_000 // rows of one commit
	db := openNew(b)
	for first := 0; first < rows; first += large {
		update(b, db, func(tx *state.Tx) error {
			for n := first; n < min(first+large, rows); n++ {
				if err := putBaseline(tx, "web", pathOf(n)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	next, jobs := 0, 0
	enqueue := func(tx *state.Tx) error {
		_, err := Enqueue(tx, start, newJob("web", next*step%rows))
		next++
		return err
	}
	update(b, db, func(tx *state.Tx) error {
		for next < min(rows, 10_000) {
			if err := enqueue(tx); err != nil {
				return err
			}
		}
		return nil
	})
	end := func(tx *state.Tx, job Job) error {
		if err := putBaseline(tx, job.Sync, job.Path); err != nil {
			return err
		}
		return enqueue(tx)
	}
	var claimed []Job
	for b.Loop() {
		claimed = turn(b, db, claimed, end)
		jobs += len(claimed)
	}
	perJob(b, jobs)
}
