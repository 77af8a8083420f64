package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// BenchmarkDispatch is what the agent adds to the transfer of a small file: its job is enqueued by a part of a scan, handed out and
// reported, with all that is written down then. Workers do nothing, and their reports come together as gather makes them. fsync is
// included: what counts is allocs/job and, on one disk, ns/job.
func BenchmarkDispatch(b *testing.B) {
	const jobs, part = 5000, 1000
	for b.Loop() {
		b.StopTimer()
		db, err := state.Open(filepath.Join(b.TempDir(), "agent.db"), state.Options{AllowNetworkFilesystem: true})
		if err != nil {
			b.Fatal(err)
		}
		a := New(breakerConfig(), db, Options{Logger: slog.New(slog.DiscardHandler)})
		d, err := newDispatcher(a)
		if err != nil {
			b.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		b.StartTimer()
		commits := 0
		turn := func(reports []report, also func(c *commit) error) {
			commits++
			batch := batch{now: time.Now(), reports: reports, claim: also == nil}
			t := newTransition()
			if also == nil {
				if t, err = d.commit(batch); err != nil {
					b.Fatal(err)
				}
			} else if err := db.Update(func(tx *state.Tx) error { return also(&commit{transition: t, d: d, tx: tx, now: batch.now}) }); err != nil {
				b.Fatal(err)
			}
			if err := d.apply(context.Background(), batch, t); err != nil {
				b.Fatal(err)
			}
		}
		for from := 0; from < jobs; from += part {
			turn(nil, func(c *commit) error { return enqueueUploads(c, from, from+part) })
		}
		for done := 0; done < jobs; {
			turn(nil, nil)
			var reports []report
			for _, seat := range d.servers["acme"].seats {
				select {
				case next := <-seat.jobs:
					for _, job := range next.jobs {
						reports = append(reports, uploaded(b, job))
					}
				default:
				}
			}
			if done += len(reports); len(reports) == 0 {
				b.Fatal("nothing was handed out")
			}
			turn(reports, nil)
		}
		b.StopTimer()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.Mallocs-before.Mallocs)/jobs, "allocs/job")
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/jobs, "B/job")
		b.ReportMetric(float64(commits), "commits")
		d.closePools()
		if err := db.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*jobs), "ns/job")
}

// benchmarkedEntry is that of a small file.
var benchmarkedEntry = entry.Entry{Kind: entry.File, Size: 1024, ModTime: time.Unix(1_700_000_000, 123456789).UTC(), Precision: 1, ID: 4711}

func enqueueUploads(c *commit, from, to int) error {
	for i := from; i < to; i++ {
		op := plan.Op{Action: plan.Upload, Path: fmt.Sprintf("folder-%03d/file-%05d.dat", i/200, i), Reason: "only here", Local: plan.Side{Knowledge: plan.Seen, Entry: benchmarkedEntry}}
		if err := c.enqueueOp(queue.Job{New: queue.New{Sync: "up"}}, op, true); err != nil {
			return err
		}
	}
	return nil
}

// uploaded is what a worker says of an upload that went well.
func uploaded(b testing.TB, job queue.Job) report {
	op, err := plan.DecodeOp(job.Payload)
	if err != nil {
		b.Fatal(err)
	}
	remote := op.Local.Entry
	remote.Precision, remote.ID = time.Second, 0
	return report{reached: true, Outcome: work.Outcome{
		Job: job, Result: work.Done, Base: &plan.Base{Local: op.Local.Entry, Remote: remote}, Bytes: remote.Size,
		Duration: time.Millisecond, Method: "EPSV", Verified: "size", Temp: job.Temp, Reply: "226 Transfer complete",
	}}
}
