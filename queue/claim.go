package queue

import (
	"bytes"
	"fmt"
	"math"
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
	// Transfers are the priorities that HeldTransfers holds of jobs that are not serial; the zero
	// Band is all of them.
	Transfers Band
	// Changes is the same for HeldChanges.
	Changes Band
	// After is the sync that had the last turn at this server; the next one by name comes
	// first. "" for none.
	After string
	// Alone, if not nil, reports jobs that take long: one call hands out such a job only by
	// itself. It must answer the same when asked again.
	Alone func(Job) bool
	// Behind, if not "", is the sync of jobs that who gets these has to do before. Only jobs of the same sync are handed out, and only when it has
	// the turn, so that no sync waits for what another one may hang in; none that goes by itself: it would wait for those, and those for it.
	Behind string
	// Weight, if not nil, tells how much there is to do for a job; of jobs that are more than Most together, one call hands out the first
	// ones that are not. One is handed out whatever it weighs.
	Weight func(Job) int64
	Most   int64
	// Prepare, if not nil, may set Temp, which is stored with the row before anybody works
	// on the job. Other changes are ignored.
	Prepare func(*Job)
}

// Held says which jobs of a sync must stay where they are.
type Held uint8

const (
	// HeldNone: all jobs may run.
	HeldNone Held = iota
	// HeldTransfers: jobs that are not serial and have a priority within Request.Transfers stay.
	// Serial jobs do not wait for others that are due.
	HeldTransfers
	// HeldSerial: serial jobs stay.
	HeldSerial
	// HeldChanges: jobs that are serial or have a priority within Request.Changes stay.
	HeldChanges
	// HeldAll: no job may run.
	HeldAll
)

// Band is a range of priorities, both ends included.
type Band struct{ First, Last uint8 }

// Includes reports whether a priority is one of them.
func (b Band) Includes(priority uint8) bool { return b.First <= priority && priority <= b.Last }

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
// A job that was running when the agent went down is handed out by itself: of those that were handed out together most had
// not begun, and should not be taken for the one that takes the agent down.
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

// HasUrgent reports whether Claim would hand out an urgent job. It needs no more of the request than what says which jobs those may be.
func HasUrgent(tx *state.Tx, now time.Time, request Request) (found bool, err error) {
	err = healed(tx, now, func() error {
		lanes, err := openLanes(tx, request)
		found = slices.ContainsFunc(lanes, lane.urgent)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("queue: look for urgent jobs: %w", err)
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
	// held is the priorities within which its jobs stay, nil for none. No first key is within.
	held *Band
}

func (b *Band) holds(tail []byte) bool { return b != nil && b.Includes(tail[0]) }

func (l lane) urgent() bool { return l.first[0] < Urgent }

// find loads what Claim will hand out and changes nothing.
func find(tx *state.Tx, request Request) ([]Job, error) {
	lanes, err := openLanes(tx, request)
	if err != nil || len(lanes) == 0 {
		return nil, err
	}
	chosen := slices.MinFunc(lanes, func(a, b lane) int { return a.compare(b, request.After) })
	if request.Behind != "" && request.Behind != chosen.sync {
		return nil, nil
	}
	var jobs []Job
	var weight int64
	from := append(bytes.Clone(chosen.prefix), chosen.first...)
	err = tx.Table(tableDue).Scan(chosen.prefix, from, func(key, _ []byte) (bool, error) {
		if chosen.held.holds(key[len(chosen.prefix):]) {
			return false, nil
		}
		job, err := loadIndexed(tx, idOf(key), Due)
		if err != nil {
			return false, err
		}
		if request.Weight != nil {
			if weight += request.Weight(job); weight > request.Most && len(jobs) > 0 {
				return false, nil
			}
		}
		alone := job.Crashes > 0 || request.Alone != nil && request.Alone(job)
		if !alone || len(jobs) == 0 && request.Behind == "" {
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

// openLanes returns the lanes from which jobs may be claimed: of each sync at most one, unless
// some of its transfers are held. Each costs a look or two.
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
		may, err := next.mayRun(tx, request)
		if err != nil {
			return nil, err
		}
		if may {
			lanes = append(lanes, next)
		}
	}
	return lanes, nil
}

func (l *lane) mayRun(tx *state.Tx, request Request) (bool, error) {
	held := HeldNone
	if request.Hold != nil {
		held = request.Hold(l.sync)
	}
	switch {
	case held == HeldAll, l.serial && (held == HeldChanges || held == HeldSerial):
		return false, nil
	case held == HeldChanges:
		return l.skip(tx, request.Changes)
	case !l.serial && held == HeldTransfers:
		return l.skip(tx, request.Transfers)
	case !l.serial:
		return true, nil
	}
	return l.serialMayRun(tx, held), nil
}

// skip makes the first job that is not held the first one of the lane, and reports whether there is one.
func (l *lane) skip(tx *state.Tx, held Band) (found bool, err error) {
	if l.held = &held; held == (Band{}) {
		l.held.Last = math.MaxUint8
	}
	if !l.held.holds(l.first) {
		return true, nil
	}
	if l.held.Last == math.MaxUint8 {
		return false, nil
	}
	from := append(bytes.Clone(l.prefix), l.held.Last+1)
	err = tx.Table(tableDue).Scan(l.prefix, from, func(key, _ []byte) (bool, error) {
		l.first, found = bytes.Clone(key[len(l.prefix):]), true
		return false, nil
	})
	return found, err
}

func (l *lane) serialMayRun(tx *state.Tx, held Held) bool {
	c := tallyOf(tx, l.sync)
	return c[tallyRunning] == 0 && c[tallyRunningSerial] == 0 && (held == HeldTransfers || c[tallyDue] == 0)
}
