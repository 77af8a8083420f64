package scan

import (
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// Cursor is a place in the order of a scan: everything up to it is decided. It is written down between two parts of a
// scan, so that the second part may be another process's.
type Cursor struct {
	// Path is the one of Request.Paths that was under way; "" if everything is looked at, or between two paths.
	Path state.Text `json:"path,omitempty"`
	// Levels lead from the root to the last path that was decided with all below it. With Path the first of them is the
	// topmost folder that was decided for its sake.
	Levels []Level `json:"levels,omitempty"`
	// Totals are those of all parts so far.
	Totals plan.Totals `json:"totals"`
	// Looked and Unseen count what was decided and what could not be looked at in all parts so far.
	Looked int `json:"looked,omitempty"`
	Unseen int `json:"unseen,omitempty"`
}

// Level is one folder on the way to the last path.
type Level struct {
	Name state.Text `json:"name"`
	// Keeps: something that was decided already stays in the folder that holds Name, so that folder cannot go.
	Keeps bool `json:"keeps,omitempty"`
	// Seen is a sum over what was decided in the folder that holds Name, as it is at the target, or on both sides if either
	// may be that.
	Seen uint64 `json:"seen,omitempty"`
	// Local and Remote are what Name was on both sides when it was decided, of folders whose contents are under way.
	Local  entry.Kind `json:"local,omitempty"`
	Remote entry.Kind `json:"remote,omitempty"`
	// Forgets: Name does not take part, and what is known below it is being forgotten.
	Forgets bool `json:"forgets,omitempty"`
}

// holds reports whether the folder is still what it was when its contents were begun, or what the scan wanted it to be.
func (l Level) holds(direction plan.Direction, item plan.Item) bool {
	if direction == plan.Both {
		return !l.Forgets && became(item.Local, l.Local, l.Remote) && became(item.Remote, l.Remote, l.Local)
	}
	source, target, wasSource, wasTarget := item.Local, item.Remote, l.Local, l.Remote
	if direction == plan.Down {
		source, target, wasSource, wasTarget = target, source, wasTarget, wasSource
	}
	if l.Forgets || source.Knowledge == plan.Unknown || source.Entry.Kind != wasSource {
		return false
	}
	now := target.Entry.Kind
	return target.Knowledge == plan.Unknown || now == wasTarget || wasTarget == entry.Absent && now == wasSource
}

// became reports whether a side is what it was, or what the other one was if nothing was there.
func became(now plan.Side, was, other entry.Kind) bool {
	return now.Knowledge != plan.Unknown && (now.Entry.Kind == was || was == entry.Absent && now.Entry.Kind == other)
}

// sum adds to a sum what is at a name of the targets. What is not there changes nothing.
func sum(seen uint64, name string, targets [2]entry.Entry) uint64 {
	for _, target := range targets {
		seen = sumOne(seen, name, target)
	}
	return seen
}

func sumOne(seen uint64, name string, target entry.Entry) uint64 {
	if target.Kind == entry.Absent {
		return seen
	}
	const prime = 1099511628211 // FNV-1a
	add := func(b byte) { seen = (seen ^ uint64(b)) * prime }
	for i := range len(name) {
		add(name[i])
	}
	add(0)
	add(byte(target.Kind))
	for _, number := range []int64{target.Size, target.ModTime.UnixNano()} {
		for shift := 0; shift < 64; shift += 8 {
			add(byte(number >> shift))
		}
	}
	return seen
}
