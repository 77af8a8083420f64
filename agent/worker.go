package agent

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// assignment is a stream of jobs for one worker, to be done in order.
type assignment struct {
	server string
	jobs   []queue.Job
	// room is how many operations the scan among the jobs may find until it is told more.
	room int
	// syncs are those of the configuration that is in force; nil: those of the worker.
	syncs map[string]work.Sync
}

// report is what a worker says about one job.
type report struct {
	work.Outcome
	// reached: the job has used a connection, which still works.
	reached bool
	// partial: the job goes on when answer has brought it, once this is committed, the room that
	// it has then; 0 ends it. answer takes one value without anybody waiting.
	partial bool
	answer  chan<- int
}

// worker carries out jobs for one server, on a connection that it has for one assignment.
type worker struct {
	pool   *ftpclient.Addresses
	syncs  map[string]work.Sync
	db     *state.DB
	logger *slog.Logger
	// segments is how many connections one download may use.
	segments int
	// stopped, if not nil, reports whether nothing of a sync is to be begun.
	stopped func(sync string) bool
	// dropped, if not nil, reports whether a job is to be gone.
	dropped func(id queue.ID) bool

	conn *ftpclient.Conn // nil until the assignment needs it
	used bool            // the job at hand asked for the connection

	current atomic.Pointer[underway] // the job at hand, for other goroutines; nil if there is none
}

// run works until jobs is closed. ctx breaks off what is under way; after begin nothing more
// is begun. Every job of every assignment is reported, and parts of scans before; reports never blocks for long.
func (w *worker) run(ctx, begin context.Context, jobs <-chan assignment, reports chan<- report) {
	for a := range jobs {
		w.do(ctx, begin, a, reports)
	}
}

func (w *worker) do(ctx, begin context.Context, a assignment, reports chan<- report) {
	if a.syncs != nil {
		w.syncs = a.syncs
	}
	var unavailable, full error
	for i, job := range a.jobs {
		r := report{}
		w.used = false
		switch {
		case ctx.Err() != nil || begin.Err() != nil:
			r.Outcome = work.Outcome{Job: job, Err: context.Canceled}
		case unavailable != nil:
			r.Outcome = work.Outcome{Job: job, Err: unavailable}
		case full != nil && isTransfer(job.Kind):
			r.Outcome = work.Outcome{Job: job, Err: full}
		default:
			r.Outcome = w.carryOut(ctx, begin, a, job, reports)
		}
		switch classify(r.Err) {
		case ftpclient.ClassUnavailable, ftpclient.ClassAuthentication, ftpclient.ClassBusy, ftpclient.ClassSetup:
			unavailable = r.Err // the rest of the stream would meet the same
		case ftpclient.ClassLater:
			if isTransfer(job.Kind) {
				full = r.Err
			}
		}
		r.reached = w.used && w.conn != nil && w.conn.Usable()
		if i == len(a.jobs)-1 {
			w.release() // first: the pool knows by then what was learned
		}
		reports <- r
	}
}

// carryOut does one job, unless its sync is stopped or it is to be gone.
func (w *worker) carryOut(ctx, begin context.Context, a assignment, job queue.Job, reports chan<- report) work.Outcome {
	ctx, cancel := work.Interruptible(ctx)
	defer cancel(nil)
	now := &underway{job: job, cancel: cancel}
	w.current.Store(now)
	defer w.current.Store(nil)
	if w.stopped != nil && w.stopped(job.Sync) { // asked behind the Store: who stops a sync, or drops a job, and then breaks off what is under way misses none
		return work.Outcome{Job: job, Err: suspended{}}
	}
	isDropped := func() bool { return w.dropped != nil && w.dropped(job.ID) }
	if isDropped() {
		return work.Outcome{Job: job, Err: dropped{}}
	}
	env := w.env(begin, job)
	env.Dropped = isDropped
	env.Room, env.Flush, env.Live = a.room, w.flush(job, reports), &now.live
	o := work.Do(ctx, env, job)
	if cause := context.Cause(ctx); o.Err != nil && cause != nil && !errors.Is(o.Err, cause) {
		o.Err = errors.Join(cause, o.Err)
	}
	return o
}

func (w *worker) env(begin context.Context, job queue.Job) work.Env {
	return work.Env{
		Sync: w.syncs[job.Sync],
		Connect: func(ctx context.Context) (*ftpclient.Conn, error) {
			if !w.used { // a job without a connection is not begun: the wait for one ends with begin
				waiting, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				defer context.AfterFunc(begin, func() { cancel(context.Canceled) })()
				ctx = waiting
			}
			w.used = true
			return w.connect(ctx)
		},
		Spares:   w.spares(),
		State:    reader{w.db, job.Sync},
		Instance: w.db.Instance(),
		Logger:   w.logger,
	}
}

// flush returns what hands over a part of a scan and waits until it is committed. It ends with its
// context, which is broken off when nobody commits any more.
func (w *worker) flush(job queue.Job, reports chan<- report) func(context.Context, work.Outcome) (int, error) {
	return func(ctx context.Context, part work.Outcome) (int, error) {
		answer := make(chan int, 1)
		part.Job, part.Result = job, work.Done
		r := report{Outcome: part, reached: w.used && w.conn != nil && w.conn.Usable(), partial: true, answer: answer}
		select {
		case reports <- r:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
		select {
		case room := <-answer:
			return room, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

func (w *worker) connect(ctx context.Context) (_ *ftpclient.Conn, err error) {
	if w.conn == nil || !w.conn.Usable() {
		w.release()
		w.conn, err = w.pool.Get(ctx)
	}
	return w.conn, err
}

func (w *worker) release() {
	if w.conn != nil {
		w.pool.Put(w.conn)
		w.conn = nil
	}
}
