package agent

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// Status implements control.Service.
func (a *Agent) Status(_ context.Context, f control.StatusFilter) (control.Overview, error) {
	o := control.Overview{Syncs: []control.SyncStatus{}, Servers: []control.ServerStatus{}, Transfers: []control.Transfer{}, Problems: []control.Problem{}}
	names, err := a.names(f.Syncs)
	if err != nil {
		return o, err
	}
	now := time.Now()
	d := a.running.Load()
	if d != nil {
		o.Version, o.PID, o.Started = a.options.Version, os.Getpid(), a.started
		o.Transfers = d.transfers(now, names)
		if address := a.listening.Load(); address != nil {
			o.Listen = *address
		}
	} else if mark := readStopMark(a.cfg.Agent.StateDir); !mark.When.IsZero() {
		o.Stopped = &control.Stopped{When: mark.When, Reason: mark.Reason}
	}
	if a.db != nil {
		o.StateBytes = a.db.Size()
	}
	for _, name := range names {
		var s control.SyncStatus
		err := a.view(func(tx *state.Tx) (err error) {
			s, err = a.syncStatus(tx, name, f.Notes)
			return err
		})
		if err != nil {
			return o, err
		}
		if a.db == nil {
			configured := a.cfg.Syncs[name]
			s = control.SyncStatus{Sync: name, Server: configured.Server, Direction: string(configured.Direction), State: control.StateNew, Jobs: control.SyncJobs{Sync: name}}
		}
		o.Syncs = append(o.Syncs, s)
	}
	for _, name := range slices.Sorted(maps.Keys(a.cfg.Servers)) {
		syncs := a.syncsOf(name)
		if len(f.Syncs) > 0 && !slices.ContainsFunc(syncs, func(sync string) bool { return slices.Contains(names, sync) }) {
			continue
		}
		s, err := a.serverStatus(d, name, syncs, now)
		if err != nil {
			return o, err
		}
		o.Servers = append(o.Servers, s)
	}
	o.Problems, err = a.shownProblems(names, now)
	return o, err
}

// syncsOf are those that use a server, sorted.
func (a *Agent) syncsOf(server string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a.syncs)), func(sync string) bool { return a.cfg.Syncs[sync].Server != server })
}

// serverStatus says how a server stands, that these syncs use; d is nil if the agent does not run.
func (a *Agent) serverStatus(d *dispatcher, name string, syncs []string, now time.Time) (control.ServerStatus, error) {
	configured := a.cfg.Servers[name]
	s := control.ServerStatus{Server: name, Address: configured.Address, Limit: configured.Connections, Syncs: syncs}
	var row state.Server
	var paused state.Pause
	err := a.view(func(tx *state.Tx) (err error) {
		if paused, err = state.GetServerPause(tx, name); err != nil {
			return err
		}
		row, err = state.GetServer(tx, name)
		return err
	})
	if err != nil && !errors.Is(err, state.ErrBadRow) { // which is learned anew
		return s, err
	}
	var facts ftpclient.Facts
	var crowded crowding
	if d != nil && d.servers[name] != nil { // else the configuration has changed since somebody asked
		running := d.servers[name]
		use := running.pool.Use()
		s.Address, s.Connections, s.Busy, s.Limit, s.LastUsed = running.pool.InUse(), use.Open, use.Lent, use.Limit, use.LastUsed
		facts, s.Enough = running.pool.Facts(), int(running.enough.Load())
		if c := running.crowding.Load(); c != nil && waits(c.until, now, maxCrowded) {
			crowded = *c
		}
	} else {
		var known knownServer
		if len(row.Facts) > 0 && json.Unmarshal(row.Facts, &known) == nil {
			facts = known.of([]string{configured.Address})[configured.Address]
		}
		if facts.ConnectionLimit > 0 {
			s.Limit = min(s.Limit, facts.ConnectionLimit)
		}
	}
	s.Data = facts.Channels[0].Way
	a.serverState(&s, row, crowded, now)
	if paused.Holds(now) {
		s.Paused = shownPause(paused)
		s.State, s.Reason, s.Until = control.ServerSuspended, pauseText(paused), paused.Until
	}
	return s, nil
}

func shownPause(p state.Pause) *control.Pause {
	return &control.Pause{Since: p.Since, Until: p.Until, By: p.By, Reason: p.Reason}
}

// serverState finds the word for how a server stands, and the reason.
func (a *Agent) serverState(s *control.ServerStatus, row state.Server, crowded crowding, now time.Time) {
	until, closed := a.allClosed(s.Syncs, now)
	switch hold := row.Hold; {
	case row.Blocked():
		s.State, s.Reason = control.ServerBlocked, row.BlockedBy
	case waits(row.NotBefore, now, queue.MostDelay):
		s.State, s.Reason, s.Until = control.ServerPaused, row.LastError, row.NotBefore
	case !crowded.until.IsZero() && s.Connections == 0:
		s.State, s.Reason, s.Until = control.ServerPaused, crowded.words, crowded.until
	case isFull(hold, now):
		s.State, s.Reason, s.Until = control.ServerFull, hold.Reason, hold.Until
	case closed && s.Busy == 0:
		s.State, s.Reason, s.Until = control.ServerWindow, "outside of the allowed times of all of its syncs", until
	case s.Connections > 0:
		s.State, s.Reason, s.Until = control.ServerUp, crowded.words, crowded.until
	default:
		s.State = control.ServerIdle
	}
}

// allClosed reports whether it is not the time for changes for any of these syncs, and until when; zero: for ever.
func (a *Agent) allClosed(syncs []string, now time.Time) (until time.Time, closed bool) {
	for _, name := range syncs {
		next, shut := closedUntil(a.cfg.Syncs[name], now)
		if !shut {
			return time.Time{}, false
		}
		if until.IsZero() || !next.IsZero() && next.Before(until) {
			until = next
		}
	}
	return until, len(syncs) > 0
}

// underway is the job that a worker has at hand.
type underway struct {
	job    queue.Job
	live   *work.Live
	cancel context.CancelCauseFunc // breaks it off
}

// transfers are those under way of these syncs, the oldest first. Any goroutine may ask.
func (d *dispatcher) transfers(now time.Time, syncs []string) []control.Transfer {
	list := []control.Transfer{}
	for _, s := range d.servers {
		for _, w := range s.workers {
			u := w.current.Load()
			if u == nil || !isFileTransfer(u.job.Kind) || !slices.Contains(syncs, u.job.Sync) {
				continue
			}
			if live, ok := u.live.At(now); ok {
				list = append(list, shownTransfer(u.job, live))
			}
		}
	}
	slices.SortFunc(list, func(a, b control.Transfer) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Job, b.Job))
	})
	return list
}

func shownTransfer(job queue.Job, live work.LiveTransfer) control.Transfer {
	t := control.Transfer{
		Job: uint64(job.ID), Sync: job.Sync, Server: job.Server, Path: state.Text(job.Path), Direction: string(config.Up),
		Size: live.Size, Done: live.Done, Resumed: live.Resumed, Rate: int64(live.Rate), Started: live.Began, Method: live.Method,
	}
	if plan.Action(job.Kind) == plan.Download {
		t.Direction = string(config.Down)
	}
	t.ETA = secondsLeft(live.Size-live.Done, live.Rate)
	return t
}

// secondsLeft is how long so many bytes take at a rate, rounded up; 0 if nothing is left, or if nobody can tell.
func secondsLeft(left int64, rate float64) int64 {
	const most = 365 * 24 * 60 * 60
	if left <= 0 || rate < 1 {
		return 0
	}
	if seconds := math.Ceil(float64(left) / rate); seconds < most {
		return int64(seconds)
	}
	return 0
}
