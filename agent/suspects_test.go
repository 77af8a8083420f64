package agent

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// crash starts an agent on the state of b, has it hand out jobs, and leaves it at that.
func (b *breaker) crash() *dispatcher {
	b.t.Helper()
	d, err := newDispatcher(New(breakerConfig(), b.db, Options{Logger: slog.New(slog.DiscardHandler)}))
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
