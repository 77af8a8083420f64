package agent

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// TestWhenAPassLeavesTheServerAlone: only as long as nothing is in doubt. Each row changes one thing of a sync of which a full scan
// has just seen all.
func TestWhenAPassLeavesTheServerAlone(t *testing.T) {
	d := memoryDispatcher(t)
	now := time.Now()
	type change struct {
		config func(cfg *config.Config)
		row    func(row *state.SyncState)
		tx     func(tx *state.Tx) error
		server func(s *state.Server)
		full   bool
	}
	note := func(kind state.NoteKind) func(tx *state.Tx) error {
		return func(tx *state.Tx) error {
			_, err := state.PutNote(tx, "up", state.Note{Path: "a", Kind: kind, Text: "left alone"}, now)
			return err
		}
	}
	enqueue := func(kind string) func(tx *state.Tx) error {
		return func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, now, queue.New{Kind: kind, Sync: "up", Server: "acme", Path: map[bool]string{true: "a"}[kind == "upload"], RunAt: now.Add(time.Hour)})
			return err
		}
	}
	crash := func(kind string) func(tx *state.Tx) error {
		return func(tx *state.Tx) error {
			if _, err := queue.Enqueue(tx, now, queue.New{Kind: kind, Sync: "up", Server: "acme"}); err != nil {
				return err
			}
			if _, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 1}); err != nil {
				return err
			}
			recovered, err := queue.Recover(tx, now)
			return cmpErr(err, distrust(tx, recovered))
		}
	}
	small := func(c *config.Config) { c.Syncs["up"].RecheckAbove = 1000 }
	inStep := func(paths int) func(tx *state.Tx) error {
		return func(tx *state.Tx) (err error) {
			for i := range paths {
				err = cmpErr(err, state.PutBaseline(tx, "up", state.Baseline{Path: fmt.Sprint("f", i)}))
			}
			return err
		}
	}
	mark := func(remote bool) func(tx *state.Tx) error {
		return func(tx *state.Tx) error { return state.MarkDirty(tx, "up", "a", "test", remote, now) }
	}
	for sentence, row := range map[string]struct {
		change
		want string
	}{
		"nothing is in doubt":                         {change{}, work.KindRescan},
		"a person wants the server looked at":         {change{full: true}, work.KindScan},
		"the server is looked at in every pass":       {change{config: func(c *config.Config) { c.Syncs["up"].Recheck = 0 }}, work.KindScan},
		"a small tree is looked at in every pass":     {change{config: small, tx: inStep(1000)}, work.KindScan},
		"a larger one is not":                         {change{config: small, tx: inStep(1001)}, work.KindRescan},
		"a small one is not, if a person has said so": {change{tx: inStep(1000)}, work.KindRescan},
		"it was looked at just within the time":       {change{row: func(r *state.SyncState) { r.Checked.Began = now.Add(-23*time.Hour + time.Second) }}, work.KindRescan},
		"it is a day since, but for some seconds":     {change{row: func(r *state.SyncState) { r.Checked.Began = now.Add(-24*time.Hour + 5*time.Second) }}, work.KindScan},
		"that was too long ago":                       {change{row: func(r *state.SyncState) { r.Checked.Began = now.Add(-48 * time.Hour) }}, work.KindScan},
		"the clock was set back":                      {change{row: func(r *state.SyncState) { r.Checked.Began = now.Add(time.Second) }}, work.KindScan},
		"no full scan has seen all":                   {change{row: func(r *state.SyncState) { r.Checked, r.LastFullScan = state.Checked{}, now }}, work.KindScan},
		"the rules are others":                        {change{config: func(c *config.Config) { c.Syncs["up"].Exclude = []string{"*.tmp"} }}, work.KindScan},
		"the server is reached in another way":        {change{config: func(c *config.Config) { c.Servers["acme"].TLSVerify = !c.Servers["acme"].TLSVerify }}, work.KindScan},
		"the sync is halted":                          {change{row: func(r *state.SyncState) { r.Halt = "gone" }}, work.KindScan},
		"a person has approved a halt":                {change{row: func(r *state.SyncState) { r.Approved = now }}, work.KindScan},
		"the sync has had other folders":              {change{row: func(r *state.SyncState) { r.Elsewhere = true }}, work.KindScan},
		"a person has approved that there is nothing": {change{row: func(r *state.SyncState) { r.EmptiedRemote = true }}, work.KindScan},
		"the server was down":                         {change{server: func(s *state.Server) { s.Failures = 1 }}, work.KindScan},
		"the server has refused the login":            {change{server: func(s *state.Server) { s.BlockedBy = "530" }}, work.KindScan},
		"a job has failed for good":                   {change{tx: func(tx *state.Tx) error { return die(tx, "up") }}, work.KindScan},
		"a job of another sync has failed for good":   {change{tx: func(tx *state.Tx) error { return die(tx, "far") }}, work.KindRescan},
		"a job has failed for now": {change{tx: func(tx *state.Tx) error {
			return cmpErr(enqueue("upload")(tx), failAll(tx, now))
		}}, work.KindScan},
		"a job waits for its time":                          {change{tx: enqueue("upload")}, work.KindRescan},
		"a look at both sides is to come":                   {change{tx: enqueue(work.KindScan)}, work.KindScan},
		"a conflict waits for a person":                     {change{tx: note(state.NoteConflict)}, work.KindScan},
		"a path could not be looked at":                     {change{tx: note(state.NoteUnknown)}, work.KindScan},
		"a file differs on the server":                      {change{tx: note(state.NoteDiffers)}, work.KindScan},
		"a file here is not complete yet":                   {change{tx: note(state.NoteHeld)}, work.KindRescan},
		"a link here is skipped":                            {change{tx: note(state.NoteSkipped)}, work.KindRescan},
		"something has changed here":                        {change{tx: mark(false)}, work.KindRescan},
		"something is to be looked at on the server":        {change{tx: mark(true)}, work.KindScan},
		"the agent was killed while it looked at all":       {change{tx: crash(work.KindScan)}, work.KindScan},
		"the agent was killed during an upload":             {change{tx: crash("upload")}, work.KindScan},
		"the agent was killed in a look at the folder here": {change{tx: crash(work.KindRescan)}, work.KindScan},
	} {
		t.Run(sentence, func(t *testing.T) {
			cfg := breakerConfig()
			cfg.Syncs["up"].Recheck = 24 * time.Hour
			seen := state.Checked{Began: now, Rules: trustedUnder(cfg, cfg.Syncs["up"])}
			if row.config != nil {
				row.config(cfg)
			}
			a := New(cfg, d.agent.db, d.agent.options)
			rollback := fmt.Errorf("not kept")
			err := d.agent.db.Update(func(tx *state.Tx) error {
				is := state.SyncState{LastFullScan: now, Checked: seen}
				if row.row != nil {
					row.row(&is)
				}
				if err := state.PutSync(tx, "up", is); err != nil {
					return err
				}
				if row.tx != nil {
					if err := row.tx(tx); err != nil {
						return err
					}
				}
				c := &commit{d: &dispatcher{agent: a, servers: map[string]*server{"acme": {}}}, tx: tx, now: now, transition: newTransition()}
				if row.server != nil {
					row.server(&c.d.servers["acme"].row)
				}
				if kind, err := c.passOf("up", row.full); err != nil || kind != row.want {
					t.Errorf("the pass begins with a %s, want %s; %v", kind, row.want, err)
				}
				return rollback
			})
			if err == nil || err.Error() != rollback.Error() {
				t.Error(err)
			}
		})
	}
}

// TestALookAtBothSidesReplacesOneThatHasFailed: nothing is left of that for a person to wonder about.
func TestALookAtBothSidesReplacesOneThatHasFailed(t *testing.T) {
	d := memoryDispatcher(t)
	now := time.Now()
	err := d.agent.db.Update(func(tx *state.Tx) error {
		if _, err := queue.Enqueue(tx, now, queue.New{Kind: work.KindRescan, Sync: "up", Server: "acme"}); err != nil {
			return err
		}
		if err := failAll(tx, now); err != nil {
			return err
		}
		a := New(breakerConfig(), d.agent.db, d.agent.options)
		c := &commit{d: &dispatcher{agent: a, servers: map[string]*server{"acme": {}}}, tx: tx, now: now, transition: newTransition()}
		if kind, err := c.passOf("up", false); err != nil || kind != work.KindScan {
			t.Errorf("the pass begins with a %s; %v", kind, err)
		}
		if _, left, err := queue.Lookup(tx, work.KindRescan, "up", ""); err != nil || left {
			t.Errorf("the one that has failed is still there: %v, %v", left, err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// failAll has the jobs of a server fail, to be tried again.
func failAll(tx *state.Tx, now time.Time) error {
	later := now.Add(2 * time.Hour)
	jobs, err := queue.Claim(tx, later, queue.Request{Server: "acme", Limit: 10})
	for _, job := range jobs {
		_, failed := queue.Fail(tx, later, job.ID, queue.Failure{Reason: "no", RetryAt: later.Add(time.Minute)})
		err = cmpErr(err, failed)
	}
	return err
}
