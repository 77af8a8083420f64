package trigger

import (
	"maps"
	"slices"
)

// due is what is to be looked at again though nothing is known to have happened.
type due struct {
	why   string // "" if nothing is due
	all   bool
	paths map[string]struct{}
}

// mostDue is how many paths are reported one by one; if more are due, everything is.
const mostDue = 1000

func (d *due) any() bool { return d.why != "" }

func (d *due) add(c change) {
	d.why = c.why
	if d.all = d.all || c.path == "" || len(d.paths)+len(c.more) >= mostDue; d.all {
		d.paths = nil
		return
	}
	if d.paths == nil {
		d.paths = map[string]struct{}{}
	}
	for _, rel := range append(c.more, c.path) {
		d.paths[rel] = struct{}{}
	}
}

// take returns the event for all of it.
func (d *due) take(sync string) Event {
	e := Event{Sync: sync, Paths: slices.Sorted(maps.Keys(d.paths)), Why: d.why, Local: true, Regular: true}
	*d = due{}
	return e
}
