package agent

import (
	"context"

	"github.com/ftpferry/ftpferry/agent/work"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// spares lends a job connections of its server that no other job needs.
func (w *worker) spares() work.Spares {
	return work.Spares{
		Most: w.segments, Idle: w.pool.Spare, Wanted: w.pool.Wanted,
		Get: func(ctx context.Context) (*ftpclient.Conn, func(), error) {
			conn, err := w.pool.Get(ctx)
			return conn, func() { w.pool.Put(conn) }, err
		},
	}
}
