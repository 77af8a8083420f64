package queue

import (
	"fmt"
	"strings"
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
				if err := putBaseline(tx, sync, pathOf(first), 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func putBaseline(tx *state.Tx, sync, path string, job ID) error {
	e := entry.Entry{Kind: entry.File, Size: 4711, ModTime: start}
	return state.PutBaseline(tx, sync, state.Baseline{Path: path, Local: e, Remote: e, When: start, Job: uint64(job)})
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

// orders say how far it is from the path of one job to that of the next. No step has a divisor in common with the numbers of rows.
var orders = []struct {
	name string
	step int
}{{"in order", 1}, {"all over", 611_953}}

// BenchmarkRows does the same over so many rows of the baseline, on paths one after the other and on paths all over the tree. Every
// job that ends writes the row of its path and makes room for a new job, so that the number of rows stays, and that of the jobs.
func BenchmarkRows(b *testing.B) {
	for _, order := range orders {
		for _, queued := range []int{1, 100, 10_000} {
			for _, rows := range []int{1000, 1_000_000} {
				b.Run(fmt.Sprintf("%s/queued=%d/rows=%d", order.name, queued, rows), func(b *testing.B) { overRows(b, rows, queued, order.step) })
			}
		}
	}
}

// BenchmarkRowsAlone is the floor under BenchmarkRows: the engine puts as many rows of the same tables into each commit, and that is
// all. What a random row of a large table costs here, a page of its own and most of a second one above it to be read, written and
// synced, nothing above the engine can save.
func BenchmarkRowsAlone(b *testing.B) {
	for _, order := range orders {
		for _, together := range []int{1, batch, 10_000} {
			for _, rows := range []int{1000, 1_000_000} {
				b.Run(fmt.Sprintf("%s/together=%d/rows=%d", order.name, together, rows), func(b *testing.B) { rowsAlone(b, rows, together, order.step) })
			}
		}
	}
}

// openRows makes a file with so many rows of the baseline.
func openRows(b *testing.B, rows int) *state.DB {
	b.Helper()
	const large = 20_000 // rows of one commit
	db := openNew(b)
	for first := 0; first < rows; first += large {
		update(b, db, func(tx *state.Tx) error {
			for n := first; n < min(first+large, rows); n++ {
				if err := putBaseline(tx, "web", pathOf(n), 1); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return db
}

func rowsAlone(b *testing.B, rows, together, step int) {
	db := openRows(b, rows)
	next := 0
	for b.Loop() {
		update(b, db, func(tx *state.Tx) error {
			baseline := tx.Table("baseline")
			for range together {
				folder, name, _ := strings.Cut(pathOf(next*step%rows), "/")
				if err := baseline.Put(state.Key("web", folder, name), fmt.Appendf(nil, "a row as long as most: %10d", next)); err != nil {
					return err
				}
				next++
			}
			return nil
		})
	}
	perJob(b, next)
}

func overRows(b *testing.B, rows, queued, step int) {
	const different = 1_000_000 // jobs: where there are fewer paths, there are more kinds of them
	db := openRows(b, rows)
	next, jobs := 0, 0
	enqueue := func(tx *state.Tx) error {
		n := next * step % different
		job := newJob("web", n%rows)
		job.Kind = fmt.Sprintf("kind %03d", n/rows)
		_, err := Enqueue(tx, start, job)
		next++
		return err
	}
	update(b, db, func(tx *state.Tx) error {
		for next < queued {
			if err := enqueue(tx); err != nil {
				return err
			}
		}
		return nil
	})
	end := func(tx *state.Tx, job Job) error {
		if err := putBaseline(tx, job.Sync, job.Path, job.ID); err != nil {
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
