package queue

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// All benchmarks commit to a real file, fsync included, in batches of 64 as the dispatcher does.
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

// BenchmarkEnqueue commits batches of 64 new jobs to a queue that grows.
func BenchmarkEnqueue(b *testing.B) {
	db := openNew(b)
	n := 0
	for b.Loop() {
		fill(b, db, "web", n, n+batch, false)
		n += batch
	}
	perJob(b, n)
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

// BenchmarkRows does the same where the file holds so many rows: half of the jobs are on hold and
// come first by name, and each path has a row of the baseline too. Every job that ends writes
// that row and makes room for a new job, so that the number of rows stays.
func BenchmarkRows(b *testing.B) {
	for _, rows := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("rows=%d", rows), func(b *testing.B) {
			db := openNew(b)
			fill(b, db, "held", 0, rows/2, true)
			fill(b, db, "web", 0, rows/2, true)
			next, jobs := rows/2, 0
			end := func(tx *state.Tx, job Job) error {
				if err := putBaseline(tx, job.Sync, job.Path); err != nil {
					return err
				}
				_, err := Enqueue(tx, start.Add(time.Second), newJob("web", next))
				next++
				return err
			}
			var claimed []Job
			for b.Loop() {
				claimed = turn(b, db, claimed, end)
				jobs += len(claimed)
			}
			perJob(b, jobs)
		})
	}
}
