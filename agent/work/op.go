package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
)

// source reads the local side as scans do.
func (o *op) source() scan.Local {
	local := scan.NewLocal(o.root, o.env.Sync.Rules)
	if o.env.near != nil {
		return local.By(o.env.near.folder)
	}
	return local
}

// close gives back the local folder.
func (o *op) close() {
	if o.env.near != nil {
		o.env.near.release()
		return
	}
	o.root.Close()
}

// operation wraps what works on the Op of a job's payload.
func operation(do func(ctx context.Context, o *op) Outcome) action {
	return func(ctx context.Context, e Env, job queue.Job) Outcome {
		o, err := newOp(ctx, e, job)
		if err != nil {
			return failed(err)
		}
		defer o.close()
		if reason := o.overruled(); reason != "" {
			return o.leavesNothing(ctx, stale(reason))
		}
		return o.ending(ctx, o.withHooks(ctx, do))
	}
}

// newOp reads what a job is to do, opens the local folder, unless the Env has it, and gets the connection. The caller closes the op.
func newOp(ctx context.Context, e Env, job queue.Job) (*op, error) {
	planned, err := plan.DecodeOp(job.Payload)
	if err != nil {
		return nil, fmt.Errorf("%w: payload: %w", ErrUnknownKind, err)
	}
	planned.Path = job.Path
	if err := errors.Join(inside(planned.Path), inside(planned.From), inside(planned.To)); err != nil {
		return nil, err
	}
	root, err := openLocal(e)
	if err != nil {
		return nil, err
	}
	o := &op{Op: planned, env: e, job: job, root: root, remoteRel: job.Path}
	if NeedsConnection(string(planned.Action)) {
		conn, err := e.Connect(ctx)
		if err != nil {
			o.close()
			return nil, err
		}
		o.conn = conn
		o.remote = scan.Remote{Conn: conn, Root: conn.Absolute(e.Sync.Remote), Follow: e.Sync.followsRemote(), Targets: e.Sync.Rules.Links == plan.LinksPreserve}
	}
	switch planned.Action {
	case plan.Upload, plan.Compare:
		o.remoteRel = e.Sync.remoteName(job.Path, planned.Local.Entry.ModTime)
	case plan.Download: // no sync that does so has a template for names
		o.remoteRel = e.Sync.remoteName(job.Path, planned.Remote.Entry.ModTime)
	}
	if e.Sync.Settle > 0 && (planned.Action == plan.Upload || planned.Action == plan.SetAsideLocal || planned.Action == plan.Compare) {
		o.touched = o.source().LastTouched(job.Path)
	}
	return o, nil
}

// ending adds to the outcome of an operation what it says of all, and takes back what nobody goes on with.
func (o *op) ending(ctx context.Context, outcome Outcome) Outcome {
	if outcome.Result != Done && o.env.Dropped != nil && o.env.Dropped() {
		o.takeBack(steady(ctx))
	}
	outcome.Final = o.about()
	outcome.Replan = outcome.Replan || o.Replan && outcome.Result == Done
	if o.From != "" && outcome.Result == Done && outcome.Moved == "" {
		outcome.Also = append(outcome.Also, o.From) // it is there under its new name, and may go under the old one
	}
	return outcome
}

// op is one planned operation with everything it needs.
type op struct {
	plan.Op
	env    Env
	job    queue.Job
	root   *os.Root
	conn   *ftpclient.Conn
	remote scan.Remote
	// remoteRel is the path that the operation is about on the server, relative to the root of the sync. It is made once: there
	// may be the time of day in it.
	remoteRel string
	full      string // the absolute path for it, once target has made it
	// touched is when the local file was touched last in any way, before a hook could do so; zero: nobody knows, or waits for a quiet time.
	touched time.Time
	// gone is where the source was moved to after its transfer, relative to the root of its side.
	gone string
	// growth, if not nil: the file is one that only ever grows.
	growth *growth
	// half: this attempt has put a part of the file under its final name. onlyCopy: it has deleted the old file on the server, and the
	// new one could not be renamed.
	half, onlyCopy bool
}

// about is the name that the operation is about, on the side that it changes.
func (o *op) about() string {
	switch o.Action {
	case plan.Download, plan.MakeLocalDir, plan.DeleteLocal, plan.SetAsideLocal, plan.LinkLocal, plan.MoveLocal:
		return filepath.Join(o.env.Sync.Local, filepath.FromSlash(o.Path))
	}
	return o.target()
}

// reconnect goes on with a new connection where cause has ended the last one, and what became of
// its last command can be asked for.
func (o *op) reconnect(ctx context.Context, cause error) error {
	conn, err := o.env.Connect(ctx)
	if err != nil {
		return fmt.Errorf("after %v: %w", cause, err)
	}
	o.env.Logger.Info("reply lost, asking on a new connection", "path", o.Path, "error", cause)
	o.conn, o.remote.Conn = conn, conn
	return nil
}

// keepsNames finds out whether the server keeps all of the path's names. Under another name a
// file would be missing and be sent again for ever, and might replace another one.
func (o *op) keepsNames(ctx context.Context) error {
	for name := range strings.SplitSeq(o.remoteRel, "/") {
		if err := o.conn.KeepsName(ctx, o.remote.Root, name); err != nil {
			return err
		}
	}
	return nil
}

// openLocal opens the sync's folder. It is made if it may be a target and nothing was ever put
// in; a folder that was filled before and is gone now may be an unmounted disk.
func openLocal(e Env) (*os.Root, error) {
	if e.near != nil {
		e.near.users++
		return e.near.root, nil
	}
	root, err := os.OpenRoot(e.Sync.Local)
	if errors.Is(err, fs.ErrNotExist) && e.Sync.Rules.Direction != plan.Up {
		known, countErr := e.State.Count()
		if countErr != nil {
			return nil, countErr
		}
		if known == 0 {
			if err := os.MkdirAll(e.Sync.Local, 0o777); err != nil {
				return nil, fmt.Errorf("make local folder: %w", err)
			}
			root, err = os.OpenRoot(e.Sync.Local)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("local folder: %w", err)
	}
	return root, nil
}

// retried reports whether an earlier attempt may have left a temporary file behind.
func (o *op) retried() bool { return o.job.Claims > 1 }
