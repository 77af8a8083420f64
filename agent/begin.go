package agent

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// begin brings the state in line with the configuration and with the fact that nobody works:
// whatever is marked as running was cut off.
func (d *dispatcher) begin(now time.Time) error {
	var recovered queue.Recovered
	err := d.agent.db.Update(func(tx *state.Tx) (err error) {
		if recovered, err = queue.Recover(tx, now); err != nil {
			return fmt.Errorf("recover jobs: %w", err)
		}
		if err := d.reconfigure(tx, now); err != nil {
			return err
		}
		if err := dropLeftOver(tx); err != nil {
			return err
		}
		if err := d.loadServers(tx); err != nil {
			return err
		}
		if err := d.hasten(tx, now); err != nil {
			return err
		}
		d.memory, err = loadMemory(tx)
		return err
	})
	if err != nil {
		return err
	}
	d.wake = now
	if n := len(recovered.Requeued) + len(recovered.Dead); n > 0 {
		d.agent.logger.Info("going on after an unclean end", "jobs", n, "parked", len(recovered.Dead))
	}
	return nil
}

// reconfigure compares each sync with what the state says about it. A sync that points
// elsewhere than before starts from first contact.
func (d *dispatcher) reconfigure(tx *state.Tx, now time.Time) error {
	for name := range d.agent.syncs {
		s := d.agent.cfg.Syncs[name]
		row, err := state.GetSync(tx, name)
		if err != nil {
			return err
		}
		if is := identity(d.agent.cfg, s); row.Identity != is {
			if row.Identity != "" {
				d.agent.logger.Warn("sync points elsewhere than before and starts anew", "sync", name, "was", row.Identity, "is", is)
				if err := startAnew(tx, name); err != nil {
					return err
				}
				row = state.SyncState{}
			}
			row.Identity = is
			if err := state.PutSync(tx, name, row); err != nil {
				return err
			}
		}
		d.halted[name] = row.Halt != ""
		for _, line := range s.Schedules {
			known, err := state.GetSchedule(tx, name, line.Spec)
			if err != nil {
				return err
			}
			if known.LastFired.IsZero() {
				// From now on even the very first run can be missed and made up for.
				if err := state.PutSchedule(tx, name, line.Spec, state.Schedule{LastFired: now}); err != nil {
					return err
				}
			}
		}
		if err := requeueLook(tx, name, s.Server, now); err != nil {
			return err
		}
	}
	return d.dropStrangers(tx, now)
}

func startAnew(tx *state.Tx, sync string) error {
	if err := state.DropBaseline(tx, sync); err != nil {
		return err
	}
	if _, err := queue.DropSync(tx, sync); err != nil {
		return err
	}
	if err := state.ForgetConflicts(tx, sync, time.Time{}); err != nil {
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

// requeueLook makes sure that marks left in the state are looked into.
func requeueLook(tx *state.Tx, sync, server string, now time.Time) error {
	dirty, err := state.DirtyPaths(tx, sync, 1)
	if err != nil || len(dirty) == 0 {
		return err
	}
	_, err = queue.Enqueue(tx, now, queue.New{Kind: work.KindLook, Sync: sync, Server: server, Priority: priorityLook, Why: "start"})
	return err
}

// dropStrangers removes the jobs of syncs that are not configured any more, and those for a
// server that their sync does not use any more; a scan makes the latter anew. Jobs of a sync
// that is only switched off stay where they are, and so do rows that do not say whose they are.
func (d *dispatcher) dropStrangers(tx *state.Tx, now time.Time) error {
	jobs, err := queue.List(tx, queue.Filter{})
	if err != nil {
		return err
	}
	strange := map[string]bool{}
	for _, job := range jobs {
		s, ok := d.agent.cfg.Syncs[job.Sync]
		if ok && s.Server == job.Server {
			continue
		}
		if _, unreadable := queue.Poison(tx, job.ID); !unreadable {
			strange[job.Sync] = true
		}
	}
	for sync := range strange {
		d.agent.logger.Warn("jobs that the configuration does not ask for any more are dropped", "sync", sync)
		if _, err := queue.DropSync(tx, sync); err != nil {
			return err
		}
		if s, ok := d.agent.cfg.Syncs[sync]; ok {
			_, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindScan, Sync: sync, Server: s.Server, Priority: priorityScan, Why: "configuration changed"})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
