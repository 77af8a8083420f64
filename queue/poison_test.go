package queue

import (
	"errors"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/state"
	"github.com/google/go-cmp/cmp"
)

// spoil makes the row of job 1 unreadable.
func spoil(t *testing.T, db *state.DB, value string) {
	t.Helper()
	update(t, db, func(tx *state.Tx) error { return tx.Table(tableJobs).Put(idKey(1), []byte(value)) })
}

func TestUnreadableRows(t *testing.T) {
	const dead = "list state=dead sync=web => 1\n"
	for _, test := range []struct{ name, before, after string }{
		{"met by a claim, which goes on with the next job",
			"enqueue up web a => added 1\nenqueue up web b => added 2",
			"claim acme 1 => 2\n" + dead},
		{"met when a waiting job becomes due",
			"enqueue up web a in=1s => added 1\nenqueue up web b in=1s => added 2",
			"!wait 1s\nclaim acme 9 => 2\n" + dead},
		{"met by an enqueue, which revives it",
			"enqueue up web a => added 1",
			"enqueue up web a => revived 1\nclaim acme 9 => 1\ncomplete 1 =>"},
		{"met by an outcome that comes too late",
			"enqueue up web a => added 1\nclaim acme 9 => 1",
			"!enqueue up web b => added 2\n" + // nothing has touched job 1 yet
				"recover => requeued [] dead []\n" + dead + "complete 1 => error: it is dead, not running"},
		{"met by the recovery after a crash",
			"enqueue up web a => added 1\nenqueue up web b => added 2\nclaim acme 9 => 1 2",
			"recover => requeued [2] dead []\n" + dead + "claim acme 9 => 2"},
		{"met by a person",
			"enqueue up web a => added 1",
			"!retry 1 => error: its row was unreadable; drop it\ndrop 1 =>\nlist =>"},
		{"met by the end of its sync",
			"enqueue up web a => added 1\nenqueue up web b => added 2",
			"dropsync web => 2\nlist =>"},
		{"serial jobs no longer wait for it",
			"enqueue up web a => added 1\nenqueue rm web b serial => added 2",
			"claim acme 9 => 2"},
	} {
		for _, value := range []string{"", "{", "\x00\xff", `{"id":1}`, `{"id":2,"state":"due"}`, `{"id":1,"state":"odd"}`, `{"id":"x"}`, `{"id":1,"state":"due"}`} {
			t.Run(test.name+" "+value, func(t *testing.T) {
				db := openNew(t)
				runScript(t, db, test.before)
				spoil(t, db, value)
				runScript(t, db, test.after)
			})
		}
	}
}

func TestUnreadableRowKeepsItsBytes(t *testing.T) {
	db := openNew(t)
	runScript(t, db, "enqueue up web dir/latin\xfc => added 1")
	spoil(t, db, "what was left")
	_ = db.View(func(tx *state.Tx) error {
		if _, _, err := Get(tx, 1); !errors.Is(err, state.ErrBadRow) {
			t.Errorf("Get in a View = %v, want ErrBadRow", err)
		}
		jobs, err := List(tx, Filter{})
		if err != nil || len(jobs) != 1 || jobs[0].State != Dead || !strings.Contains(jobs[0].LastError, "queue/jobs") {
			t.Errorf("List in a View = %+v, %v", jobs, err)
		}
		if got, ok := Poison(tx, 1); string(got) != "what was left" || !ok {
			t.Errorf("Poison in a View = %q, %v", got, ok)
		}
		return nil
	})
	update(t, db, func(tx *state.Tx) error {
		if _, err := Claim(tx, start, Request{Server: "acme", Limit: 9}); err != nil {
			return err
		}
		job, ok, err := Lookup(tx, "up", "web", "dir/latin\xfc")
		if !ok || err != nil || job.ID != 1 || job.State != Dead || !job.Died.Equal(start) {
			t.Errorf("after the repair: %+v, %v, %v", job, ok, err)
		}
		if got, ok := Poison(tx, 1); string(got) != "what was left" || !ok {
			t.Errorf("kept %q, %v", got, ok)
		}
		return Check(tx)
	})
	runScript(t, db, "enqueue up web dir/latin\xfc => revived 1\nclaim acme 9 => 1\nfail 1 dead => dead\nretry 1 =>")
	_ = db.View(func(tx *state.Tx) error {
		for _, id := range []ID{1, 2} {
			if got, ok := Poison(tx, id); got != nil || ok {
				t.Errorf("Poison of job %d, which is fine or not there = %q, %v", id, got, ok)
			}
		}
		return nil
	})
}

func TestIndexesAreRepaired(t *testing.T) {
	const jobs = "enqueue up web a => added 1\nenqueue up web b => added 2\n"
	now := state.Key(start, uint64(1))
	for _, test := range []struct {
		name, before string
		spoil        func(tx *state.Tx) error
		after        string
	}{
		{"a due job whose row is gone", jobs,
			func(tx *state.Tx) error { return tx.Table(tableJobs).Delete(idKey(1)) },
			"claim acme 9 => 2"},
		{"a running job that is due as well does not start a second time", jobs + "claim acme 1 => 1",
			func(tx *state.Tx) error {
				return tx.Table(tableDue).Put(state.Key("acme", "web", uint8(0), uint8(0), uint64(1)), []byte("web"))
			},
			"claim acme 9 => 2\ncomplete 1 =>\ncomplete 2 =>"},
		{"nor does one that waits as well", jobs + "claim acme 1 => 1",
			func(tx *state.Tx) error { return tx.Table(tableWait).Put(now, nil) },
			"claim acme 9 => 2\ncomplete 1 =>"},
		{"a due job that runs as well is not taken back", jobs,
			func(tx *state.Tx) error { return tx.Table(tableRunning).Put(idKey(1), nil) },
			"recover => requeued [] dead []\nshow 1 => due"},
		{"keys that are too short", jobs,
			func(tx *state.Tx) error {
				return errors.Join(tx.Table(tableWait).Put([]byte{0}, nil), tx.Table(tableDue).Put([]byte("acme\x00"), nil))
			},
			"!summary web => due 2 waiting 0 running 0 dead 0 retrying 0\n!next => never\nclaim acme 9 => 1 2"},
		{"a second row of one path is put aside, and its job does not run as well", jobs,
			func(tx *state.Tx) error {
				job, _, err := Get(tx, 1)
				job.ID = 7
				return errors.Join(err, replace(tx, nil, job), tx.Table(tableDue).Put([]byte("acme\x00"), nil))
			},
			"claim acme 9 => 1 2\nlist state=dead => 7\nretry 7 => error: its row was unreadable"},
		{"a row whose key ends like that of another job", jobs,
			func(tx *state.Tx) error {
				return errors.Join(tx.Table(tableJobs).Put(append([]byte("x"), idKey(2)...), []byte("{}")), tx.Table(tableDue).Put([]byte("acme\x00"), nil))
			},
			"claim acme 9 => 1 2\nlist state=dead => 3\nretry 3 => error: its row was unreadable\ndrop 3 =>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			db := openNew(t)
			runScript(t, db, test.before)
			update(t, db, test.spoil)
			runScript(t, db, test.after)
		})
	}
}

func TestTakenNumbersArePassedOver(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *state.Tx) error {
		return replace(tx, nil, Job{ID: 2, New: New{Kind: "up", Sync: "web", Server: "acme", Path: "old"}, State: Due})
	})
	runScript(t, db, "enqueue up web a => added 1\nenqueue up web b => added 3\nclaim acme 9 => 1 2 3")
}

// FuzzRepair puts any bytes in the place of a row or under a key that no row should have. What
// else is in the queue must come out of the repair as it was.
func FuzzRepair(f *testing.F) {
	f.Add([]byte(idKey(2)), []byte("{"))
	f.Add([]byte(idKey(2)), []byte(`{"id":2,"kind":"up","sync":"web","path":"a","state":"due"}`))
	f.Add([]byte(idKey(9)), []byte(`{"id":9,"kind":"up","sync":"web","path":"a","state":"due"}`))
	f.Add([]byte(idKey(0)), []byte(`{"id":0}`))
	f.Add([]byte("x"+string(idKey(1))), []byte(`{"id":1,"kind":"up","state":"due"}`))
	f.Add([]byte("x"), []byte{})
	f.Add([]byte(idKey(3)), []byte(`{"id":3,"kind":"unreadable","path":"job-4","state":"dead","run_at":"0000-01-01T00:00:00Z"}`))
	db := openNew(f)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) == 0 || len(key) > 100 {
			return
		}
		done := errors.New("done")
		err := db.Update(func(tx *state.Tx) error {
			for _, path := range []string{"a", "b", "c", "d"} {
				if _, err := Enqueue(tx, start, New{Kind: "up", Sync: "web", Server: "acme", Path: path}); err != nil {
					return err
				}
			}
			if _, err := Claim(tx, start, Request{Server: "acme", Limit: 2}); err != nil {
				return err
			}
			before, err := List(tx, Filter{})
			if err != nil {
				return err
			}
			if err := errors.Join(tx.Table(tableJobs).Put(key, value), repair(tx, start), Check(tx)); err != nil {
				return err
			}
			for _, job := range before {
				if string(idKey(job.ID)) == string(key) {
					continue
				}
				after, ok, err := Get(tx, job.ID)
				if diff := cmp.Diff(job, after); diff != "" || !ok || err != nil {
					// A row before it that says the same is taken for the first.
					if after.Kind != KindUnreadable || !strings.Contains(after.LastError, "already") {
						t.Errorf("job %d: %v, %v\n%s", job.ID, ok, err, diff)
					}
				}
			}
			return errors.Join(done, Check(tx))
		})
		if !errors.Is(err, done) || errors.Is(err, ErrIndex) {
			t.Fatal(err)
		}
	})
}
