package agent

import (
	"fmt"
	"log/slog"
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

// crash starts an agent on the state of b, has it hand out jobs, and leaves it at that.
func (b *breaker) crash() *dispatcher {
	b.t.Helper()
	cfg := breakerConfig()
	if b.adjust != nil {
		b.adjust(cfg)
	}
	d, err := newDispatcher(New(cfg, b.db, Options{Logger: slog.New(slog.DiscardHandler)}))
	if err != nil {
		b.t.Fatal(err)
	}
	defer d.closePools()
	d.stopWork = func() {}
	if _, err := d.commit(batch{now: time.Now(), claim: true}); err != nil {
		b.t.Fatal(err)
	}
	return d
}

// TestWhatWaitsBehindASuspectIsNotParked: jobs that are handed out in a stream count as running, though only the first of
// them is. After a crash they go one by one, so that three crashes park no more than was really under way.
func TestWhatWaitsBehindASuspectIsNotParked(t *testing.T) {
	b := newBreaker(t, nil)
	paths := make([]string, 200)
	for i := range paths {
		paths[i] = fmt.Sprintf("file %03d", i)
	}
	b.enqueue(string(plan.Upload), "up", time.Now(), paths...)
	for range 3 {
		b.crash()
	}
	b.crash()
	if counts := b.counts("up"); counts.Dead == 0 || counts.Dead > 4 {
		t.Errorf("%d of 200 jobs are parked after three crashes with 4 connections, want 1 to 4", counts.Dead)
	}
}

// TestAMarkWithoutAJobIsLookedInto at the start: whatever became of the job, what changed is not forgotten.
func TestAMarkWithoutAJobIsLookedInto(t *testing.T) {
	b := newBreaker(t, nil)
	b.update(func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "file", "changed", false, time.Now()) })
	b.crash()
	b.update(func(tx *state.Tx) error {
		look, ok, err := queue.Lookup(tx, work.KindLook, "up", "")
		if !ok || look.State != queue.Running || look.Priority != priorityLook || look.Server != "acme" {
			t.Errorf("%+v, %v", look, ok)
		}
		return err
	})
	if counts := b.counts("up2"); counts != (queue.Counts{}) {
		t.Errorf("a sync without marks: %+v", counts)
	}
}

// TestALookThatTakesTheAgentDownStaysParked, though its marks are still there at each start, and whatever happens in its
// folder; a person's word brings it back.
func TestALookThatTakesTheAgentDownStaysParked(t *testing.T) {
	b := newBreaker(t, nil)
	b.update(func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "file", "changed", false, time.Now()) })
	for range 4 {
		b.crash()
	}
	d := b.crash()
	if counts := b.counts("up"); counts.Dead != 1 || counts.Running+counts.Due+counts.Waiting != 0 {
		t.Fatalf("after three crashes: %+v, want the look parked and nothing else", counts)
	}
	enqueue := func(priority uint8) {
		b.update(func(tx *state.Tx) error {
			c := &commit{transition: newTransition(), d: d, tx: tx, now: time.Now()}
			return c.enqueueScan("up", work.KindLook, "changed", priority, c.now)
		})
	}
	enqueue(priorityLook)
	if counts := b.counts("up"); counts.Dead != 1 {
		t.Errorf("after another event: %+v, want the look parked", counts)
	}
	enqueue(priorityRequest)
	if counts := b.counts("up"); counts.Dead != 0 || counts.Due != 1 {
		t.Errorf("after a person's request: %+v, want the look due", counts)
	}
}

func (b *breaker) update(fn func(tx *state.Tx) error) {
	b.t.Helper()
	if err := b.db.Update(fn); err != nil {
		b.t.Fatal(err)
	}
}

// TestJobsForAnotherServer: a sync that has another server than before gets its jobs anew, whether the state says which one
// it was or not; those of a sync that is not configured any more go; others stay.
func TestJobsForAnotherServer(t *testing.T) {
	for _, written := range []bool{true, false} {
		b := newBreaker(t, nil)
		b.crash() // writes down which sync has which server
		b.enqueue(string(plan.Upload), "up", time.Now(), "stays")
		b.update(func(tx *state.Tx) error {
			row, err := state.GetSync(tx, "up2")
			if err != nil {
				return err
			}
			if row.Server = ""; written {
				row.Server = "old"
			}
			if err := state.PutSync(tx, "up2", row); err != nil {
				return err
			}
			_, err = queue.Enqueue(tx, time.Now(),
				queue.New{Kind: string(plan.Upload), Sync: "up2", Server: "old", Path: "moves"},
				queue.New{Kind: string(plan.Upload), Sync: "gone", Server: "acme", Path: "goes"})
			return err
		})
		b.crash()
		b.update(func(tx *state.Tx) error {
			for _, want := range []struct {
				kind, sync, path string
				found            bool
			}{
				{string(plan.Upload), "up", "stays", true},
				{string(plan.Upload), "up2", "moves", false},
				{work.KindScan, "up2", "", true},
				{string(plan.Upload), "gone", "goes", false},
			} {
				if _, found, err := queue.Lookup(tx, want.kind, want.sync, want.path); err != nil || found != want.found {
					t.Errorf("server written down: %v: %s of %s %q: found %v (%v), want %v", written, want.kind, want.sync, want.path, found, err, want.found)
				}
			}
			return queue.Check(tx)
		})
	}
}

// TestAParkedLookComesBackByItself: what takes the agent down at each try is parked, and tried again when it is asked for and has
// rested, once, for longer each time; and when it does not take the agent down any more, all is as before.
func TestAParkedLookComesBackByItself(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		kind string
		ask  trigger.Event
	}{
		"the hourly look at the local folder": {kind: work.KindRescan, ask: trigger.Event{Local: true, Regular: true, Why: "rescan"}},
		"the look at the server that is due":  {kind: work.KindScan, ask: trigger.Event{Regular: true, Why: "poll"}},
		"the look at what has changed":        {kind: work.KindLook, ask: trigger.Event{Paths: []string{"a"}, Why: "watch"}},
		"a scan by the clock":                 {kind: work.KindScan, ask: trigger.Event{Fired: &trigger.Fired{Spec: "*/10 * * * *"}}},
		"a comparison by the clock":           {kind: work.KindVerify, ask: trigger.Event{Fired: &trigger.Fired{Spec: "verify */10 * * * *"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(queue.Job) work.Outcome { return done })
				b.adjust = func(cfg *config.Config) {
					verify := line(t, "*/10 * * * *", func(s *config.Schedule) { s.Do, s.Name = config.DoVerify, "verify */10 * * * *" })
					cfg.Syncs["up"].Schedules = []config.Schedule{line(t, "*/10 * * * *", nil), verify}
				}
				b.compare = func(queue.Job, int) work.Outcome {
					return work.Outcome{Result: work.Done, Compared: &work.Comparison{All: true}}
				}
				b.update(func(tx *state.Tx) error { return state.PutSync(tx, "up", state.SyncState{LastFullScan: time.Now()}) })
				ask := func() trigger.Event {
					e := c.ask
					e.Sync = "up"
					if e.Fired != nil {
						e.Fired = &trigger.Fired{Spec: e.Fired.Spec, Upto: time.Now(), Times: []time.Time{time.Now()}}
					}
					return e
				}
				// fall asks until the agent goes down with the look, and returns after how long, 0 for never.
				fall := func(patience time.Duration) time.Duration {
					began := time.Now()
					d := b.crash()
					for time.Since(began) < patience {
						if b.is(c.kind, queue.Running) {
							return max(time.Since(began), 1)
						}
						if e := ask(); e.Fired != nil { // the run before is over: nothing came of it
							b.update(func(tx *state.Tx) error { return state.PutSchedule(tx, "up", e.Fired.Spec, state.Schedule{}) })
						}
						if _, err := d.commit(batch{now: time.Now(), events: []trigger.Event{ask()}, claim: true}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(10 * time.Minute)
					}
					return 0
				}
				for range 3 {
					if fall(time.Hour) == 0 {
						t.Fatal("it is not tried at all")
					}
				}
				for _, rest := range []time.Duration{30 * time.Minute, time.Hour, 2 * time.Hour} {
					if b.crash(); !b.is(c.kind, queue.Dead) {
						t.Fatal("it is not parked")
					}
					if got := fall(24 * time.Hour); got < rest || got > rest+10*time.Minute+time.Second {
						t.Errorf("tried again after %s, want %s", got, rest)
					}
				}
				b.run(func() { // it is parked now, asked for just once, and left alone
					time.Sleep(time.Minute) // the run that was cut off ends
					if err := b.d.emit(t.Context(), ask()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(3*time.Hour + 49*time.Minute)
					if !b.is(c.kind, queue.Dead) {
						t.Error("it is not parked any more")
					}
					time.Sleep(20 * time.Minute)
					if b.is(c.kind, queue.Dead) || len(b.between(time.Now().Add(-20*time.Minute), time.Now(), "up")) == 0 {
						t.Error("it has not come back by itself")
					}
				})
			})
		})
	}
}

// is reports whether "up" has a look of a kind in a state.
func (b *breaker) is(kind string, in queue.State) (is bool) {
	b.t.Helper()
	b.update(func(tx *state.Tx) error {
		job, ok, err := queue.Lookup(tx, kind, "up", "")
		is = ok && job.State == in
		return err
	})
	return is
}

// TestAParkedScanThatActsStaysOne, whoever asks for one that does not, and the other way round.
func TestAParkedScanThatActsStaysOne(t *testing.T) {
	for _, c := range []struct {
		parked, asked string
		acts          bool
	}{{"scan", "survey", true}, {"survey", "scan", true}, {"survey", "survey", false}} {
		b := newBreaker(t, nil)
		d := b.crash()
		ask := func(what string) {
			b.update(func(tx *state.Tx) error {
				c := &commit{transition: newTransition(), d: d, tx: tx, now: time.Now()}
				if what == "survey" {
					return c.enqueueSurvey("up", "test")
				}
				return c.enqueueScan("up", work.KindScan, "test", priorityScan, c.now)
			})
		}
		ask(c.parked)
		for range 4 {
			b.crash()
		}
		ask(c.asked)
		b.update(func(tx *state.Tx) error {
			job, _, err := queue.Lookup(tx, work.KindScan, "up", "")
			if job.State != queue.Dead || job.Wanted.IsZero() || isSurvey(job.New) == c.acts {
				t.Errorf("parked %s, asked for %s: %+v", c.parked, c.asked, job)
			}
			return err
		})
	}
}
