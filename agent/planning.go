package agent

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// Plan implements control.Service. While Run does it takes a connection from where the workers
// have theirs, since the server takes no more than those. It works without Run too, and with a
// nil database, as if nothing had ever been in step.
func (a *Agent) Plan(ctx context.Context, syncs []string) ([]control.SyncPlan, error) {
	names, err := a.names(syncs)
	if err != nil {
		return nil, err
	}
	var locator *extip.Locator
	if a.running.Load() == nil {
		memory, err := a.memoryForPlan()
		if err != nil {
			return nil, err
		}
		locator = newLocator(a.cfg, memory, nil, a.logger)
		defer runLocator(ctx, locator, a.logger)()
	}
	plans := make([]control.SyncPlan, 0, len(names))
	for _, name := range names {
		plans = append(plans, a.planSync(ctx, a.cfg.Syncs[name], locator))
	}
	return plans, nil
}

// planSync uses locator unless the agent runs, which has one.
func (a *Agent) planSync(ctx context.Context, s *config.Sync, locator *extip.Locator) control.SyncPlan {
	planned := control.SyncPlan{Sync: s.Name}
	r := reader{a.db, s.Name}
	halt, anew, facts, err := a.standing(s)
	if err != nil {
		planned.Failure = err.Error()
		return planned
	}
	w := &worker{}
	if d := a.running.Load(); d != nil {
		w.pool = d.servers[s.Server].pool
	} else {
		w.pool = newPool(a.cfg.Servers[s.Server], facts, newBandwidth(a.cfg.Servers[s.Server].Bandwidth, time.Now()), locator, a.dial, a.logger)
		defer w.pool.Close()
	}
	defer w.release()
	if anew {
		r.db = nil // it points elsewhere than before: nothing is known
	}
	env := work.Env{
		Sync: a.syncs[s.Name], State: r, Logger: a.logger,
		Connect: w.connect,
	}
	result, err := work.Scan(ctx, env)
	if err != nil {
		planned.Failure = reasonOf(err)
		class := classify(err)
		planned.Unavailable = class == ftpclient.ClassUnavailable || class == ftpclient.ClassBusy || isNoData(err)
		return planned
	}
	planned.Ops, planned.Totals = control.Planned(result.Plan.Ops)
	standing := halt != nil
	if !standing {
		if halt, err = a.wouldHalt(s, result, anew); err != nil {
			planned.Failure = err.Error()
			return planned
		}
	}
	if halt != nil {
		planned.Halt = &control.Halt{Code: halt.Code, Reason: halt.Reason, Deletes: max(halt.Deletes, planned.Totals.Deletes), Standing: standing}
	}
	if len(planned.Ops) > 0 {
		planned.Waits = windowStop(s, time.Now())
	}
	for _, n := range result.Plan.Notes {
		planned.Note = append(planned.Note, control.PlannedNote{Path: state.Text(n.Path), Conflict: n.Conflict, Text: n.Text})
	}
	planned.Adopt, planned.Known = len(result.Plan.Agree), result.Totals.Known
	for _, u := range result.Unknown {
		planned.Unknown = append(planned.Unknown, control.PathReason{Path: state.Text(u.Path), Reason: u.Reason})
	}
	return planned
}

// wouldHalt is the verdict of the guard on a scan that comes in one piece and is not carried out. A sync that starts anew has
// nothing left of what was found, approved or queued before.
func (a *Agent) wouldHalt(s *config.Sync, found *scan.Result, anew bool) (halt *plan.Halt, err error) {
	limits := plan.Limits{AllowsDeletes: s.MaxDelete.Allows}
	if a.db == nil {
		return plan.Guard(found.Totals, limits), nil
	}
	err = a.db.View(func(tx *state.Tx) error {
		row, err := state.GetSync(tx, s.Name)
		if err != nil {
			return err
		}
		if anew {
			known, err := state.CountBaseline(tx, s.Name)
			totals := found.Totals
			totals.Elsewhere = known > 0 || row.Elsewhere
			halt = plan.Guard(totals, limits)
			return err
		}
		c := &commit{transition: newTransition(), d: &dispatcher{agent: a}, tx: tx, now: time.Now()}
		job := queue.Job{New: queue.New{Kind: work.KindScan, Sync: s.Name, Server: s.Server}}
		scanning := &scanning{row: row, first: true, last: true}
		scanning.report.Outcome = work.Outcome{Job: job, Scan: found, Full: true}
		scanning.progress.Known = found.Totals.Known
		if _, err := c.pendingAmong(scanning); err != nil {
			return err
		}
		halt, _, err = c.veto(scanning)
		return err
	})
	return halt, err
}

// windowStop says that a sync may change nothing now, nil if it may.
func windowStop(s *config.Sync, now time.Time) *control.Stop {
	until, closed := closedUntil(s, now)
	if !closed {
		return nil
	}
	return &control.Stop{By: control.StopWindow, Reason: closedReason(s.Allowed, now, until), Until: until}
}

// standing returns the halt that holds a sync, whether it would start anew, which ends a halt, and what is known about its server.
func (a *Agent) standing(s *config.Sync) (halt *plan.Halt, anew bool, facts map[string]ftpclient.Facts, err error) {
	if a.db == nil {
		return nil, false, facts, nil
	}
	err = a.db.View(func(tx *state.Tx) error {
		row, err := state.GetSync(tx, s.Name)
		anew = row.Identity != "" && row.Identity != identity(a.cfg, s)
		if row.Halt != "" && !anew {
			halt = &plan.Halt{Code: row.HaltCode, Reason: row.Halt, Deletes: row.HaltDeletes}
		}
		if err == nil {
			_, facts, err = loadServer(tx, s.Server, addressesOf(a.cfg.Servers[s.Server]))
		}
		return err
	})
	return halt, anew, facts, err
}
