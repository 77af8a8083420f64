package scan

import (
	"iter"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// one is a name with all that there is of it; nil is nothing.
type one struct {
	name      string
	here, far *entry.Entry
	base      *state.Baseline
	told      int64 // see Named
}

// union goes over all names in a folder, and one more if that is not "", in their order. base are the rows of what is in the folder.
func union(folder string, here, far []Named, base []state.Baseline, more string) iter.Seq[one] {
	start := 0
	if folder != "" {
		start = len(folder) + 1
	}
	return func(yield func(one) bool) {
		for len(here) > 0 || len(far) > 0 || len(base) > 0 || more != "" {
			next := one{name: more}
			first := func(name string) {
				if next.name == "" || name < next.name {
					next.name = name
				}
			}
			if len(here) > 0 {
				first(here[0].Name)
			}
			if len(far) > 0 {
				first(far[0].Name)
			}
			known := ""
			if len(base) > 0 {
				known = base[0].Path
				known = known[min(start, len(known)):]
				first(known)
			}
			if len(here) > 0 && here[0].Name == next.name {
				next.here, here = &here[0].Entry, here[1:]
			}
			if len(far) > 0 && far[0].Name == next.name {
				next.far, next.told, far = &far[0].Entry, far[0].Told, far[1:]
			}
			if len(base) > 0 && known == next.name {
				next.base, base = &base[0], base[1:]
			}
			if more == next.name {
				more = ""
			}
			if !yield(next) {
				return
			}
		}
	}
}

// within is path.Join for a name from a listing, nearly all of which need no cleaning.
func within(folder, name string) string {
	if folder == "" || strings.Contains(name, "/") || strings.Trim(name, ".") == "" {
		return path.Join(folder, name)
	}
	return folder + "/" + name
}

// side is what is known of one side of a path, if found was found there, which is known to be absent if there is no reason
// for doubt.
func side(found *entry.Entry, doubt string, p presence, base *plan.Base, remote bool) plan.Side {
	switch {
	case p == assumed && base != nil && remote:
		return plan.Side{Knowledge: plan.Assumed, Entry: base.Remote}
	case p == assumed:
		return plan.Side{Knowledge: plan.Assumed}
	case found != nil:
		return plan.Side{Knowledge: plan.Seen, Entry: *found}
	case doubt != "":
		return plan.Side{}
	}
	return plan.Side{Knowledge: plan.Seen}
}
