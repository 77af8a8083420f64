package agent

import (
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// lookAt is what a look at now says of a side, nil if nobody has looked.
func lookAt(side plan.Side, now time.Time) *state.Look {
	if side.Knowledge != plan.Seen {
		return nil
	}
	return &state.Look{Entry: side.Entry, When: now.UTC()}
}

// seeing is a note with what both sides were at now.
func seeing(n state.Note, local, remote plan.Side, now time.Time) state.Note {
	n.Local, n.Remote = lookAt(local, now), lookAt(remote, now)
	return n
}

// opOf returns what a job is to do, and whether that is known.
func opOf(job queue.Job) (op plan.Op, ok bool) {
	op, err := plan.DecodeOp(job.Payload)
	return op, err == nil && string(op.Action) == job.Kind
}

// lastSeen is what each side was when it was last looked at, as far as anything has written that down: the newest of the looks that a
// note and the jobs were made of, and the last agreement.
func lastSeen(agreed *control.Agreed, note state.Note, ops []plan.Op) (seen control.LastSeen) {
	take := func(side **control.Seen, look *state.Look, by string) {
		if look != nil && (*side == nil || look.When.After((*side).When)) {
			*side = &control.Seen{Entry: look.Entry, When: look.When, By: by}
		}
	}
	if agreed != nil && !agreed.Unreadable {
		take(&seen.Local, &state.Look{Entry: agreed.Local, When: agreed.When}, control.SeenAgreed)
		take(&seen.Remote, &state.Look{Entry: agreed.Remote, When: agreed.When}, control.SeenAgreed)
	}
	for _, op := range ops {
		take(&seen.Local, lookAt(op.Local, op.Planned), control.SeenPlanned)
		take(&seen.Remote, lookAt(op.Remote, op.Planned), control.SeenPlanned)
	}
	take(&seen.Local, note.Local, control.SeenNoted)
	take(&seen.Remote, note.Remote, control.SeenNoted)
	return seen
}

// planned are the sides as an operation takes them to be.
func planned(op plan.Op) *control.PlannedSides {
	return &control.PlannedSides{
		Local:  control.PlannedSide{Knowledge: op.Local.Knowledge.String(), Entry: op.Local.Entry},
		Remote: control.PlannedSide{Knowledge: op.Remote.Knowledge.String(), Entry: op.Remote.Entry},
		When:   op.Planned,
	}
}
