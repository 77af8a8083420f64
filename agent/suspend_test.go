package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
)

// served is run with an agent that can be asked for something.
func (b *breaker) served(use func()) {
	b.t.Helper()
	b.run(func() {
		b.agent.running.Store(b.d)
		defer b.agent.running.Store(nil)
		use()
	})
}

func (b *breaker) pause(r control.PauseRequest) (paused control.Paused) {
	b.t.Helper()
	paused, err := b.agent.Pause(b.t.Context(), r)
	if err != nil {
		b.t.Fatal(err)
	}
	return paused
}

var chooseUp = control.SyncChoice{Syncs: []string{"up"}}

// TestAPausedSyncBeginsNothing until it is resumed, over a restart too, and then does all of it.
func TestAPausedSyncBeginsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		begun := func() int { return len(b.between(time.Time{}, time.Now(), "up")) }
		b.served(func() {
			b.pause(control.PauseRequest{SyncChoice: chooseUp, By: "kim", Reason: "moving\nthe disk"})
			b.enqueue(string(plan.Upload), "up", b.now(), paths("a", 3)...)
			b.enqueue(string(plan.Upload), "up2", b.now(), paths("b", 3)...)
			if !b.agent.Emit(t.Context(), trigger.Event{Sync: "up", Paths: []string{"changed"}, Why: "test"}) {
				t.Fatal("nobody takes an event")
			}
			time.Sleep(time.Hour)
			if got, other := begun(), len(b.between(time.Time{}, time.Now(), "up2")); got != 0 || other != 3 {
				t.Errorf("%d jobs of the paused sync begun, and %d of another", got, other)
			}
			if paused := b.tells(ActivitySuspended); paused != 1 {
				t.Errorf("told %d times", paused)
			}
		})
		b.served(func() {
			time.Sleep(time.Hour)
			report, err := b.agent.Pass(t.Context(), []string{"up"})
			if err != nil || report.ExitCode() != control.ExitUnfinished || report.Syncs[0].Paused == "" {
				t.Errorf("a pass: %+v, %v", report, err)
			}
			overview, err := b.agent.Status(t.Context(), control.StatusFilter{Syncs: []string{"up"}})
			if err != nil {
				t.Fatal(err)
			}
			is := overview.Syncs[0]
			if p := is.Paused; is.State != control.StopPerson || p == nil || p.By != "kim" || p.Reason != "moving the disk" || !p.Until.IsZero() {
				t.Errorf("status: %+v", is)
			}
			if got := begun(); got != 0 {
				t.Errorf("%d jobs begun after a restart", got)
			}
			if resumed, err := b.agent.Resume(t.Context(), control.ResumeRequest{}); err != nil || len(resumed) != 1 || resumed[0] != "up" {
				t.Errorf("resumed %q: %v", resumed, err)
			}
			time.Sleep(time.Hour)
			if got := begun(); got != 5 { // three files, a look, and the scan of the pass
				t.Errorf("%d jobs begun, want 5", got)
			}
		})
		if left := b.counts("up"); left.Due+left.Waiting+left.Running > 0 {
			t.Errorf("left: %+v", left)
		}
	})
}

// TestAPauseEndsWhenItsTimeIsOver by itself.
func TestAPauseEndsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.served(func() {
			b.pause(control.PauseRequest{SyncChoice: control.SyncChoice{Server: "acme"}, For: 2 * time.Hour})
			b.enqueue(string(plan.Upload), "down", b.now(), "a")
			began := time.Now()
			time.Sleep(3 * time.Hour)
			tries := b.between(time.Time{}, time.Now(), "down")
			if len(tries) != 1 {
				t.Fatalf("%d jobs begun", len(tries))
			}
			if waited := tries[0].at.Sub(began); waited < 2*time.Hour || waited > 2*time.Hour+time.Second {
				t.Errorf("begun after %s", waited)
			}
			if told := b.tells(ActivityResumed); told != 3 {
				t.Errorf("told %d times, want once for each sync of the server", told)
			}
		})
		if row := b.syncRow("up"); !row.Paused.Since.IsZero() {
			t.Errorf("the row still says %+v", row.Paused)
		}
	})
}

// TestWhatCannotBePaused is refused, with the reason.
func TestWhatCannotBePaused(t *testing.T) {
	t.Parallel()
	b := newBreaker(t, nil)
	a := New(breakerConfig(), b.db, Options{})
	for sentence, r := range map[string]control.PauseRequest{
		"a sync that nobody knows":   {SyncChoice: control.SyncChoice{Syncs: []string{"nobody"}}},
		"a server that nobody knows": {SyncChoice: control.SyncChoice{Server: "nobody"}},
		"a sync and a server":        {SyncChoice: control.SyncChoice{Syncs: []string{"up"}, Server: "acme"}},
		"a time that has passed":     {For: -1},
		"a novel":                    {Reason: string(make([]byte, mostWords+1))},
	} {
		if paused, err := a.Pause(t.Context(), r); err == nil {
			t.Errorf("%s: paused %q", sentence, paused.Syncs)
		}
	}
}
