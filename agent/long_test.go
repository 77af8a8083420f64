package agent

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/agent/control"
	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/trigger"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

var errFileBusy = &ftpclient.Error{Op: "store", Command: "STOR", Code: 450, Text: "File busy"}

// long is an agent whose scan of "up" finds deletions and then more uploads than there is room for. Nothing gets
// through before it is open, so that the scan has to wait in the middle, with the deletions staged. Later scans find what
// is not done yet.
type long struct {
	*breaker
	open atomic.Bool
	mu   sync.Mutex // guards following
	all  []plan.Op
	look []plan.Op              // what a look finds
	saw  map[queue.ID][]plan.Op // what was there when a scan began: later changes are behind it
	did  map[string]int
	said []said
}

// said is a part of a scan: how far that had come, -1 for the end.
type said struct {
	at   time.Time
	kind string
	to   int
}

const (
	longBound   = 40
	longPart    = longBound / 5 // of a scan
	longDeletes = 10
	longUploads = 54
)

func newLong(t *testing.T) *long {
	l := &long{did: map[string]int{}, saw: map[queue.ID][]plan.Op{}}
	l.breaker = newBreaker(t, func(job queue.Job) work.Outcome {
		if !isScanning(job.Kind) {
			if !l.open.Load() {
				return work.Outcome{Err: errFileBusy}
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			l.did[job.Path]++
		}
		return done
	})
	l.bound = longBound
	l.all = append(opsOf(plan.DeleteRemote, "x", longDeletes), opsOf(plan.Upload, "u", longUploads)...)
	l.walk = func(job queue.Job) (ops []plan.Op) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if _, ok := l.saw[job.ID]; !ok {
			l.saw[job.ID] = map[string][]plan.Op{work.KindScan: l.all, work.KindLook: l.look}[job.Kind]
		}
		for _, op := range l.saw[job.ID] {
			if l.did[op.Path] > 0 {
				op = plan.Op{} // in step
			}
			ops = append(ops, op)
		}
		return ops
	}
	l.each = l.note
	l.enqueue(work.KindScan, "up", l.now(), "")
	return l
}

func placeOf(part *work.Outcome) int {
	if c := part.Progress.Cursor; c != nil {
		return c.Looked
	}
	return -1
}

func (l *long) note(part *work.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = append(l.said, said{time.Now(), part.Job.Kind, placeOf(part)})
}

// once calls do with the first part of a scan or look that has come to a place, before it is handed over.
func (l *long) once(kind string, place int, do func(part *work.Outcome)) {
	var over atomic.Bool
	l.each = func(part *work.Outcome) {
		l.note(part)
		if part.Job.Kind == kind && placeOf(part) == place && over.CompareAndSwap(false, true) {
			do(part)
		}
	}
}

func (l *long) parts(since time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.said {
		if !s.at.Before(since) {
			n++
		}
	}
	return n
}

// begun are the places at which the full scans since then have begun, in order; those that only release are left out.
func (l *long) begun(since time.Time) (places []int) {
	for _, try := range l.between(since, time.Now().Add(time.Hour), "up") {
		if p := progressOf(try.job); try.job.Kind == work.KindScan && !p.Release {
			at := 0
			if p.Cursor != nil {
				at = p.Cursor.Looked
			}
			places = append(places, at)
		}
	}
	return places
}

func (l *long) scanJob() (job queue.Job, ok bool) {
	l.t.Helper()
	err := l.db.View(func(tx *state.Tx) (err error) {
		job, ok, err = queue.Lookup(tx, work.KindScan, "up", "")
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return job, ok
}

// mustWait: the scan waits in the middle, at that place at least, and what it has staged is there once.
func (l *long) mustWait(place int) {
	l.t.Helper()
	job, ok := l.scanJob()
	p := progressOf(job)
	if !ok || job.State == queue.Running || job.State == queue.Dead || p.Cursor == nil || p.Cursor.Looked < place {
		l.t.Errorf("the scan does not wait in the middle: %+v", job)
	}
	if n := l.staged(); n != longDeletes || p.Found.Staged != n {
		l.t.Errorf("%d operations are staged, want %d; counted are %d", n, longDeletes, p.Found.Staged)
	}
}

// mustFinish opens the way: everything is done, at most so often, and nothing is left. What is under way when another scan
// begins may be done twice, since these jobs do not look whether they have to.
func (l *long) mustFinish(most int) {
	l.t.Helper()
	l.open.Store(true)
	time.Sleep(2 * queue.MostDelay)
	if got := l.counts("up"); got != (queue.Counts{}) || l.staged() > 0 {
		l.t.Errorf("left: %+v, %d staged", got, l.staged())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, op := range l.all {
		if n := l.did[op.Path]; n < 1 || n > most {
			l.t.Errorf("%s of %s was done %d times", op.Action, op.Path, l.did[op.Path])
		}
	}
}

func (l *long) approve() {
	l.t.Helper()
	if err := l.agent.Approve(l.t.Context(), control.ApproveRequest{Syncs: []string{"up"}}); err != nil {
		l.t.Fatal(err)
	}
}

func (l *long) event(path string) {
	if err := l.d.emit(l.t.Context(), trigger.Event{Sync: "up", Paths: []string{path}, Why: "event"}); err != nil {
		l.t.Error(err)
	}
}

func (l *long) halt() (row state.SyncState) {
	l.t.Helper()
	err := l.db.View(func(tx *state.Tx) (err error) {
		row, err = state.GetSync(tx, "up")
		return err
	})
	if err != nil {
		l.t.Fatal(err)
	}
	return row
}

func (b *breaker) marks() (marks []state.Dirty) {
	b.t.Helper()
	err := b.db.View(func(tx *state.Tx) (err error) {
		marks, err = state.DirtyPaths(tx, "up", 0)
		return err
	})
	if err != nil {
		b.t.Error(err)
	}
	return marks
}
