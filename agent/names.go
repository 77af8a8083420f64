package agent

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/state"
)

// family returns the names under which there are, or were, syncs that a name means, sorted: that name, and if it stands for one
// sync per server, each of these. No name means none.
func (a *Agent) family(name string) []string {
	if name == "" {
		return nil
	}
	names := []string{name}
	for member, s := range a.cfg.Syncs {
		if s.Family == name && member != name {
			names = append(names, member)
		}
	}
	slices.Sort(names)
	return names
}

// names checks names of syncs and of their families; none means all that are enabled. The result is sorted.
func (a *Agent) names(wanted []string) ([]string, error) {
	if len(wanted) == 0 {
		return slices.Sorted(maps.Keys(a.syncs)), nil
	}
	var names []string
	for _, name := range wanted {
		known := false
		before := len(names)
		for _, member := range a.family(name) {
			if _, ok := a.cfg.Syncs[member]; ok {
				known = true
			}
			if _, ok := a.syncs[member]; ok {
				names = append(names, member)
			}
		}
		switch {
		case !known:
			return nil, fmt.Errorf("%w: there is no sync %q; there are %q", control.ErrUnknownSync, name, slices.Sorted(maps.Keys(a.cfg.Syncs)))
		case len(names) == before:
			return nil, fmt.Errorf("%w: %q is switched off (enabled = false)", control.ErrUnknownSync, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// toApprove returns the syncs that an approval is for: of a family those that are halted, if any is, since an approval that nobody
// needs now would hold for what nobody has seen.
func (a *Agent) toApprove(name string) ([]string, error) {
	names, err := a.names([]string{name})
	if err != nil || len(names) < 2 {
		return names, err
	}
	var halted []string
	err = a.view(func(tx *state.Tx) error {
		halted = nil
		for _, member := range names {
			row, err := state.GetSync(tx, member)
			switch {
			case errors.Is(err, state.ErrBadRow):
			case err != nil:
				return err
			case row.Halt != "":
				halted = append(halted, member)
			}
		}
		return nil
	})
	if len(halted) == 0 {
		return names, err
	}
	return halted, err
}
