package agent

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestAJobThatNobodyCanReadStopsNobody, neither at the start nor later, whoever comes upon it first.
func TestAJobThatNobodyCanReadStopsNobody(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{work.KindLook, work.KindScan, work.KindRescan, work.KindVerify, string(plan.Upload)} {
		for when, before := range map[string]bool{"before the start": true, "while the agent runs": false} {
			t.Run(kind+" "+when, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t, func(job queue.Job) work.Outcome {
						if job.Kind == work.KindLook {
							return uploads("a")
						}
						return done
					})
					spoil := func() {
						b.update(func(tx *state.Tx) error {
							path := map[bool]string{true: "a"}[kind == string(plan.Upload)]
							id, err := queue.Enqueue(tx, b.now(), queue.New{Kind: kind, Sync: "up", Server: "acme", Path: path, RunAt: b.now().Add(time.Hour)})
							if err != nil {
								return err
							}
							return tx.Table("queue/jobs").Put(state.Key(uint64(id.Added[0])), []byte("\x00garbage"))
						})
					}
					b.update(func(tx *state.Tx) error {
						if err := state.MarkDirty(tx, "up", "b", "changed", false, b.now()); err != nil {
							return err
						}
						return state.PutSync(tx, "up", state.SyncState{LastFullScan: b.now(), Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Server: "acme"})
					})
					if before {
						spoil()
					}
					begin := time.Now()
					b.run(func() {
						time.Sleep(2 * time.Minute)
						if !before {
							spoil()
						}
						time.Sleep(2 * time.Minute)
						for _, e := range []trigger.Event{
							{Local: true, Regular: true, Why: "rescan"}, {Why: "schedule"}, {Local: true, Watched: true, Why: "watch"},
							{Paths: []string{"a"}, Why: "watch"},
						} {
							e.Sync = "up"
							if err := b.d.emit(t.Context(), e); err != nil {
								t.Fatal(err)
							}
							time.Sleep(time.Minute)
						}
					})
					for _, kind := range []string{work.KindLook, work.KindScan, work.KindRescan, string(plan.Upload)} {
						if len(b.begun(begin, kind)) == 0 {
							t.Errorf("no %s was begun", kind)
						}
					}
				})
			})
		}
	}
}
