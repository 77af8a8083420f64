package agent

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
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
			if resumed, err := b.agent.Resume(t.Context(), control.ResumeRequest{}); err != nil || !slices.Equal(resumed.Syncs, []string{"up"}) || len(resumed.Servers)+len(resumed.Held) > 0 {
				t.Errorf("resumed %+v: %v", resumed, err)
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

// TestAPausedServerHoldsWhatUsesIt, a sync that comes later too, over a restart, until its own pause is over and no other one.
func TestAPausedServerHoldsWhatUsesIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		acme := control.SyncChoice{Server: "acme"}
		begun := func(sync string) int { return len(b.between(time.Time{}, time.Now(), sync)) }
		b.adjust = func(c *config.Config) {
			added := *c.Syncs["up"]
			added.Name, added.Local = "late", "/nowhere/late"
			c.Syncs["late"] = &added
		}
		more := b.adjust
		b.adjust = nil
		b.served(func() {
			b.pause(control.PauseRequest{SyncChoice: chooseUp, By: "sam"})
			if paused := b.pause(control.PauseRequest{SyncChoice: acme, By: "kim", Reason: "its disk"}); paused.Server != "acme" || len(paused.Syncs) != 3 {
				t.Errorf("paused: %+v", paused)
			}
			b.reconfigure(more)
			b.adjust = more
			b.enqueue(string(plan.Upload), "late", b.now(), "a")
			b.enqueue(string(plan.Upload), "up2", b.now(), "a")
			b.enqueue(string(plan.Upload), "up", b.now(), "a")
			b.enqueue(string(plan.Upload), "far", b.now(), "a")
			time.Sleep(time.Hour)
			if late, up2, far := begun("late"), begun("up2"), begun("far"); late+up2 > 0 || far != 1 {
				t.Errorf("begun: %d of the sync that came later, %d of another one, %d at another server", late, up2, far)
			}
			overview, err := b.agent.Current().Status(t.Context(), control.StatusFilter{Syncs: []string{"late"}})
			if err != nil {
				t.Fatal(err)
			}
			is, server := overview.Syncs[0], overview.Servers[0]
			if is.State != control.StopPerson || is.Paused.Server != "acme" || is.Jobs.Stop.Server != "acme" || is.Paused.By != "kim" {
				t.Errorf("status of the sync: %+v", is)
			}
			if server.State != control.ServerSuspended || server.Paused == nil || server.Paused.By != "kim" || server.Paused.Reason != "its disk" {
				t.Errorf("status of the server: %+v", server)
			}
		})
		b.served(func() {
			time.Sleep(time.Hour)
			if begun("late") > 0 {
				t.Error("begun after a restart")
			}
			resumed, err := b.agent.Resume(t.Context(), control.ResumeRequest{SyncChoice: control.SyncChoice{Syncs: []string{"late"}}})
			if want := []control.HeldSync{{Sync: "late", Server: "acme"}}; err != nil || len(resumed.Syncs) > 0 || !slices.Equal(resumed.Held, want) {
				t.Errorf("a sync of a paused server: %+v, %v", resumed, err)
			}
			resumed, err = b.agent.Resume(t.Context(), control.ResumeRequest{SyncChoice: acme})
			if want := []control.HeldSync{{Sync: "up"}}; err != nil || !slices.Equal(resumed.Servers, []string{"acme"}) || !slices.Equal(resumed.Held, want) {
				t.Errorf("the server: %+v, %v", resumed, err)
			}
			time.Sleep(time.Hour)
			if late, up := begun("late"), begun("up"); late == 0 || up != 0 {
				t.Errorf("begun: %d of the sync of the server, %d of the one that is paused itself", late, up)
			}
			if resumed, err = b.agent.Resume(t.Context(), control.ResumeRequest{}); err != nil || !slices.Equal(resumed.Syncs, []string{"up"}) {
				t.Errorf("all: %+v, %v", resumed, err)
			}
		})
	})
}

// TestWhichPauseHolds is the one that lasts longer.
func TestWhichPauseHolds(t *testing.T) {
	t.Parallel()
	now := time.Now()
	none, over := state.Pause{}, state.Pause{Since: now.Add(-2 * time.Hour), Until: now.Add(-time.Hour)}
	short, long := state.Pause{Since: now, Until: now.Add(time.Hour)}, state.Pause{Since: now, Until: now.Add(2 * time.Hour)}
	ever := state.Pause{Since: now}
	for sentence, row := range map[string]struct{ own, ofServer, want state.Pause }{
		"nobody has paused anything": {none, none, none},
		"both are over":              {over, over, none},
		"that of the sync":           {short, over, short},
		"that of the server":         {none, short, short},
		"the server's lasts longer":  {short, long, long},
		"the sync's lasts longer":    {long, short, long},
		"the server's has no end":    {long, ever, ever},
		"the sync's has no end":      {ever, long, ever},
	} {
		if got := longer(row.own, row.ofServer, "acme", now); got.Pause != row.want {
			t.Errorf("%s: %+v", sentence, got)
		}
	}
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
			if told := b.tells(ActivityResumed); told != 1 {
				t.Errorf("told %d times, want once for the server", told)
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

// inBetween is a context that does something when it is first asked whether it is done.
type inBetween struct {
	context.Context
	once sync.Once
	do   func()
}

func (c *inBetween) Err() error {
	c.once.Do(c.do)
	return c.Context.Err()
}

// TestAPauseFindsTheWorkersOfAnotherConfiguration that came into force after somebody had asked.
func TestAPauseFindsTheWorkersOfAnotherConfiguration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.served(func() {
			job, end := context.WithCancelCause(t.Context())
			defer end(nil)
			ctx := &inBetween{Context: t.Context(), do: func() {
				b.reconfigure(func(c *config.Config) { c.Servers["acme"].Password = config.NewSecret("new") })
				w := &worker{}
				w.current.Store(&underway{job: queue.Job{New: queue.New{Sync: "up"}}, cancel: end})
				b.agent.running.Load().servers["acme"].workers = []*worker{w}
			}}
			if _, err := b.agent.Pause(ctx, control.PauseRequest{SyncChoice: chooseUp, Now: true}); err != nil {
				t.Fatal(err)
			}
			if cause := context.Cause(job); cause != (suspended{}) {
				t.Errorf("what was under way ends with %v", cause)
			}
		})
	})
}
