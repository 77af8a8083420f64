package agent

import (
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhatWasNotBegunIsNoAttempt: a job that its worker hands back, or that got no connection, begins its next attempt as its first one. With
// one more it would go by itself, and might take what somebody else has put at the target for its own torn upload.
func TestWhatWasNotBegunIsNoAttempt(t *testing.T) {
	login := map[string]string{"USER": "331 password?", "PASS": "230 in", "PWD": `257 "/"`, "TYPE": "200 ok", "CWD": "550 no", "QUIT": "221 bye"}
	never := func(queue.Job) bool { return false }
	for name, row := range map[string]struct {
		kind    plan.Action
		replies map[string]string // nil: nobody listens
		stopped func(queue.Job) bool
		ends    bool
		claims  int // of all three jobs that are in one stream
	}{
		"nobody is there":                 {plan.Upload, nil, never, false, 0},
		"the login is refused":            {plan.Upload, map[string]string{"USER": "530 no"}, never, false, 0},
		"no connection is to be had":      {plan.Upload, map[string]string{"USER": "421 too many connections"}, never, false, 0},
		"the sync was stopped":            {plan.Upload, login, func(queue.Job) bool { return true }, false, 0},
		"the agent ends":                  {plan.Upload, login, never, true, 0},
		"the server refuses the transfer": {plan.Upload, login, never, false, 1},
		"it needs no connection":          {plan.MakeLocalDir, nil, never, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			address := "127.0.0.1:1"
			if row.replies != nil {
				address = verbServer(t, row.replies)
			}
			db, err := state.Open(filepath.Join(t.TempDir(), "agent.db"), state.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			acme := &server{config: plainServer(address, 1)}
			acme.pool = newPool(acme.config, nil, nil, nil, nil, slog.New(slog.DiscardHandler))
			defer acme.pool.Close()
			w := &worker{
				pool: acme.pool, db: db, logger: slog.New(slog.DiscardHandler), stopped: row.stopped,
				syncs: map[string]work.Sync{"s": {Name: "s", Local: t.TempDir(), Remote: "/d", Filter: scan.NewFilter(scan.FilterOptions{Include: []string{"**"}})}},
			}
			begin, end := context.WithCancel(t.Context())
			defer end()
			if row.ends {
				end()
			}
			var jobs []queue.Job
			now := time.Now()
			err = db.Update(func(tx *state.Tx) (err error) {
				for _, path := range []string{"1", "2", "3"} {
					path += strings.Repeat("x", 300) // no file system takes that name
					op := plan.Op{Action: row.kind, Path: path}
					if _, err := queue.Enqueue(tx, now, queue.New{Kind: string(row.kind), Sync: "s", Server: "acme", Path: path, Payload: op.Encode()}); err != nil {
						return err
					}
				}
				jobs, err = queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 3})
				return err
			})
			if err != nil || len(jobs) != 3 {
				t.Fatal(len(jobs), err)
			}
			reports := make(chan report, 3)
			w.do(t.Context(), begin, assignment{server: "acme", jobs: jobs}, nil, reports)
			err = db.Update(func(tx *state.Tx) error {
				d := &dispatcher{agent: &Agent{cfg: &config.Config{}}, servers: map[string]*server{"acme": acme}}
				c := &commit{d: d, tx: tx, now: now, transition: newTransition()}
				for range 3 {
					r := <-reports
					if r.Result != work.Failed {
						t.Errorf("%+v", r.Outcome)
					}
					if err := c.failed(r); err != nil {
						return err
					}
					job, found, err := queue.Get(tx, r.Job.ID)
					if err != nil || !found {
						return err
					}
					if job.Claims != row.claims {
						t.Errorf("%s has %d attempts behind it, want %d: %v", job.Path, job.Claims, row.claims, r.Err)
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// TestALookThatFailedIsNotForLater, and one that was handed back unbegun neither: it goes on when it can, whatever was begun of it.
func TestALookThatFailedIsNotForLater(t *testing.T) {
	now := time.Now()
	job := queue.Job{New: queue.New{RunAt: now.Add(time.Hour)}, State: queue.Waiting}
	if !isForLater(job, now) {
		t.Error("one with a time of its own is for now")
	}
	if job.LastError = brokenOff; isForLater(job, now) {
		t.Error("one that was handed back is for later")
	}
}
