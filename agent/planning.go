package agent

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
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
	halt, row, anew, facts, err := a.standing(s)
	if err != nil {
		planned.Failure = err.Error()
		return planned
	}
	w := &worker{}
	if d := a.running.Load(); d != nil {
		w.pool = d.servers[s.Server].pool
	} else {
		w.pool = newPool(a.cfg.Servers[s.Server], facts, newBandwidth(a.cfg.Servers[s.Server].Bandwidth, time.Now()), locator, a.logger)
		defer w.pool.Close()
	}
	defer w.release()
	if planned.Halt = halt; anew {
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
	if result.Totals.OtherDevice, err = a.otherDevice(s.Name, result.Device); err != nil {
		planned.Failure = err.Error()
		return planned
	}
	if result.Totals.Elsewhere, err = a.elsewhere(s.Name, anew); err != nil {
		planned.Failure = err.Error()
		return planned
	}
	if halt := plan.Guard(result.Totals, approvedLimits(row, plan.Limits{AllowsDeletes: s.MaxDelete.Allows})); planned.Halt == nil {
		planned.Halt = halt
	}
	planned.Ops, planned.Note = result.Plan.Ops, result.Plan.Notes
	planned.Adopt, planned.Known = len(result.Plan.Agree), result.Totals.Known
	for _, u := range result.Unknown {
		planned.Unknown = append(planned.Unknown, control.PathReason{Path: u.Path, Reason: u.Reason})
	}
	return planned
}

// otherDevice is what the guard has to know of the filesystem of a local folder.
func (a *Agent) otherDevice(sync string, is state.Device) (text string, err error) {
	if a.db == nil {
		return "", nil
	}
	err = a.db.View(func(tx *state.Tx) error {
		row, err := state.GetSync(tx, sync)
		text = otherDevice(is, row.Device)
		return err
	})
	return text, err
}

// elsewhere reports whether something was in step when a sync had other folders than now; anew says that it starts anew.
func (a *Agent) elsewhere(sync string, anew bool) (elsewhere bool, err error) {
	if a.db == nil {
		return false, nil
	}
	err = a.db.View(func(tx *state.Tx) error {
		row, err := state.GetSync(tx, sync)
		known := 0
		if err == nil && anew {
			known, err = state.CountBaseline(tx, sync)
		}
		elsewhere = row.Elsewhere || known > 0
		return err
	})
	return elsewhere, err
}

// standing returns the halt that holds a sync, its row, in which is what a person has let pass, whether
// it would start anew, and what is known about its server.
func (a *Agent) standing(s *config.Sync) (halt *plan.Halt, row state.SyncState, anew bool, facts map[string]ftpclient.Facts, err error) {
	if a.db == nil {
		return nil, row, false, facts, nil
	}
	err = a.db.View(func(tx *state.Tx) error {
		var err error
		row, err = state.GetSync(tx, s.Name)
		if row.Halt != "" {
			halt = &plan.Halt{Code: row.HaltCode, Reason: row.Halt}
		}
		anew = row.Identity != "" && row.Identity != identity(a.cfg, s)
		if err == nil {
			_, facts, err = loadServer(tx, s.Server, addressesOf(a.cfg.Servers[s.Server]))
		}
		return err
	})
	return halt, row, anew, facts, err
}
