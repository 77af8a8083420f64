package queue

import (
	"bytes"
	"fmt"
	"slices"
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
	// After is the sync that had the last turn at this server: others come first. "" for none.
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

// Claim hands out due jobs of one server, ordered by priority and then by number, and marks them
// as running. Before that, waiting jobs of all servers whose time has come become due.
//
// Serial jobs are handed out only while no other job of their sync is due or running (waiting
// ones do not count) and no serial job of their sync was running before. One call returns either
// jobs that are not serial, or serial jobs of one sync, whichever comes first in order; the
// caller must carry out the serial jobs of one call in their order, one after the other.
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
		old, err := loadIndexed(tx, id)
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
	prefix []byte
	sync   string
	serial bool
	// tails are the ends of the first keys: priority and id.
	tails [][]byte
}

// find loads what Claim will hand out and changes nothing.
func find(tx *state.Tx, request Request) ([]Job, error) {
	lanes, err := openLanes(tx, request)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	first := slices.MinFunc(lanes, func(a, b lane) int { return bytes.Compare(a.tails[0], b.tails[0]) })
	tails := first.tails
	if !first.serial {
		tails = nil
		for _, lane := range lanes {
			if !lane.serial {
				tails = append(tails, lane.tails...)
			}
		}
		slices.SortFunc(tails, bytes.Compare)
	}
	tails = tails[:min(len(tails), request.Limit)]
	jobs := make([]Job, len(tails))
	for i, tail := range tails {
		if jobs[i], err = loadIndexed(tx, idOf(tail)); err != nil {
			return nil, err
		}
		if request.Alone != nil && request.Alone(jobs[i]) {
			return jobs[:max(i, 1)], nil
		}
	}
	return jobs, nil
}

// openLanes returns the lanes from which jobs may be claimed, each with up to Limit of its first
// jobs. Lanes on hold cost one look.
func openLanes(tx *state.Tx, request Request) ([]lane, error) {
	var lanes []lane
	server := state.Key(request.Server, "")
	for from := server; from != nil; {
		var next lane
		err := tx.Table(tableDue).Scan(server, from, func(key, value []byte) (bool, error) {
			next.prefix = bytes.Clone(key[:len(key)-tailOfDue])
			next.sync = string(value)
			next.serial = next.prefix[len(next.prefix)-1] == serialByte(true)
			return false, nil
		})
		if err != nil || next.prefix == nil {
			return lanes, err
		}
		from = state.Successor(next.prefix)
		if !next.mayRun(tx, request) {
			continue
		}
		err = tx.Table(tableDue).Scan(next.prefix, nil, func(key, _ []byte) (bool, error) {
			next.tails = append(next.tails, bytes.Clone(key[len(next.prefix):]))
			return len(next.tails) < request.Limit, nil
		})
		if err != nil {
			return nil, err
		}
		lanes = append(lanes, next)
	}
	return lanes, nil
}

func (l lane) mayRun(tx *state.Tx, request Request) bool {
	if request.Hold != nil && request.Hold(l.sync) != HeldNone {
		return false
	}
	c := tallyOf(tx, l.sync)
	return !l.serial || c[tallyDue] == 0 && c[tallyRunning] == 0 && c[tallyRunningSerial] == 0
}
