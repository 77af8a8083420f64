package agent

import (
	"testing"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestDeletionsBesideARenamedFolder: a scan in parts has staged the deletion of what was in a folder before it met that under its new
// name, and takes it out of its numbers by what the baseline knows of the folder. Whatever those numbers say, what else is staged
// must not be more than is allowed.
func TestDeletionsBesideARenamedFolder(t *testing.T) {
	for _, row := range []struct {
		sentence string
		counted  int // in the totals
		inQueue  bool
		others   int // files that are really deleted
	}{
		{"counted as they are", 30, false, 30},
		{"taken out twice", -10, false, 30},
		{"taken out although they wait in the queue", -10, true, 30},
		{"nothing but the folder", 0, false, 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			l := newLong(t)
			d := l.crash()
			l.update(func(tx *state.Tx) error {
				c := &commit{transition: newTransition(), d: d, tx: tx, now: l.now()}
				job, _, err := queue.Lookup(tx, work.KindScan, "up", "")
				if err != nil {
					return err
				}
				s := &scanning{report: report{Outcome: work.Outcome{Job: job, Full: true, Scan: &scan.Result{}}}, last: true}
				s.progress = work.Progress{Began: c.now, Known: 100}
				old := opsOf(plan.DeleteRemote, "old/x", 40)
				for _, op := range append(old, opsOf(plan.DeleteRemote, "other/y", row.others)...) {
					if err := c.stage(s, op); err != nil {
						return err
					}
				}
				folder := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.Dir}}
				s.Scan.Plan.Ops = []plan.Op{{Action: plan.MoveRemote, From: "old", Path: "renamed", Local: folder}}
				for _, op := range old {
					if row.inQueue {
						if err := c.enqueueOp(queue.Job{New: queue.New{Sync: "up"}}, op, true); err != nil {
							return err
						}
					}
				}
				s.Scan.Totals = plan.Totals{Deletes: row.counted, Local: plan.RootFilled, Remote: plan.RootFilled}
				for _, allowed := range []int{row.others, row.others - 1} {
					d.agent.cfg.Syncs["up"].MaxDelete = config.MaxDelete{Count: max(allowed, 0)}
					halt, _, err := c.veto(s)
					if err != nil || (halt != nil) != (allowed < row.others && row.others > 0) {
						t.Errorf("with %d allowed: halt %+v, %v", allowed, halt, err)
					}
				}
				return nil
			})
		})
	}
}
