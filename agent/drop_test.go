package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

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

// untilDropped waits until somebody wants a job to be gone, as one does that takes long, and a minute more.
func (b *breaker) untilDropped(job queue.Job) {
	for !b.agent.isDropped(job.ID) {
		time.Sleep(time.Second)
	}
	time.Sleep(time.Minute)
}

func (b *breaker) drop(f control.JobFilter) control.Changed {
	b.t.Helper()
	changed, err := b.agent.DropJobs(b.t.Context(), f)
	if err != nil {
		b.t.Error(err)
	}
	return changed
}

// all are the jobs that are left, as "kind path state".
func (b *breaker) all() (list []string) {
	b.t.Helper()
	_, err := b.agent.Jobs(b.t.Context(), control.JobFilter{}, func(job control.Job) error {
		list = append(list, fmt.Sprintf("%s %s %s", job.Kind, job.Path, job.State))
		return nil
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}

var interruptedOutcome = work.Outcome{Err: errors.Join(dropped{}, &ftpclient.Error{Op: "store", Err: ftpclient.ErrInterrupted})}

// TestWhatBecomesOfARunningJobThatIsDropped, whatever its worker reports: it is gone, unless it was done before.
func TestWhatBecomesOfARunningJobThatIsDropped(t *testing.T) {
	t.Parallel()
	base := &plan.Base{Local: entry.Entry{Kind: entry.File, Size: 10}, Remote: entry.Entry{Kind: entry.File, Size: 10}}
	gone := control.Changed{Jobs: 1, BrokenOff: 1}
	finished := control.Changed{Done: 1, Left: []control.Left{{ID: 1, Reason: "was done before it could be dropped"}}}
	found := &scan.Result{Plan: plan.Plan{Ops: opsOf(plan.Upload, "found", 3)}}
	for sentence, row := range map[string]struct {
		kind    string
		out     work.Outcome
		want    control.Changed
		history string // result of its row
		known   bool   // there is a baseline
		again   bool   // it was asked for again meanwhile
		marked  bool   // its path was marked meanwhile
	}{
		"a transfer is broken off":                        {kind: string(plan.Upload), out: interruptedOutcome, want: gone, history: "dropped"},
		"a transfer was done just before":                 {kind: string(plan.Upload), out: work.Outcome{Result: work.Done, Base: base}, want: finished, history: "done", known: true},
		"a transfer meets a full disk":                    {kind: string(plan.Upload), out: work.Outcome{Err: errQuota}, want: gone, history: "dropped"},
		"a transfer finds the server down":                {kind: string(plan.Upload), out: work.Outcome{Err: errDown}, want: gone, history: "dropped"},
		"a transfer is refused for good":                  {kind: string(plan.Upload), out: work.Outcome{Err: &ftpclient.Error{Op: "store", Command: "STOR", Code: 553, Text: "No"}}, want: gone, history: "dropped"},
		"a transfer was overtaken by a change":            {kind: string(plan.Upload), out: work.Outcome{Result: work.Stale, Reason: "changed"}, want: gone, history: "dropped"},
		"a transfer was not begun yet":                    {kind: string(plan.Upload), out: work.Outcome{Err: dropped{}}, want: gone},
		"a transfer was paused at the same time":          {kind: string(plan.Upload), out: work.Outcome{Err: suspended{}}, want: gone, history: "dropped"},
		"a transfer gives way to another operation":       {kind: string(plan.MoveRemote), out: work.Outcome{Result: work.Done, Instead: &plan.Op{Action: plan.Upload, Path: "long"}}, want: gone, history: "dropped"},
		"a transfer was asked for once more meanwhile":    {kind: string(plan.Upload), out: interruptedOutcome, want: control.Changed{Jobs: 1, BrokenOff: 1, Again: 1}, history: "dropped", again: true},
		"a change of its file was noticed meanwhile":      {kind: string(plan.Upload), out: interruptedOutcome, want: gone, history: "dropped", marked: true},
		"a deletion has been done":                        {kind: string(plan.DeleteRemote), out: work.Outcome{Result: work.Done, Forget: true}, want: finished, history: "done"},
		"a scan has been done, and nothing of it counts":  {kind: work.KindScan, out: work.Outcome{Result: work.Done, Scan: found}, want: gone},
		"a scan is broken off":                            {kind: work.KindScan, out: interruptedOutcome, want: gone},
		"a comparison has been done, which is the same":   {kind: work.KindVerify, out: work.Outcome{Result: work.Done, Compared: &work.Comparison{All: true}}, want: gone},
		"the trash has been purged":                       {kind: work.KindPurgeRemote, out: done, want: finished},
		"the trash has not been purged all":               {kind: work.KindPurgeRemote, out: interruptedOutcome, want: gone},
		"a left-over temporary file could not be removed": {kind: work.KindSweepRemote, out: work.Outcome{Err: errDown}, want: gone},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var b *breaker
				first := true
				b = newBreaker(t, func(job queue.Job) work.Outcome {
					if !first {
						return done
					}
					first = false
					b.untilDropped(job)
					return row.out
				})
				b.compare = func(queue.Job, int) work.Outcome { return row.out }
				b.served(func() {
					path := "long"
					if isScanning(row.kind) || row.kind == work.KindVerify || isPurge(row.kind) {
						path = ""
					}
					b.enqueue(row.kind, "up", b.now(), path)
					time.Sleep(time.Minute)
					if row.again {
						b.enqueue(row.kind, "up", b.now(), path)
					}
					if row.marked {
						b.update(func(tx *state.Tx) error { return state.MarkDirty(tx, "up", path, "watch", false, b.now()) })
					}
					began := time.Now()
					changed := b.drop(control.JobFilter{Sync: "up", State: "running"})
					if took := time.Since(began); took < time.Minute || took > 2*time.Minute {
						t.Errorf("answered after %s", took)
					}
					if diff := cmp.Diff(row.want, changed); diff != "" {
						t.Error(diff)
					}
					if b.agent.isDropped(1) {
						t.Error("the wish is not forgotten")
					}
					time.Sleep(time.Hour)
					if left := b.all(); len(left) > 0 {
						t.Errorf("left: %q", left)
					}
					begun := map[bool]int{true: 2, false: 1}[row.again || row.marked]
					if n := len(b.between(time.Time{}, time.Now(), "up")); n != begun {
						t.Errorf("%d jobs were begun, want %d", n, begun)
					}
				})
				var got []string
				for _, h := range b.history() {
					if h.Path == "long" && h.Job == 1 {
						got = append(got, h.Result)
					}
				}
				var want []string
				if row.history != "" {
					want = []string{row.history}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("history: %s", diff)
				}
				if told, want := b.tells(ActivityDropped), row.want.Jobs; told != want {
					t.Errorf("told %d times, want %d", told, want)
				}
				if n := b.tells(ActivityDead) + b.tells(ActivityRetry) + b.tells(ActivityPaused) + b.tells(ActivityAlert); n > 0 {
					t.Errorf("%d failures are told", n)
				}
				b.update(func(tx *state.Tx) error {
					if _, known, err := state.GetBaseline(tx, "up", "long"); err != nil || known != row.known {
						t.Errorf("baseline: %v, %v", known, err)
					}
					return nil
				})
			})
		})
	}
}

// TestAScanThatIsDroppedInTheMiddle ends with its next part: nothing of that counts, and nothing stays staged.
func TestAScanThatIsDroppedInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.walk = func(queue.Job) []plan.Op {
			return append(opsOf(plan.DeleteRemote, "x", 30), opsOf(plan.Upload, "u", 200)...)
		}
		var answers []control.Changed
		parts := 0
		b.each = func(part *work.Outcome) {
			if parts++; parts == 2 {
				for range 2 {
					go func() {
						changed, err := b.agent.DropJobs(t.Context(), control.JobFilter{Kind: work.KindScan})
						if err != nil {
							t.Error(err)
						}
						b.mu.Lock()
						defer b.mu.Unlock()
						answers = append(answers, changed)
					}()
				}
				time.Sleep(time.Minute)
			}
		}
		b.bound = 400
		b.served(func() {
			b.enqueue(work.KindScan, "up", b.now(), "")
			time.Sleep(time.Hour)
			b.mu.Lock()
			defer b.mu.Unlock()
			want := control.Changed{Jobs: 1, BrokenOff: 1}
			if diff := cmp.Diff([]control.Changed{want, want}, answers); diff != "" {
				t.Errorf("two who have asked: %s", diff)
			}
		})
		if left := b.counts("up"); b.staged() > 0 || left != (queue.Counts{}) {
			t.Errorf("%d staged, %+v", b.staged(), left)
		}
		if parts > 3 { // the last one is its end
			t.Errorf("it has handed over %d parts", parts)
		}
	})
}

// TestWhoAsksForADropMayGoAway: the job is dropped all the same. Until then it is in the queue as it was, which is all that a crash
// would leave of it.
func TestWhoAsksForADropMayGoAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *breaker
		b = newBreaker(t, func(job queue.Job) work.Outcome { b.untilDropped(job); return interruptedOutcome })
		b.served(func() {
			b.enqueue(string(plan.Upload), "up", b.now(), "long")
			time.Sleep(time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := b.agent.DropJobs(ctx, control.JobFilter{IDs: []uint64{1}}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who goes away is told %v", err)
			}
			if diff := cmp.Diff([]string{"upload long running"}, b.all()); diff != "" {
				t.Errorf("meanwhile: %s", diff)
			}
			time.Sleep(time.Hour)
			if left := b.all(); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
			if changed := b.drop(control.JobFilter{IDs: []uint64{1}}); !cmp.Equal(changed, control.Changed{Unknown: []uint64{1}}) {
				t.Errorf("once more: %+v", changed)
			}
		})
	})
}

// TestADropOfRunningAndWaitingJobs takes all that fit, and tells a pass that is under way of what it did not get.
func TestADropOfRunningAndWaitingJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *breaker
		b = newBreaker(t, func(job queue.Job) work.Outcome {
			if plan.Action(job.Kind) == plan.Upload {
				b.untilDropped(job)
				return interruptedOutcome
			}
			return done
		})
		b.served(func() {
			b.enqueue(string(plan.Upload), "up", b.now(), paths("a/", 3)...)
			b.enqueue(string(plan.Upload), "up", b.now().Add(24*time.Hour), "a/later") // later in time as well as in the queue
			b.enqueue(string(plan.DeleteRemote), "up", b.now(), "b")                   // waits for them
			reports := make(chan control.Report, 1)
			go func() {
				report, err := b.agent.Pass(t.Context(), []string{"up"})
				if err != nil {
					t.Error(err)
				}
				reports <- report
			}()
			time.Sleep(time.Minute)
			running := b.counts("up").Running
			changed := b.drop(control.JobFilter{Path: "a"})
			if running == 0 || changed.BrokenOff != running || changed.Jobs != 4 {
				t.Errorf("%d were running: %+v", running, changed)
			}
			report := <-reports
			if s := report.Syncs[0]; report.ExitCode() != control.ExitUnfinished || s.Unfinished != running || s.Deleted != 1 || s.Transferred != 0 {
				t.Errorf("the pass: %+v", report)
			}
		})
		if left := b.counts("up"); left != (queue.Counts{}) {
			t.Errorf("left: %+v", left)
		}
	})
}

// TestADropDuringAReload, of what has to end for it: gone by whichever of the two it was broken off.
func TestADropDuringAReload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *breaker
		b = newBreaker(t, func(job queue.Job) work.Outcome {
			b.untilDropped(job)
			return work.Outcome{Err: suspended{}}
		})
		b.adjust = func(cfg *config.Config) { cfg.Agent.ShutdownGrace = time.Hour }
		b.served(func() {
			b.enqueue(string(plan.Upload), "up", b.now(), "long")
			b.enqueue(string(plan.Upload), "far", b.now(), "goes on")
			time.Sleep(time.Minute)
			reloaded := make(chan bool)
			go func() {
				b.reconfigure(func(c *config.Config) { c.Syncs["up"].Settle++ })
				close(reloaded)
			}()
			time.Sleep(time.Minute)
			if changed := b.drop(control.JobFilter{Sync: "up"}); changed.BrokenOff != 1 {
				t.Errorf("%+v", changed)
			}
			<-reloaded
			// One that has gone on over the reload is known to the dispatcher that has taken over.
			if changed := b.drop(control.JobFilter{Sync: "far"}); changed.BrokenOff != 1 {
				t.Errorf("%+v", changed)
			}
			if left := b.all(); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	})
}

// TestADropAtTheEndOfTheAgent is carried out before it ends, and answered.
func TestADropAtTheEndOfTheAgent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var b *breaker
		b = newBreaker(t, func(job queue.Job) work.Outcome { b.untilDropped(job); return work.Outcome{Err: context.Canceled} })
		answers := make(chan control.Changed, 1)
		b.served(func() {
			b.enqueue(string(plan.Upload), "up", b.now(), "long")
			time.Sleep(time.Minute)
			go func() { answers <- b.drop(control.JobFilter{Sync: "up"}) }()
			time.Sleep(time.Second)
		})
		if changed := <-answers; changed.BrokenOff != 1 {
			t.Errorf("%+v", changed)
		}
		if left := b.counts("up"); left != (queue.Counts{}) {
			t.Errorf("left: %+v", left)
		}
	})
}

// TestWithoutAnAgentNothingIsRunning: what was running when the last one was killed is dropped like the rest, and what was asked for
// meanwhile stays.
func TestWithoutAnAgentNothingIsRunning(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, nil)
	b.agent = New(breakerConfig(), b.db, Options{Logger: slog.New(slog.DiscardHandler)})
	b.enqueue(string(plan.Upload), "up", b.now(), "a", "b")
	b.update(func(tx *state.Tx) error {
		_, err := queue.Claim(tx, b.now(), queue.Request{Server: "acme", Limit: 2})
		return err
	})
	b.enqueue(string(plan.Upload), "up", b.now(), "b")
	if diff := cmp.Diff(control.Changed{Jobs: 2, Again: 1}, b.drop(control.JobFilter{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"upload b due"}, b.all()); diff != "" {
		t.Error(diff)
	}
}

// TestADroppedJobOfAStreamIsNotBegun, and the others of the stream are.
func TestADroppedJobOfAStreamIsNotBegun(t *testing.T) {
	t.Parallel()
	address := verbServer(t, map[string]string{"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "DELE": "250 gone", "QUIT": "221 bye"})
	pool := newPool(plainServer(address, 1), nil, nil, nil, nil, slog.New(slog.DiscardHandler))
	defer pool.Close()
	db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	w := &worker{pool: pool, db: db, logger: slog.New(slog.DiscardHandler), dropped: func(id queue.ID) bool { return id == 2 }}
	var jobs []queue.Job
	for id := range queue.ID(3) {
		jobs = append(jobs, queue.Job{ID: id + 1, New: queue.New{Kind: work.KindSweepRemote, Path: fmt.Sprint(id)}})
	}
	reports := make(chan report, len(jobs))
	w.do(t.Context(), t.Context(), assignment{jobs: jobs}, nil, reports)
	for _, job := range jobs {
		r := <-reports
		want := error(nil)
		if job.ID == 2 {
			want = dropped{}
		}
		if r.Job.ID != job.ID || r.Err != want {
			t.Errorf("job %d: %+v", job.ID, r)
		}
	}
}

// TestADropIsNoFailureInTheMetrics, and has a result of its own.
func TestADropIsNoFailureInTheMetrics(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, nil)
	a := New(breakerConfig(), b.db, Options{Logger: slog.New(slog.DiscardHandler)})
	a.metrics.observe(Activity{Kind: ActivityDropped, Sync: "up", Server: "acme", Job: 1, Action: string(plan.Upload), Text: dropped{}.Error()})
	families, err := a.metrics.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := 0.
	for _, family := range families {
		for _, m := range family.GetMetric() {
			switch family.GetName() {
			case "ftpferry_errors_total":
				if m.GetCounter().GetValue() != 0 {
					t.Errorf("an error is counted: %v", m)
				}
			case "ftpferry_transfers_total":
				for _, label := range m.GetLabel() {
					if label.GetName() == "result" && label.GetValue() == "dropped" {
						found += m.GetCounter().GetValue()
					}
				}
			}
		}
	}
	if found != 1 {
		t.Errorf("%v dropped transfers are counted", found)
	}
}

// TestALookThatIsDroppedComesAgain while a halt is put off: nothing else would end the wait.
func TestALookThatIsDroppedComesAgain(t *testing.T) {
	t.Parallel()
	for sentence, away := range map[string]bool{"at the paths that were marked": false, "at everything": true} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEmptied(t)
				e.watch(func() {
					e.agent.running.Store(e.d)
					defer e.agent.running.Store(nil)
					if away {
						e.move(true)
					} else {
						e.lose(0, 24)
					}
					e.until(20 * time.Second)
					before := e.stop()
					if changed := e.drop(control.JobFilter{Sync: "up"}); changed.Jobs == 0 || before.By != control.StopWait {
						t.Errorf("%+v; %+v", changed, before)
					}
					if after := e.stop(); !cmp.Equal(before, after, cmpopts.EquateApproxTime(0)) {
						t.Errorf("was %+v, is %+v", before, after)
					}
					if away {
						e.state.Lock()
						e.away = false // and no event tells of it
						e.state.Unlock()
					}
					e.until(10 * time.Minute)
					switch stop := e.stop(); {
					case away && stop != (control.Stop{}):
						t.Errorf("it is there again: %+v", stop)
					case !away && stop.By != control.StopHalt:
						t.Errorf("it stays away: %+v", stop)
					}
					e.emit(trigger.Event{Local: true, Watched: true, Why: "watch"})
				})
			})
		})
	}
}
