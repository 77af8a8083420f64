package queue

import (
	"bytes"
	"encoding/binary"
	"slices"
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

func idKey(id ID) []byte { return state.Key(uint64(id)) }

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

// indexRows returns where a job stands in all indexes but the counts.
func indexRows(job Job) []row {
	id := uint64(job.ID)
	rows := make([]row, 0, 3)
	rows = append(rows, row{tableUnique, uniqueKey(job.Kind, job.Sync, job.Path), idKey(job.ID)})
	var when time.Time
	switch job.State {
	case Waiting:
		when = job.RunAt
		rows = append(rows, row{tableWait, state.Key(when, id), nil})
	case Due:
		key := state.Key(job.Server, job.Sync, serialByte(job.Serial), job.Priority, id)
		rows = append(rows, row{tableDue, key, []byte(job.Sync)})
	case Running:
		rows = append(rows, row{tableRunning, idKey(job.ID), nil})
	case Dead:
		when = job.Died
		rows = append(rows, row{tableDead, state.Key(when, id), nil})
	}
	return append(rows, row{tableSync, state.Key(job.Sync, stateByte(job.State), when, id), nil})
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
	var before, after []row
	if old != nil {
		before = indexRows(*old)
	}
	if job != nil {
		after = indexRows(*job)
	}
	for _, row := range before {
		if slices.ContainsFunc(after, row.equal) {
			continue
		}
		if err := tx.Table(row.table).Delete(row.key); err != nil {
			return err
		}
	}
	for _, row := range after {
		if slices.ContainsFunc(before, row.equal) {
			continue
		}
		if err := tx.Table(row.table).Put(row.key, row.value); err != nil {
			return err
		}
	}
	return recount(tx, old, job)
}
