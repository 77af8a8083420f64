package queue

import (
	"bytes"
	"encoding/binary"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

const (
	tableJobs    = "queue/jobs"
	tableWait    = "queue/wait"
	tableDue     = "queue/due"
	tableRunning = "queue/running"
	tableDead    = "queue/dead"
	tableSync    = "queue/sync"
	tableUnique  = "queue/unique"
	tableCounts  = "queue/counts"
	tablePoison  = "queue/poison"
)

// indexTables are what repair empties and fills again.
var indexTables = []string{tableWait, tableDue, tableRunning, tableDead, tableSync, tableUnique, tableCounts}

func idKey(id ID) []byte { return binary.BigEndian.AppendUint64(nil, uint64(id)) }

// idOf returns the number at the end of a key, or the one that is a whole value.
func idOf(b []byte) ID {
	if len(b) < 8 {
		return 0
	}
	return ID(binary.BigEndian.Uint64(b[len(b)-8:]))
}

func uniqueKey(kind, sync, path string) []byte { return state.Key(kind, sync, state.Shorten(path)) }

// row is one entry of an index.
type row struct {
	table      string
	key, value []byte
}

func (r row) equal(other row) bool {
	return r.table == other.table && bytes.Equal(r.key, other.key) && bytes.Equal(r.value, other.value)
}

// indexRows returns where a job stands in all indexes but the counts: by what it is about, by its state, and among those of its sync.
func indexRows(job *Job) [3]row {
	id := uint64(job.ID)
	room := make([]byte, 0, 64+len(job.Kind)+len(job.Path)+len(job.Server)+4*len(job.Sync)) // for all of them
	take := func(start int) []byte { return room[start:len(room):len(room)] }
	key := func(parts ...any) []byte {
		start := len(room)
		room = state.AppendKey(room, parts...)
		return take(start)
	}
	text := func(s string) []byte {
		start := len(room)
		room = append(room, s...)
		return take(start)
	}
	ofState, when := row{}, time.Time{}
	switch job.State {
	case Waiting:
		when = job.RunAt
		ofState = row{tableWait, key(when, id), nil}
	case Due:
		ofState = row{tableDue, key(job.Server, job.Sync, serialByte(job.Serial), job.Priority, id), text(job.Sync)}
	case Running:
		ofState = row{tableRunning, key(id), nil}
	case Dead:
		when = job.Died
		ofState = row{tableDead, key(when, id), nil}
	}
	return [...]row{
		{tableUnique, key(job.Kind, job.Sync, state.Shorten(job.Path)), key(id)},
		ofState,
		{tableSync, key(job.Sync, stateByte(job.State), when, id), nil},
	}
}

// tailOfDue is what follows the lane in a key of queue/due: priority and id, the order of claims.
const tailOfDue = 1 + 8

func serialByte(serial bool) uint8 {
	if serial {
		return 1
	}
	return 0
}

// stateByte keeps the jobs of one sync and one state together in queue/sync.
func stateByte(s State) uint8 {
	switch s {
	case Waiting:
		return 'w'
	case Due:
		return 'd'
	case Running:
		return 'r'
	case Dead:
		return 'x'
	}
	return '?'
}

// stateOf is the other way round, "" for what is no state.
func stateOf(b byte) State {
	for _, s := range [...]State{Waiting, Due, Running, Dead} {
		if stateByte(s) == b {
			return s
		}
	}
	return ""
}

// reindex takes a job from where it stood to where it stands. Either may be nil: new jobs stood
// nowhere, removed ones stand nowhere.
func reindex(tx *state.Tx, old, job *Job) error {
	var before, after [3]row
	if old != nil {
		before = indexRows(old)
	}
	if job != nil {
		after = indexRows(job)
	}
	for i := range before {
		if old != nil && job != nil && before[i].equal(after[i]) {
			continue
		}
		if old != nil {
			if err := tx.Table(before[i].table).Delete(before[i].key); err != nil {
				return err
			}
		}
		if job != nil {
			if err := tx.Table(after[i].table).Put(after[i].key, after[i].value); err != nil {
				return err
			}
		}
	}
	return recount(tx, old, job)
}
