package work

import (
	"context"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// overruled says why an operation that was right when it was planned must not be carried out
// any more, "" if it may: the configuration may have changed since, or the disk gone.
func (o *op) overruled() string {
	sync := o.env.Sync
	if o.Action.Deletes() && !sync.Rules.Delete {
		return "delete is off now"
	}
	item := plan.Item{Path: o.Path, Local: o.Local, Remote: o.Remote, Base: o.Base}
	if why := o.filtering().Overrules(sync.Rules.Direction, item); why != "" {
		return why
	}
	if sync.Marker != "" {
		if e, err := scan.StatLocal(o.root, sync.Marker); err != nil || e.Kind == entry.Absent {
			return "the marker file is missing"
		}
	}
	return ""
}

// filtering is what takes part now, as far as anybody can tell.
func (o *op) filtering() *scan.Filtering {
	if o.env.near != nil {
		return o.env.near.filtering(o.env.Sync)
	}
	return o.env.Sync.Filter.In(o.source(), time.Now())
}

// manyAttempts is how many attempts back what is left of them is looked for where no scan does: most of many found the server down.
const manyAttempts = 100

// leavesNothing takes back what attempts before have begun, if the operation is not carried out any more: where no scan looks, as
// rules leave it out by now, nobody else would.
func (o *op) leavesNothing(ctx context.Context, outcome Outcome) Outcome {
	if !o.retried() {
		return outcome
	}
	switch o.Action {
	case plan.Upload:
		if err := o.finishParting(); err != nil {
			return failed(err)
		}
		if o.env.Sync.Direct {
			return outcome
		}
		if err := o.removeTemp(ctx, manyAttempts); err != nil {
			return failed(err)
		}
	case plan.Download:
		from, err := o.origin(ctx)
		if err != nil {
			return failed(err)
		}
		return o.withdraw(ctx, from, outcome)
	}
	return outcome
}
