package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// idleConnection is how long a worker keeps a connection without work.
const idleConnection = 30 * time.Second

// assignment is a stream of jobs for one worker, to be done in order.
type assignment struct {
	server string
	jobs   []queue.Job
	facts  ftpclient.Facts
}

// report is what a worker says about one job, and about the server as it knows it by then.
type report struct {
	work.Outcome
	// learned is what the job's connections found out, those included that died of it: that a
	// server cannot stand a command is learned exactly then.
	learned lesson
	// connected: the worker has a connection that works; reached: the job has used it.
	connected, reached bool
}

// worker carries out jobs for one server on at most one connection.
type worker struct {
	server *config.Server
	syncs  map[string]work.Sync
	db     *state.DB
	logger *slog.Logger

	conn  *ftpclient.Conn
	used  bool            // the job at hand asked for the connection
	seen  ftpclient.Facts // of conn, when it was last asked
	facts ftpclient.Facts // for the next connection
}

// run works until jobs is closed. ctx breaks off what is under way; after begin nothing more
// is begun. Every job of every assignment is reported; reports never blocks for long.
func (w *worker) run(ctx, begin context.Context, jobs <-chan assignment, reports chan<- report) {
	defer w.disconnect()
	idle := time.NewTimer(idleConnection)
	defer idle.Stop()
	for {
		select {
		case <-idle.C:
			w.disconnect()
		case a, ok := <-jobs:
			if !ok {
				return
			}
			w.facts = a.facts
			w.do(ctx, begin, a, reports)
			idle.Reset(idleConnection)
		}
	}
}

func (w *worker) do(ctx, begin context.Context, a assignment, reports chan<- report) {
	var unavailable error
	for _, job := range a.jobs {
		r := report{}
		w.used = false
		before := w.facts
		switch {
		case ctx.Err() != nil || begin.Err() != nil:
			r.Outcome = work.Outcome{Job: job, Err: context.Canceled}
		case unavailable != nil:
			r.Outcome = work.Outcome{Job: job, Err: unavailable}
		default:
			r.Outcome = work.Do(ctx, w.env(job), job)
		}
		if r.Err != nil && ctx.Err() != nil {
			r.Err = errors.Join(context.Canceled, r.Err)
		}
		switch classify(r.Err) {
		case ftpclient.ClassUnavailable, ftpclient.ClassAuthentication, ftpclient.ClassBusy, ftpclient.ClassSetup:
			unavailable = r.Err // the rest of the stream would meet the same
		}
		w.learn()
		r.learned = lesson{before, w.facts}
		r.connected = w.conn != nil && w.conn.Usable()
		r.reached = w.used && r.connected
		reports <- r
	}
}

func (w *worker) env(job queue.Job) work.Env {
	logger := w.logger.With("server", w.server.Name)
	return work.Env{
		Sync: w.syncs[job.Sync],
		Connect: func(ctx context.Context) (*ftpclient.Conn, error) {
			w.used = true
			return w.connect(ctx, logger)
		},
		State:    reader{w.db, job.Sync},
		Instance: w.db.Instance(),
		Logger:   logger,
	}
}

func (w *worker) connect(ctx context.Context, logger *slog.Logger) (*ftpclient.Conn, error) {
	if w.conn != nil && w.conn.Usable() {
		return w.conn, nil
	}
	w.disconnect()
	conn, err := ftpclient.Dial(ctx, w.server.Address, clientOptions(w.server, w.facts, logger))
	if err != nil {
		return nil, err
	}
	w.conn, w.seen = conn, w.facts
	return conn, nil
}

// learn takes over what the connection, alive or dead, found out since the last time.
func (w *worker) learn() {
	if w.conn != nil {
		facts := w.conn.Facts()
		w.facts, w.seen = lesson{w.seen, facts}.addTo(w.facts), facts
	}
}

func (w *worker) disconnect() {
	if w.conn != nil {
		w.learn()
		w.conn.Close()
		w.conn = nil
	}
}
