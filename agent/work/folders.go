package work

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/queue"
	"github.com/ftpferry/ftpferry/state/entry"
)

var folderBase = plan.Base{Local: entry.Entry{Kind: entry.Dir}, Remote: entry.Entry{Kind: entry.Dir}}

func makeRemoteDir(ctx context.Context, o *op) Outcome {
	local, err := o.source().Stat(o.Path)
	if err != nil {
		return failed(err)
	}
	if local.Kind != entry.Dir {
		return stale("the local folder is gone")
	}
	if err := o.keepsNames(ctx); err != nil {
		return failed(err)
	}
	if err := o.conn.MakeDirs(ctx, o.target()); err != nil {
		return failed(err)
	}
	return Outcome{Result: Done, Base: &plan.Base{Local: local, Remote: folderBase.Remote}}
}

func makeLocalDir(_ context.Context, o *op) Outcome {
	if err := throughLink(o.root, o.Path+"/"); err != nil {
		return failed(err)
	}
	if err := o.root.MkdirAll(filepath.FromSlash(o.Path), 0o777); err != nil {
		return o.withoutFolder(o.Path, err)
	}
	base := folderBase
	if local, err := scan.StatLocal(o.root, o.Path); err == nil && local.Kind == entry.Dir {
		base.Local = local
	}
	if o.Remote.Knowledge == plan.Seen && o.Remote.Entry.Kind == entry.Dir {
		base.Remote = o.Remote.Entry
	}
	return Outcome{Result: Done, Base: &base}
}

// deleteRemote takes its second look first: the path must still be gone here, and there be
// what the plan saw.
func deleteRemote(ctx context.Context, o *op) Outcome {
	if end := o.isGoneHere(); end != nil {
		return *end
	}
	found, err := o.statRemote(ctx, o.target())
	if err != nil {
		return failed(err)
	}
	if found.Kind == entry.Absent {
		return Outcome{Result: Done, Reason: "was gone already", Forget: true, Verified: "absent", Reply: o.conn.LastReply()}
	}
	if !o.expected(found) {
		return stale("the remote side changed since the deletion was planned")
	}
	if o.Remote.Entry.Kind != entry.Dir && o.env.Sync.Trash != "" {
		to, err := o.trashRemote(ctx)
		if err != nil {
			return failed(err)
		}
		return Outcome{Result: Done, Forget: true, Verified: "moved to " + to, Reply: o.conn.LastReply()}
	}
	remove := o.conn.Remove
	if o.Remote.Entry.Kind == entry.Dir {
		remove = o.conn.RemoveDir
	}
	if err := remove(ctx, o.target()); err != nil {
		if o.Remote.Entry.Kind == entry.Dir && o.conn.Usable() {
			if l, listErr := o.conn.List(ctx, o.target()); listErr == nil && len(l.Entries) > 0 {
				return notEmpty("the remote folder is not empty")
			}
		}
		return failed(err)
	}
	return Outcome{Result: Done, Forget: true, Verified: "reply", Reply: o.conn.LastReply()}
}

// isGoneHere looks whether the path is still gone here; end, if not nil, is what came of the job if it is not, or is not known to be.
func (o *op) isGoneHere() (end *Outcome) {
	local, err := o.source().Stat(o.Path)
	if err != nil {
		return ended(failed(err))
	}
	if local.Kind != o.Local.Entry.Kind {
		return ended(stale("the local side changed since the deletion was planned"))
	}
	if twin := o.conn.Bytes(o.Path); twin != o.Path {
		if local, err = scan.StatLocal(o.root, twin); err != nil {
			return ended(failed(err))
		}
		if local.Kind != entry.Absent {
			return ended(Outcome{Result: Done, Reason: fmt.Sprintf("on the server it is the same as %q, which is here: kept", twin), Forget: true})
		}
	}
	return nil
}

func deleteLocal(ctx context.Context, o *op) Outcome {
	remote, err := o.statRemote(ctx, o.target())
	if err != nil {
		return failed(err)
	}
	local, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	if remote.Kind != o.Remote.Entry.Kind {
		if o.Remote.Entry.Kind != entry.Absent {
			return stale("the remote side changed since the deletion was planned")
		}
		gone, kept, err := o.respelled(ctx, local)
		switch {
		case err != nil:
			return failed(err)
		case kept != "":
			return Outcome{Result: Done, Reason: fmt.Sprintf("here it is the same as %q, which is on the server: kept", kept), Forget: true}
		case !gone:
			return stale("the remote side changed since the deletion was planned")
		}
	}
	if local.Kind == entry.Absent {
		return Outcome{Result: Done, Reason: "was gone already", Forget: true, Verified: "absent"}
	}
	if !entry.Same(local, o.Local.Entry) {
		return stale("the local side changed since the deletion was planned")
	}
	if err := throughLink(o.root, o.Path); err != nil {
		return failed(err)
	}
	if local.Kind != entry.Dir && o.env.Sync.Trash != "" {
		to, err := o.trashLocal()
		if err != nil {
			return failed(err)
		}
		return Outcome{Result: Done, Forget: true, Verified: "moved to " + to}
	}
	if err := removePlain(o.root, o.Path); err != nil {
		if local.Kind == entry.Dir && len(scan.ReadLocal(o.root, o.Path).Names) > 0 {
			return notEmpty("the local folder is not empty")
		}
		return failed(err)
	}
	return Outcome{Result: Done, Forget: true, Verified: "removed"}
}

// sweepRemote and sweepLocal remove the temporary file of a job that is no more.
func sweepRemote(ctx context.Context, e Env, job queue.Job) Outcome {
	conn, err := e.Connect(ctx)
	if err != nil {
		return failed(err)
	}
	remote := scan.Remote{Conn: conn, Root: conn.Absolute(e.Sync.Remote)}
	if ftpclient.IsProbe(path.Base(job.Path)) {
		return sweepProbe(ctx, conn, remote.Path(job.Path))
	}
	if err := conn.Remove(ctx, remote.Path(job.Path)); err != nil {
		if _, statErr := conn.Stat(ctx, remote.Path(job.Path)); !IsAbsent(statErr) {
			return failed(err)
		}
	}
	return Outcome{Result: Done}
}

// probeAge is how old a folder that tried a name must be to be surely left behind, more than any
// error of a time zone: if it went away in the middle, the server would seem to change names.
const probeAge = 24 * time.Hour

func sweepProbe(ctx context.Context, conn *ftpclient.Conn, probe string) Outcome {
	found, err := conn.Stat(ctx, probe)
	if IsAbsent(err) {
		return Outcome{Result: Done}
	}
	if err != nil {
		return failed(err)
	}
	if found.ModTime.IsZero() || time.Since(found.ModTime) < probeAge {
		return Outcome{Result: Done, Reason: "may be in use"}
	}
	if err := conn.RemoveDir(ctx, probe); err != nil {
		return failed(err)
	}
	return Outcome{Result: Done}
}

func sweepLocal(_ context.Context, e Env, job queue.Job) Outcome {
	root, err := openLocal(e)
	if err != nil {
		return failed(err)
	}
	defer root.Close()
	if err := removePlain(root, job.Path); err != nil {
		if left, statErr := scan.StatLocal(root, job.Path); statErr != nil || left.Kind != entry.Absent { // a file may have its folder's name
			return failed(err)
		}
	}
	return Outcome{Result: Done}
}
