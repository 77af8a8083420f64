package agent

import (
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
	"github.com/ftpferry/ftpferry/state/entry"
)

func TestPatienceWithWhatIsOpen(t *testing.T) {
	for _, row := range []struct{ settle, held, want time.Duration }{
		{0, 0, time.Second},
		{5 * time.Second, 0, 5 * time.Second},
		{5 * time.Second, 12 * time.Second, 5 * time.Second},
		{5 * time.Second, time.Minute, 15 * time.Second},
		{5 * time.Second, 24 * time.Hour, time.Minute},
		{5 * time.Second, -time.Hour, 5 * time.Second},
		{time.Hour, 24 * time.Hour, time.Hour},
	} {
		if got := patience(row.settle, row.held); got != row.want {
			t.Errorf("settle %s, held for %s: %s, want %s", row.settle, row.held, got, row.want)
		}
	}
}

// TestWhatIsSeenToChange has a file whose times tell nothing, such as that of a server with a wrong clock. Once it was seen to
// change, two looks that are the settle time apart have to be equal, in both directions.
func TestWhatIsSeenToChange(t *testing.T) {
	const settle, grows = 2 * time.Second, 10 * time.Second
	for _, row := range []struct {
		sync   string
		action plan.Action
	}{{"up", plan.Upload}, {"down", plan.Download}, {"up", plan.Compare}} {
		t.Run(row.sync+" "+string(row.action), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				now := func() plan.Side {
					size := min(time.Since(began), grows).Milliseconds()
					return plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: began.Add(-time.Hour)}}
				}
				planned := func() plan.Op {
					op := plan.Op{Action: row.action, Path: "a", Reason: "new"}
					if row.action != plan.Download {
						op.Local = now()
					} else {
						op.Remote = now()
					}
					return op
				}
				var tries []time.Duration
				looked := planned()
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if isScanning(job.Kind) {
						return done
					}
					tries = append(tries, time.Since(began))
					if looked != planned() {
						return work.Outcome{Job: job, Result: work.Stale, Reason: "changed since it was planned", Held: scan.Growing, Replan: true}
					}
					return done
				})
				b.adjust = func(cfg *config.Config) { cfg.Syncs[row.sync].Settle = settle }
				b.walk = func(queue.Job) []plan.Op {
					if len(tries) > 1 {
						return nil
					}
					looked = planned()
					return []plan.Op{looked}
				}
				b.run(func() {
					for time.Since(began) < grows {
						if err := b.d.emit(t.Context(), trigger.Event{Sync: row.sync, Paths: []string{"a"}, Why: "event"}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(100 * time.Millisecond)
					}
					want := []control.PathReason{{Path: "a", Reason: scan.Growing}}
					if held := b.held(row.sync); len(held) != 1 || held[0] != want[0] {
						t.Errorf("held: %+v", held)
					}
					time.Sleep(time.Minute)
					if held := b.held(row.sync); len(held) != 0 {
						t.Errorf("held in the end: %+v", held)
					}
				})
				if last := tries[len(tries)-1]; len(tries) > 2 || last < grows+settle-200*time.Millisecond {
					t.Errorf("tried at %s, and it stopped to change at %s", tries, grows)
				}
			})
		})
	}
}

func (b *breaker) held(sync string) (list []control.PathReason) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) (err error) {
		status, err := b.agent.syncStatus(tx, sync, 0)
		list = status.Held
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return list
}
