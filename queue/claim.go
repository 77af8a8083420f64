package queue

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Request says which jobs a caller of Claim could carry out now.
type Request struct {
	Server string
	// Limit is the largest number of jobs to hand out.
	Limit int
	// Hold, if not nil, says which jobs of a sync must stay where they are. It must answer
	// the same when asked again.
	Hold func(sync string) Held
	// After is the sync that had the last turn at this server; the next one by name comes
	// first. "" for none.
	After string
	// Alone, if not nil, reports jobs that take long: one call hands out such a job only by
	// itself. It must answer the same when asked again.
	Alone func(Job) bool
	// Prepare, if not nil, may set Temp, which is stored with the row before anybody works
	// on the job. Other changes are ignored.
	Prepare func(*Job)
}

// Held says which jobs of a sync must stay where they are.
type Held uint8

const (
	// HeldNone: all jobs may run.
	HeldNone Held = iota
	// HeldTransfers: only serial jobs may run, and they do not wait for others that are due.
	HeldTransfers
	// HeldAll: no job may run.
	HeldAll
)

// Urgent is the priority below which jobs do not wait for the turn of their sync: a person asked
// for them.
const Urgent = 10

// Claim hands out due jobs of one sync of a server, ordered by priority and then by number, and
// marks them as running. Before that, waiting jobs of all servers whose time has come become due.
//
// The syncs that have jobs to hand out take turns: the first after Request.After by name, and
// after the last one the first again. Urgent jobs go before, the lowest priority first, whatever
// their sync.
//
// Serial jobs are handed out only while no other job of their sync is due or running (waiting
// ones do not count, nor due ones that are held) and no serial job of their sync was running
// before. So one call returns either jobs that are not serial or serial ones; the caller must
// carry out serial jobs in their order, one after the other.
//
// The work grows with Limit, with the number of the server's syncs that have due jobs, and with
// the jobs that become due, but not with the length of the queue.
func Claim(tx *state.Tx, now time.Time, request Request) ([]Job, error) {
	if err := healed(tx, now, func() error { return promote(tx, now) }); err != nil {
		return nil, fmt.Errorf("queue: make waiting jobs due: %w", err)
	}
	if request.Limit <= 0 {
		return nil, nil
	}
	var found []Job
	err := healed(tx, now, func() (err error) {
		found, err = find(tx, request)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("queue: find due jobs: %w", err)
	}
	for i, old := range found {
		job := old
		job.State = Running
		job.Started = now.UTC()
		job.Claims++
		if request.Prepare != nil {
			prepared := job
			request.Prepare(&prepared)
			job.Temp = prepared.Temp
		}
		if err := replace(tx, &old, job); err != nil {
			return nil, &Error{Op: "claim", ID: job.ID, Err: err}
		}
		found[i] = job
	}
	return found, nil
}

// promote makes due what has waited long enough.
func promote(tx *state.Tx, now time.Time) error {
	var ids []ID
	end := state.Successor(state.Key(now)) // jobs of this very nanosecond are due
	err := tx.Table(tableWait).Scan(nil, nil, func(key, _ []byte) (bool, error) {
		if bytes.Compare(key, end) >= 0 {
			return false, nil
		}
		ids = append(ids, idOf(key))
		return true, nil
	})
	if err != nil {
		return err
	}
	for _, id := range ids {
		old, err := loadIndexed(tx, id, Waiting)
		if err != nil {
			return err
		}
		job := old
		job.State = Due
		if err := replace(tx, &old, job); err != nil {
			return err
		}
	}
	return nil
}

// lane is the due jobs of one server and one sync that are serial, or that are not.
type lane struct {
	// prefix is what all its keys begin with; first is the end of the first key: priority and
	// id.
	prefix, first []byte
	sync          string
	serial        bool
}

func (l lane) urgent() bool { return l.first[0] < Urgent }

// find loads what Claim will hand out and changes nothing.
func find(tx *state.Tx, request Request) ([]Job, error) {
	lanes, err := openLanes(tx, request)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	chosen := slices.MinFunc(lanes, func(a, b lane) int { return a.compare(b, request.After) })
	var jobs []Job
	err = tx.Table(tableDue).Scan(chosen.prefix, nil, func(key, _ []byte) (bool, error) {
		job, err := loadIndexed(tx, idOf(key), Due)
		if err != nil {
			return false, err
		}
		alone := request.Alone != nil && request.Alone(job)
		if !alone || len(jobs) == 0 {
			jobs = append(jobs, job)
		}
		return !alone && len(jobs) < request.Limit, nil
	})
	return jobs, err
}

// compare tells which of two lanes has the turn: the most urgent, or else the first in the
// circle of syncs that begins behind the one that had the last turn.
func (l lane) compare(other lane, after string) int {
	switch {
	case l.urgent() && other.urgent():
		return bytes.Compare(l.first, other.first)
	case l.urgent():
		return -1
	case other.urgent():
		return 1
	case (l.sync > after) != (other.sync > after):
		if l.sync > after {
			return -1
		}
		return 1
	}
	return strings.Compare(l.sync, other.sync)
}

// openLanes returns the lanes from which jobs may be claimed, of each sync at most one. Each
// costs one look.
func openLanes(tx *state.Tx, request Request) ([]lane, error) {
	var lanes []lane
	server := state.Key(request.Server, "")
	for from := server; from != nil; {
		var next lane
		err := tx.Table(tableDue).Scan(server, from, func(key, value []byte) (bool, error) {
			if len(key) <= len(server)+tailOfDue {
				return false, fmt.Errorf("%w: key %q", ErrIndex, key)
			}
			end := len(key) - tailOfDue
			next.prefix, next.first = bytes.Clone(key[:end]), bytes.Clone(key[end:])
			next.sync = string(value)
			next.serial = key[end-1] == serialByte(true)
			return false, nil
		})
		if err != nil || next.prefix == nil {
			return lanes, err
		}
		from = state.Successor(next.prefix)
		if next.mayRun(tx, request) {
			lanes = append(lanes, next)
		}
	}
	return lanes, nil
}

func (l lane) mayRun(tx *state.Tx, request Request) bool {
	held := HeldNone
	if request.Hold != nil {
		held = request.Hold(l.sync)
	}
	if held == HeldAll || !l.serial {
		return held == HeldNone
	}
	c := tallyOf(tx, l.sync)
	return c[tallyRunning] == 0 && c[tallyRunningSerial] == 0 && (held == HeldTransfers || c[tallyDue] == 0)
}
