package agent

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestAPartWaitsForItsAnswer, and not for one that does not come any more.
func TestAPartWaitsForItsAnswer(t *testing.T) {
	job := queue.Job{ID: 7, New: queue.New{Kind: work.KindScan, Sync: "s"}}
	reports := make(chan report, 1)
	flush := (&worker{}).flush(&job, reports)
	go func() {
		r := <-reports
		if !r.partial || r.Job.ID != job.ID || r.Result != work.Done {
			t.Errorf("report: %+v", r)
		}
		r.answer <- 12
	}()
	if room, err := flush(t.Context(), work.Outcome{}); room != 12 || err != nil {
		t.Errorf("room %d, %v", room, err)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errStopped)
	for range 2 { // handed over and never answered; not even handed over
		if _, err := flush(ctx, work.Outcome{}); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

// TestRoomIsAllottedOnce: two scans of a sync share what is free, and there is always a place for both jobs.
func TestRoomIsAllottedOnce(t *testing.T) {
	d := memoryDispatcher(t)
	d.agent.bounds = boundsFor(100) // parts of 20, at least 10
	err := d.agent.db.Update(func(tx *state.Tx) error {
		c := &commit{d: d, tx: tx, now: time.Now(), transition: &transition{rooms: map[queue.ID]room{}}}
		expect := func(sentence string, id queue.ID, sync, kind string, want int) {
			t.Helper()
			got, err := c.allot(queue.Job{ID: id, New: queue.New{Kind: kind, Sync: sync}})
			if err != nil || got != want {
				t.Errorf("%s: room %d, want %d, %v", sentence, got, want, err)
			}
		}
		enqueue := func(kind string, paths ...string) {
			t.Helper()
			for _, path := range paths {
				if _, err := queue.Enqueue(tx, c.now, queue.New{Kind: kind, Sync: "s", Server: "acme", Path: path}); err != nil {
					t.Fatal(err)
				}
			}
		}
		expect("nothing is in the queue", 1, "s", work.KindScan, 20)
		enqueue("upload", many(46)...)
		expect("46 jobs, 20 allotted", 2, "s", work.KindScan, 20)
		enqueue(work.KindScan, "") // the places of these were kept
		enqueue(work.KindLook, "")
		expect("12 places are left, 4 of them not for a scan: too few for a part", 3, "s", work.KindScan, 0)
		expect("all but 2 are for a look", 4, "s", work.KindLook, 10)
		delete(c.rooms, 4)
		delete(c.rooms, 1)
		expect("one has ended", 3, "s", work.KindScan, 20)
		expect("another sync", 5, "other", work.KindScan, 20)
		enqueue("download", many(7)...)
		expect("5 places are left", 6, "s", work.KindLook, 3)
		expect("those of deletions are left", 7, "s", work.KindLook, 0)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func many(n int) (paths []string) {
	for i := range n {
		paths = append(paths, string(rune('A'+i)))
	}
	return paths
}

// TestStagedOperationsOutliveARestartWithTheirScan, and nothing else does.
func TestStagedOperationsOutliveARestartWithTheirScan(t *testing.T) {
	for _, row := range []struct {
		sentence, identity string
		progress           *work.Progress
		want               int
	}{
		{"a scan in the middle keeps what it has staged", "@ / /l up", &work.Progress{Began: time.Now()}, 1},
		{"a scan that begins anew does not", "@ / /l up", nil, 0},
		{"nor does one of a sync that points elsewhere now", "@elsewhere / /l up", &work.Progress{Began: time.Now()}, 0},
	} {
		d := memoryDispatcher(t)
		cfg := &config.Config{
			Servers: map[string]*config.Server{"acme": {Name: "acme", Connections: 1}},
			Syncs:   map[string]*config.Sync{"s": {Name: "s", Enabled: true, Server: "acme", Local: "/l", Remote: "/", Direction: config.Up}},
		}
		err := d.agent.db.Update(func(tx *state.Tx) error {
			now := time.Now()
			if err := state.PutSync(tx, "s", state.SyncState{Identity: row.identity}); err != nil {
				return err
			}
			if _, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindScan, Sync: "s", Server: "acme"}); err != nil {
				return err
			}
			jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 1})
			if err != nil || len(jobs) != 1 {
				t.Fatalf("%d jobs, %v", len(jobs), err)
			}
			if row.progress != nil {
				data, err := json.Marshal(row.progress)
				if err != nil {
					return err
				}
				if err := queue.Save(tx, now, jobs[0].ID, data); err != nil {
					return err
				}
			}
			return errors.Join(state.Stage(tx, "s", uint64(jobs[0].ID), []byte("{}")), state.Stage(tx, "s", 99, []byte("{}")))
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := newDispatcher(New(cfg, d.agent.db, Options{Logger: d.agent.logger}))
		if err != nil {
			t.Fatal(err)
		}
		again.closePools()
		err = d.agent.db.View(func(tx *state.Tx) error {
			rows := 0
			err := tx.Table("staged").Scan(nil, nil, func(_, _ []byte) (bool, error) {
				rows++
				return true, nil
			})
			if rows != row.want {
				t.Errorf("%s: %d rows, want %d", row.sentence, rows, row.want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
