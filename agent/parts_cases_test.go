package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestAScanThatIsInterruptedGoesOn from its last part that was written down, in the same agent or in the next, and has
// staged nothing twice.
func TestAScanThatIsInterruptedGoesOn(t *testing.T) {
	t.Parallel()
	const before, place = 3 * longPart, 4 * longPart // of the part written down last, and of the one in which it happens
	fails := func(err error) func(l *long, stop func()) func(part *work.Outcome) {
		return func(*long, func()) func(part *work.Outcome) {
			return func(part *work.Outcome) { part.Err = err }
		}
	}
	for _, row := range []struct {
		sentence string
		// happens is called with what stops the agent, and returns what happens to the part.
		happens func(l *long, stop func()) func(part *work.Outcome)
		place   int
		again   time.Duration // the least that it waits; 0 with a stop
	}{
		{"a listing fails", fails(errFileBusy), before, 100 * time.Millisecond},
		{"the server goes away", fails(errDown), before, 100 * time.Millisecond},
		{"the agent stops while the part is handed over", func(_ *long, stop func()) func(part *work.Outcome) {
			return func(*work.Outcome) { stop(); time.Sleep(time.Second) }
		}, place, 0},
		{"the part is broken off at the end of the grace", func(_ *long, stop func()) func(part *work.Outcome) {
			return func(part *work.Outcome) { stop(); time.Sleep(time.Second); part.Err = context.Canceled }
		}, before, 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLong(t)
				reached := make(chan struct{})
				var at time.Time
				do := row.happens(l, func() { close(reached) })
				l.once(work.KindScan, place, func(part *work.Outcome) {
					at = time.Now()
					if do(part); row.again > 0 {
						close(reached)
					}
				})
				if row.again == 0 {
					l.run(func() { <-reached })
					job, _ := l.scanJob()
					if p := progressOf(job); p.Cursor == nil || p.Cursor.Looked != row.place || job.Attempts > 0 || job.RunAt.After(time.Now()) {
						t.Errorf("after the stop: %+v", job)
					}
				}
				begun := l.begun(time.Time{})
				l.run(func() {
					<-reached
					time.Sleep(2 * jobTakes)
					err := l.agent.ask(t.Context(), request{change: func(*state.Tx, time.Time) ([]string, error) {
						if row.again > 0 && len(l.d.rooms) > 0 {
							t.Errorf("it keeps room while it waits: %+v", l.d.rooms)
						}
						return nil, nil
					}})
					if err != nil {
						t.Error(err)
					}
					time.Sleep(2 * time.Minute)
					synctest.Wait()
					tries := l.between(at.Add(1), time.Now(), "up")
					for _, try := range tries {
						if try.job.Kind != work.KindScan {
							continue
						}
						if wait := try.at.Sub(at); wait < row.again {
							t.Errorf("tried again after %s", wait)
						}
						break
					}
					places := l.begun(time.Time{})
					if places = places[len(begun):]; row.again > 0 {
						places = places[1:]
					}
					if len(places) == 0 || places[0] != row.place {
						t.Errorf("it has gone on at %v, want %d", places, row.place)
					}
					l.mustWait(place)
					l.mustFinish(1)
				})
			})
		})
	}
}

// TestASyncThatIsOffKeepsItsScan, and nothing of it is done meanwhile.
func TestASyncThatIsOffKeepsItsScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		l.run(func() { time.Sleep(time.Minute) })
		l.mustWait(2 * longPart)
		waits, _ := l.scanJob()
		l.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Enabled = false }
		off, jobs := time.Now(), l.counts("up")
		l.run(func() { time.Sleep(3 * time.Hour) })
		if tries := l.between(off, time.Now(), "up"); len(tries) > 0 {
			t.Errorf("%d jobs were tried", len(tries))
		}
		if now := l.counts("up"); now.Due+now.Waiting != jobs.Due+jobs.Waiting {
			t.Errorf("jobs: %+v, before: %+v", now, jobs)
		}
		l.mustWait(2 * longPart)
		l.adjust = nil
		on := time.Now()
		l.run(func() {
			l.mustFinish(1)
			if places := l.begun(on); len(places) == 0 || places[0] != progressOf(waits).Cursor.Looked {
				t.Errorf("it has gone on at %v, was at %+v", places, progressOf(waits).Cursor)
			}
		})
	})
}

// TestASyncThatPointsElsewhereForgetsItsScan, and what that has staged.
func TestASyncThatPointsElsewhereForgetsItsScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		l.run(func() { time.Sleep(time.Minute) })
		l.mustWait(2 * longPart)
		l.open.Store(true)
		l.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Remote = "/another" }
		at := time.Now()
		l.run(func() {
			time.Sleep(time.Hour)
			if tries := l.between(at, time.Now(), "up"); len(tries) > 0 || l.staged() > 0 || l.counts("up") != (queue.Counts{}) {
				t.Errorf("%d jobs were tried, %d operations are staged, left: %+v", len(tries), l.staged(), l.counts("up"))
			}
			l.enqueue(work.KindScan, "up", l.now(), "")
			l.mustFinish(1)
			if places := l.begun(at); len(places) == 0 || places[0] != 0 {
				t.Errorf("the next scan has begun at %v", places)
			}
		})
	})
}

// TestAWaitingScanCanBeDropped while the agent works, in its middle and in its release; the next one is a whole one.
func TestAWaitingScanCanBeDropped(t *testing.T) {
	t.Parallel()
	for sentence, release := range map[string]bool{"in the middle": false, "in the release": true} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLong(t)
				if release {
					l.all = append(opsOf(plan.Upload, "u", 5), opsOf(plan.DeleteRemote, "x", 60)...)
				}
				l.run(func() {
					l.agent.running.Store(l.d)
					defer l.agent.running.Store(nil)
					time.Sleep(time.Minute)
					job, _ := l.scanJob()
					if l.staged() == 0 || progressOf(job).Release != release {
						t.Errorf("%d operations are staged: %+v", l.staged(), job)
					}
					changed, err := l.agent.DropJobs(t.Context(), control.JobFilter{Kind: work.KindScan})
					at := time.Now()
					if _, ok := l.scanJob(); ok || changed.Jobs != 1 || err != nil || l.staged() > 0 {
						t.Errorf("%+v, %v; the scan is there: %v, %d operations are staged", changed, err, ok, l.staged())
					}
					time.Sleep(10 * time.Minute)
					if l.parts(at) > 0 || l.counts("up").Waiting == 0 {
						t.Errorf("%d parts after the drop, left: %+v", l.parts(at), l.counts("up"))
					}
					l.enqueue(work.KindScan, "up", l.now(), "")
					l.mustFinish(1)
					if places := l.begun(at); len(places) == 0 || places[0] != 0 {
						t.Errorf("the next scan has begun at %v", places)
					}
				})
			})
		})
	}
}

// TestAVetoInTheMiddleOfAScan: when the root vanishes between two parts nothing counts any more that the scan says, and an
// approval begins another one.
func TestAVetoInTheMiddleOfAScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		vetoed := false
		l.each = func(part *work.Outcome) {
			l.note(part)
			if vetoed && part.Progress.Cursor != nil && placeOf(part) == 2*longPart && !l.open.Load() { // its last word
				part.Scan.Plan.Ops = opsOf(plan.Upload, "late", 3)
				part.Scan.Plan.Agree = []plan.Agreement{{Path: "late"}}
			}
			if placeOf(part) == 2*longPart && !vetoed {
				vetoed, part.Scan.Totals.Local = true, plan.RootMissing
			}
		}
		l.run(func() {
			time.Sleep(time.Minute)
			known := 0
			err := l.db.View(func(tx *state.Tx) (err error) { known, err = state.CountBaseline(tx, "up"); return err })
			if row := l.halt(); row.HaltCode != plan.HaltRootMissing || l.parts(time.Time{}) != 3 {
				t.Errorf("halt %q after %d parts", row.Halt, l.parts(time.Time{}))
			}
			if got := l.counts("up"); got != (queue.Counts{}) || l.staged() > 0 || known > 0 || err != nil {
				t.Errorf("left: %+v, %d staged, %d known, %v", got, l.staged(), known, err)
			}
			at := time.Now()
			time.Sleep(time.Hour)
			if n := l.parts(at); n > 0 {
				t.Errorf("%d parts during the halt", n)
			}
			l.open.Store(true)
			l.approve()
			l.mustFinish(1)
			if places := l.begun(at); len(places) == 0 || places[0] != 0 || l.did["late0"] > 0 {
				t.Errorf("after the approval scans have begun at %v", places)
			}
		})
	})
}

// TestAHaltByAnotherJobOfTheSync: a scan in the middle of its way waits for the person's word and goes on then, and as what
// the person has let pass may lie behind it, another scan follows.
func TestAHaltByAnotherJobOfTheSync(t *testing.T) {
	t.Parallel()
	deletions := opsOf(plan.DeleteRemote, "y", 17)
	for _, row := range []struct {
		sentence string
		underWay bool // else the scan waits for room
		code     string
	}{
		{"the root is gone, the scan waits for room", false, plan.HaltRootMissing},
		{"the root is gone, the scan is under way", true, plan.HaltRootMissing},
		{"too many deletions, the scan waits for room", false, plan.HaltMaxDelete},
		{"too many deletions, the scan is under way", true, plan.HaltMaxDelete},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLong(t)
				if row.code == plan.HaltMaxDelete {
					l.adjust = func(cfg *config.Config) { cfg.Syncs["up"].MaxDelete = config.MaxDelete{Count: 15} }
				}
				happens := func() {
					l.mu.Lock()
					l.all, l.look = append(slices.Clip(l.all), deletions...), deletions
					l.mu.Unlock()
					l.event("y")
					time.Sleep(time.Second)
				}
				var began, vetoed atomic.Bool
				l.each = func(part *work.Outcome) {
					l.note(part)
					switch isLook := part.Job.Kind == work.KindLook; {
					case isLook && row.code == plan.HaltRootMissing && vetoed.CompareAndSwap(false, true):
						part.Scan.Totals.Local = plan.RootMissing
					case row.underWay && placeOf(part) == 3*longPart && began.CompareAndSwap(false, true):
						happens()
					}
				}
				l.run(func() {
					if time.Sleep(time.Minute); !row.underWay {
						happens()
					}
					if got := l.halt(); got.HaltCode != row.code {
						t.Errorf("halt: %+v", got)
					}
					at := time.Now()
					time.Sleep(time.Hour)
					if tries := l.between(at, time.Now(), "up"); len(tries) > 0 {
						t.Errorf("%d jobs were tried during the halt", len(tries))
					}
					l.mustWait(2 * longPart)
					waits, _ := l.scanJob()
					if at := progressOf(waits).Cursor; row.underWay && at.Looked != 3*longPart {
						t.Errorf("the scan has gone on to %+v", at)
					}
					approved := time.Now()
					l.approve()
					l.mustFinish(2)
					places := l.begun(approved)
					if len(places) < 2 || places[0] != progressOf(waits).Cursor.Looked || places[len(places)-1] != 0 {
						t.Errorf("after the approval scans have begun at %v, the one that waited was at %+v", places, progressOf(waits).Cursor)
					}
					if got := l.halt(); got.Halt != "" || !got.Approved.IsZero() {
						t.Errorf("halt or approval left: %+v", got)
					}
				})
			})
		})
	}
}

// TestARequestInTheMiddleOfAScan: a whole scan follows, and the pass is not over before it has found what lay behind the
// first one. Of the first one nothing is in its report.
func TestARequestInTheMiddleOfAScan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		l.each = func(part *work.Outcome) {
			l.note(part)
			if placeOf(part) == -1 && !part.Progress.Release {
				at := map[bool]string{true: "first", false: "second"}[len(part.Job.Progress) > 0]
				part.Scan.Plan.Notes = []plan.Note{{Path: at, Text: "left alone"}}
			}
		}
		l.run(func() {
			time.Sleep(time.Minute)
			l.mustWait(2 * longPart)
			asked := time.Now()
			l.mu.Lock()
			l.all = append(opsOf(plan.Upload, "behind", 3), l.all...)
			l.mu.Unlock()
			l.open.Store(true)
			p := newPass([]string{"up"}, l.now())
			if err := l.agent.ask(t.Context(), request{pass: p}); err != nil {
				t.Fatal(err)
			}
			report := (<-p.finished).Syncs[0]
			l.mu.Lock()
			behind := l.did["behind0"]
			l.mu.Unlock()
			if places := l.begun(asked); behind != 1 || len(places) < 2 || places[0] == 0 || places[len(places)-1] != 0 {
				t.Errorf("what lay behind the scan was done %d times; scans have begun at %v", behind, places)
			}
			if n := len(report.Skipped); n != 1 || report.Skipped[0].Path != "second" || report.Unfinished > 0 || time.Since(asked) > time.Hour {
				t.Errorf("after %s: %+v", time.Since(asked), report)
			}
			l.mustFinish(2)
		})
	})
}

// TestDeletionsOfTwoScansAtATime: what one has staged or queued counts when the guard looks at the other, and nothing counts
// twice.
func TestDeletionsOfTwoScansAtATime(t *testing.T) {
	one, two := opsOf(plan.DeleteRemote, "x", 40), opsOf(plan.DeleteRemote, "y", 40)
	for _, row := range []struct {
		sentence             string
		queued, staged, look []plan.Op // by the scan that has passed, and by the look; of that the first half is staged
		release, approved    bool      // the scan has passed the guard; a person has let it pass
		deletes              int       // most that are allowed
	}{
		{"the same are found twice", nil, one, one, true, false, 40},
		{"the same are found twice and half of them are queued meanwhile", one[:20], one[20:], one, true, false, 40},
		{"half of them are the same", nil, one, slices.Concat(one[20:], two[:20]), true, false, 60},
		{"others are found", nil, one, two, true, false, 80},
		{"others are found and half of them are queued", one[:20], one[20:], two, true, false, 80},
		{"the scan has not passed the guard, which will count", nil, one, two, false, false, 40},
		{"a person has let those of the scan pass", nil, one, two, true, true, 40},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			l := newLong(t)
			d := l.crash()
			l.update(func(tx *state.Tx) error {
				c := &commit{transition: newTransition(), d: d, tx: tx, now: l.now()}
				if err := c.enqueueScan("up", work.KindLook, "test", priorityLook, c.now); err != nil {
					return err
				}
				look, _, err := queue.Lookup(tx, work.KindLook, "up", "")
				if err != nil {
					return err
				}
				job, _, err := queue.Lookup(tx, work.KindScan, "up", "")
				if err != nil {
					return err
				}
				began := work.Progress{Began: c.now, Known: 1000}
				s := &scanning{report: report{Outcome: work.Outcome{Job: job, Scan: &scan.Result{}}}, progress: began}
				for _, op := range row.staged {
					if err := c.stage(s, op); err != nil {
						return err
					}
				}
				s.progress.Release, s.progress.Approved = row.release, row.approved
				if err := c.saveProgress(s); err != nil {
					return err
				}
				half := len(row.look) / 2
				s = &scanning{report: report{Outcome: work.Outcome{Job: look, Scan: &scan.Result{}}}, progress: began, last: true}
				for _, op := range row.look[:half] {
					if err := c.stage(s, op); err != nil {
						return err
					}
				}
				for _, op := range row.queued {
					if err := c.enqueueOp(queue.Job{New: queue.New{Sync: "up"}}, op, true); err != nil {
						return err
					}
				}
				s.Scan.Plan.Ops = row.look[half:]
				s.Scan.Totals = plan.Totals{Deletes: len(row.look), Local: plan.RootFilled, Remote: plan.RootFilled}
				pending, err := c.pendingAmong(s)
				for _, allowed := range []int{row.deletes, row.deletes - 1} {
					d.agent.cfg.Syncs["up"].MaxDelete = config.MaxDelete{Count: allowed}
					halt, _, err := c.veto(s)
					if err != nil || (halt != nil) != (allowed < row.deletes) {
						t.Errorf("with %d allowed: halt %+v, %v; %d of them are queued", allowed, halt, err, len(pending))
					}
				}
				return err
			})
		})
	}
}

// TestALookInParts clears the marks of what it has handed over, and no mark that was made since it began; what it has not
// read another look works off. The looks are real ones, at a local folder.
func TestALookInParts(t *testing.T) {
	t.Parallel()
	const files, gone = 60, 10_001 // together more marks than a look reads
	for sentence, row := range map[string]struct {
		gone  int
		again bool
	}{
		"all marks are read, two are made again": {0, true},
		"there are more marks than a look reads": {gone, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, root, looks := newBreaker(t, nil), t.TempDir(), 0
				var uploads atomic.Int64
				b.do = func(job queue.Job) work.Outcome {
					if isScanning(job.Kind) {
						return done
					}
					op, err := plan.DecodeOp(job.Payload)
					if err != nil {
						t.Error(err)
					}
					uploads.Add(1)
					return work.Outcome{Result: work.Done, Base: &plan.Base{Local: op.Local.Entry, Remote: op.Local.Entry}}
				}
				b.update(func(tx *state.Tx) error {
					for _, path := range slices.Concat(paths("f", files), paths("gone", row.gone)) {
						if err := state.MarkDirty(tx, "up", path, "test", false, b.now()); err != nil {
							return err
						}
					}
					return nil
				})
				for _, name := range paths("f", files) {
					if err := os.WriteFile(filepath.Join(root, name), nil, 0o666); err != nil {
						t.Fatal(err)
					}
				}
				b.bound = longBound
				b.scan = func(job queue.Job, room int) work.Outcome {
					sync, parts := b.agent.syncs["up"], 0
					sync.Local = root
					flush := (&worker{}).flush(&job, b.d.reports)
					first := len(job.Progress) == 0 && looks == 0 && row.again
					if len(job.Progress) == 0 {
						looks++
					}
					return work.Do(t.Context(), work.Env{
						Sync: sync, State: reader{b.db, "up"}, Logger: b.agent.logger, Room: room,
						Flush: func(ctx context.Context, found work.Outcome) (int, error) {
							if parts++; first && parts == 2 {
								err := b.d.emit(ctx, trigger.Event{Sync: "up", Paths: []string{"f0", string(found.Scan.Finished[0])}, Why: "again"})
								if err != nil {
									t.Error(err)
								}
								time.Sleep(jobTakes) // until it is written down
							}
							before := b.marks()
							room, err := flush(ctx, found)
							cleared := len(before) - len(b.marks())
							if want := len(found.Dirty) - map[bool]int{true: 1}[first && parts == 2]; cleared != want || want == 0 {
								t.Errorf("part %d of look %d: %d marks are cleared, want %d", parts, looks, cleared, want)
							}
							return room, err
						},
					}, job)
				}
				b.run(func() {
					time.Sleep(10 * time.Minute)
					if left := b.marks(); len(left) > 0 || looks != 2 || uploads.Load() != files || b.counts("up") != (queue.Counts{}) {
						t.Errorf("%d marks are left after %d looks and %d uploads, want 0 after 2 and %d; jobs %+v", len(left), looks, uploads.Load(), files, b.counts("up"))
					}
				})
			})
		})
	}
}
