package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// History implements control.Service. It reads a page at a time, and hands it out when the transaction is over.
func (a *Agent) History(ctx context.Context, f control.HistoryFilter, each func(control.HistoryRow) error) error {
	if err := queue.ValidPattern(string(f.Path)); err != nil {
		return fmt.Errorf("%w: %w", control.ErrInvalid, err)
	}
	filter := state.HistoryFilter{Since: f.Since, Syncs: a.family(f.Sync)}
	if f.Path != "" {
		filter.Path = func(path string) bool { return queue.MatchPath(string(f.Path), path) }
	}
	skip := 0
	if f.Limit > 0 {
		var err error
		if filter.Since, skip, err = a.lastHistory(ctx, filter, f.Limit); err != nil {
			return err
		}
	}
	return a.eachHistory(ctx, filter, func(h state.History) (bool, error) {
		if skip--; skip >= 0 {
			return true, nil
		}
		return true, each(shownHistory(h))
	})
}

// lastHistory looks for the last rows that a filter wants, without keeping them: it returns the time of the first of them, and how
// many of that time or later are to be skipped.
func (a *Agent) lastHistory(ctx context.Context, filter state.HistoryFilter, limit int) (since time.Time, skip int, err error) {
	filter.Newest = true
	since, found := filter.Since, 0
	err = a.eachHistory(ctx, filter, func(h state.History) (bool, error) {
		if found >= limit && h.When.Before(since) {
			return false, nil
		}
		if found++; found == limit {
			since = h.When
		}
		return true, nil
	})
	return since, max(found-limit, 0), err
}

// eachHistory calls fn outside of any transaction, until it returns false or an error.
func (a *Agent) eachHistory(ctx context.Context, filter state.HistoryFilter, fn func(state.History) (more bool, err error)) error {
	for from := state.HistoryPosition(""); ; {
		var rows []state.History
		var next state.HistoryPosition
		err := a.view(func(tx *state.Tx) (err error) {
			rows, next, err = state.ReadHistory(tx, filter, from, pageRows)
			return err
		})
		if err != nil {
			return err
		}
		for _, h := range rows {
			if more, err := fn(h); err != nil || !more {
				return err
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if from = next; next == "" {
			return nil
		}
	}
}

func shownHistory(h state.History) control.HistoryRow {
	return control.HistoryRow{
		When: h.When, Sync: h.Sync, Server: h.Server, Path: state.Text(h.Path), Direction: h.Direction, Op: h.Op, Result: h.Result,
		Bytes: h.Bytes, TookMS: float64(h.Duration.Microseconds()) / 1000, Data: h.Method, Verified: h.Verified, Reply: h.Reply,
		Temp: state.Text(h.Temp), Final: state.Text(h.Final), Job: h.Job, Tries: h.Tries, Error: h.Error,
	}
}
