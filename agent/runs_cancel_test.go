package agent

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
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
					job := queue.New{Kind: kind, Sync: "up", Server: "acme"}
					if do == config.DoScan && kind == work.KindScan {
						job.Payload = json.RawMessage(surveyPayload)
					}
					if _, err := queue.Enqueue(tx, now, job); err != nil {
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

// TestOneThatCancelsDropsNothingThatAnEventAskedFor, whether the event or the run came first, and nothing at all that its own scan
// would not find.
func TestOneThatCancelsDropsNothingThatAnEventAskedFor(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		parked bool
		left   []string
	}{
		"the next run looks at everything": {false, []string{"event", "event and run", "run and event"}},
		"its scan is parked":               {true, []string{"event", "event and run", "run", "run and event"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			b := newBreaker(t, nil)
			hourly := line(t, "0 * * * *", func(s *config.Schedule) { s.Overlap = config.OverlapCancel })
			b.scheduled(hourly)
			now := time.Now()
			b.update(func(tx *state.Tx) error {
				if err := state.PutSchedule(tx, "up", hourly.Name, state.Schedule{Begun: now}); err != nil {
					return err
				}
				_, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindScan, Sync: "up", Server: "acme"})
				return err
			})
			if c.parked {
				for range 4 {
					b.crash()
				}
			}
			d := b.crash()
			b.update(func(tx *state.Tx) error {
				k := &commit{d: d, tx: tx, now: now, transition: newTransition()}
				ask := func(by string, names ...string) {
					for _, op := range uploads(names...).Scan.Plan.Ops {
						if err := k.enqueueOp(queue.Job{New: queue.New{Sync: "up", By: by}}, op, by != ""); err != nil {
							t.Fatal(err)
						}
					}
				}
				ask("", "event", "event and run")
				ask("schedule 0 * * * *", "run", "event and run", "run and event")
				ask("", "run and event")
				return k.cancelRun("up", hourly, now)
			})
			var left []string
			b.update(func(tx *state.Tx) error {
				return queue.Each(tx, queue.Filter{Sync: "up", Kind: string(plan.Upload)}, func(job queue.Job) (bool, error) {
					left = append(left, job.Path)
					return true, nil
				})
			})
			if slices.Sort(left); !slices.Equal(left, c.left) {
				t.Errorf("left are %q, want %q", left, c.left)
			}
		})
	}
}

// TestOneThatCancelsAndOnlyLooks leaves a scan that acts, and one that is to follow: nobody else would do what they find.
func TestOneThatCancelsAndOnlyLooks(t *testing.T) {
	t.Parallel()
	for sentence, asked := range map[string][]string{
		"a scan that acts is under way":                 {"scan"},
		"one that acts was asked for in the middle":     {"survey", "scan"},
		"both were asked for, and the one that acts is": {"scan", "survey"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				b := newBreaker(t, func(queue.Job) work.Outcome { return done })
				b.walk = func(queue.Job) []plan.Op { return uploads(paths("f", 30)...).Scan.Plan.Ops }
				b.each = func(*work.Outcome) { time.Sleep(20 * time.Minute) }
				b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) {
					s.Do, s.Name, s.Overlap = config.DoScan, "scan 0 * * * *", config.OverlapCancel
				}))
				b.runScheduled(func() {
					for _, what := range asked {
						e := trigger.Event{Sync: "up", Why: "watch overflow"}
						if what == "survey" {
							e = trigger.Event{Sync: "up", Fired: &trigger.Fired{Spec: "scan 0 * * * *", Upto: begin, Times: []time.Time{begin}}}
						}
						if err := b.d.emit(t.Context(), e); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Minute)
					}
					time.Sleep(12*time.Hour + 30*time.Minute)
				})
				if sent := b.begun(begin, string(plan.Upload)); len(sent) < 30 {
					t.Errorf("%d of 30 files were sent", len(sent))
				}
			})
		})
	}
}

// TestWhatWasAskedForInTheMiddleOutlivesTheScan that is dropped while it pauses.
func TestWhatWasAskedForInTheMiddleOutlivesTheScan(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, nil)
	d := b.crash()
	b.update(func(tx *state.Tx) error {
		now := time.Now()
		survey := queue.New{Kind: work.KindScan, Sync: "up", Server: "acme", Payload: json.RawMessage(surveyPayload)}
		if _, err := queue.Enqueue(tx, now, survey); err != nil {
			return err
		}
		jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 1})
		if err != nil || len(jobs) != 1 {
			t.Fatalf("claimed %+v, %v", jobs, err)
		}
		c := &commit{d: d, tx: tx, now: now, transition: newTransition()}
		if err := errors.Join(
			queue.Save(tx, now, jobs[0].ID, []byte(`{"began":"2026-03-01T12:00:00Z"}`)), queue.Yield(tx, now, jobs[0].ID, now.Add(time.Minute)),
			c.enqueueScan("up", work.KindScan, "watch overflow", priorityScan, now),
			c.cancelRun("up", config.Schedule{Do: config.DoScan}, now),
		); err != nil {
			return err
		}
		job, ok, err := queue.Lookup(tx, work.KindScan, "up", "")
		if !ok || isSurvey(job.New) || len(job.Progress) > 0 || job.Why != "watch overflow" {
			t.Errorf("left is %+v, %v", job, ok)
		}
		return err
	})
}
