package queue

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state"
)

// openSchema3 opens the file of a service that was killed, with jobs as JSON in all states; see the test of the same name of
// package state.
func openSchema3(t *testing.T) *state.DB {
	t.Helper()
	packed, err := os.Open(filepath.Join("..", "state", "testdata", "schema-3.db.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	reader, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "agent.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := state.Open(path, state.Options{AllowNetworkFilesystem: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestJobsOfSchema3(t *testing.T) {
	db := openSchema3(t)
	var jobs []Job
	update(t, db, func(tx *state.Tx) (err error) {
		if jobs, err = List(tx, Filter{}); err != nil {
			return err
		}
		return Check(tx)
	})
	states := map[ID]State{}
	for _, job := range jobs {
		states[job.ID] = job.State
		if job.Enqueued.IsZero() || job.RunAt.IsZero() || job.Why == "" || job.Server == "" {
			t.Errorf("it lacks something: %+v", job)
		}
		if job.Kind == "upload" && (len(job.Payload) == 0 || job.Payload[0] != '{') {
			t.Errorf("payload of job %d: %q", job.ID, job.Payload)
		}
	}
	if diff := cmp.Diff(map[ID]State{1: Waiting, 5: Running, 7: Dead, 8: Dead, 11: Running, 17: Dead, 20: Due}, states); diff != "" {
		t.Fatal(diff)
	}
	// Written in the form of today they are the same.
	update(t, db, func(tx *state.Tx) error {
		for _, job := range jobs {
			if job.ID == 17 && job.Path != "lat\xfcn.txt" {
				t.Errorf("path of job 17: %q", job.Path)
			}
			if err := writeJob(tx, &job); err != nil {
				return err
			}
		}
		again, err := List(tx, Filter{})
		if diff := cmp.Diff(jobs, again); diff != "" {
			t.Errorf("written anew:\n%s", diff)
		}
		return err
	})
	update(t, openSchema3(t), func(tx *state.Tx) error {
		if _, err := Recover(tx, start); err != nil {
			return err
		}
		for _, id := range []ID{5, 11} {
			if job, _, err := Get(tx, id); err != nil || job.State != Due || job.Crashes != 1 || job.Temp == "" {
				t.Errorf("job %d, which was running: %+v, %v", id, job, err)
			}
		}
		return Check(tx)
	})
}
