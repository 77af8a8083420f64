package queue

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/fields/fieldstest"
)

// full has no field that is zero.
func full() Job {
	next := New{
		Kind: "up", Sync: "web", Server: "other", Path: "d/lat\xfcn", Priority: 1, Serial: true, RunAt: start.Add(time.Nanosecond), Why: "again", By: "me", Payload: []byte("{}"),
	}
	return Job{
		ID: 7,
		New: New{
			Kind: "up", Sync: "web", Server: "acme", Path: "d/lat\xfcn", Priority: 255, Serial: true, RunAt: start, Why: "changed\xff", By: "you", Payload: []byte("\x01\x00\xff"),
		},
		State: Running, Attempts: 1, Refusals: 2, Crashes: 3, Claims: 1 << 40, Temp: "d/.lat\xfcn", Enqueued: start.Add(1), Started: start.Add(2), Died: start.Add(3),
		Wanted: start.Add(4), LastError: "no", LastReply: "550 no", Next: &next, Progress: []byte(`{"far":1}`),
	}
}

// TestJobRows: every field comes back, and a row at the key of another, with a byte changed, or cut, is no row.
func TestJobRows(t *testing.T) {
	fieldstest.MustBeFull(t, "Job", reflect.ValueOf(full()))
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		jobs := tx.Table(tableJobs)
		for _, want := range []Job{full(), {ID: 7, New: New{Kind: "up"}, State: Due}, {ID: 7, New: New{Kind: "up"}, State: Dead, Next: &New{}}} {
			if err := writeJob(tx, &want); err != nil {
				return err
			}
			got, err := load(tx, 7)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%v\n%s", err, diff)
			}
			row := string(jobs.Get(idKey(7)))
			if _, err := decodeJob(jobs, idKey(8), []byte(row)); !errors.Is(err, state.ErrBadRow) {
				t.Errorf("the row of job 7 is one of job 8: %v", err)
			}
			for i := range row {
				spoilt := []byte(row)
				spoilt[i]++
				for _, value := range [][]byte{spoilt, []byte(row[:i])} {
					if job, err := decodeJob(jobs, idKey(7), value); !errors.Is(err, state.ErrBadRow) || !cmp.Equal(job, Job{}) {
						t.Errorf("byte %d: %+v, %v", i, job, err)
					}
				}
			}
		}
		return nil
	})
}

// TestJobsOfANewerVersion: a field that is not known may say what matters most.
func TestJobsOfANewerVersion(t *testing.T) {
	update(t, openNew(t), func(tx *state.Tx) error {
		job := full()
		if err := tx.Table(tableJobs).PutSealed(idKey(7), append(appendJob(state.NewRow(), &job), 100<<1, 1)); err != nil {
			return err
		}
		if _, err := load(tx, 7); !errors.Is(err, state.ErrBadRow) {
			t.Errorf("read: %v", err)
		}
		return nil
	})
}

// FuzzJobRecord: what can be read is the same when it is written and read again.
func FuzzJobRecord(f *testing.F) {
	job := full()
	f.Add(string(appendJob(nil, &job)))
	f.Add("")
	f.Fuzz(func(t *testing.T, record string) {
		job, err := readJob(record)
		if err != nil {
			return
		}
		if !job.State.known() {
			job.State = Due
		}
		again, err := readJob(string(appendJob(nil, &job)))
		if job.Next != nil {
			job.Next.Path = ""
		}
		if diff := cmp.Diff(job, again, cmp.Transformer("", func(b []byte) string { return string(b) })); diff != "" || err != nil {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}
