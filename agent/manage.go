package agent

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// pageRows is how many rows are read in one transaction for people, and changeRows how many jobs are changed in one: nobody
	// waits long for either.
	pageRows   = 500
	changeRows = 250
	// mostLeft bounds what Changed names, and mostIDs what one request may.
	mostLeft = 100
	mostIDs  = 10_000
)

// jobOrder is the order of states in which people want to see jobs: what needs them first.
var jobOrder = []queue.State{queue.Dead, queue.Running, queue.Due, queue.Waiting}

// checkJobs says what is wrong with a filter.
func checkJobs(f control.JobFilter) error {
	named := f.Sync != "" || f.Server != "" || f.Kind != "" || f.State != "" || f.Path != ""
	switch err := queue.ValidPattern(string(f.Path)); {
	case err != nil:
		return fmt.Errorf("%w: %w", control.ErrInvalid, err)
	case f.State != "" && !slices.Contains(jobOrder, queue.State(f.State)):
		return fmt.Errorf("%w: there is no state %q; there are %q", control.ErrInvalid, f.State, jobOrder)
	case len(f.IDs) > mostIDs:
		return fmt.Errorf("%w: %d jobs by number are too many, at most %d", control.ErrInvalid, len(f.IDs), mostIDs)
	case len(f.IDs) > 0 && named:
		return fmt.Errorf("%w: jobs are chosen by number or by what they are, not by both", control.ErrInvalid)
	}
	return nil
}

// checkKind refuses a word that is no kind of job. A job of another version may be of one that this one does not know, and can be asked
// for all the same.
func (a *Agent) checkKind(ctx context.Context, kind string) error {
	kinds := append(work.FileKinds(), work.Scans()...)
	if kind == "" || slices.Contains(kinds, kind) {
		return nil
	}
	found := false
	err := a.eachJob(ctx, control.JobFilter{Kind: kind}, func(queue.Job) (bool, error) {
		found = true
		return false, nil
	})
	if err != nil || found {
		return err
	}
	slices.Sort(kinds)
	return fmt.Errorf("%w: there is no kind %q; there are %q", control.ErrInvalid, kind, kinds)
}

// Jobs implements control.Service. Like all that follows it works without Run too, and with a nil database as with an empty one.
func (a *Agent) Jobs(ctx context.Context, f control.JobFilter, each func(control.Job) error) ([]control.SyncJobs, error) {
	if err := checkJobs(f); err != nil {
		return nil, err
	}
	if err := a.checkKind(ctx, f.Kind); err != nil {
		return nil, err
	}
	states := jobOrder
	if f.State != "" {
		states = []queue.State{queue.State(f.State)}
	}
	shown := 0
	for _, s := range states {
		f.State = string(s)
		err := a.eachJob(ctx, f, func(job queue.Job) (bool, error) {
			if f.Limit > 0 && shown >= f.Limit {
				return false, nil
			}
			shown++
			return true, each(shownJob(job))
		})
		if err != nil {
			return nil, err
		}
	}
	return a.syncJobs()
}

// queueFilters returns the filters of the queue that make up one, which may name several syncs.
func (a *Agent) queueFilters(f control.JobFilter, limit int) []queue.Filter {
	filter := queue.Filter{Server: f.Server, Kind: f.Kind, State: queue.State(f.State), Path: string(f.Path), Limit: limit}
	if f.Sync == "" {
		return []queue.Filter{filter}
	}
	var filters []queue.Filter
	for _, name := range a.family(f.Sync) {
		filter.Sync = name
		filters = append(filters, filter)
	}
	return filters
}

// eachJob calls fn outside of any transaction, until it returns false or an error.
func (a *Agent) eachJob(ctx context.Context, f control.JobFilter, fn func(queue.Job) (bool, error)) error {
	for _, filter := range a.queueFilters(f, pageRows) {
		for more := true; more; more = filter.From != nil {
			var jobs []queue.Job
			var next queue.Place
			err := a.view(func(tx *state.Tx) (err error) {
				jobs, next, err = queue.Page(tx, filter)
				return err
			})
			if err != nil {
				return err
			}
			for _, job := range jobs {
				if more, err := fn(job); err != nil || !more {
					return err
				}
			}
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			filter.From = next
		}
	}
	return nil
}

func shownJob(job queue.Job) control.Job {
	return control.Job{
		ID: uint64(job.ID), State: string(job.State), Kind: job.Kind, Sync: job.Sync, Server: job.Server, Path: state.Text(job.Path),
		Why: job.Why, LastError: job.LastError, LastReply: job.LastReply,
		Attempts: job.Attempts, Claims: job.Claims, Crashes: job.Crashes, Priority: job.Priority, Serial: job.Serial,
		Rerun: job.Next != nil, Temp: state.Text(job.Temp),
		RunAt: job.RunAt, Enqueued: job.Enqueued, Started: job.Started, Died: job.Died,
	}
}

// syncJobs counts the jobs of the configured syncs, and those of others together under the name "".
func (a *Agent) syncJobs() ([]control.SyncJobs, error) {
	list := []control.SyncJobs{}
	err := a.view(func(tx *state.Tx) error {
		list = list[:0]
		now := time.Now()
		others, err := queue.Summary(tx, "")
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(a.cfg.Syncs)) {
			n, err := queue.Summary(tx, name)
			if err != nil {
				return err
			}
			others.Dead, others.Running, others.Due = others.Dead-n.Dead, others.Running-n.Running, others.Due-n.Due
			others.Waiting, others.Retrying = others.Waiting-n.Waiting, others.Retrying-n.Retrying
			stop, err := a.stopOf(tx, name, now)
			if err != nil {
				return err
			}
			list = appendCounts(list, name, n, stop)
		}
		others.NextDue = time.Time{}
		list = appendCounts(list, "", others, nil)
		return nil
	})
	return list, err
}

// appendCounts leaves out syncs of which there is nothing to tell.
func appendCounts(list []control.SyncJobs, sync string, n queue.Counts, stop *control.Stop) []control.SyncJobs {
	if n.Dead+n.Running+n.Due+n.Waiting <= 0 && (stop == nil || stop.By != control.StopHalt && stop.By != control.StopPerson) {
		return list
	}
	return append(list, control.SyncJobs{
		Sync: sync, Dead: n.Dead, Running: n.Running, Due: n.Due, Waiting: n.Waiting, Retrying: n.Retrying, NextDue: n.NextDue,
		Stop: stop,
	})
}

// stopOf says why the jobs of a sync do not go on, nil if they do as far as the state tells. What cannot be read is left out: the
// agent learns it anew.
func (a *Agent) stopOf(tx *state.Tx, sync string, now time.Time) (*control.Stop, error) {
	configured := a.cfg.Syncs[sync]
	paused, row, err := a.pauseIn(tx, sync, now)
	if err != nil {
		return nil, err
	}
	server, err := state.GetServer(tx, configured.Server)
	if err != nil && !errors.Is(err, state.ErrBadRow) {
		return nil, err
	}
	window := windowStop(configured, now)
	hold := server.Hold
	if configured.Direction == config.Down || configured.Direction == config.Both && !isFull(hold, now) {
		hold = row.Hold
	}
	switch {
	case !configured.Enabled:
		return &control.Stop{By: control.StopOff, Reason: "enabled = false"}, nil
	case row.Halt != "":
		return &control.Stop{By: control.StopHalt, Reason: row.Halt, Deletes: row.HaltDeletes}, nil
	case paused.Holds(now):
		return &control.Stop{By: control.StopPerson, Reason: paused.text(), Until: paused.Until, Server: paused.server}, nil
	case server.Blocked():
		return &control.Stop{By: control.StopBlock, Reason: server.BlockedBy}, nil
	case waits(server.NotBefore, now, queue.MostDelay):
		return &control.Stop{By: control.StopPause, Reason: server.LastError, Until: server.NotBefore}, nil
	case a.putOffStop(sync) != nil:
		return a.putOffStop(sync), nil
	case window != nil:
		return window, nil
	case isFull(hold, now):
		return &control.Stop{By: control.StopFull, Reason: hold.Reason, Until: hold.Until}, nil
	}
	return nil, nil
}

// isFull reports whether there is no room where a Hold keeps transfers from.
func isFull(hold state.Hold, now time.Time) bool {
	return hold.Reason != "" && !hold.Open && waits(hold.Until, now, laterDelay)
}

// view is View without a database too: then there is nothing.
func (a *Agent) view(fn func(tx *state.Tx) error) error { return reader{db: a.db}.view(fn) }

// RetryJobs implements control.Service.
func (a *Agent) RetryJobs(ctx context.Context, f control.JobFilter) (control.Changed, error) {
	// A person asks, so that the servers are tried at once, also where all of the jobs are due and wait for nothing else.
	servers := map[string]bool{}
	for _, name := range a.family(f.Sync) {
		if s, ok := a.cfg.Syncs[name]; ok {
			servers[s.Server] = true
		}
	}
	if !isNarrow(f) {
		for name := range a.cfg.Servers {
			servers[name] = true
		}
	}
	c := change{agent: a, filter: f, wake: servers, wakesAll: true}
	c.do = func(tx *state.Tx, now time.Time, job queue.Job) (bool, error) {
		return job.State != queue.Due, queue.Retry(tx, now, job.ID)
	}
	return c.run(ctx)
}

// isNarrow reports whether the filter chooses by more than the state.
func isNarrow(f control.JobFilter) bool {
	return len(f.IDs) > 0 || f.Sync != "" || f.Server != "" || f.Kind != "" || f.Path != ""
}

// change does something to the chosen jobs, a few in each transaction.
type change struct {
	agent  *Agent
	filter control.JobFilter
	// do changes a job, and reports whether there was anything to do. It is carried out more than once if the transaction is.
	do func(tx *state.Tx, now time.Time, job queue.Job) (bool, error)
	// drops: what is running is to be dropped, too, and is in wishes. Else it is left alone.
	drops  bool
	wishes []*drop
	// wake names the servers to be tried at once; wakesAll adds those of all chosen jobs.
	wake     map[string]bool
	wakesAll bool

	changed control.Changed
}

func (c *change) run(ctx context.Context) (control.Changed, error) {
	if err := checkJobs(c.filter); err != nil {
		return c.changed, err
	}
	if err := c.agent.checkKind(ctx, c.filter.Kind); err != nil {
		return c.changed, err
	}
	if c.agent.db == nil {
		c.changed.Unknown = c.filter.IDs
		return c.changed, nil
	}
	var err error
	if len(c.filter.IDs) > 0 {
		ids := slices.Compact(slices.Sorted(slices.Values(c.filter.IDs)))
		for part := range slices.Chunk(ids, changeRows) {
			if err = c.part(ctx, func(tx *state.Tx) ([]queue.Job, error) { return c.byID(tx, part) }); err != nil {
				break
			}
		}
		return c.changed, err
	}
	for _, filter := range c.agent.queueFilters(c.filter, changeRows) {
		for more := true; more && err == nil; more = filter.From != nil {
			next := queue.Place(nil)
			err = c.part(ctx, func(tx *state.Tx) (jobs []queue.Job, err error) {
				jobs, next, err = queue.Page(tx, filter)
				return jobs, err
			})
			filter.From = next
		}
	}
	return c.changed, err
}

// byID returns the jobs that are there, and counts the others.
func (c *change) byID(tx *state.Tx, ids []uint64) (jobs []queue.Job, err error) {
	for _, id := range ids {
		job, ok, err := queue.Get(tx, queue.ID(id))
		switch {
		case errors.Is(err, state.ErrBadRow):
			job = queue.Job{ID: queue.ID(id), State: queue.Dead}
		case err != nil:
			return nil, err
		case !ok:
			c.changed.Unknown = append(c.changed.Unknown, id)
			continue
		}
		jobs = append(jobs, job)
	}
	return jobs, nil
}

// part is one transaction.
func (c *change) part(ctx context.Context, choose func(tx *state.Tx) ([]queue.Job, error)) error {
	before, wish := c.changed, newDrop()
	err := c.agent.transact(ctx, request{drop: wish, change: func(tx *state.Tx, now time.Time) ([]string, error) {
		c.changed, wish.jobs = before, nil // the transaction may be tried twice
		jobs, err := choose(tx)
		if err != nil {
			return nil, err
		}
		wake := maps.Clone(c.wake)
		for _, job := range jobs {
			// A row that is unreadable may be of any sync: who names one does not mean it.
			if job.Kind == "" && isNarrow(c.filter) && len(c.filter.IDs) == 0 {
				continue
			}
			if err := c.one(tx, now, job, wish); err != nil {
				return nil, err
			}
			if c.wakesAll && job.State != queue.Running {
				wake[job.Server] = true
			}
		}
		servers := slices.Sorted(maps.Keys(wake))
		stopped, err := stoppedServers(tx, servers)
		if err != nil {
			return nil, err
		}
		// Those of the parts before are tried already.
		c.changed.Servers = slices.Compact(slices.Sorted(slices.Values(slices.Concat(before.Servers, stopped))))
		return servers, nil
	}})
	if len(wish.jobs) > 0 {
		c.wishes = append(c.wishes, wish)
	}
	return err
}

// stoppedServers are those of servers that are paused or blocked.
func stoppedServers(tx *state.Tx, servers []string) (stopped []string, err error) {
	for _, name := range servers {
		row, err := state.GetServer(tx, name)
		switch {
		case errors.Is(err, state.ErrBadRow): // it is learned anew
		case err != nil:
			return nil, err
		case row.Failures > 0 || row.BlockedBy != "": // also where the next try is due by now
			stopped = append(stopped, name)
		}
	}
	return stopped, nil
}

func (c *change) one(tx *state.Tx, now time.Time, job queue.Job, wish *drop) error {
	switch {
	case job.State != queue.Running:
	case !c.drops:
		c.changed.Running++
		c.left(job.ID, "is running")
		return nil
	case c.agent.running.Load() != nil:
		wish.jobs = append(wish.jobs, job.ID)
		return nil
	}
	changed, err := c.do(tx, now, job)
	if refusal, ok := errors.AsType[*queue.Error](err); ok && errors.Is(err, queue.ErrState) {
		c.changed.Refused++
		c.left(job.ID, refusal.Err.Error())
		return nil
	}
	switch {
	case err != nil:
	case changed:
		c.changed.Jobs++
	default:
		c.changed.Due++
	}
	return err
}

func (c *change) left(id queue.ID, reason string) {
	if len(c.changed.Left) < mostLeft {
		// Not append: the list before must stay as it is, for another try of the transaction.
		c.changed.Left = slices.Concat(c.changed.Left, []control.Left{{ID: uint64(id), Reason: reason}})
	}
}

// transact carries out the change of a request in a transaction of its own, or in one of the dispatcher's while that works. The
// change must not fail because of what a person has asked for: that would end the dispatcher.
func (a *Agent) transact(ctx context.Context, r request) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if a.running.Load() != nil {
		return a.ask(ctx, r)
	}
	select {
	case <-a.ended:
		return control.ErrGone
	default:
	}
	return a.db.Update(func(tx *state.Tx) error {
		now := time.Now()
		servers, err := r.change(tx, now)
		for _, name := range servers {
			if err == nil {
				err = a.endPause(tx, name, now)
			}
		}
		return err
	})
}

// endPause is tryAtOnce for an agent that does not run.
func (a *Agent) endPause(tx *state.Tx, server string, now time.Time) error {
	row, err := state.GetServer(tx, server)
	if err != nil {
		return err
	}
	if row.Failures > 0 || row.BlockedBy != "" || !row.NotBefore.IsZero() || row.Hold.Until.After(now) {
		row = row.Unpaused()
		row.Hold.Until = earlier(row.Hold.Until, now)
		if err := state.PutServer(tx, server, row); err != nil {
			return err
		}
	}
	for name, s := range a.cfg.Syncs {
		if s.Server != server {
			continue
		}
		row, err := state.GetSync(tx, name)
		if err == nil && row.Hold.Until.After(now) {
			row.Hold.Until = now
			err = state.PutSync(tx, name, row)
		}
		if err != nil {
			return err
		}
	}
	return hastenFailed(tx, server, now)
}
