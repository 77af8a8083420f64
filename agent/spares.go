package agent

import (
	"context"
	"errors"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

var errNoneToSpare = errors.New("no connection is to spare")

// spares lends a job connections of its server that no other job needs.
func (w *worker) spares() work.Spares {
	return work.Spares{
		Most: w.segments, Idle: w.pool.Spares, Wanted: w.pool.Awaited,
		Get: func(ctx context.Context) (*ftpclient.Conn, func(), error) {
			conn, err := w.pool.Spare(ctx) // never one that has to be waited for: the job would wait for itself
			if conn == nil && err == nil {
				err = errNoneToSpare
			}
			return conn, func() { w.pool.Put(conn) }, err
		},
	}
}

// lender lends connections of a pool that nobody else wants.
type lender struct {
	pool *ftpclient.Addresses
	// idle reports whether no transfers may follow now.
	idle func() bool
}

// lender is for a job that looks at a sync. What it finds is transferred unless it only looks, or that is not the time for it.
func (w *worker) lender(job queue.Job) lender {
	surveys, found := isSurvey(job.New), queue.Job{New: queue.New{Sync: job.Sync, Priority: prioritySmall}}
	return lender{w.pool, func() bool { return surveys || w.stopped != nil && w.stopped(found) }}
}

func (l lender) Spare(ctx context.Context) (scan.Conn, error) {
	conn, err := l.pool.Spare(ctx)
	if conn == nil { // and not an interface that holds nil
		return nil, err
	}
	return conn, nil
}

func (l lender) Awaited() bool { return l.pool.Awaited() }

func (l lender) Learned(conn scan.Conn) { l.pool.Learned(conn.(*ftpclient.Conn)) }

func (l lender) Put(conn scan.Conn) { l.pool.Put(conn.(*ftpclient.Conn)) }

func (l lender) Login() time.Duration {
	cost := l.pool.LoginCost()
	return cost.Turn + cost.Login
}

func (l lender) Wanted(transfers int) int {
	if l.idle() {
		return 0
	}
	return min(transfers, worthLogins(transfers, l.pool.Open(), l.pool.Use().Limit, l.pool.LoginCost(), 0)) - 1
}

func (l lender) Most() int { return l.pool.Use().Limit - 1 }
