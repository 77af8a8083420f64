package work

import (
	"context"
	"fmt"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// mostComparisons is how many attempts are made to compare: a server that takes too long for a hash must not keep a conflict from
// the person who has to decide.
const mostComparisons = 3

// compare has the server tell the hash of a file that looks different on both sides. What holds the same is in step from then on;
// else the conflict is in the outcome. It reads nothing from the server, and changes nothing.
func compare(ctx context.Context, o *op) Outcome {
	if o.job.Attempts >= mostComparisons {
		return o.different("it could not be compared")
	}
	local, remote, err := o.bothSides(ctx)
	if err != nil {
		return failed(err)
	}
	if !entry.Same(local, o.Local.Entry) || !entry.Same(remote, o.Remote.Entry) {
		return stale("one of the sides changed since the conflict was seen")
	}
	if why := o.unsettled(local); why != "" {
		return Outcome{Result: Stale, Reason: why, Settling: true, Held: why}
	}
	same, err := o.holdTheSame(ctx, local.Size, false)
	if err != nil {
		return failed(fmt.Errorf("compare both versions: %w", err))
	}
	here, there, err := o.bothSides(ctx)
	switch {
	case err != nil:
		return failed(err)
	case !entry.Same(here, local) || !entry.Same(there, remote):
		return stale("one of the sides changed while they were compared")
	case !same:
		return o.different("nothing proves that both sides hold the same")
	}
	return Outcome{
		Result: Done, Already: true, Reason: "the same on both sides",
		Base: &plan.Base{Local: local, Remote: o.Remote.Entry}, Verified: "content", // as listings tell it, which may say more of its time
	}
}

// different leaves the path to a person, if the rules still say so.
func (o *op) different(reason string) Outcome {
	note := o.DecideDifferent(o.env.Sync.Rules)
	if note == nil {
		return stale("the rules are others than those that called for a comparison")
	}
	return Outcome{Result: Done, Reason: reason, Conflict: note}
}
