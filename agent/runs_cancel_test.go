package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestOneThatCancelsDropsWhatNobodyHasBegun: a hundred files are planned, the scan goes on, and the next run begins anew.
func TestOneThatCancelsDropsWhatNobodyHasBegun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var scans int
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == work.KindScan {
				if scans++; scans == 1 {
					return uploads(paths("old", 100)...)
				}
				return uploads("new")
			}
			time.Sleep(4 * time.Minute)
			return done
		})
		b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) { s.Overlap = config.OverlapCancel }))
		b.runScheduled(func() {
			time.Sleep(2*time.Hour - time.Minute)
			if counts := b.counts("up"); counts.Due < 10 {
				t.Fatalf("too little is left: %+v", counts)
			}
			time.Sleep(2 * time.Minute)
			if counts := b.counts("up"); counts.Due > 1 {
				t.Errorf("still due: %+v", counts)
			}
			time.Sleep(50 * time.Minute)
			if row := b.row("0 * * * *"); !row.LastFired.Equal(begin.Add(2*time.Hour)) || !row.Begun.IsZero() {
				t.Errorf("got %+v", row)
			}
		})
	})
}

func TestOneThatCancelsStopsAScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome { return done })
		var many []plan.Op
		for _, name := range paths("f", 10) {
			many = append(many, uploads(name).Scan.Plan.Ops...)
		}
		b.walk = func(job queue.Job) []plan.Op { return many }
		parts := map[time.Time]int{} // by the beginning of the scan
		b.each = func(part *work.Outcome) {
			parts[part.Progress.Began]++
			if len(parts) == 1 {
				time.Sleep(25 * time.Minute) // the first scan would take for hours
			}
		}
		b.bound = 20
		b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) { s.Overlap = config.OverlapCancel }))
		b.runScheduled(func() { time.Sleep(2*time.Hour + 50*time.Minute) })
		if len(parts) != 2 || len(b.begun(begin, work.KindScan)) < 2 {
			t.Errorf("parts of %d scans, %v", len(parts), b.begun(begin, work.KindScan))
		}
		if row := b.row("0 * * * *"); !row.LastFired.Equal(begin.Add(2*time.Hour)) || !row.Begun.IsZero() {
			t.Errorf("got %+v", row)
		}
	})
}

// TestOneThatCancelsDropsItsOwnJob and no other: a run that compares drops the comparison that waits, and not the scan beside it.
func TestOneThatCancelsDropsItsOwnJob(t *testing.T) {
	for do, kind := range map[string]string{config.DoVerify: work.KindVerify, config.DoScan: work.KindScan, config.DoPurge: ""} {
		t.Run(do, func(t *testing.T) {
			d := memoryDispatcher(t)
			err := d.agent.db.Update(func(tx *state.Tx) error {
				now := time.Now()
				for _, kind := range []string{work.KindScan, work.KindVerify} {
					if _, err := queue.Enqueue(tx, now, queue.New{Kind: kind, Sync: "up", Server: "acme"}); err != nil {
						return err
					}
				}
				c := &commit{d: d, tx: tx, now: now, transition: newTransition()}
				if err := c.cancelRun("up", config.Schedule{Do: do}, now); err != nil {
					return err
				}
				for _, k := range []string{work.KindScan, work.KindVerify} {
					if _, left, err := queue.Lookup(tx, k, "up", ""); err != nil || left == (k == kind) {
						t.Errorf("the %s is left: %v (%v)", k, left, err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
