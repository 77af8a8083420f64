package queue

import (
	"errors"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/state"
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
		for _, value := range []string{"", "{", "\x00\xff", `{"id":1}`, `{"id":2,"state":"due"}`, `{"id":1,"state":"odd"}`, `{"id":"x"}`} {
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
		if got := tx.Table(tablePoison).Get(idKey(1)); string(got) != "what was left" {
			t.Errorf("kept %q", got)
		}
		return Check(tx)
	})
	runScript(t, db, "enqueue up web dir/latin\xfc => revived 1\nclaim acme 9 => 1\nfail 1 dead => dead\nretry 1 =>")
}

func TestIndexesAreRepaired(t *testing.T) {
	db := openNew(t)
	runScript(t, db, "enqueue up web a => added 1\nenqueue up web b => added 2")
	update(t, db, func(tx *state.Tx) error { return tx.Table(tableJobs).Delete(idKey(1)) })
	runScript(t, db, "claim acme 9 => 2")
}
