package agent

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

var errFileBusy = &ftpclient.Error{Op: "store", Command: "STOR", Code: 450, Text: "File busy"}

// long is an agent whose scan of "up" finds deletions and then more uploads than there is room for. Nothing gets
// through before it is open, so that the scan has to wait in the middle, with the deletions staged. Later scans find what
// is not done yet.
type long struct {
	*breaker
	open atomic.Bool
	mu   sync.Mutex // guards following
	all  []plan.Op
	look []plan.Op              // what a look finds
	saw  map[queue.ID][]plan.Op // what was there when a scan began: later changes are behind it
	did  map[string]int
	said []said
}

// said is a part of a scan: how far that had come, -1 for the end.
type said struct {
	at   time.Time
	kind string
	to   int
}

const (
	longBound   = 60 // parts are of 12
	longDeletes = 15
	longUploads = 80
)

func newLong(t *testing.T) *long {
	l := &long{did: map[string]int{}, saw: map[queue.ID][]plan.Op{}}
	l.breaker = newBreaker(t, func(job queue.Job) work.Outcome {
		if !isScanning(job.Kind) {
			if !l.open.Load() {
				return work.Outcome{Err: errFileBusy}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.did[job.Path]++
		}
		return done
	})
	l.bound = longBound
	l.all = append(opsOf(plan.DeleteRemote, "x", longDeletes), opsOf(plan.Upload, "u", longUploads)...)
	l.walk = func(job queue.Job) (ops []plan.Op) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, ok := l.saw[job.ID]; !ok {
			l.saw[job.ID] = map[string][]plan.Op{work.KindScan: l.all, work.KindLook: l.look}[job.Kind]
		}
		for _, op := range l.saw[job.ID] {
			if l.did[op.Path] > 0 {
				op = plan.Op{} // in step
			}
			ops = append(ops, op)
		}
		return ops
	}
	l.each = l.note
	l.enqueue(work.KindScan, "up", l.now(), "")
	return l
}

func placeOf(part *work.Outcome) int {
	if c := part.Progress.Cursor; c != nil {
		return c.Looked
	}
	return -1
}

func (l *long) note(part *work.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, said{time.Now(), part.Job.Kind, placeOf(part)})
}

// once calls do with the first part of a scan or look that has come to a place, before it is handed over.
func (l *long) once(kind string, place int, do func(part *work.Outcome)) {
	var over atomic.Bool
	l.each = func(part *work.Outcome) {
		l.note(part)
		if part.Job.Kind == kind && placeOf(part) == place && over.CompareAndSwap(false, true) {
			do(part)
		}
	}
}

func (l *long) parts(since time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.said {
		if !s.at.Before(since) {
			n++
		}
	}
	return n
}

// begun are the places at which the full scans since then have begun, in order; those that only release are left out.
func (l *long) begun(since time.Time) (places []int) {
	for _, try := range l.between(since, time.Now().Add(time.Hour), "up") {
		if p := progressOf(try.job); try.job.Kind == work.KindScan && !p.Release {
			at := 0
			if p.Cursor != nil {
				at = p.Cursor.Looked
			}
			places = append(places, at)
		}
	}
	return places
}

func (l *long) scanJob() (job queue.Job, ok bool) {
	l.t.Helper()
	err := l.db.View(func(tx *state.Tx) (err error) {
		job, ok, err = queue.Lookup(tx, work.KindScan, "up", "")
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return job, ok
}

// mustWait: the scan waits in the middle, at that place at least, and what it has staged is there once.
func (l *long) mustWait(place int) {
	l.t.Helper()
	job, ok := l.scanJob()
	p := progressOf(job)
	if !ok || job.State == queue.Running || job.State == queue.Dead || p.Cursor == nil || p.Cursor.Looked < place {
		l.t.Errorf("the scan does not wait in the middle: %+v", job)
	}
	if n := l.staged(); n != longDeletes {
		l.t.Errorf("%d operations are staged, want %d", n, longDeletes)
	}
}

// mustFinish opens the way: everything is done, at most so often, and nothing is left. What is under way when another scan
// begins may be done twice, since these jobs do not look whether they have to.
func (l *long) mustFinish(most int) {
	l.t.Helper()
	l.open.Store(true)
	time.Sleep(2 * queue.MostDelay)
	if got := l.counts("up"); got != (queue.Counts{}) || l.staged() > 0 {
		l.t.Errorf("left: %+v, %d staged", got, l.staged())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, op := range l.all {
		if n := l.did[op.Path]; n < 1 || n > most {
			l.t.Errorf("%s of %s was done %d times", op.Action, op.Path, l.did[op.Path])
		}
	}
}

func (l *long) approve() {
	l.t.Helper()
	if err := l.agent.ask(l.t.Context(), request{approve: "up"}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *long) event(path string) {
	if err := l.d.emit(l.t.Context(), trigger.Event{Sync: "up", Paths: []string{path}, Why: "event"}); err != nil {
		l.t.Error(err)
	}
}

func (l *long) halt() (row state.SyncState) {
	l.t.Helper()
	err := l.db.View(func(tx *state.Tx) (err error) {
		row, err = state.GetSync(tx, "up")
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return row
}

// TestAScanThatIsInterruptedGoesOn from its last part that was written down, in the same agent or in the next, and has
// staged nothing twice.
func TestAScanThatIsInterruptedGoesOn(t *testing.T) {
	const before, place = 12, 24 // of the part written down last, and of the one in which it happens
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
					do(part)
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
					time.Sleep(2 * time.Minute)
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
					if len(l.d.rooms) > 0 {
						t.Errorf("rooms: %+v", l.d.rooms)
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
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		l.run(func() { time.Sleep(time.Minute) })
		l.mustWait(24)
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
		l.mustWait(24)
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
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		l.run(func() { time.Sleep(time.Minute) })
		l.mustWait(24)
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
	for sentence, release := range map[string]bool{"in the middle": false, "in the release": true} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLong(t)
				if release {
					l.all = append(opsOf(plan.Upload, "u", 5), opsOf(plan.DeleteRemote, "x", 90)...)
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
	synctest.Test(t, func(t *testing.T) {
		l := newLong(t)
		vetoed := false
		l.each = func(part *work.Outcome) {
			l.note(part)
			if vetoed && part.Progress.Cursor != nil && placeOf(part) == 24 && !l.open.Load() { // its last word
				part.Scan.Plan.Ops = opsOf(plan.Upload, "late", 3)
				part.Scan.Plan.Agree = []plan.Agreement{{Path: "late"}}
			}
			if placeOf(part) == 24 && !vetoed {
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
	deletions := opsOf(plan.DeleteRemote, "y", 25)
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
					l.adjust = func(cfg *config.Config) { cfg.Syncs["up"].MaxDelete = config.MaxDelete{Count: 20} }
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
					case row.underWay && placeOf(part) == 36 && began.CompareAndSwap(false, true):
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
					l.mustWait(24)
					waits, _ := l.scanJob()
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
			l.mustWait(24)
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

// TestDeletionsOfTwoScansAtATime: what one has staged counts when the guard looks at the other, and nothing counts twice.
func TestDeletionsOfTwoScansAtATime(t *testing.T) {
	one, two := opsOf(plan.DeleteRemote, "x", 90), opsOf(plan.DeleteRemote, "y", 90)
	for _, row := range []struct {
		sentence string
		look     []plan.Op
		allowed  int
		halted   bool
	}{
		{"the same are found twice", one, 90, false},
		{"half of them are", append(slices.Clip(one[45:]), two[:45]...), 135, false},
		{"half of them are, and there is one too many", append(slices.Clip(one[45:]), two[:45]...), 134, true},
		{"others are found", two, 180, false},
		{"others are found, and there is one too many", two, 179, true},
		{"others are found in one piece, and there is one too many", two[:1], 90, true},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLong(t)
				l.adjust = func(cfg *config.Config) { cfg.Syncs["up"].MaxDelete = config.MaxDelete{Count: row.allowed} }
				l.all, l.look = one, row.look
				l.run(func() {
					time.Sleep(time.Minute)
					if job, _ := l.scanJob(); !progressOf(job).Release || l.staged() < 10 {
						t.Errorf("the scan does not wait in its release, %d operations are staged: %+v", l.staged(), job)
					}
					l.event("y")
					for range 100 { // of a look in parts the guard sees the whole in the end
						l.release(10)
					}
					if got := l.halt(); got.Halt != "" != row.halted {
						t.Errorf("halt: %+v", got)
					}
					if l.mu.Lock(); row.halted && l.did["y0"] > 0 {
						t.Error("what was one too many was done")
					}
					l.mu.Unlock()
				})
			})
		})
	}
}
