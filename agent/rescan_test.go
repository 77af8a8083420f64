package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatALookAtEverythingLooksAt: the server is asked only where that is needed.
func TestWhatALookAtEverythingLooksAt(t *testing.T) {
	d := memoryDispatcher(t)
	cfg := breakerConfig()
	cfg.Syncs["both"] = &config.Sync{Name: "both", Server: "acme", Direction: config.Both, Enabled: true, Watch: true, Rescan: time.Hour}
	cfg.Syncs["up"].Watch, cfg.Syncs["up"].Recheck = true, 24*time.Hour
	seen := func(tx *state.Tx, ago time.Duration) error {
		began := time.Now().Add(-ago)
		return state.PutSync(tx, "up", state.SyncState{LastFullScan: began, Checked: state.Checked{Began: began, Rules: trustedUnder(cfg, cfg.Syncs["up"])}})
	}
	a := New(cfg, d.agent.db, d.agent.options)
	scanned := func(tx *state.Tx, sync string) error {
		return state.PutSync(tx, sync, state.SyncState{LastFullScan: time.Now()})
	}
	start := trigger.Event{Local: true, Why: "start"}
	local, due := trigger.Event{Local: true, Watched: true, Why: "watch overflow"}, trigger.Event{Local: true, Regular: true, Why: "rescan"}
	deadUpload := func(tx *state.Tx) error { return cmpErr(die(tx, "up"), scanned(tx, "up")) }
	for sentence, row := range map[string]struct {
		sync   string
		event  trigger.Event
		before func(tx *state.Tx) error
		want   string // kinds of the jobs
		counts bool
	}{
		"the local side is enough":                           {"up", local, func(tx *state.Tx) error { return scanned(tx, "up") }, "[rescan]", false},
		"it is time to look again":                           {"up", due, func(tx *state.Tx) error { return scanned(tx, "up") }, "[rescan]", true},
		"the agent starts":                                   {"up", start, func(tx *state.Tx) error { return seen(tx, time.Hour) }, "[rescan]", false},
		"the agent starts after days":                        {"up", start, func(tx *state.Tx) error { return seen(tx, 25*time.Hour) }, "[scan]", false},
		"it is time for another look at the server":          {"up", due, func(tx *state.Tx) error { return seen(tx, 25*time.Hour) }, "[scan]", true},
		"it is not time for another look there":              {"up", due, func(tx *state.Tx) error { return seen(tx, 22*time.Hour) }, "[rescan]", true},
		"something has happened that a watch has seen":       {"up", local, func(tx *state.Tx) error { return seen(tx, 25*time.Hour) }, "[rescan]", false},
		"both sides were never looked at":                    {"up", local, nil, "[scan]", false},
		"both sides were never looked at, and it is time to": {"up", due, nil, "[scan]", true},
		"more than the local side is wanted":                 {"up", trigger.Event{Why: "schedule"}, func(tx *state.Tx) error { return scanned(tx, "up") }, "[scan]", false},
		"a sync in both directions":                          {"both", local, func(tx *state.Tx) error { return scanned(tx, "both") }, "[scan]", false},
		"a sync in both directions, and it is time":          {"both", due, func(tx *state.Tx) error { return scanned(tx, "both") }, "[rescan]", true},
		"a sync in both directions, and it is time for both": {"both", due, func(tx *state.Tx) error {
			return state.PutSync(tx, "both", state.SyncState{LastFullScan: time.Now().Add(-31 * time.Minute)})
		}, "[scan]", true},
		"a sync in both directions, and a clock was wrong": {"both", due, func(tx *state.Tx) error {
			return state.PutSync(tx, "both", state.SyncState{LastFullScan: time.Now().Add(31 * time.Minute)})
		}, "[scan]", true},
		"a sync from the server": {"down", local, func(tx *state.Tx) error { return scanned(tx, "down") }, "[scan]", false},
		"a poll":                 {"down", trigger.Event{Regular: true, Why: "poll"}, func(tx *state.Tx) error { return scanned(tx, "down") }, "[scan]", false},
		"something waits for a person": {"up", local, func(tx *state.Tx) error {
			_, err := state.PutNote(tx, "up", state.Note{Path: "a", Text: "left alone"}, time.Now())
			return cmpErr(err, scanned(tx, "up"))
		}, "[scan]", false},
		"a job has failed for good":                 {"up", local, deadUpload, "[scan]", false},
		"a job has failed for good, and it is time": {"up", due, deadUpload, "[rescan]", true},
		"a job of another sync has failed for good": {"up", local, func(tx *state.Tx) error { return cmpErr(die(tx, "far"), scanned(tx, "up")) }, "[rescan]", false},
		"a file is not complete yet": {"up", local, func(tx *state.Tx) error {
			_, err := state.PutNote(tx, "up", state.Note{Path: "a", Kind: state.NoteHeld, Text: "still growing"}, time.Now())
			return cmpErr(err, scanned(tx, "up"))
		}, "[rescan]", false},
		"something waits for a person, and it is time": {"up", due, func(tx *state.Tx) error {
			_, err := state.PutNote(tx, "up", state.Note{Path: "a", Text: "left alone"}, time.Now())
			return cmpErr(err, scanned(tx, "up"))
		}, "[rescan]", true},
		"such a look waits, and it is time": {"up", due, func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: work.KindRescan, Sync: "up", Server: "acme"})
			return cmpErr(err, scanned(tx, "up"))
		}, "[rescan]", false},
		"a look is meant for tomorrow, and it is time": {"down", trigger.Event{Regular: true, Why: "poll"}, func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: work.KindScan, Sync: "down", Server: "acme", RunAt: time.Now().Add(24 * time.Hour)})
			return cmpErr(err, scanned(tx, "down"))
		}, "[scan]", false},
		"a look that was due waits, and something has happened": {"up", local, func(tx *state.Tx) error {
			_, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: work.KindRescan, Sync: "up", Server: "acme", Payload: json.RawMessage(`{"regular":true}`)})
			return cmpErr(err, scanned(tx, "up"))
		}, "[rescan]", false},
		"single paths": {"up", trigger.Event{Local: true, Paths: []string{"a"}}, func(tx *state.Tx) error { return scanned(tx, "up") }, "[look]", false},
	} {
		t.Run(sentence, func(t *testing.T) {
			rollback := fmt.Errorf("not kept")
			err := d.agent.db.Update(func(tx *state.Tx) error {
				if row.before != nil {
					if err := row.before(tx); err != nil {
						return err
					}
				}
				row.event.Sync = row.sync
				c := &commit{d: &dispatcher{agent: a}, tx: tx, now: time.Now(), transition: newTransition()}
				if err := c.event(row.event); err != nil {
					return err
				}
				jobs, err := queue.List(tx, queue.Filter{Sync: row.sync})
				if err != nil {
					return err
				}
				jobs = slices.DeleteFunc(jobs, func(job queue.Job) bool { return job.State == queue.Dead })
				var kinds []string
				for _, job := range jobs {
					kinds = append(kinds, job.Kind)
				}
				if jobs[0].RunAt.After(c.now) {
					t.Errorf("it is for %v", jobs[0].RunAt)
				}
				if got := fmt.Sprint(kinds); got != row.want || isRegular(jobs[0]) != row.counts {
					t.Errorf("jobs %s, want %s; regular: %v, want %v", got, row.want, isRegular(jobs[0]), row.counts)
				}
				return rollback
			})
			if err == nil || err.Error() != rollback.Error() {
				t.Error(err)
			}
		})
	}
}

// TestWhenItIsTimeNothingIsPutOff: a poll brings forward a look that was only put off. One that has failed, or is in the middle, has
// a time of its own.
func TestWhenItIsTimeNothingIsPutOff(t *testing.T) {
	d := memoryDispatcher(t)
	a := New(breakerConfig(), d.agent.db, d.agent.options)
	for sentence, row := range map[string]struct {
		begun bool
		want  queue.State
	}{
		"a look is put off":         {false, queue.Due},
		"a look has failed for now": {true, queue.Waiting},
	} {
		t.Run(sentence, func(t *testing.T) {
			now := time.Now()
			rollback := fmt.Errorf("not kept")
			err := d.agent.db.Update(func(tx *state.Tx) error {
				look := queue.New{Kind: work.KindScan, Sync: "down", Server: "acme", RunAt: now.Add(time.Minute)}
				if row.begun {
					look.RunAt = now
				}
				if _, err := queue.Enqueue(tx, now, look); err != nil {
					return err
				}
				if row.begun {
					jobs, err := queue.Claim(tx, now, queue.Request{Server: "acme", Limit: 1})
					if err != nil {
						return err
					}
					if _, err := queue.Fail(tx, now, jobs[0].ID, queue.Failure{RetryAt: now.Add(time.Minute)}); err != nil {
						return err
					}
				}
				c := &commit{d: &dispatcher{agent: a}, tx: tx, now: now, transition: newTransition()}
				if err := c.event(trigger.Event{Sync: "down", Regular: true, Why: "poll"}); err != nil {
					return err
				}
				jobs, err := queue.List(tx, queue.Filter{Sync: "down"})
				if err != nil {
					return err
				}
				if len(jobs) != 1 || jobs[0].State != row.want {
					t.Errorf("got %+v", jobs)
				}
				return rollback
			})
			if err == nil || err.Error() != rollback.Error() {
				t.Error(err)
			}
		})
	}
}

// die enqueues an upload of a sync, and has it fail for good.
func die(tx *state.Tx, sync string) error {
	server := breakerConfig().Syncs[sync].Server
	if _, err := queue.Enqueue(tx, time.Now(), queue.New{Kind: string(plan.Upload), Sync: sync, Server: server, Path: "dead"}); err != nil {
		return err
	}
	jobs, err := queue.Claim(tx, time.Now(), queue.Request{Server: server, Limit: 1})
	if err != nil {
		return err
	}
	_, err = queue.Fail(tx, time.Now(), jobs[0].ID, queue.Failure{Reason: "no", Dead: true})
	return err
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestChangesThatNoEventHasToldOf are counted, and no others.
func TestChangesThatNoEventHasToldOf(t *testing.T) {
	const rescans = time.Minute
	seen := func(kind entry.Kind, size int64) plan.Side {
		return plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: kind, Size: size}}
	}
	base := &plan.Base{Local: seen(entry.File, 5).Entry, Remote: seen(entry.File, 5).Entry}
	absent := plan.Side{Knowledge: plan.Seen}
	created := plan.Op{Action: plan.Upload, Path: "f/a", Local: seen(entry.File, 1)}
	missing := plan.Op{Action: plan.Upload, Path: "f/a", Local: seen(entry.File, 5), Remote: absent, Base: base}
	deleted := plan.Op{Action: plan.DeleteRemote, Path: "f/a", Local: absent, Remote: plan.Side{Knowledge: plan.Assumed, Entry: base.Remote}, Base: base}
	for sentence, row := range map[string]struct {
		op       plan.Op
		event    []string // nil: none; its paths
		after    time.Duration
		counted  uint64
		marked   bool
		isQueued bool
		blind    bool
		noted    *state.Note // what the look before has left alone
	}{
		"a new file":     {op: created, counted: 1},
		"a changed file": {op: plan.Op{Action: plan.Upload, Path: "f/a", Local: seen(entry.File, 6), Base: base}, counted: 1},
		"a deleted file": {op: deleted, counted: 1},
		"what somebody has deleted on the server":               {op: missing},
		"its event was there before":                            {op: created, event: []string{"f/a"}, after: rescans - 20*time.Second},
		"its event comes a little later":                        {op: created, event: []string{"f/a"}, after: rescans + 9*time.Second},
		"the event for its folder comes later":                  {op: created, event: []string{"e", "f"}, after: rescans + 9*time.Second},
		"an event for everything comes later":                   {op: created, event: []string{}, after: rescans + 9*time.Second},
		"an event for something else comes later":               {op: created, event: []string{"f/ab", "e"}, after: rescans + 9*time.Second, counted: 1},
		"its event comes too late":                              {op: created, event: []string{"f/a"}, after: rescans + 25*time.Second, counted: 1},
		"its folder is marked":                                  {op: created, marked: true},
		"its job waits already":                                 {op: created, isQueued: true},
		"the filesystem tells of nothing":                       {op: created, blind: true},
		"the look before has left it alone as it is":            {op: created, noted: &state.Note{Local: &state.Look{Entry: created.Local.Entry}}},
		"it has changed since a look has left it alone":         {op: created, noted: &state.Note{Local: &state.Look{Entry: seen(entry.File, 3).Entry}}, counted: 1},
		"its deletion was left alone":                           {op: deleted, noted: &state.Note{Local: &state.Look{}}},
		"it was deleted after a look has left it alone":         {op: deleted, noted: &state.Note{Local: &state.Look{Entry: base.Local}}, counted: 1},
		"an older version has left it alone":                    {op: created, noted: &state.Note{}},
		"nobody could look at it, and now somebody can":         {op: created, noted: &state.Note{Kind: state.NoteUnknown}, counted: 1},
		"it was left alone, and what it holds is compared only": {op: created, noted: &state.Note{Kind: state.NoteDiffers, Local: &state.Look{Entry: created.Local.Entry}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Kind == string(row.op.Action) {
						return work.Outcome{Err: fmt.Errorf("not now")}
					}
					return done
				})
				b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Watch = true }
				b.walk = func(job queue.Job) []plan.Op {
					if job.Kind == work.KindLook && row.marked {
						time.Sleep(10 * time.Minute) // a server that is slow
					}
					return []plan.Op{row.op}
				}
				b.update(func(tx *state.Tx) error {
					if row.op.Base != nil {
						err := state.PutBaseline(tx, "up", state.Baseline{Path: row.op.Path, Local: base.Local, Remote: base.Remote, When: b.now()})
						if err != nil {
							return err
						}
					}
					return state.PutSync(tx, "up", state.SyncState{LastFullScan: b.now(), Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Server: "acme"})
				})
				if row.noted != nil {
					b.update(func(tx *state.Tx) error {
						row.noted.Path, row.noted.Text = row.op.Path, "left alone"
						_, err := state.PutNote(tx, "up", *row.noted, b.now())
						return err
					})
				}
				if row.isQueued {
					b.enqueue(string(row.op.Action), "up", b.now().Add(10*time.Minute), row.op.Path)
				}
				b.run(func() {
					health := trigger.Health{State: trigger.HealthWatching}
					if row.blind {
						health.State = trigger.HealthPolling
					}
					b.agent.watching.set("up", health)
					began := time.Now()
					emit := func(at time.Duration, e trigger.Event) {
						time.Sleep(at - time.Since(began))
						e.Sync = "up"
						if err := b.d.emit(t.Context(), e); err != nil {
							t.Fatal(err)
						}
					}
					regular := trigger.Event{Local: true, Regular: true, Why: "rescan"}
					told := trigger.Event{Local: true, Paths: row.event, Why: "watch"}
					if row.marked {
						emit(rescans-30*time.Second, trigger.Event{Local: true, Paths: []string{"f"}, Why: "watch"})
					}
					if row.event != nil && row.after < rescans {
						emit(row.after, told)
					}
					emit(rescans, regular)
					if row.event != nil && row.after > rescans {
						emit(row.after, told)
					}
					time.Sleep(5 * time.Minute)
				})
				got := b.syncRow("up")
				if got.Rescans != 1 || got.OnlyByRescan != row.counted || got.LastRescan.IsZero() {
					t.Errorf("%d rescans, %d changes, want %d; %+v", got.Rescans, got.OnlyByRescan, row.counted, got)
				}
			})
		})
	}
}

func (b *breaker) syncRow(sync string) (row state.SyncState) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) (err error) { row, err = state.GetSync(tx, sync); return err })
	if err != nil {
		b.t.Error(err)
	}
	return row
}

// TestAWholeLookHoldsNothingUp: what changes while a look at everything waits for room is looked at and sent at once.
func TestAWholeLookHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == string(plan.Upload) && job.Path != "now" {
				time.Sleep(time.Second)
			}
			return done
		})
		b.bound = 200
		b.walk = func(job queue.Job) []plan.Op {
			if job.Kind == work.KindLook {
				return nil
			}
			return opsOf(plan.Upload, "many", 400)
		}
		b.update(func(tx *state.Tx) error {
			return state.PutSync(tx, "up", state.SyncState{LastFullScan: b.now(), Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Server: "acme"})
		})
		b.run(func() {
			if err := b.d.emit(t.Context(), trigger.Event{Sync: "up", Local: true, Why: "watch overflow"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if row := b.counts("up"); row.Due+row.Waiting+row.Running < 50 {
				t.Fatalf("the look is over too soon: %+v", row)
			}
			asked := time.Now()
			if err := b.d.emit(t.Context(), trigger.Event{Sync: "up", Local: true, Paths: []string{"now"}, Why: "watch"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(30 * time.Second) // as long as a stream of small files takes
			looked := slices.ContainsFunc(b.between(asked, time.Now(), "up"), func(t try) bool { return t.job.Kind == work.KindLook })
			if !looked {
				t.Error("nobody looked at what has changed")
			}
		})
	})
}

// TestPollsThatFindNothingAreCounted, across restarts, until something has changed on the server.
func TestPollsThatFindNothingAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.walk = func(queue.Job) []plan.Op { return nil }
		b.adjust = func(cfg *config.Config) { cfg.Syncs["down"].Poll = 5 * time.Minute }
		poll := func() time.Time {
			t.Helper()
			b.run(func() {
				if err := b.d.emit(t.Context(), trigger.Event{Sync: "down", Regular: true, Why: "poll"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
			})
			return nextPoll(b.agent.cfg.Syncs["down"], b.syncRow("down"), b.now())
		}
		var waits []time.Duration
		for range 13 {
			waits = append(waits, poll().Sub(b.syncRow("down").LastFullScan).Round(5*time.Minute))
		}
		want := []time.Duration{5, 5, 5, 10, 10, 10, 10, 20, 20, 20, 20, 40, 40}
		for i := range want {
			want[i] *= time.Minute
			if diff := waits[i] - want[i]; diff.Abs() > want[i]/9 {
				t.Fatalf("waits %v, want %v", waits, want)
			}
		}
		b.walk = func(queue.Job) []plan.Op {
			there := plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 1}}
			return []plan.Op{{Action: plan.Download, Path: "a", Remote: there}}
		}
		if poll(); b.syncRow("down").Unchanged != 0 {
			t.Error("a change on the server did not count")
		}
		row := b.syncRow("down")
		row.LastFullScan = b.now().Add(time.Hour)
		if at := nextPoll(b.agent.cfg.Syncs["down"], row, b.now()); at.After(b.now()) {
			t.Errorf("after a look by a clock that was wrong, the next one is at %s", at)
		}
	})
}

// TestAnApprovalIsForAllLooksAtEverything: the one that a restart asks for must not stop again what a person has let pass, and no
// look lets more pass than that.
func TestAnApprovalIsForAllLooksAtEverything(t *testing.T) {
	for sentence, row := range map[string]struct {
		kind    string
		deletes int
		halts   bool
	}{
		"as much as the person has seen": {work.KindRescan, 15, false},
		"much more than that":            {work.KindRescan, 30, true},
		"by a look at single paths":      {work.KindLook, 15, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(queue.Job) work.Outcome { return done })
				b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].MaxDelete = config.MaxDelete{Count: 10} }
				b.walk = func(queue.Job) []plan.Op { return opsOf(plan.DeleteRemote, "a", row.deletes) }
				b.update(func(tx *state.Tx) error {
					return state.PutSync(tx, "up", state.SyncState{
						LastFullScan: b.now(), Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Server: "acme",
						Approved: b.now(), ApprovedHalts: plan.HaltMaxDelete, ApprovedDeletes: 15,
					})
				})
				b.enqueue(row.kind, "up", b.now(), "")
				b.run(func() { time.Sleep(time.Minute) })
				if got := b.syncRow("up"); (got.Halt != "") != row.halts {
					t.Errorf("halted: %q, want it halted: %v", got.Halt, row.halts)
				}
			})
		})
	}
}

// TestWhatIsDeletedDuringAScan of everything is looked at once more: the scan may have found it in step, there again, before the
// job had removed it on the other side, and its event may be lost.
func TestWhatIsDeletedDuringAScan(t *testing.T) {
	for sentence, row := range map[string]struct {
		scan  string
		takes time.Duration
		looks bool
	}{
		"the local folder is looked at meanwhile": {work.KindRescan, 20 * time.Second, true},
		"both sides are looked at meanwhile":      {work.KindScan, 20 * time.Second, true},
		"the look is over by then":                {work.KindRescan, time.Second, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Kind == string(plan.DeleteRemote) {
						time.Sleep(10 * time.Second)
					}
					return done
				})
				looked := false
				b.walk = func(job queue.Job) []plan.Op {
					if job.Kind == row.scan {
						time.Sleep(row.takes)
					}
					for _, mark := range b.marks() {
						looked = looked || job.Kind == work.KindLook && mark.Path == "a"
					}
					return nil
				}
				b.enqueue(string(plan.DeleteRemote), "up", b.now(), "a")
				b.run(func() {
					time.Sleep(time.Second)
					b.enqueue(row.scan, "up", b.now(), "")
					if err := b.d.emit(t.Context(), trigger.Event{Sync: "far", Local: true, Paths: []string{"x"}}); err != nil { // wakes it up
						t.Fatal(err)
					}
					time.Sleep(time.Minute)
				})
				if looked != row.looks {
					t.Errorf("looked at again: %v, want %v", looked, row.looks)
				}
			})
		})
	}
}

// TestALookThatTakesLongIsNotTakenAllTheTime: one that is due every minute and takes five is begun every ten.
func TestALookThatTakesLongIsNotTakenAllTheTime(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		takes       time.Duration
		least, most int // in 5 hours
	}{
		"five minutes":     {5 * time.Minute, 25, 30},
		"no time":          {0, 290, 300},
		"longer than rest": {3 * time.Hour, 2, 2},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					if job.Kind == work.KindRescan {
						time.Sleep(c.takes)
					}
					return done
				})
				b.scan = func(job queue.Job, _ int) work.Outcome {
					o := done
					o.Job, o.Scan = job, &scan.Result{Totals: plan.Totals{Local: plan.RootFilled, Remote: plan.RootFilled}}
					o.Progress = &work.Progress{Began: job.Started}
					return o
				}
				b.adjust = func(cfg *config.Config) { cfg.Syncs["up"].Watch = true }
				b.update(func(tx *state.Tx) error { return state.PutSync(tx, "up", state.SyncState{LastFullScan: begin}) })
				b.run(func() {
					for range 5 * 60 {
						if err := b.d.emit(t.Context(), trigger.Event{Sync: "up", Local: true, Regular: true, Why: "watch poll"}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Minute)
					}
					if got := len(b.begun(begin, work.KindRescan)); got < c.least || got > c.most {
						t.Errorf("%d looks in 5 hours, want %d to %d", got, c.least, c.most)
					}
				})
			})
		})
	}
}
