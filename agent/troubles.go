package agent

import (
	"errors"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// shownTroubles is how many jobs a status names of those that are dead, and of those that wait after a failure.
	shownTroubles = 3
	// troublesRead bounds the jobs that are read to find them.
	troublesRead = 200
)

// troublesOf returns some of the jobs of a sync that have failed: the dead ones first, then, if nothing else keeps the sync from going
// on, those that are tried again, looks at the whole before single files.
func troublesOf(tx *state.Tx, sync string, n queue.Counts, stopped bool) (troubles []control.Job, err error) {
	if n.Dead > 0 {
		dead, _, err := queue.Page(tx, queue.Filter{Sync: sync, State: queue.Dead, Limit: shownTroubles})
		if err != nil {
			return nil, err
		}
		for _, job := range dead {
			troubles = append(troubles, shownJob(job))
		}
	}
	if n.Retrying == 0 || stopped {
		return troubles, nil
	}
	left := shownTroubles
	for _, kind := range work.Scans() {
		job, ok, err := failedScan(tx, kind, sync)
		if err != nil {
			return nil, err
		}
		if ok {
			troubles = append(troubles, shownJob(job))
			left--
		}
	}
	waiting, _, err := queue.Page(tx, queue.Filter{Sync: sync, State: queue.Waiting, Limit: troublesRead})
	for _, job := range waiting {
		if job.LastError != "" && !work.IsScan(job.Kind) && left > 0 {
			troubles = append(troubles, shownJob(job))
			left--
		}
	}
	return troubles, err
}

// failedScan returns the look at a sync that waits, or is dead, after a failure.
func failedScan(tx *state.Tx, kind, sync string) (job queue.Job, ok bool, err error) {
	job, ok, err = queue.Lookup(tx, kind, sync, "")
	if errors.Is(err, state.ErrBadRow) {
		return job, false, nil
	}
	return job, ok && err == nil && job.State == queue.Waiting && job.LastError != "", err
}
