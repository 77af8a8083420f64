package agent

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhatASyncItselfHasEmptiedIsNoAlarm: its jobs go on while a long scan is under way, such as those that let sources go which have
// arrived. What they have taken out is not in the baseline any more.
func TestWhatASyncItselfHasEmptiedIsNoAlarm(t *testing.T) {
	for _, row := range []struct {
		whole       bool
		left, atNow int // rows of the baseline, and how many of their jobs are under way
		halts       bool
	}{
		{whole: true, left: 0}, {whole: false, left: 0},
		{whole: true, left: 1}, {whole: false, left: 1},
		{whole: true, left: 3, halts: true}, {whole: false, left: 3, halts: true},
		{whole: false, left: 2, atNow: 1}, {whole: false, left: 3, atNow: 1, halts: true},
	} {
		for _, side := range []string{"local", "remote"} {
			if side == "remote" && row.atNow > 0 {
				continue // deletions make way for a scan that is due again
			}
			t.Run(fmt.Sprintf("%s %+v", side, row), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					b := newBreaker(t, func(job queue.Job) work.Outcome {
						if job.Kind == string(plan.Upload) {
							time.Sleep(time.Hour)
						}
						return done
					})
					b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].AfterUpload = config.After{Delete: true} }
					b.scan = func(job queue.Job, _ int) work.Outcome {
						time.Sleep(time.Second)
						p := work.Progress{Began: b.now(), Known: 5}
						if len(job.Progress) > 0 {
							if err := json.Unmarshal(job.Progress, &p); err != nil {
								t.Error(err)
							}
						}
						totals := plan.Totals{Direction: plan.Up, Known: p.Known, Local: plan.RootFilled, Remote: plan.RootFilled}
						p.Cursor = nil
						switch {
						case !row.whole && len(job.Progress) == 0:
							p.Cursor = &scan.Cursor{}
						case side == "local":
							totals.Local = plan.RootEmpty
						default:
							totals.Remote = plan.RootEmpty
						}
						return work.Outcome{Job: job, Result: work.Done, Full: true, Progress: &p, Scan: &scan.Result{Totals: totals}}
					}
					b.update(func(tx *state.Tx) error {
						for i := range row.left {
							if err := state.PutBaseline(tx, "up", state.Baseline{Path: fmt.Sprint("f", i), When: b.now()}); err != nil {
								return err
							}
						}
						return nil
					})
					for i := range row.atNow {
						b.enqueue(string(plan.Upload), "up", b.now(), fmt.Sprint("f", i))
					}
					b.enqueue(work.KindScan, "up", b.now().Add(-time.Second), "")
					b.update(func(tx *state.Tx) error {
						return state.PutSync(tx, "up", state.SyncState{Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Server: "acme"})
					})
					b.run(func() { time.Sleep(time.Minute) })
					if got := b.syncRow("up").HaltCode; (got == plan.HaltRootEmpty) != row.halts || got != "" && !row.halts {
						t.Errorf("halted: %q, want it halted: %v", got, row.halts)
					}
				})
			})
		}
	}
}
