package queue

import (
	"errors"

	"github.com/ftpferry/ftpferry/state"
)

// Get returns a job and whether there is one.
func Get(tx *state.Tx, id ID) (Job, bool, error) {
	job, err := load(tx, id)
	if errors.Is(err, ErrUnknown) {
		return Job{}, false, nil
	}
	return job, err == nil, err
}

// Filter chooses jobs for List; what is empty does not filter.
type Filter struct {
	Sync, Server, Kind string
	State              State
	// Path is a pattern for the path: see MatchPath.
	Path string
	// Limit is the largest number of jobs to return; 0 or less means all.
	Limit int
}

// List returns jobs for people to look at. Jobs of one state are ordered by their time (waiting:
// the next to become due first; dead: the newest last) or else by number. A row that cannot be
// read shows up as a dead job with the reason.
func List(tx *state.Tx, filter Filter) ([]Job, error) {
	index, prefix := filter.index()
	var jobs []Job
	err := tx.Table(index).Scan(prefix, nil, func(key, _ []byte) (bool, error) {
		job, err := load(tx, idOf(key))
		switch {
		case errors.Is(err, state.ErrBadRow):
			job = standIn(idOf(key), err)
		case err != nil:
			return false, &Error{Op: "list", ID: idOf(key), Err: err}
		case !filter.matches(job):
			return true, nil
		}
		jobs = append(jobs, job)
		return filter.Limit <= 0 || len(jobs) < filter.Limit, nil
	})
	return jobs, err
}

// index returns the table, and the part of it, that holds the fewest rows to look through. All
// of its keys end in the number of a job.
func (f Filter) index() (table string, prefix []byte) {
	switch {
	case f.Sync != "" && f.State != "":
		return tableSync, append(state.Key(f.Sync, ""), stateByte(f.State))
	case f.Sync != "":
		return tableSync, state.Key(f.Sync, "")
	case f.State == Waiting:
		return tableWait, nil
	case f.State == Due && f.Server != "":
		return tableDue, state.Key(f.Server, "")
	case f.State == Due:
		return tableDue, nil
	case f.State == Running:
		return tableRunning, nil
	case f.State == Dead:
		return tableDead, nil
	}
	return tableJobs, nil
}

func (f Filter) matches(job Job) bool {
	return (f.Sync == "" || f.Sync == job.Sync) &&
		(f.Server == "" || f.Server == job.Server) &&
		(f.Kind == "" || f.Kind == job.Kind) &&
		(f.State == "" || f.State == job.State)
}
