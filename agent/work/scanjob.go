package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state"
)

// runScan looks at the whole tree (KindScan) or at the dirty paths (KindLook).
func runScan(ctx context.Context, e Env, job queue.Job) Outcome {
	full := job.Kind == KindScan
	dirty, err := e.State.Dirty()
	if err != nil {
		return failed(err)
	}
	if !full && len(dirty) == 0 {
		return Outcome{Result: Done, Scan: &scan.Result{}}
	}
	result, err := Scan(ctx, e, full, dirty)
	if err != nil {
		return failed(err)
	}
	return Outcome{Result: Done, Scan: result, Full: full, Dirty: dirty}
}

// Scan looks at a sync and plans, and changes nothing anywhere. Unless full, only the dirty
// paths are looked at, and the far side only if one of them asks for it.
func Scan(ctx context.Context, e Env, full bool, dirty []state.Dirty) (*scan.Result, error) {
	known, err := e.State.Count()
	if err != nil {
		return nil, err
	}
	request := scan.Request{
		Rules: e.Sync.Rules, Filter: e.Sync.Filter, Marker: e.Sync.Marker, Known: known,
		Children: e.State.Children, At: e.State.At, Intents: e.State.Intents,
		Orphan: func(instance string, job uint64, attempt int) bool {
			return instance == e.Instance && !e.State.Live(job, attempt)
		},
	}
	root, err := os.OpenRoot(e.Sync.Local)
	if err == nil {
		defer root.Close()
		request.Local = root
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("local folder: %w", err)
	}
	look := full
	if !full {
		for _, d := range dirty {
			request.Paths = append(request.Paths, d.Path)
			look = look || d.Remote
		}
	}
	if look {
		conn, err := e.Connect(ctx)
		if err != nil {
			return nil, err
		}
		request.Remote = &scan.Remote{Conn: conn, Root: conn.Absolute(e.Sync.Remote)}
	}
	return scan.Run(ctx, request)
}
