package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// part is how many operations a scan of walk hands over at a time.
const part = 25

// parts does what work.Do does for a scan that finds what walk says; an empty operation is what is in step.
func (b *breaker) parts(job queue.Job, room int) work.Outcome {
	p := work.Progress{Began: b.now(), Mark: b.lastMark(), Known: 1_000_000}
	if len(job.Progress) > 0 {
		if err := json.Unmarshal(job.Progress, &p); err != nil {
			b.t.Error(err)
		}
	}
	totals := plan.Totals{Direction: plan.Up, Known: p.Known, Local: plan.RootFilled, Remote: plan.RootFilled}
	o := work.Outcome{Job: job, Result: work.Done, Full: job.Kind == work.KindScan, Progress: &p, Scan: &scan.Result{Totals: totals}}
	if p.Release {
		return o
	}
	at := 0
	if p.Cursor != nil {
		at, totals = p.Cursor.Looked, p.Cursor.Totals
	}
	if job.Kind == work.KindLook {
		if err := b.db.View(func(tx *state.Tx) (err error) { o.Dirty, err = state.DirtyPaths(tx, job.Sync, 0); return err }); err != nil {
			b.t.Error(err)
		}
	}
	ops := b.walk(job)
	for {
		n := min(room, part, len(ops)-at)
		found := slices.DeleteFunc(slices.Clone(ops[at:at+n]), func(op plan.Op) bool { return op.Action == "" })
		for _, op := range found {
			totals.Count(plan.Item{Path: op.Path}, plan.Decision{Op: &op})
		}
		o.Scan = &scan.Result{Totals: totals, Plan: plan.Plan{Ops: found}}
		at += n
		p.Cursor = &scan.Cursor{Looked: at, Totals: totals}
		switch {
		case at == len(ops):
			p.Cursor = nil
			return b.say(o)
		case n == 0:
			return b.say(o)
		}
		answer, flushed := make(chan int, 1), p
		handed := o
		handed.Progress = &flushed
		if handed = b.say(handed); handed.Err != nil {
			return handed
		}
		b.d.reports <- report{partial: true, answer: answer, reached: true, Outcome: handed}
		room = <-answer
		o.Scan = &scan.Result{Totals: totals}
		if room == 0 {
			return b.say(o)
		}
		time.Sleep(jobTakes)
	}
}

// say lets a part be changed before it is handed over.
func (b *breaker) say(part work.Outcome) work.Outcome {
	if b.each != nil {
		b.each(&part)
	}
	if part.Err != nil {
		part.Result = work.Failed
	}
	return part
}

func (b *breaker) lastMark() (mark uint64) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) error { mark = state.LastMark(tx); return nil })
	if err != nil {
		b.t.Error(err)
	}
	return mark
}

func opsOf(action plan.Action, prefix string, n int) (ops []plan.Op) {
	for _, path := range paths(prefix, n) {
		op := plan.Op{Action: action, Path: path}
		if side := (plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 10}}); action.Deletes() {
			op.Remote = side
		} else {
			op.Local = side
		}
		ops = append(ops, op)
	}
	return ops
}

// staged counts what is staged in the state.
func (b *breaker) staged() (rows int) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) error {
		return tx.Table("staged").Scan(nil, nil, func(_, _ []byte) (bool, error) { rows++; return true, nil })
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

// most is the highest number of open jobs of a sync, looked at every few seconds for a time.
func (b *breaker) most(sync string, during time.Duration) (most int) {
	for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(20 * time.Second) {
		c := b.counts(sync)
		most = max(most, c.Due+c.Waiting+c.Running)
	}
	return most
}

// TestAFullServerIsEmptied: the deletions that make room are found and done although the transfers that wait for it fill the
// queue, and then all the rest is done.
func TestAFullServerIsEmptied(t *testing.T) {
	t.Parallel()
	for sentence, deletions := range map[string]int{
		"a few deletions, behind more transfers than there is room for": 20,
		"more deletions than there is room for":                         90,
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				left, sent := map[string]bool{}, map[string]bool{}
				b := newBreaker(t, func(job queue.Job) work.Outcome {
					mu.Lock()
					defer mu.Unlock()
					if job.Kind == string(plan.Upload) && len(left) > deletions/2 {
						return work.Outcome{Err: errQuota}
					}
					delete(left, job.Path)
					sent[job.Path] = true
					return done
				})
				all := append(opsOf(plan.Upload, "u", 150), opsOf(plan.DeleteRemote, "x", deletions)...)
				for _, op := range all[150:] {
					left[op.Path] = true
				}
				b.walk = func(queue.Job) (ops []plan.Op) {
					mu.Lock()
					defer mu.Unlock()
					for _, op := range all {
						if sent[op.Path] {
							op = plan.Op{} // in step
						}
						ops = append(ops, op)
					}
					return ops
				}
				b.bound = 60
				b.enqueue(work.KindScan, "up", b.now(), "")
				b.run(func() {
					if most := b.most("up", 90*time.Minute); most > b.bound || most < b.bound*4/5 {
						t.Errorf("%d jobs were open at a time", most)
					}
				})
				if got := b.counts("up"); got != (queue.Counts{}) || len(left) > 0 || b.staged() > 0 {
					t.Errorf("left: %+v, %d deletions, %d staged", got, len(left), b.staged())
				}
				if len(sent) < len(all) {
					t.Errorf("%d of %d done", len(sent), len(all))
				}
			})
		})
	}
}

// TestWhatChangesNowDoesNotWaitForWhatFails: a look has room when all that a scan has found fails.
func TestWhatChangesNowDoesNotWaitForWhatFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == string(plan.Upload) && job.Path[0] == 'u' {
				return work.Outcome{Err: &ftpclient.Error{Op: "store", Command: "STOR", Code: 450, Text: "File busy"}}
			}
			return done
		})
		b.bound = 120 // which keeps room for three
		b.walk = func(job queue.Job) []plan.Op {
			if job.Kind == work.KindScan {
				return opsOf(plan.Upload, "u", 150)
			}
			return opsOf(plan.Upload, "edited", 3)
		}
		b.enqueue(work.KindScan, "up", b.now(), "")
		b.run(func() {
			if most := b.most("up", 3*time.Minute); most > b.bound || most < b.bound*4/5 {
				t.Errorf("%d jobs were open at a time", most)
			}
			edited := time.Now()
			if err := b.d.emit(t.Context(), trigger.Event{Sync: "up", Paths: []string{"edited0"}, Why: "event"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Second)
			n := 0
			for _, try := range b.between(edited, time.Now(), "up") {
				if try.out.Result == work.Done && try.job.Kind == string(plan.Upload) {
					n++
				}
			}
			if n != 3 {
				t.Errorf("%d of 3 edited files are there", n)
			}
		})
	})
}

// TestADroppedScanLeavesNothingStaged, in an agent that goes on without it.
func TestADroppedScanLeavesNothingStaged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(job queue.Job) work.Outcome {
			if job.Kind == string(plan.Upload) {
				return work.Outcome{Err: &ftpclient.Error{Op: "store", Command: "STOR", Code: 450, Text: "File busy"}}
			}
			return done
		})
		b.bound = 60
		b.walk = func(queue.Job) []plan.Op {
			return append(opsOf(plan.DeleteRemote, "x", 30), opsOf(plan.Upload, "u", 150)...)
		}
		b.enqueue(work.KindScan, "up", b.now(), "")
		b.run(func() { time.Sleep(time.Minute) })
		if n := b.staged(); n != 30 {
			t.Errorf("%d operations are staged in the middle of the scan", n)
		}
		changed, err := b.agent.DropJobs(t.Context(), control.JobFilter{Kind: work.KindScan})
		if n := b.staged(); changed.Jobs != 1 || err != nil || n != 0 {
			t.Errorf("%+v, %v; %d operations are staged", changed, err, n)
		}
	})
}

// ninetyDays makes a history of a row a day.
func (b *breaker) ninetyDays() {
	b.t.Helper()
	b.update(func(tx *state.Tx) error {
		for day := range 90 {
			if err := state.AppendHistory(tx, state.History{When: b.now().AddDate(0, 0, -day), Path: fmt.Sprint(day)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// history returns all rows, the oldest first.
func (b *breaker) history() (rows []state.History) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) (err error) {
		rows, _, err = state.ReadHistory(tx, state.HistoryFilter{}, "", 0)
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return rows
}

// TestTheHistoryIsBounded by what is configured, the oldest rows going first.
func TestTheHistoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		rows int
		keep time.Duration
		left int
	}{
		{"by number", 20, 0, 20},
		{"by age", 0, 30*24*time.Hour + time.Minute, 28}, // those of the three days that the agent runs are missing
		{"by both", 5, 30 * 24 * time.Hour, 5},
		{"by neither", 0, 0, 90},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, func(queue.Job) work.Outcome { return done })
				b.rows, b.keep = test.rows, test.keep
				b.ninetyDays()
				b.run(func() { time.Sleep(3 * 24 * time.Hour) })
				rows := b.history()
				if len(rows) != test.left || rows[len(rows)-1].Path != "0" {
					t.Errorf("%d rows are left, the last of day %s, want %d and day 0", len(rows), rows[len(rows)-1].Path, test.left)
				}
			})
		})
	}
}

// TestAClockThatIsAheadKeepsTheHistory, but for a day of it.
func TestAClockThatIsAheadKeepsTheHistory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, func(queue.Job) work.Outcome { return done })
		b.ninetyDays()
		rows := func() int { return len(b.history()) }
		b.keep = 90 * 24 * time.Hour
		b.run(func() {
			b.step.Store(int64(5 * 365 * 24 * time.Hour))
			time.Sleep(2 * time.Hour)
			if n := rows(); n < 85 || n == 90 {
				t.Errorf("%d of 90 rows are left after two hours", n)
			}
			b.step.Store(int64(30 * 24 * time.Hour))
			time.Sleep(5 * 24 * time.Hour)
			if n := rows(); n < 50 || n > 60 {
				t.Errorf("%d rows are left of the last 90 days, 30 of them without any", n)
			}
		})
	})
}
