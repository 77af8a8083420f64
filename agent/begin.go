package agent

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// begin brings the state in line with the configuration and with the fact that nobody works:
// whatever is marked as running was cut off.
func (d *dispatcher) begin(now time.Time) error {
	var recovered queue.Recovered
	update := func(tx *state.Tx) (err error) {
		d.news = nil
		if recovered, err = queue.Recover(tx, now); err != nil {
			return fmt.Errorf("recover jobs: %w", err)
		}
		if err := distrust(tx, recovered); err != nil {
			return err
		}
		if err := d.reconfigure(tx, slices.Collect(maps.Keys(d.agent.syncs)), now); err != nil {
			return err
		}
		if err := dropLeftOver(tx); err != nil {
			return err
		}
		if err := d.loadServers(tx, d.servers); err != nil {
			return err
		}
		if err := d.loadPauses(tx); err != nil {
			return err
		}
		hastened, err := d.hasten(tx, now)
		if err != nil {
			return err
		}
		if hastened > 0 {
			d.later(d.agent.logger.Info, hastenedMessage, "jobs", hastened)
		}
		d.memory, err = loadMemory(tx)
		return err
	}
	if err := d.mended(now, func() error { return d.agent.db.Update(update) }); err != nil {
		return err
	}
	d.wake = now
	for _, tell := range d.news {
		tell()
	}
	d.news = nil
	d.tellWorkers(now)
	if n := len(recovered.Requeued) + len(recovered.Dead); n > 0 {
		d.agent.logger.Info("going on after an unclean end", "jobs", n, "parked", len(recovered.Dead))
	}
	return nil
}

// later keeps a line of the log until what it tells is committed.
func (d *dispatcher) later(log func(message string, values ...any), message string, values ...any) {
	d.news = append(d.news, func() { log(message, values...) })
}

// reconfigure compares enabled syncs with what the state says about them. A sync that points
// elsewhere than before starts from first contact.
func (d *dispatcher) reconfigure(tx *state.Tx, syncs []string, now time.Time) error {
	for _, name := range syncs {
		s := d.agent.cfg.Syncs[name]
		row, err := state.GetSync(tx, name)
		if err != nil {
			return err
		}
		was := row
		if is := identity(d.agent.cfg, s); row.Identity != is {
			if row.Identity != "" {
				d.later(d.agent.logger.Warn, "sync points elsewhere than before and starts anew", "sync", name, "was", row.Identity, "is", is)
				known, err := state.CountBaseline(tx, name)
				if err != nil {
					return err
				}
				if err := startAnew(tx, name); err != nil {
					return err
				}
				row = state.SyncState{Elsewhere: known > 0 || row.Elsewhere, Paused: row.Paused}
			}
			row.Identity = is
		}
		if err := d.moveJobs(tx, name, row.Server, now); err != nil {
			return err
		}
		if err := d.applyRules(tx, s, &row, now); err != nil {
			return err
		}
		if row.Server = s.Server; row != was {
			if err := state.PutSync(tx, name, row); err != nil {
				return err
			}
		}
		row.Hold.Until = time.Time{}
		d.halted[name], d.paused[name], d.holds[name], d.young[name] = row.Halt != "", row.Paused, row.Hold, time.Time{}
		if err := d.loadSchedules(tx, s, now); err != nil {
			return err
		}
		if err := requeueLook(tx, name, s.Server, now); err != nil {
			return err
		}
	}
	return d.dropStrangers(tx)
}

func startAnew(tx *state.Tx, sync string) error {
	if err := state.DropBaseline(tx, sync); err != nil {
		return err
	}
	if _, err := queue.DropSync(tx, sync); err != nil {
		return err
	}
	if err := state.DropNotes(tx, sync, time.Time{}, nil); err != nil {
		return err
	}
	// What its scans have staged goes with their jobs.
	return state.ClearDirtyUpTo(tx, sync, state.LastMark(tx))
}

// dropLeftOver removes the operations that scans have staged which are given up.
func dropLeftOver(tx *state.Tx) error {
	return state.DropStagedExcept(tx, "", func(id uint64) bool {
		job, ok, err := queue.Get(tx, queue.ID(id))
		return err == nil && ok && job.State != queue.Dead && len(job.Progress) > 0
	})
}

// requeueLook makes sure that marks left in the state are looked into, but not by a look that took the agent down three times.
func requeueLook(tx *state.Tx, sync, server string, now time.Time) error {
	dirty, err := state.DirtyPaths(tx, sync, 1)
	if err != nil || len(dirty) == 0 {
		return err
	}
	if look, ok, err := queue.Lookup(tx, work.KindLook, sync, ""); err != nil {
		return err
	} else if ok && look.Crashed() {
		return queue.Want(tx, now, look.ID)
	}
	_, err = queue.Enqueue(tx, now, queue.New{Kind: work.KindLook, Sync: sync, Server: server, Priority: priorityLook, Why: "start"})
	return err
}

// dropStrangers removes the jobs of syncs that are not configured any more. Jobs of a sync that is only switched off stay
// where they are, and so do rows that do not say whose they are.
func (d *dispatcher) dropStrangers(tx *state.Tx) error {
	syncs, err := queue.Syncs(tx)
	if err != nil {
		return err
	}
	for _, sync := range syncs {
		if _, ok := d.agent.cfg.Syncs[sync]; ok || sync == "" {
			continue
		}
		d.later(d.agent.logger.Warn, "jobs of a sync that is not configured any more are dropped", "sync", sync)
		if _, err := queue.DropSync(tx, sync); err != nil {
			return err
		}
	}
	return nil
}

// moveJobs drops the jobs of a sync that are for a server which it does not use any more; a scan makes them anew. was is the
// server of before, "" if that was not written down: then a few jobs tell.
func (d *dispatcher) moveJobs(tx *state.Tx, sync, was string, now time.Time) error {
	server := d.agent.cfg.Syncs[sync].Server
	if was == "" {
		was = server
		err := queue.Each(tx, queue.Filter{Sync: sync}, func(job queue.Job) (bool, error) {
			if job.Server != "" {
				was = job.Server
			}
			return job.Server == "", nil
		})
		if err != nil {
			return err
		}
	}
	if was == server {
		return nil
	}
	d.later(d.agent.logger.Warn, "jobs for another server than the sync has now are dropped, a scan makes them anew", "sync", sync, "was", was, "is", server)
	if _, err := queue.DropSync(tx, sync); err != nil {
		return err
	}
	return scanAfterChange(tx, sync, server, now)
}
