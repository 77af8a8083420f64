package agent

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestAHaltIsPutOff as long as nothing but a watch has led to it, and not for longer than it may.
func TestAHaltIsPutOff(t *testing.T) {
	t.Parallel()
	const soon, beyond = time.Second, 10 * time.Minute
	for sentence, row := range map[string]struct {
		happens func(e *emptied)
		halts   string        // code, "" for none
		at      time.Duration // when, give or take a second
		deleted int
		putOff  int // how often
	}{
		"emptied and filled again": {happens: func(e *emptied) {
			e.lose(0, 30)
			e.until(12 * time.Second)
			e.fill(0, 30)
		}, putOff: 1},
		"moved away and back": {happens: func(e *emptied) {
			e.move(true)
			e.until(20 * time.Second)
			e.move(false)
		}, putOff: 1},
		"emptied and filled again, slowly": {happens: func(e *emptied) {
			e.lose(0, 30)
			for i := range 10 {
				e.until(time.Duration(60+3*i) * time.Second)
				e.fill(3*i, 3*i+3)
			}
		}, putOff: 1},
		"emptied and filled again, without an event": {happens: func(e *emptied) {
			e.lose(0, 30)
			e.until(12 * time.Second)
			e.state.Lock()
			clear(e.gone)
			e.state.Unlock()
		}, putOff: 1},
		"emptied twice": {happens: func(e *emptied) {
			for range 2 {
				e.lose(0, 30)
				time.Sleep(100 * time.Second)
				e.fill(0, 30)
				time.Sleep(20 * time.Second)
			}
		}, putOff: 2},
		"filled again but for a few": {happens: func(e *emptied) {
			e.lose(0, 30)
			e.until(12 * time.Second)
			e.fill(0, 23)
		}, putOff: 1, deleted: 7},
		"emptied for good":    {happens: func(e *emptied) { e.lose(0, 30) }, halts: plan.HaltRootEmpty, at: emptiedLongest, putOff: 1},
		"moved away for good": {happens: func(e *emptied) { e.move(true) }, halts: plan.HaltRootMissing, at: emptiedLongest, putOff: 1},
		"most of it gone for good": {happens: func(e *emptied) { e.lose(0, 20) },
			halts: plan.HaltMaxDelete, at: emptiedLongest, putOff: 1},
		"emptied for good, and something goes on happening": {happens: func(e *emptied) {
			e.lose(0, 20)
			for i := range 60 {
				e.until(time.Duration(i) * 5 * time.Second)
				e.add(fmt.Sprint("log/", i))
			}
		}, halts: plan.HaltMaxDelete, at: emptiedLongest, putOff: 1},
		"emptied bit by bit": {happens: func(e *emptied) {
			for i := range 10 {
				e.until(time.Duration(i) * 3 * time.Second)
				e.lose(3*i, 3*i+3) // the fourth is one too many
			}
		}, halts: plan.HaltRootEmpty, at: 9*time.Second + emptiedLongest, putOff: 1},
		"emptied for good, and a person asks": {happens: func(e *emptied) {
			e.lose(0, 30)
			e.until(30 * time.Second)
			e.pass()
		}, halts: plan.HaltRootEmpty, at: 30 * time.Second, putOff: 1},
		"moved away for good, and a person asks": {happens: func(e *emptied) {
			e.move(true)
			e.until(30 * time.Second)
			e.pass()
		}, halts: plan.HaltRootMissing, at: 30 * time.Second, putOff: 1},
		"emptied for good, and it is time to look at everything": {happens: func(e *emptied) {
			e.lose(0, 30)
			e.until(40 * time.Second)
			e.emit(trigger.Event{Local: true, Regular: true, Why: "rescan"})
		}, halts: plan.HaltRootEmpty, at: 40 * time.Second, putOff: 1},
		"moved away for good, and it is time to look at everything": {happens: func(e *emptied) {
			e.move(true)
			e.until(40 * time.Second)
			e.emit(trigger.Event{Local: true, Regular: true, Why: "rescan"})
			e.move(true)
		}, halts: plan.HaltRootMissing, at: 40 * time.Second, putOff: 1},
		"a scan that has looked before ends after it": {happens: func(e *emptied) {
			e.state.Lock()
			e.slow = map[string]time.Duration{"slow": 10 * time.Second}
			e.state.Unlock()
			e.emit(trigger.Event{Why: "slow"})
			e.until(2 * time.Second)
			e.state.Lock()
			for i := range 20 {
				e.gone[fmt.Sprint("d/", i)] = true
			}
			e.state.Unlock()
			e.emit(trigger.Event{Local: true, Watched: true, Why: "watch overflow"})
		}, halts: plan.HaltMaxDelete, at: 2*time.Second + emptiedLongest, putOff: 1},
		"a look at the start finds it": {happens: func(e *emptied) {
			e.state.Lock()
			e.away = true
			e.state.Unlock()
			e.emit(trigger.Event{Local: true, Why: "start"})
			e.move(true)
		}, halts: plan.HaltRootMissing, at: soon},
		"a schedule finds it": {happens: func(e *emptied) {
			e.state.Lock()
			e.away = true
			e.state.Unlock()
			e.emit(trigger.Event{Why: "schedule"})
		}, halts: plan.HaltRootMissing, at: soon},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEmptied(t)
				e.watch(func() {
					row.happens(e)
					e.until(beyond)
				})
				got := e.syncRow("up")
				if got.HaltCode != row.halts {
					t.Errorf("halted: %q (%s), want %q", got.HaltCode, got.Halt, row.halts)
				}
				if at := got.HaltedAt.Sub(e.began); row.halts != "" && (at-row.at).Abs() > soon {
					t.Errorf("halted after %s, want %s", at, row.at)
				}
				if n := e.tells(ActivityPutOff); n != row.putOff {
					t.Errorf("put off %d times, want %d", n, row.putOff)
				}
				if n, want := e.tells(ActivityAverted), row.putOff; row.halts == "" && n != want || row.halts != "" && n > 0 {
					t.Errorf("averted %d times", n)
				}
				if n, want := e.tells(ActivityHalted), map[bool]int{true: 1}[row.halts != ""]; n != want {
					t.Errorf("told %d times that it halts, want %d", n, want)
				}
				if len(e.deleted) != row.deleted {
					t.Errorf("deleted: %q, want %d", e.deleted, row.deleted)
				}
				if n := e.counts("up"); row.halts == "" && n.Due+n.Waiting+n.Running+n.Dead > 0 {
					t.Errorf("jobs are left: %+v", n)
				}
				if left := e.marks(); row.halts == "" && len(left) > 0 {
					t.Errorf("marks are left: %+v", left)
				}
			})
		})
	}
}

// TestWhileAHaltIsPutOff nothing is deleted, not even what was let pass before, and what has nothing to do with it goes on; status and
// explain tell of it.
func TestWhileAHaltIsPutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEmptied(t)
		e.watch(func() {
			e.lose(0, 4) // which may be deleted
			e.until(5 * time.Second)
			e.lose(4, 24)
			e.add("other/new")
			e.until(20 * time.Second)
			stop := e.stop()
			if stop.By != control.StopWait || !strings.Contains(stop.Reason, "24 files of 30 known paths would be deleted") {
				t.Errorf("status says %+v", stop)
			}
			if left := time.Until(stop.Until); left <= 0 || left > plan.AgainAfter {
				t.Errorf("the next look is in %s", left)
			}
			for _, rel := range []string{"d/0", "d/10"} { // with a deletion that waits, and without
				if says := e.explain(rel); !strings.HasPrefix(says, "waiting: 24 files of 30") || !strings.Contains(says, "before the sync halts") {
					t.Errorf("%s: explain says %q", rel, says)
				}
			}
			e.add("other/later")
			e.until(50 * time.Second)
			deleted, sent := e.did()
			if len(deleted) > 0 {
				t.Errorf("deleted: %q", deleted)
			}
			if got, want := fmt.Sprint(sent), "[other/new after 5s other/later after 20s]"; got != want {
				t.Errorf("sent: %s, want %s", got, want)
			}
			e.fill(4, 24)
			e.until(80 * time.Second)
			if deleted, _ = e.did(); len(deleted) != 4 || e.stop() != (control.Stop{}) {
				t.Errorf("deleted: %q, status says %+v", deleted, e.stop())
			}
		})
	})
}

// TestALookThatDoesNothingEndsNoWait: what the look was for that has come upon an empty folder is done by it, and nobody else.
func TestALookThatDoesNothingEndsNoWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEmptied(t)
		e.watch(func() {
			e.state.Lock()
			for i := range emptiedFiles {
				e.gone[fmt.Sprint("d/", i)] = true
			}
			e.state.Unlock()
			e.emit(trigger.Event{Local: true, Watched: true, Why: "watch overflow"})
			e.until(5 * time.Second)
			e.state.Lock()
			clear(e.gone)
			e.added["other/new"] = true // without an event
			e.state.Unlock()
			e.update(func(tx *state.Tx) error {
				_, err := queue.Enqueue(tx, e.now(), queue.New{Kind: work.KindScan, Sync: "up", Server: "acme", Payload: []byte(surveyPayload)})
				return err
			})
			e.emit(trigger.Event{Paths: []string{"d/0"}, Local: true, Watched: true, Why: "watch"})
			e.until(8 * time.Second)
			if looks := len(e.begun(e.began, work.KindScan)); looks != 1 || e.stop().By != control.StopWait {
				t.Errorf("%d looks that do nothing, and then status says %+v", looks, e.stop())
			}
			e.until(time.Minute)
			if _, sent := e.did(); len(sent) != 1 || e.stop() != (control.Stop{}) {
				t.Errorf("sent: %q, status says %+v", sent, e.stop())
			}
		})
	})
}

// TestAClockThatIsSetBackEndsTheWait before a halt: nobody knows how long it has been.
func TestAClockThatIsSetBackEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEmptied(t)
		e.watch(func() {
			e.move(true)
			e.until(5 * time.Second)
			e.step.Store(int64(-5 * time.Hour))
			e.until(5 * time.Minute)
		})
		if row := e.syncRow("up"); row.HaltCode != plan.HaltRootMissing {
			t.Errorf("after five minutes: %+v", row)
		}
	})
}

// TestWhatWaitsWhileAFolderIsEmpty: explain tells why a transfer waits that might begin.
func TestWhatWaitsWhileAFolderIsEmpty(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEmptied(t)
		e.update(func(tx *state.Tx) error {
			op := opsOf(plan.Upload, "other/x", 1)[0]
			payload, err := json.Marshal(op)
			if err != nil {
				return err
			}
			_, err = queue.Enqueue(tx, e.now(), queue.New{Kind: string(plan.Upload), Sync: "up", Server: "acme", Path: "other/x", Priority: prioritySmall, Payload: payload, RunAt: e.now().Add(20 * time.Second)})
			return err
		})
		e.watch(func() {
			e.lose(0, 30)
			e.until(40 * time.Second)
			says := e.explain("other/x")
			if !strings.HasPrefix(says, "waiting: the local folder is empty") || !strings.Contains(says, "nothing is transferred or deleted") {
				t.Errorf("explain says %q", says)
			}
			if _, sent := e.did(); len(sent) > 0 {
				t.Errorf("sent: %q", sent)
			}
			e.fill(0, 30)
			e.until(time.Minute)
			if _, sent := e.did(); len(sent) != 1 {
				t.Errorf("sent: %q", sent)
			}
		})
	})
}

// TestAHaltIsPutOffOfALookInParts, of which the first have worked off marks.
func TestAHaltIsPutOffOfALookInParts(t *testing.T) {
	t.Parallel()
	for sentence, back := range map[string]bool{"what is gone comes back": true, "it does not": false} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEmptied(t)
				e.scan = nil
				e.walk = func(queue.Job) []plan.Op {
					e.state.Lock()
					defer e.state.Unlock()
					if first := e.began.IsZero(); first || back && time.Since(e.began) > 12*time.Second {
						return nil
					}
					return opsOf(plan.DeleteRemote, "x", 3*part)
				}
				e.watch(func() {
					e.emit(trigger.Event{Paths: []string{"x"}, Local: true, Watched: true, Why: "watch"})
					e.until(time.Minute)
					if row := e.syncRow("up"); row.Halt != "" || e.tells(ActivityPutOff) != 1 {
						t.Errorf("after a minute: %+v", row)
					}
					e.until(10 * time.Minute)
				})
				if halt := e.syncRow("up").HaltCode; back && halt != "" || !back && halt != plan.HaltMaxDelete {
					t.Errorf("halted: %q", halt)
				}
				if len(e.deleted) > 0 || e.staged() > 0 {
					t.Errorf("deleted %q, staged %d", e.deleted, e.staged())
				}
			})
		})
	}
}

// TestABeginningForgetsThatAHaltWasPutOff: it looks at everything anyway.
func TestABeginningForgetsThatAHaltWasPutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEmptied(t)
		e.watch(func() {
			e.lose(0, 30)
			e.until(30 * time.Second)
		})
		if row := e.syncRow("up"); row.Halt != "" {
			t.Fatalf("halted: %s", row.Halt)
		}
		e.run(func() {
			e.emit(trigger.Event{Local: true, Why: "start"})
			e.until(32 * time.Second)
		})
		if row := e.syncRow("up"); row.HaltCode != plan.HaltRootEmpty || len(e.deleted) > 0 {
			t.Errorf("halted: %q, deleted: %q", row.HaltCode, e.deleted)
		}
	})
}

// TestAnApprovedSyncIsInStepAgain as soon as the work is done, and not only when a scan has found the approval to be of no more use.
func TestAnApprovedSyncIsInStepAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := newEmptied(t)
		e.watch(func() {
			e.lose(0, 20)
			e.pass()
			if stop := e.stop(); stop.By != control.StopHalt {
				t.Fatalf("status says %+v", stop)
			}
			e.agent.running.Store(e.d)
			defer e.agent.running.Store(nil)
			if err := e.agent.Approve(t.Context(), control.ApproveRequest{Syncs: []string{"up"}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Second)
			if s := e.status(); s.State != control.StateInStep || s.Jobs.Waiting != 1 {
				t.Errorf("status says %+v", s)
			}
			if row := e.syncRow("up"); row.Approved.IsZero() {
				t.Error("the approval is over already")
			}
			time.Sleep(2 * time.Minute)
			if row := e.syncRow("up"); !row.Approved.IsZero() {
				t.Error("the approval is not over")
			}
			if deleted, _ := e.did(); len(deleted) != 20 {
				t.Errorf("deleted: %q", deleted)
			}
		})
	})
}

func TestBeside(t *testing.T) {
	near := beside([]string{"a/b", "c"})
	for rel, want := range map[string]bool{
		"": true, "a": true, "a/b": true, "a/b/x": true, "a/b/x/y": true, "c": true, "c/x": true,
		"b": false, "a/c": false, "a/bc": false, "ca": false, "d/c": false,
	} {
		if near(rel) != want {
			t.Errorf("%q: %v", rel, !want)
		}
	}
	if near = beside([]string{""}); !near("a") || !near("") {
		t.Error("the root is above everything")
	}
	if near = beside(nil); near("a") {
		t.Error("nothing is near")
	}
}

// TestAHaltIsToldOnce, though two looks find the same at the same time. What another one finds besides is told.
func TestAHaltIsToldOnce(t *testing.T) {
	t.Parallel()
	for sentence, row := range map[string]struct {
		other int // files that are gone when the second look ends
		told  int
	}{"two looks find the same": {30, 1}, "the second one finds something else": {20, 2}} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				e := newEmptied(t)
				e.scan = func(job queue.Job, room int) work.Outcome {
					e.state.Lock()
					second := job.Kind == work.KindScan && !e.began.IsZero()
					e.state.Unlock()
					if second {
						time.Sleep(time.Second)
						e.state.Lock()
						for i := row.other; i < emptiedFiles; i++ {
							delete(e.gone, fmt.Sprint("d/", i))
						}
						e.state.Unlock()
					}
					return e.look(job, room)
				}
				var first time.Time
				e.watch(func() {
					e.state.Lock()
					for i := range emptiedFiles {
						e.gone[fmt.Sprint("d/", i)] = true
					}
					e.state.Unlock()
					e.emit(trigger.Event{Why: "schedule"})
					e.emit(trigger.Event{Local: true, Regular: true, Why: "rescan"})
					e.until(500 * time.Millisecond)
					if first = e.syncRow("up").HaltedAt; first.IsZero() {
						t.Fatal("no halt")
					}
					e.until(time.Minute)
				})
				if n := e.tells(ActivityHalted); n != row.told {
					t.Errorf("told %d times, want %d", n, row.told)
				}
				if at := e.syncRow("up").HaltedAt; at.Equal(first) != (row.told == 1) {
					t.Errorf("halted at %s, at first at %s", at, first)
				}
			})
		})
	}
}
