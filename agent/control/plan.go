package control

import (
	"math"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// SyncPlan is what a pass over one sync would do.
type SyncPlan struct {
	Sync   string     `json:"sync"`
	Ops    []Op       `json:"ops"`
	Totals PlanTotals `json:"totals"`
	// Halt is why a person would have to look first; nil if nobody has to.
	Halt *Halt `json:"halt,omitempty"`
	// Waits says that it is not the time for changes, and until when; nil if it is, or there is nothing to do.
	Waits *Stop         `json:"waits,omitempty"`
	Note  []PlannedNote `json:"notes,omitempty"`
	// Adopt counts the paths that are in step and were not known to be.
	Adopt int `json:"adopt"`
	// Known is the number of paths that were in step before.
	Known   int          `json:"known"`
	Unknown []PathReason `json:"unknown,omitempty"`
	// Failure says why no plan could be made, Unavailable that the server is the reason.
	Failure     string `json:"failure,omitempty"`
	Unavailable bool   `json:"unavailable,omitempty"`
}

// Op is a plan.Op as the program shows it, with names that survive also where they are not UTF-8.
type Op struct {
	Action string     `json:"action"`
	Path   state.Text `json:"path"`
	From   state.Text `json:"from,omitempty"`
	To     state.Text `json:"to,omitempty"`
	// Bytes is how many are to be transferred at most: of a file that has grown, or of which a part is there, it may be fewer.
	Bytes    int64      `json:"bytes,omitempty"`
	Local    Side       `json:"local"`
	Remote   Side       `json:"remote"`
	Base     *plan.Base `json:"base,omitempty"`
	Unproven bool       `json:"unproven,omitempty"`
	Rotated  bool       `json:"rotated,omitempty"`
	Extra    bool       `json:"extra,omitempty"`
	Replan   bool       `json:"replan,omitempty"`
	Reason   string     `json:"reason"`
}

// Side is what is known about one side of a path, and how: "unknown", "assumed" or "seen".
type Side struct {
	Knowledge string      `json:"knowledge"`
	Entry     entry.Entry `json:"entry"`
}

// PlannedNote is a path that is left alone, and why; with Conflict a person has to decide.
type PlannedNote struct {
	Path     state.Text `json:"path"`
	Conflict bool       `json:"conflict"`
	Text     string     `json:"text"`
}

// Halt is a guard's veto.
type Halt struct {
	Code   string `json:"code"`
	Reason string `json:"reason"`
	// Deletes is how many files would be deleted.
	Deletes int `json:"deletes"`
	// Standing: the sync is halted already, for what was to be seen then.
	Standing bool `json:"standing,omitempty"`
}

// PlanTotals are the numbers of a plan.
type PlanTotals struct {
	// Actions is how many operations there are of each kind.
	Actions map[string]int `json:"actions"`
	// BytesUp and BytesDown are to be transferred at most, see Op. They end at the largest number there is: a server may tell
	// any sizes.
	BytesUp   int64 `json:"bytes_up"`
	BytesDown int64 `json:"bytes_down"`
	// Deletes is how many files are to be deleted. Folders do not count: they are empty when they go.
	Deletes int `json:"files_deleted"`
}

// Planned says what ops are, and how much it is.
func Planned(ops []plan.Op) ([]Op, PlanTotals) {
	list, totals := make([]Op, 0, len(ops)), PlanTotals{Actions: map[string]int{}}
	for _, o := range ops {
		shown := Op{
			Action: string(o.Action), Path: state.Text(o.Path), From: state.Text(o.From), To: state.Text(o.To), Local: side(o.Local), Remote: side(o.Remote),
			Base: o.Base, Unproven: o.Unproven, Rotated: o.Rotated, Extra: o.Extra, Replan: o.Replan, Reason: o.Reason,
		}
		switch o.Action {
		case plan.Upload:
			shown.Bytes = max(o.Local.Entry.Size, 0) // -1 is unknown
			totals.BytesUp = sum(totals.BytesUp, shown.Bytes)
		case plan.Download:
			shown.Bytes = max(o.Remote.Entry.Size, 0)
			totals.BytesDown = sum(totals.BytesDown, shown.Bytes)
		}
		if o.DeletesFile() {
			totals.Deletes++
		}
		totals.Actions[string(o.Action)]++
		list = append(list, shown)
	}
	return list, totals
}

// sum adds two sizes that are not negative.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func side(s plan.Side) Side { return Side{s.Knowledge.String(), s.Entry} }

// PlanExitCode is the exit code of a program that printed these plans.
func PlanExitCode(plans []SyncPlan) int {
	code := ExitDone
	for _, p := range plans {
		switch {
		case p.Unavailable:
			code = ExitUnavailable
		case p.Failure != "" || p.Halt != nil || len(p.Unknown) > 0:
			return ExitNeedsPerson
		}
		for _, n := range p.Note {
			if n.Conflict {
				return ExitNeedsPerson
			}
		}
	}
	return code
}
