package agent

import (
	"fmt"
	"maps"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state"
)

// absence is what was found out about one expect of a sync, up to a place in the history.
type absence struct {
	from, by time.Time
	arrived  int
	next     state.HistoryPosition
	filter   scan.Filter
}

// expect notes since when there is each expect, and reports whether there are others than before.
func (s *alerts) expect(now time.Time) (changed bool) {
	was := s.memory.Expected
	s.memory.Expected = map[string]time.Time{}
	for name := range s.agent.syncs {
		for _, e := range s.agent.cfg.Syncs[name].Expects {
			key := name + "/" + e.Name
			since, known := was[key]
			if !known || since.After(now) {
				since = now
			}
			s.memory.Expected[key] = since
		}
	}
	return !maps.EqualFunc(was, s.memory.Expected, time.Time.Equal)
}

// absent says what is missing that had to be there by now, "" for nothing, and since when; known is since when it is expected, zero if nobody
// has seen that yet. The lock of the lookout is held.
func (a *Agent) absent(sync string, e config.Expect, known, now time.Time) (text string, since time.Time, err error) {
	from, by := e.Window(now)
	key := sync + "/" + e.Name
	if by.IsZero() || known.IsZero() || !known.Before(by) {
		return "", by, nil
	}
	seen := a.lookout.absences[key]
	if seen == nil || !seen.by.Equal(by) || !seen.from.Equal(from) {
		seen = &absence{from: from, by: by}
		if e.Pattern != "" {
			seen.filter = scan.NewFilter(scan.FilterOptions{Include: []string{e.Pattern}})
		}
		a.lookout.absences[key] = seen
	}
	if seen.arrived < e.AtLeast {
		if err := a.count(sync, e, seen); err != nil {
			return "", by, err
		}
	}
	if seen.arrived >= e.AtLeast {
		return "", by, nil
	}
	return fmt.Sprintf("expected files are missing (%s): %d of %d have arrived since %s", e.Name, seen.arrived, e.AtLeast, from.Format(time.RFC3339)), by, nil
}

// count goes through the history from where it was left.
func (a *Agent) count(sync string, e config.Expect, seen *absence) error {
	for {
		var rows []state.History
		var next state.HistoryPosition
		err := a.db.View(func(tx *state.Tx) (err error) {
			filter := state.HistoryFilter{Syncs: []string{sync}, Since: seen.from}
			rows, next, err = state.ReadHistory(tx, filter, seen.next, pageRows)
			return err
		})
		if err != nil {
			return err
		}
		arrived := 0
		for _, row := range rows {
			if arrives(row) && !seen.filter.ExcludedAnywhere(row.Path, false) {
				arrived++
			}
		}
		if next == "" { // what is behind is counted again next time, with what comes
			if seen.arrived+arrived >= e.AtLeast {
				seen.arrived += arrived
			}
			return nil
		}
		seen.arrived += arrived
		seen.next = next
	}
}

// arrives reports files that were brought to their target. A sync brings them in its direction alone.
func arrives(row state.History) bool {
	return row.Result == resultDone && (row.Op == string(plan.Upload) || row.Op == string(plan.Download))
}
