package queue

import (
	"bytes"
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

// Filter chooses jobs; what is empty does not filter.
type Filter struct {
	Sync, Server, Kind string
	State              State
	// Path is a pattern for the path: see MatchPath.
	Path string
	// Limit is the largest number of jobs to return or to change; 0 or less means all.
	Limit int
	// From is where the page before ended; nil is the start.
	From Place
}

// Place is where a page of the jobs that a filter chooses has ended.
type Place []byte

// mostLooks bounds the jobs that a page with a limit reads, at a few microseconds each, to find
// those that its filter chooses.
const mostLooks = 2000

// List returns jobs for people to look at. Jobs of one state are ordered by their time (waiting:
// the next to become due first; dead: the newest last) or by server, sync and turn (due), all
// others by number. A row that cannot be read shows up as a dead job with the reason.
func List(tx *state.Tx, filter Filter) ([]Job, error) {
	var jobs []Job
	for {
		page, next, err := Page(tx, filter)
		jobs = append(jobs, page...)
		if filter.Limit > 0 {
			filter.Limit -= len(page)
		}
		if err != nil || next == nil || filter.Limit == 0 && len(page) > 0 {
			return jobs, err
		}
		filter.From = next
	}
}

// Page is List in parts, so that a long list needs no long transaction: up to filter.Limit jobs,
// and where the next page begins. A page may have fewer jobs than its limit, even none, while
// others follow: only next == nil is the end. Jobs that change between two pages may show up
// twice or not at all.
func Page(tx *state.Tx, filter Filter) (jobs []Job, next Place, err error) {
	next, err = scan(tx, filter, func(key []byte, job Job, err error) (bool, error) {
		if err != nil {
			job = standIn(idOf(key), err)
		}
		jobs = append(jobs, job)
		return filter.Limit <= 0 || len(jobs) < filter.Limit, nil
	})
	return jobs, next, err
}

// Each calls fn for the jobs that a filter chooses, as List would list them, until fn returns false or an error. fn must
// not change the queue.
func Each(tx *state.Tx, filter Filter, fn func(Job) (more bool, err error)) error {
	filter.Limit = 0
	_, err := scan(tx, filter, func(key []byte, job Job, err error) (bool, error) {
		if err != nil {
			job = standIn(idOf(key), err)
		}
		return fn(job)
	})
	return err
}

// EachOfKind calls fn for the jobs of a kind of a sync, whatever their state, until fn returns false or an error. It looks at no
// other jobs. Rows that cannot be read are left out: they are dead. fn must not change the queue.
func EachOfKind(tx *state.Tx, kind, sync string, fn func(Job) (more bool, err error)) error {
	return tx.Table(tableUnique).Scan(uniqueKey(kind, sync, ""), nil, func(_, value []byte) (bool, error) {
		job, err := loadIndexed(tx, idOf(value), "")
		switch {
		case errors.Is(err, state.ErrBadRow):
			return true, nil
		case err != nil:
			return false, &Error{Op: "list", ID: idOf(value), Err: err}
		}
		return fn(job)
	})
}

// scan calls fn for the jobs that a filter chooses, or with the error of a row that is
// unreadable, until fn returns false or a limited scan has read enough. Then next is where to go
// on.
func scan(tx *state.Tx, filter Filter, fn func(key []byte, job Job, err error) (more bool, _ error)) (next Place, err error) {
	table, prefix := filter.index()
	pattern := parsePattern(filter.Path)
	more, looks := true, 0
	err = tx.Table(table).Scan(prefix, filter.From, func(key, value []byte) (bool, error) {
		if !more || filter.Limit > 0 && looks >= max(mostLooks, filter.Limit) {
			next = bytes.Clone(key)
			return false, nil
		}
		looks++
		var job Job
		var err error
		if table == tableJobs {
			job, err = decodeJob(tx.Table(table), key, value)
		} else {
			job, err = loadIndexed(tx, idOf(key), "")
		}
		if err != nil && !errors.Is(err, state.ErrBadRow) {
			return false, &Error{Op: "list", ID: idOf(key), Err: err}
		}
		if err != nil || filter.matches(job, pattern) {
			more, err = fn(key, job, err)
		}
		return true, err
	})
	return next, err
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

func (f Filter) matches(job Job, pattern pathPattern) bool {
	return (f.Sync == "" || f.Sync == job.Sync) &&
		(f.Server == "" || f.Server == job.Server) &&
		(f.Kind == "" || f.Kind == job.Kind) &&
		(f.State == "" || f.State == job.State) &&
		(f.Path == "" || pattern.matches(job.Path))
}
