package agent

import (
	"context"
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
	// more: there are more jobs to be done than these.
	more bool
	// behind is the worker that gets them while it has others to do; nil: one that has none.
	behind *seat
	// syncs are those of the configuration that is in force; nil: those of the worker.
	syncs map[string]work.Sync
	turn  *turn // for a connection
}

// report is what a worker says about one job.
type report struct {
	work.Outcome
	// reached: the job has used a connection, which still works.
	reached bool
	// unbegun: nothing was done for the job, not even asked of its server.
	unbegun bool
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
	// stopped, if not nil, reports whether a job is not to be begun now.
	stopped func(job queue.Job) bool
	// dropped, if not nil, reports whether a job is to be gone.
	dropped func(id queue.ID) bool

	conn  *ftpclient.Conn // nil until the assignment needs it
	turn  *turn           // of the jobs at hand, nil once it was taken
	hand  queue.ID        // the job at hand
	used  bool            // it asked for the connection
	begun bool            // it has all that it needs, and may have done something

	current atomic.Pointer[underway] // the job at hand, for other goroutines; nil if there is none
}

// run works until jobs is closed. ctx breaks off what is under way; after begin nothing more
// is begun. Every job of every assignment is reported, and parts of scans before; reports never blocks for long.
func (w *worker) run(ctx, begin context.Context, jobs <-chan assignment, reports chan<- report) {
	for a := range jobs {
		w.do(ctx, begin, a, jobs, reports)
	}
}

// do carries out an assignment, and those that have come behind it when it ends, as one stream.
func (w *worker) do(ctx, begin context.Context, a assignment, jobs <-chan assignment, reports chan<- report) {
	var unavailable, full error
	left := 0
	tell := func(o work.Outcome) {
		switch classify(o.Err) {
		case ftpclient.ClassUnavailable, ftpclient.ClassAuthentication, ftpclient.ClassBusy, ftpclient.ClassSetup:
			unavailable = o.Err // the rest of the stream would meet the same
		case ftpclient.ClassLater:
			if isTransfer(o.Job.Kind) {
				full = o.Err
			}
		}
		// What is told of another job than the one at hand has waited for its end, on the connection.
		others := o.Job.ID != w.hand
		r := report{Outcome: o, reached: (w.used || others) && w.conn != nil && w.conn.Usable(), unbegun: !w.begun && !others}
		if left--; left == 0 {
			w.release() // first: the pool knows by then what was learned
		}
		reports <- r
	}
	defer func() { w.turn.pass() }() // also if it had no need of a connection
	stream := work.NewStream(tell)
	for follows := true; follows; a, follows = following(jobs) {
		if left += len(a.jobs); a.syncs != nil {
			w.syncs = a.syncs
			stream.Reconfigured()
		}
		if a.behind == nil { // handed out after all others were told
			unavailable, full = nil, nil
			w.turn.pass()
			w.turn = a.turn
		}
		for i, job := range a.jobs {
			w.hand, w.used, w.begun = job.ID, false, false
			switch {
			case ctx.Err() != nil || begin.Err() != nil:
				tell(work.Outcome{Job: job, Err: context.Canceled})
			case unavailable != nil:
				tell(work.Outcome{Job: job, Err: unavailable})
			case full != nil && isTransfer(job.Kind):
				tell(work.Outcome{Job: job, Err: full})
			default:
				w.carryOut(ctx, begin, a, i, stream, tell, reports)
			}
		}
	}
	w.hand, w.used = 0, true // what waits has begun, and may have another connection
	stream.End()
}

// following is an assignment that is there already.
func following(jobs <-chan assignment) (a assignment, ok bool) {
	select {
	case a, ok = <-jobs:
	default:
	}
	return a, ok
}

// carryOut does one job of an assignment, unless its sync is stopped or it is to be gone. What comes of it is told now or, of what goes on in the
// stream, later.
func (w *worker) carryOut(ctx, begin context.Context, a assignment, i int, stream *work.Stream, tell func(work.Outcome), reports chan<- report) {
	job := a.jobs[i]
	ctx, cancel := work.Interruptible(ctx)
	defer cancel(nil)
	now := &underway{job: job, live: new(work.Live), cancel: cancel}
	w.current.Store(now)
	defer w.current.Store(nil)
	if w.stopped != nil && w.stopped(job) { // asked behind the Store: who stops a sync, or drops a job, and then breaks off what is under way misses none
		tell(work.Outcome{Job: job, Err: suspended{}})
		return
	}
	id := job.ID // so that the job is not copied for the closure
	isDropped := func() bool { return w.dropped != nil && w.dropped(id) }
	if isDropped() {
		tell(work.Outcome{Job: job, Err: dropped{}})
		return
	}
	env := w.env(begin, job)
	env.Dropped = isDropped
	env.Room, env.Flush, env.Live = a.room, w.flush(&now.job, reports), now.live
	more := a.more // most likely of the same kind, and soon enough for the data connection that is ready then
	if i+1 < len(a.jobs) {
		more = work.IsStreamed(w.syncs[a.jobs[i+1].Sync], a.jobs[i+1])
	}
	w.begun = !work.NeedsConnection(job.Kind)
	stream.Do(ctx, env, job, more)
}

func (w *worker) env(begin context.Context, job queue.Job) work.Env {
	env := work.Env{
		Sync: w.syncs[job.Sync],
		Connect: func(ctx context.Context) (*ftpclient.Conn, error) {
			if w.conn != nil && w.conn.Usable() {
				w.used, w.begun = true, true
				return w.conn, nil
			}
			if !w.used { // a job without a connection is not begun: the wait for one ends with begin
				waiting, cancel := context.WithCancelCause(ctx)
				defer cancel(nil)
				defer context.AfterFunc(begin, func() { cancel(context.Canceled) })()
				ctx = waiting
			}
			w.used = true
			conn, err := w.connect(ctx)
			w.begun = w.begun || err == nil
			return conn, err
		},
		Spares:   w.spares(),
		State:    reader{w.db, job.Sync},
		Instance: w.db.Instance(),
		Logger:   w.logger,
	}
	if isScanning(job.Kind) {
		env.Lender = w.lender(job)
	}
	return env
}

// flush returns what hands over a part of a scan and waits until it is committed. It ends with its
// context, which is broken off when nobody commits any more.
func (w *worker) flush(job *queue.Job, reports chan<- report) func(context.Context, work.Outcome) (int, error) {
	return func(ctx context.Context, part work.Outcome) (int, error) {
		answer := make(chan int, 1)
		part.Job, part.Result = *job, work.Done
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
		w.turn.wait(ctx)
		w.turn.pass()
		w.turn = nil
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
