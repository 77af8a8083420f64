package agent

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// emptied is an agent that watches a folder of 30 files "d/0" ... in step, of which more than 10 must not be deleted.
type emptied struct {
	*breaker
	began time.Time

	state   sync.Mutex // guards following
	gone    map[string]bool
	added   map[string]bool
	away    bool // the whole folder
	deleted []string
	sent    []string
	slow    map[string]time.Duration // how long a look takes to tell what it has seen, by why it was asked for
}

const (
	emptiedFiles   = 30
	emptiedSettle  = 10 * time.Second
	emptiedLongest = 2 * time.Minute
)

var fileSide = plan.Side{Knowledge: plan.Seen, Entry: entry.Entry{Kind: entry.File, Size: 1}}

func newEmptied(t *testing.T) *emptied {
	e := &emptied{gone: map[string]bool{}, added: map[string]bool{}}
	e.breaker = newBreaker(t, func(job queue.Job) work.Outcome {
		e.state.Lock()
		defer e.state.Unlock()
		switch plan.Action(job.Kind) {
		case plan.DeleteRemote:
			if !e.gone[job.Path] {
				return work.Outcome{Result: work.Stale, Reason: "there again"}
			}
			e.deleted = append(e.deleted, job.Path)
			return work.Outcome{Result: work.Done, Forget: true}
		case plan.Upload:
			e.sent = append(e.sent, fmt.Sprint(job.Path, " after ", time.Since(e.began).Truncate(time.Second)))
			return work.Outcome{Result: work.Done, Base: &plan.Base{Local: fileSide.Entry, Remote: fileSide.Entry}}
		}
		return done
	})
	e.serves, e.longestPutOff = true, emptiedLongest
	e.scan = func(job queue.Job, room int) work.Outcome {
		o := e.look(job, room)
		e.state.Lock()
		took := e.slow[job.Why]
		e.state.Unlock()
		time.Sleep(took)
		return o
	}
	e.adjust = func(cfg *config.Config) {
		up := cfg.Syncs["up"]
		up.Watch, up.Settle, up.MaxDelete = true, emptiedSettle, config.MaxDelete{Count: 10}
		up.Recheck = 24 * time.Hour
	}
	e.update(func(tx *state.Tx) error {
		for i := range emptiedFiles {
			row := state.Baseline{Path: fmt.Sprint("d/", i), Local: fileSide.Entry, Remote: fileSide.Entry, When: e.now()}
			if err := state.PutBaseline(tx, "up", row); err != nil {
				return err
			}
		}
		return state.PutSync(tx, "up", state.SyncState{LastFullScan: e.now(), Identity: identity(breakerConfig(), breakerConfig().Syncs["up"]), Server: "acme"})
	})
	return e
}

// look finds what is gone and what is new, of what is marked or of everything.
func (e *emptied) look(job queue.Job, _ int) work.Outcome {
	e.state.Lock()
	defer e.state.Unlock()
	o := work.Outcome{Job: job, Result: work.Done, Full: job.Kind == work.KindScan, Scan: &scan.Result{}, Progress: &work.Progress{Began: e.now()}}
	known := map[string]*plan.Base{}
	err := e.db.View(func(tx *state.Tx) (err error) {
		if o.Progress.Mark = state.LastMark(tx); job.Kind == work.KindLook {
			if o.Dirty, err = state.DirtyPaths(tx, "up", 0); err != nil {
				return err
			}
		}
		for _, folder := range []string{"d", "other", "log"} {
			rows, err := state.BaselineChildren(tx, "up", folder)
			if err != nil {
				return err
			}
			for _, b := range rows {
				known[b.Path] = &plan.Base{Local: b.Local, Remote: b.Remote}
			}
		}
		return nil
	})
	if err != nil {
		e.t.Error(err)
	}
	totals := &o.Scan.Totals
	*totals = plan.Totals{Direction: plan.Up, Known: len(known), Local: plan.RootFilled, Remote: plan.RootUnseen}
	o.Progress.Known = len(known)
	if job.Kind == work.KindLook && len(o.Dirty) == 0 {
		return o
	}
	if e.away {
		totals.Local = plan.RootMissing
		return o
	}
	if len(e.gone) == emptiedFiles {
		totals.Local = plan.RootEmpty
	}
	marked := func(rel string) bool {
		return job.Kind != work.KindLook || slices.ContainsFunc(o.Dirty, func(m state.Dirty) bool { return m.Path == rel || strings.HasPrefix(rel, m.Path+"/") })
	}
	add := func(item plan.Item, op plan.Op) {
		if marked(op.Path) {
			totals.Count(item, plan.Decision{Op: &op})
			o.Scan.Plan.Ops = append(o.Scan.Plan.Ops, op)
		}
	}
	absent := plan.Side{Knowledge: plan.Seen}
	for _, rel := range slices.Sorted(maps.Keys(known)) {
		if e.gone[rel] {
			remote := plan.Side{Knowledge: plan.Assumed, Entry: fileSide.Entry}
			add(plan.Item{Path: rel, Local: absent, Remote: remote, Base: known[rel]},
				plan.Op{Action: plan.DeleteRemote, Path: rel, Local: absent, Remote: remote, Base: known[rel], Reason: "deleted"})
		}
	}
	for _, rel := range slices.Sorted(maps.Keys(e.added)) {
		if known[rel] == nil {
			add(plan.Item{Path: rel, Local: fileSide, Remote: absent}, plan.Op{Action: plan.Upload, Path: rel, Local: fileSide, Remote: absent, Reason: "new"})
		}
	}
	return o
}

// lose and fill take away and bring back files "d/FIRST" up to but without "d/LAST", and the watch tells of it.
func (e *emptied) lose(first, last int) { e.change(first, last, true) }
func (e *emptied) fill(first, last int) { e.change(first, last, false) }

func (e *emptied) change(first, last int, gone bool) {
	var paths []string
	e.state.Lock()
	for i := first; i < last; i++ {
		rel := fmt.Sprint("d/", i)
		if delete(e.gone, rel); gone {
			e.gone[rel] = true
		}
		paths = append(paths, rel)
	}
	e.state.Unlock()
	e.emit(trigger.Event{Paths: paths, Local: true, Watched: true, Why: "watch"})
}

func (e *emptied) add(rel string) {
	e.state.Lock()
	e.added[rel] = true
	e.state.Unlock()
	e.emit(trigger.Event{Paths: []string{rel}, Local: true, Watched: true, Why: "watch"})
}

// move has the whole folder away, or back.
func (e *emptied) move(away bool) {
	e.state.Lock()
	e.away = away
	e.state.Unlock()
	e.emit(trigger.Event{Local: true, Watched: true, Why: "watch root gone, or back"})
}

func (e *emptied) emit(event trigger.Event) {
	e.t.Helper()
	event.Sync = "up"
	if err := e.d.emit(e.t.Context(), event); err != nil {
		e.t.Fatal(err)
	}
}

// watch runs the agent, from when its first look at everything is over.
func (e *emptied) watch(use func()) {
	e.t.Helper()
	e.run(func() {
		time.Sleep(time.Second)
		e.state.Lock()
		e.began = time.Now()
		e.state.Unlock()
		use()
	})
}

// did says what has been deleted and sent so far.
func (e *emptied) did() (deleted, sent []string) {
	e.state.Lock()
	defer e.state.Unlock()
	return slices.Clone(e.deleted), slices.Clone(e.sent)
}

// until sleeps until so long after the beginning.
func (e *emptied) until(at time.Duration) { time.Sleep(at - time.Since(e.began)) }

// pass is what a person asks for.
func (e *emptied) pass() {
	e.t.Helper()
	e.agent.running.Store(e.d)
	defer e.agent.running.Store(nil)
	if _, err := e.agent.Pass(e.t.Context(), []string{"up"}); err != nil {
		e.t.Error(err)
	}
}

func (e *emptied) status() control.SyncStatus {
	e.t.Helper()
	overview, err := e.agent.Status(e.t.Context(), control.StatusFilter{Syncs: []string{"up"}})
	if err != nil || len(overview.Syncs) != 1 {
		e.t.Fatal(overview, err)
	}
	return overview.Syncs[0]
}

// stop is what status says of what keeps the sync.
func (e *emptied) stop() control.Stop {
	e.t.Helper()
	stop := e.status().Jobs.Stop
	if stop == nil {
		return control.Stop{}
	}
	return *stop
}

func (e *emptied) explain(rel string) string {
	e.t.Helper()
	explained, err := e.agent.Explain(e.t.Context(), "up", rel)
	if err != nil {
		e.t.Fatal(err)
	}
	return explained.Next
}
