package agent

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// line is a schedule in UTC, changed by change.
func line(t *testing.T, spec string, change func(*config.Schedule)) config.Schedule {
	t.Helper()
	s, err := config.ParseSchedule(spec, time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&s)
	}
	return s
}

// scheduled gives the sync "up" these lines.
func (b *breaker) scheduled(lines ...config.Schedule) {
	b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Schedules = lines }
}

// runScheduled runs the agent with the schedules of "up" while use does.
func (b *breaker) runScheduled(use func()) {
	b.t.Helper()
	b.run(func() {
		schedule, err := b.agent.schedule(b.agent.cfg.Syncs["up"])
		if err != nil {
			b.t.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.t.Context())
		ended := make(chan error)
		go func() { ended <- schedule.Run(ctx, b.d.emit) }()
		use()
		stop()
		if err := <-ended; err != nil {
			b.t.Error(err)
		}
	})
}

// row is that of a line of "up".
func (b *breaker) row(name string) (row state.Schedule) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) (err error) {
		row, err = state.GetSchedule(tx, "up", name)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return row
}

// begun are the hours since begin at which scans of "up" have begun.
func (b *breaker) begun(begin time.Time, kind string) (hours []string) {
	for _, try := range b.between(begin, time.Now(), "up") {
		if try.job.Kind == kind {
			hours = append(hours, fmt.Sprintf("%.1f", try.at.Sub(begin).Hours()))
		}
	}
	return hours
}

// uploads is what a scan finds that has these files to send.
func uploads(names ...string) work.Outcome {
	var ops []plan.Op
	for _, name := range names {
		ops = append(ops, plan.Op{Action: plan.Upload, Path: name, Local: plan.Side{Entry: entry.Entry{Kind: entry.File, Size: 7, ModTime: time.Unix(1000, 0)}}})
	}
	return work.Outcome{Result: work.Done, Scan: &scan.Result{Plan: plan.Plan{Ops: ops}}}
}

// TestRunsThatOverlap: every hour a scan finds something that takes two and a half hours.
func TestRunsThatOverlap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		overlap string
		scans   string // the hours at which they begin
		missed  uint64
		late    time.Duration // the last one
	}{
		{config.OverlapSkip, "1.0 4.0 7.0 10.0", 8, 0},
		// One follows each, the others are left out.
		{config.OverlapQueue, "1.0 3.5 6.0 8.5 11.0", 6, 2 * time.Hour},
		// What is under way goes on to its end, and each hour is looked anew.
		{config.OverlapCancel, "1.0 2.0 3.0 4.0 5.0 6.0 7.0 8.0 9.0 10.0 11.0 12.0", 0, 0},
	} {
		t.Run(c.overlap, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				file := 0
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Kind == work.KindScan {
						file++
						return uploads(fmt.Sprint("f", file))
					}
					time.Sleep(150*time.Minute - time.Second)
					return done
				})
				b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) { s.Overlap = c.overlap }))
				b.runScheduled(func() {
					time.Sleep(12*time.Hour + time.Minute)
					if got := strings.Join(b.begun(begin, work.KindScan), " "); got != c.scans {
						t.Errorf("scans at %s, want %s", got, c.scans)
					}
					if row := b.row("0 * * * *"); row.Missed != c.missed || !row.Upto.Equal(begin.Add(12*time.Hour)) {
						t.Errorf("got %+v, want %d left out", row, c.missed)
					}
					late := time.Duration(testutil.ToFloat64(b.agent.metrics.lateness.WithLabelValues("up", "0 * * * *")) * float64(time.Second))
					if late.Round(30*time.Minute) != c.late {
						t.Errorf("the last one was %s late, want %s", late, c.late)
					}
				})
			})
		})
	}
}

func TestWhatComesOfARunIsWrittenDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		var down atomic.Bool
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			switch {
			case down.Load():
				return work.Outcome{Err: errDown}
			case job.Kind == work.KindScan && time.Since(begin) < 90*time.Minute:
				return uploads("a", "b", "c")
			case job.Kind == work.KindScan:
				return done
			}
			time.Sleep(10 * time.Minute)
			return done
		})
		b.scheduled(line(t, "0 * * * *", nil))
		b.runScheduled(func() {
			time.Sleep(time.Hour + time.Minute)
			overview, err := b.agent.Status(t.Context(), control.StatusFilter{Syncs: []string{"up"}})
			shown := overview.Syncs
			if err != nil || len(shown[0].Schedules) != 1 {
				t.Fatalf("%+v, %v", shown, err)
			}
			want := control.Schedule{Spec: "0 * * * *", Do: "sync", Fired: begin.Add(time.Hour).UTC(), Next: begin.Add(2 * time.Hour).UTC(), Result: "under way"}
			if got := shown[0].Schedules[0]; got != want {
				t.Errorf("got %+v\nwant %+v", got, want)
			}
			time.Sleep(20 * time.Minute)
			row := b.row("0 * * * *")
			if row.Result != "3 transferred" || !row.Begun.IsZero() || row.LastFinished.Before(begin.Add(70*time.Minute)) || row.LastFinished.After(begin.Add(71*time.Minute)) {
				t.Errorf("got %+v", row)
			}
			time.Sleep(time.Hour)
			if row := b.row("0 * * * *"); row.Result != "nothing was to be done" || !row.LastFired.Equal(begin.Add(2*time.Hour)) {
				t.Errorf("got %+v", row)
			}
			down.Store(true)
			time.Sleep(time.Hour)
			if row := b.row("0 * * * *"); !strings.HasPrefix(row.Result, "the server is not available: ") {
				t.Errorf("got %+v", row)
			}
		})
		if n := b.tells(ActivityRan); n != 3 {
			t.Errorf("told of %d runs", n)
		}
	})
}

// TestARunEndsAlthoughMoreComes: what events bring is not part of it.
func TestARunEndsAlthoughMoreComes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == work.KindScan {
				return uploads("a", "b")
			}
			if job.Path != "" {
				time.Sleep(3 * time.Minute)
			}
			return done
		})
		b.scheduled(line(t, "0 * * * *", nil))
		b.runScheduled(func() {
			for i := range 100 {
				b.enqueue(string(plan.Upload), "up", time.Now(), fmt.Sprint("more", i))
				time.Sleep(time.Minute)
			}
			if row := b.row("0 * * * *"); !row.Begun.IsZero() || row.LastFinished.After(begin.Add(80*time.Minute)) {
				t.Errorf("got %+v", row)
			}
			if counts := b.counts("up"); counts.Running == 0 {
				t.Errorf("nothing is going on any more: %+v", counts)
			}
		})
	})
}

// TestAScanThatDoesNothing counts, notes what is in conflict, and leaves all as it is.
func TestAScanThatDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == work.KindLook {
				return done
			}
			found := uploads("a", "b")
			found.Scan.Plan.Ops = append(found.Scan.Plan.Ops, plan.Op{Action: plan.MakeRemoteDir, Path: "d"})
			found.Scan.Plan.Notes = []plan.Note{{Path: "x", Text: "changed on both sides", Conflict: true}}
			return found
		})
		survey := line(t, "0 * * * *", func(s *config.Schedule) { s.Do, s.Name = config.DoScan, "scan 0 * * * *" })
		b.scheduled(survey)
		b.update(func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "m", "watch", false, begin) })
		b.runScheduled(func() {
			time.Sleep(time.Minute)
			b.update(func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "n", "watch", false, begin) })
			time.Sleep(time.Hour)
			row := b.row("scan 0 * * * *")
			if row.Result != "a sync would do: 2 upload, 1 make remote dir; 1 in conflict" || !row.Begun.IsZero() {
				t.Errorf("got %+v", row)
			}
			if got := b.begun(begin, string(plan.Upload)); len(got) != 0 || b.tells(ActivityQueued) != 0 {
				t.Errorf("uploads at %v", got)
			}
			if marks := b.marks(); !slices.ContainsFunc(marks, func(d state.Dirty) bool { return d.Path == "n" }) {
				t.Errorf("the mark is gone: %+v", marks)
			}
			if counts := b.counts("up"); counts != (queue.Counts{}) {
				t.Errorf("left: %+v", counts)
			}
			overview, err := b.agent.Status(t.Context(), control.StatusFilter{Syncs: []string{"up"}})
			shown := overview.Syncs
			if err != nil || shown[0].Conflicts != 1 || !shown[0].LastScan.IsZero() {
				t.Errorf("%+v, %v", shown, err)
			}
		})
	})
}

// TestAScanThatActsIsNotTakenForOneThatDoesNot: one was asked for already, for tomorrow.
func TestAScanThatActsIsNotTakenForOneThatDoesNot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if isScanning(job.Kind) {
				return uploads("a", "b")
			}
			return done
		})
		b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) { s.Do, s.Name = config.DoScan, "scan 0 * * * *" }))
		b.update(func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: work.KindScan, Sync: "up", Server: "acme", RunAt: time.Now().Add(24 * time.Hour)})
			return err
		})
		b.runScheduled(func() {
			time.Sleep(61 * time.Minute)
			if row := b.row("scan 0 * * * *"); row.Result != "a scan that was to act anyway has looked, and it acts" || !row.Begun.IsZero() {
				t.Errorf("got %+v", row)
			}
		})
	})
}

// TestAScanThatActsStaysOne, whoever asks for one that does not, and the other way round.
func TestAScanThatActsStaysOne(t *testing.T) {
	t.Parallel()
	ask := func(b *breaker, asked ...string) {
		for _, what := range asked {
			b.update(func(tx *state.Tx) error {
				c := &commit{transition: newTransition(), d: b.d, tx: tx, now: time.Now()}
				if what == "survey" {
					return c.enqueueSurvey("up", "test")
				}
				return c.enqueueScan("up", work.KindScan, "test", priorityScan, c.now)
			})
		}
	}
	for _, c := range []struct {
		sentence         string
		first, meanwhile string
		surveys, scans   int
	}{
		{"asked for both, one that acts is enough", "survey scan", "", 0, 1},
		{"in the other order", "scan survey", "", 0, 1},
		{"while one that acts is under way, the other one follows", "scan", "survey", 1, 1},
		{"while one that does not act is under way, the other one follows", "survey", "scan", 1, 1},
		{"and is not replaced", "survey", "scan survey", 1, 1},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				b := newBreaker(t, func(queue.Job) work.Outcome {
					time.Sleep(time.Minute)
					return done
				})
				b.d = &dispatcher{agent: New(breakerConfig(), b.db, Options{})}
				ask(b, strings.Fields(c.first)...)
				b.run(func() {
					time.Sleep(30 * time.Second)
					ask(b, strings.Fields(c.meanwhile)...)
					time.Sleep(time.Hour)
				})
				surveys, scans := 0, 0
				for _, try := range b.between(begin, time.Now(), "up") {
					if isSurvey(try.job.New) {
						surveys++
					} else {
						scans++
					}
				}
				if surveys != c.surveys || scans != c.scans {
					t.Errorf("%d that did not act and %d that did, want %d and %d", surveys, scans, c.surveys, c.scans)
				}
			})
		})
	}
}

// TestARunOutlivesTheAgent, and what waits behind it, too.
func TestARunOutlivesTheAgent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == work.KindScan {
				return uploads("a")
			}
			time.Sleep(50 * time.Minute)
			return done
		})
		b.scheduled(line(t, "*/30 * * * *", func(s *config.Schedule) { s.Overlap = config.OverlapQueue }))
		b.runScheduled(func() { time.Sleep(61 * time.Minute) }) // the first run takes until 1:20, and the second one waits
		if row := b.row("*/30 * * * *"); row.Begun.IsZero() || len(row.Waiting) != 1 || !row.Waiting[0].Equal(begin.Add(time.Hour)) {
			t.Fatalf("got %+v", row)
		}
		before := b.begun(begin, work.KindScan)
		b.runScheduled(func() {
			time.Sleep(time.Minute)
			row := b.row("*/30 * * * *")
			if !row.LastFired.Equal(begin.Add(time.Hour)) || row.Begun.IsZero() || len(row.Waiting) > 1 {
				t.Errorf("got %+v", row)
			}
			if !strings.Contains(row.Result, "the agent was started anew in the middle of it") || strings.Contains(row.Result, "nothing") {
				t.Errorf("got %+v", row)
			}
			if after := b.begun(begin, work.KindScan); len(after) != len(before)+1 {
				t.Errorf("scans at %v and then %v", before, after)
			}
			time.Sleep(2 * time.Hour)
		})
	})
}

// TestEachMissedRunIsMadeUpFor, one after the other, although the rule for overlaps leaves runs out.
func TestEachMissedRunIsMadeUpFor(t *testing.T) {
	t.Parallel()
	for sentence, want := range map[string]struct {
		missed string
		grace  time.Duration
		runs   int
		left   uint64
	}{
		"all of them":                         {config.MissedAll, 0, 7, 0},
		"all of the last three hours":         {config.MissedAll, 3 * time.Hour, 3, 4},
		"once":                                {config.MissedOnce, 0, 1, 6},
		"once, had it been a few minutes ago": {config.MissedOnce, 5 * time.Minute, 0, 7},
		"none":                                {config.MissedSkip, 0, 0, 7},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				scans := 0
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if scans++; job.Kind != work.KindScan {
						t.Errorf("a job %s", job.Kind)
					}
					time.Sleep(time.Minute)
					return done
				})
				b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) { s.Missed, s.Grace = want.missed, want.grace }))
				b.runScheduled(func() { time.Sleep(time.Second) })
				time.Sleep(7*time.Hour + 10*time.Minute)
				b.runScheduled(func() { time.Sleep(45 * time.Minute) })
				row := b.row("0 * * * *")
				if scans != want.runs || row.Missed != want.left || !row.Upto.Equal(begin.Add(7*time.Hour)) || len(row.Waiting) != 0 || !row.Begun.IsZero() {
					t.Errorf("%d runs, %+v; want %d, and %d left out", scans, row, want.runs, want.left)
				}
			})
		})
	}
}

func TestWhatSchedulesDoBesides(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			return work.Outcome{Result: work.Done, Reason: "what was done by " + job.Kind}
		})
		verify := line(t, "0 * * * *", func(s *config.Schedule) { s.Do, s.Name = config.DoVerify, "verify 0 * * * *" })
		purge := line(t, "30 * * * *", func(s *config.Schedule) { s.Do, s.Name = config.DoPurge, "purge 30 * * * *" })
		b.keep = 10 * time.Minute
		b.adjust = func(cfg *config.Config) {
			up := cfg.Syncs["up"]
			up.Schedules, up.Delete, up.Trash, up.TrashKeep = []config.Schedule{verify, purge}, true, "bin", time.Hour
		}
		b.update(func(tx *state.Tx) error {
			return state.AppendHistory(tx, state.History{When: begin, Sync: "up", Path: "old", Result: resultDone})
		})
		b.runScheduled(func() {
			time.Sleep(29 * time.Minute)
			if rows := b.history(); len(rows) != 1 {
				t.Errorf("the history has %+v", rows)
			}
			time.Sleep(2 * time.Minute)
			if row := b.row(purge.Name); row.Result != "what was done by purge_remote; the history is trimmed" || !row.Begun.IsZero() {
				t.Errorf("purge: %+v", row)
			}
			if rows := b.history(); len(rows) != 0 {
				t.Errorf("the history has %+v", rows)
			}
			time.Sleep(30 * time.Minute)
			if row := b.row(verify.Name); row.Result != "what was done by verify" || !row.Begun.IsZero() {
				t.Errorf("verify: %+v", row)
			}
		})
		if got := len(b.begun(begin, work.KindPurgeRemote)) + len(b.begun(begin, work.KindVerify)); got != 2 {
			t.Errorf("%d jobs", got)
		}
	})
}

// TestAComparisonThatFailsForGoodSaysSo in the result of its line.
func TestAComparisonThatFailsForGoodSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			return work.Outcome{Result: work.Failed, Err: fmt.Errorf("local folder: %w", fs.ErrPermission)}
		})
		verify := line(t, "0 * * * *", func(s *config.Schedule) { s.Do, s.Name = config.DoVerify, "verify 0 * * * *" })
		b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Schedules = []config.Schedule{verify} }
		b.runScheduled(func() { time.Sleep(110 * time.Minute) })
		if row := b.row(verify.Name); row.Result != "failed for good: local folder: permission denied" || !row.Begun.IsZero() {
			t.Errorf("got %+v", row)
		}
		if tried := b.begun(time.Time{}, work.KindVerify); len(tried) != permanentTries {
			t.Errorf("tried at %v", tried)
		}
	})
}

// TestALineThatIsGoneIsForgotten, and one that is new has missed nothing.
func TestALineThatIsGoneIsForgotten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.scheduled(line(t, "0 * * * *", nil))
		b.runScheduled(func() { time.Sleep(90 * time.Minute) })
		b.scheduled(line(t, "15 * * * *", nil))
		began := time.Now()
		b.runScheduled(func() { time.Sleep(time.Minute) })
		if old, is := b.row("0 * * * *"), b.row("15 * * * *"); !old.Passed().IsZero() || !is.Upto.Equal(began) || !is.LastFired.IsZero() {
			t.Errorf("got %+v and %+v", old, is)
		}
		b.scheduled(line(t, "0 * * * *", nil))
		time.Sleep(5 * time.Hour)
		from := time.Now()
		b.runScheduled(func() { time.Sleep(time.Minute) })
		if n := len(b.between(from, time.Now(), "up")); n != 0 {
			t.Errorf("%d jobs for a line that is new", n)
		}
	})
}

// TestAHaltedRunSaysSo.
func TestAHaltedRunSaysSo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return work.Outcome{Err: &ftpclient.Error{Code: 530}} })
		b.update(func(tx *state.Tx) error {
			return state.PutSync(tx, "up", state.SyncState{Halt: "too many deletions", HaltCode: plan.HaltMaxDelete})
		})
		b.scheduled(line(t, "0 * * * *", nil))
		b.runScheduled(func() { time.Sleep(61 * time.Minute) })
		if row := b.row("0 * * * *"); !strings.HasPrefix(row.Result, "halted: too many deletions") || !row.Begun.IsZero() {
			t.Errorf("got %+v", row)
		}
	})
}

// TestAnEventForALineThatIsNotConfigured does no harm.
func TestAnEventForALineThatIsNotConfigured(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.run(func() {
			err := b.d.emit(t.Context(), trigger.Event{Sync: "up", Fired: &trigger.Fired{Spec: "x", Upto: time.Now(), Times: []time.Time{time.Now()}}})
			if err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute)
		})
		if len(b.tries) != 0 || !b.row("x").Passed().IsZero() {
			t.Errorf("%d jobs, %+v", len(b.tries), b.row("x"))
		}
	})
}

// TestHowLongARunTakes is told as it was, although its end is noticed later.
func TestHowLongARunTakes(t *testing.T) {
	t.Parallel()
	for do, want := range map[string]time.Duration{config.DoSync: 500 * time.Millisecond, config.DoScan: 200 * time.Millisecond, config.DoVerify: 200 * time.Millisecond} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Path != "" {
						time.Sleep(300*time.Millisecond - jobTakes)
						return done
					}
					time.Sleep(200*time.Millisecond - jobTakes)
					return uploads("a", "b")
				})
				b.compare = func(queue.Job, int) work.Outcome {
					return work.Outcome{Result: work.Done, Compared: &work.Comparison{All: true}}
				}
				b.scheduled(line(t, "0 * * * *", func(s *config.Schedule) { s.Do = do }))
				b.runScheduled(func() { time.Sleep(time.Hour + 10*time.Second) })
				b.mu.Lock()
				defer b.mu.Unlock()
				i := slices.IndexFunc(b.told, func(a Activity) bool { return a.Kind == ActivityRan })
				if i < 0 || b.told[i].Took != want {
					t.Fatalf("told of %+v, want it to have taken %s", b.told, want)
				}
				if row := b.row("0 * * * *"); !row.LastFinished.Equal(begin.Add(time.Hour + want)) {
					t.Errorf("finished at %s", row.LastFinished)
				}
			})
		})
	}
}
