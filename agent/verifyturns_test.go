package agent

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// partTakes is how long a part of ten files takes in these tests.
const partTakes = time.Minute

// compares gives "up" so many files, compared every hour by lines that change may change, on one connection. It returns when parts
// were begun.
func (b *breaker) compares(files int, find func(part int) []work.Finding, change func(*config.Schedule), windows ...string) (name string, parts func() []time.Time) {
	verify := line(b.t, "0 * * * *", func(s *config.Schedule) {
		s.Do, s.Name = config.DoVerify, "verify 0 * * * *"
		if change != nil {
			change(s)
		}
	})
	allowed := parseWindows(b.t, windows...)
	b.adjust = func(cfg *config.Config) {
		cfg.Servers["acme"].Connections = 1
		cfg.Syncs["up"].Schedules, cfg.Syncs["up"].Allowed = []config.Schedule{verify}, allowed
	}
	var began []time.Time // guarded by b.mu
	parts = func() []time.Time {
		b.mu.Lock()
		defer b.mu.Unlock()
		return slices.Clone(began)
	}
	b.compare = func(job queue.Job, room int) work.Outcome {
		progress := work.VerifyProgressOf(job)
		if progress.Began.IsZero() {
			progress.Began = b.now()
		}
		outcome := func(found []work.Finding) work.Outcome {
			all := progress.Reread >= files
			return work.Outcome{Job: job, Result: work.Done, Reason: progress.String(), Compared: &work.Comparison{Findings: found, Progress: progress, All: all}}
		}
		for room > 0 && progress.Reread < files {
			b.mu.Lock()
			began = append(began, time.Now())
			b.mu.Unlock()
			time.Sleep(partTakes)
			progress.Reread += 10
			var found []work.Finding
			if find != nil {
				found = find(progress.Reread / 10)
			}
			for _, f := range found {
				progress.Changed += map[bool]int{true: 1}[f.Kind == work.FoundChanged]
			}
			if progress.Reread >= files {
				return outcome(found)
			}
			answer := make(chan int, 1)
			b.d.reports <- report{Outcome: outcome(found), reached: true, partial: true, answer: answer}
			room = <-answer
		}
		return outcome(nil)
	}
	return verify.Name, parts
}

// TestAComparisonMakesWay for what comes in meanwhile, at once, and is not put off for ever by what keeps coming in.
func TestAComparisonMakesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == string(plan.Upload) {
				time.Sleep(time.Minute)
			}
			return done
		})
		name, parts := b.compares(400, nil, nil)
		b.runScheduled(func() {
			time.Sleep(70 * time.Minute)
			came := time.Now()
			b.enqueue(string(plan.Upload), "up2", b.now(), paths("f", 60)...)
			time.Sleep(partTakes + time.Second)
			if len(b.between(came, time.Now(), "up2")) == 0 {
				t.Error("a transfer waits for more than a part")
			}
			for b.counts("up2").Due > 0 {
				time.Sleep(time.Minute)
			}
			between := 0
			for _, at := range parts() {
				if at.After(came) && at.Before(time.Now()) {
					between++
				}
			}
			if took := time.Since(came); between < 3 || took > 90*time.Minute {
				t.Errorf("%d parts between the transfers, which took %s", between, took)
			}
			time.Sleep(time.Hour)
			if row := b.row(name); row.Result != "400 files compared: 0 by hash, 400 by reading them back; 0 differ" || len(parts()) < 40 {
				t.Errorf("got %+v in %d parts", row, len(parts()))
			}
		})
	})
}

// TestAComparisonKeepsToItsWindow, goes on where it was in the next one and after a new start, and no pass waits for it.
func TestAComparisonKeepsToItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		name, parts := b.compares(400, nil, nil, "01:30-02:00", "03:30-04:00")
		b.runScheduled(func() { time.Sleep(time.Hour + 45*time.Minute) })
		time.Sleep(10 * time.Minute)
		b.runScheduled(func() {
			time.Sleep(time.Hour)
			if row := b.row(name); row.Result != "" || row.Begun.IsZero() {
				t.Errorf("it is over by now: %+v", row)
			}
			began := time.Now()
			if _, err := b.agent.Pass(t.Context(), []string{"up"}); err != nil || time.Since(began) > time.Minute {
				t.Errorf("a pass took %s: %v", time.Since(began), err)
			}
			time.Sleep(time.Hour)
			if row := b.row(name); !strings.HasPrefix(row.Result, "400 files compared: ") {
				t.Errorf("got %+v", row)
			}
		})
		if len(parts()) < 40 || len(parts()) > 42 {
			t.Errorf("%d parts", len(parts()))
		}
		for _, at := range parts() {
			if clock := at.UTC().Format("15:04"); (clock < "01:30" || clock >= "02:00") && (clock < "03:30" || clock >= "04:00") {
				t.Errorf("a part began at %s", clock)
			}
		}
	})
}

// TestTheNextComparisonCutsOffTheOld with overlap = "cancel-old", and begins anew.
func TestTheNextComparisonCutsOffTheOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		cancel := func(s *config.Schedule) { s.Overlap = config.OverlapCancel }
		name, parts := b.compares(750, nil, cancel) // 75 minutes
		b.runScheduled(func() {
			time.Sleep(3*time.Hour + 30*time.Minute)
			if row := b.row(name); row.Result != "" || row.Missed != 0 {
				t.Errorf("got %+v", row)
			}
			job, ok, err := lookupVerify(b)
			if at := work.VerifyProgressOf(job); err != nil || !ok || at.Reread < 270 || at.Reread > 310 {
				t.Errorf("after 30 minutes of the third: %+v", at)
			}
		})
		if len(parts()) < 145 || len(parts()) > 152 {
			t.Errorf("%d parts", len(parts()))
		}
	})
}

func lookupVerify(b *breaker) (job queue.Job, ok bool, err error) {
	err = b.db.View(func(tx *state.Tx) error {
		job, ok, err = isVerifying(tx, "up")
		return err
	})
	return job, ok, err
}

// TestWhatHasChangedIsLookedAt: a few one by one, more than that all together.
func TestWhatHasChangedIsLookedAt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		each, looks, scans int
	}{{1, 3, 0}, {600, 1, 1}} {
		t.Run(fmt.Sprint(c.each), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				b := newBreaker(t, func(queue.Job) work.Outcome { return done })
				find := func(part int) (found []work.Finding) {
					for i := range c.each {
						found = append(found, work.Finding{Path: fmt.Sprintf("%d/%d", part, i), Kind: work.FoundChanged})
					}
					return found
				}
				name, _ := b.compares(30, find, nil)
				b.runScheduled(func() {
					time.Sleep(80 * time.Minute)
					if got := len(b.begun(begin, work.KindLook)); got != c.looks {
						t.Errorf("%d looks", got)
					}
					if got := len(b.begun(begin, work.KindScan)); got != c.scans {
						t.Errorf("%d scans", got)
					}
					if row := b.row(name); !strings.HasSuffix(row.Result, fmt.Sprintf("0 differ, %d have changed since they were in step", 3*c.each)) {
						t.Errorf("got %+v", row)
					}
				})
			})
		})
	}
}
