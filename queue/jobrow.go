package queue

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/fields"
)

// The fields of a job in its row, and of what is to follow it in fieldNext. A number never gets another meaning.
const (
	fieldState = iota + 1
	fieldKind
	fieldSync
	fieldServer
	fieldPath
	fieldPriority
	fieldSerial
	fieldRunAt
	fieldWhy
	fieldBy
	fieldPayload
	fieldAttempts
	fieldRefusals
	fieldCrashes
	fieldClaims
	fieldTemp
	fieldEnqueued
	fieldStarted
	fieldDied
	fieldWanted
	fieldLastError
	fieldLastReply
	fieldNext
	fieldProgress
)

// appendNew leaves out the path, which a job and its Next have in common.
func appendNew(to []byte, n *New) []byte {
	to = fields.Text(to, fieldKind, n.Kind)
	to = fields.Text(to, fieldSync, n.Sync)
	to = fields.Text(to, fieldServer, n.Server)
	to = fields.Uint(to, fieldPriority, uint64(n.Priority))
	to = fields.Bool(to, fieldSerial, n.Serial)
	to = fields.Time(to, fieldRunAt, n.RunAt)
	to = fields.Text(to, fieldWhy, n.Why)
	to = fields.Text(to, fieldBy, n.By)
	return fields.Text(to, fieldPayload, n.Payload)
}

func appendJob(to []byte, j *Job) []byte {
	to = fields.Uint(to, fieldState, uint64(stateByte(j.State)))
	to = fields.Text(to, fieldPath, j.Path)
	to = appendNew(to, &j.New)
	to = fields.Uint(to, fieldAttempts, uint64(j.Attempts))
	to = fields.Uint(to, fieldRefusals, uint64(j.Refusals))
	to = fields.Uint(to, fieldCrashes, uint64(j.Crashes))
	to = fields.Uint(to, fieldClaims, uint64(j.Claims))
	to = fields.Text(to, fieldTemp, j.Temp)
	to = fields.Time(to, fieldEnqueued, j.Enqueued)
	to = fields.Time(to, fieldStarted, j.Started)
	to = fields.Time(to, fieldDied, j.Died)
	to = fields.Time(to, fieldWanted, j.Wanted)
	to = fields.Text(to, fieldLastError, j.LastError)
	to = fields.Text(to, fieldLastReply, j.LastReply)
	to = fields.Text(to, fieldProgress, j.Progress)
	if j.Next == nil {
		return to
	}
	return fields.Record(to, fieldNext, func(to []byte) []byte { return appendNew(to, j.Next) })
}

// readField takes the field at hand, and reports whether it is one of a New.
func (n *New) readField(r *fields.Reader) bool {
	switch r.Field {
	case fieldKind:
		n.Kind = r.Text()
	case fieldSync:
		n.Sync = r.Text()
	case fieldServer:
		n.Server = r.Text()
	case fieldPriority:
		n.Priority = uint8(r.Uint(math.MaxUint8))
	case fieldSerial:
		n.Serial = r.Bool()
	case fieldRunAt:
		n.RunAt = r.Time()
	case fieldWhy:
		n.Why = r.Text()
	case fieldBy:
		n.By = r.Text()
	case fieldPayload:
		n.Payload = []byte(r.Text())
	default:
		return false
	}
	return true
}

func readJob(record string) (j Job, err error) {
	r := fields.Read(record)
	for r.Next() {
		if j.New.readField(&r) {
			continue
		}
		switch r.Field {
		case fieldState:
			j.State = stateOf(byte(r.Uint(math.MaxUint8)))
		case fieldPath:
			j.Path = r.Text()
		case fieldAttempts:
			j.Attempts = int(r.Uint(math.MaxInt))
		case fieldRefusals:
			j.Refusals = int(r.Uint(math.MaxInt))
		case fieldCrashes:
			j.Crashes = int(r.Uint(math.MaxInt))
		case fieldClaims:
			j.Claims = int(r.Uint(math.MaxInt))
		case fieldTemp:
			j.Temp = r.Text()
		case fieldEnqueued:
			j.Enqueued = r.Time()
		case fieldStarted:
			j.Started = r.Time()
		case fieldDied:
			j.Died = r.Time()
		case fieldWanted:
			j.Wanted = r.Time()
		case fieldLastError:
			j.LastError = r.Text()
		case fieldLastReply:
			j.LastReply = r.Text()
		case fieldProgress:
			j.Progress = []byte(r.Text())
		case fieldNext:
			j.Next = new(New)
			next := fields.Read(r.Text())
			for next.Next() {
				if !j.Next.readField(&next) {
					next.Bad()
				}
			}
			if next.Err() != nil {
				r.Bad()
			}
		default:
			r.Bad()
		}
	}
	return j, r.Err()
}

// jobJSON is the form of older versions. Its names may be bytes that are not UTF-8, and take the place of those inside.
type jobJSON struct {
	Path    state.Text      `json:"path,omitempty"`
	Temp    state.Text      `json:"temp,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Next    *struct {
		New
		Payload json.RawMessage `json:"payload,omitempty"`
	} `json:"next,omitempty"`
	Job
}

func (j jobJSON) job() Job {
	job := j.Job
	job.Path, job.Temp, job.Payload = string(j.Path), string(j.Temp), j.Payload
	if j.Next != nil {
		job.Next = &j.Next.New
		job.Next.Payload = j.Next.Payload
	}
	return job
}

// decodeJob reads a row. Its errors are state.ErrBadRow.
func decodeJob(t state.Table, key, value []byte) (Job, error) {
	job, err := readRow(t, key, value)
	if err == nil && (len(key) != 8 || job.ID != idOf(key) || !job.State.known() || job.Kind == "") {
		err = fmt.Errorf("queue: row %q says job %d, state %q, kind %q: %w", key, job.ID, job.State, job.Kind, state.ErrBadRow)
	}
	if err != nil {
		return Job{}, err
	}
	if job.Next != nil {
		job.Next.Path = job.Path
	}
	return job, nil
}

func readRow(t state.Table, key, value []byte) (Job, error) {
	if !state.IsSealed(value) {
		row, err := state.DecodeRow[jobJSON](t, key, value)
		return row.job(), err
	}
	record, err := t.OpenSealed(key, value)
	if err != nil {
		return Job{}, err
	}
	job, err := readJob(record)
	if err != nil {
		err = fmt.Errorf("queue: row %q: %w: %w", key, state.ErrBadRow, err)
	}
	job.ID = idOf(key) // the sum says so
	return job, err
}

func writeJob(tx *state.Tx, job *Job) error {
	return tx.Table(tableJobs).PutSealed(idKey(job.ID), appendJob(state.NewRow(), job))
}
