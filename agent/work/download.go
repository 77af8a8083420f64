package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// errShort: fewer or more bytes came than the server's SIZE says.
var errShort = errors.New("size on the server differs from the bytes received")

// errGrew: more bytes came than the server's SIZE said before.
var errGrew = errors.New("the file grew")

// download fetches one file under a temporary name, verifies its size, syncs it to disk and
// renames it.
func download(ctx context.Context, o *op) Outcome {
	local, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	if o.retried() {
		o.removeLocal(o.lastTempName())
	}
	found, err := o.conn.Stat(ctx, o.target())
	if err != nil && !isAbsent(err) {
		return failed(err)
	}
	gone := err != nil
	remote := scan.RemoteEntry(found)
	arrived, err := o.arrived(o.Remote.Entry, local)
	if err != nil {
		return failed(err)
	}
	if local.Kind == entry.File && arrived {
		// Also the end of an attempt that was cut off between its rename and its commit:
		// without this, our own file would look like somebody else's. Its new name may not be on disk yet.
		if err := syncDir(o.root, filepath.FromSlash(path.Dir(o.Path))); err != nil {
			return failed(err)
		}
		o.discardLocal()
		return Outcome{Result: Done, Reason: "was there already", Base: &plan.Base{Local: local, Remote: o.Remote.Entry}, Verified: "size and time",
			Replan: gone || !entry.Same(remote, o.Remote.Entry)}
	}
	if local.Kind != entry.File && local.Kind != entry.Absent {
		o.discardLocal()
		return stale("something that is no regular file is in the way")
	}
	if gone {
		o.discardLocal()
		return stale("the remote file is gone")
	}
	if !entry.Same(remote, o.Remote.Entry) {
		o.discardLocal()
		return stale("the remote file changed since it was planned")
	}
	if o.Local.Knowledge == plan.Seen && !entry.Same(local, o.Local.Entry) {
		o.discardLocal()
		return stale("the local file changed since it was planned")
	}
	if o.unsettled(remote) > 0 {
		return Outcome{Result: Stale, Reason: "still changing", Replan: true}
	}
	return o.receive(ctx, remote)
}

func (o *op) receive(ctx context.Context, remote entry.Entry) Outcome {
	folder := filepath.FromSlash(path.Dir(o.Path))
	if err := o.root.MkdirAll(folder, 0o777); err != nil {
		return failed(err)
	}
	temp := filepath.Join(o.env.Sync.Local, o.localTemp())
	result, err := o.fetch(ctx, remote)
	if errors.Is(err, errGrew) {
		o.discardLocal()
		return wrote(temp, stale("the remote file grew during the download"))
	}
	if err != nil {
		o.discardLocal()
		return wrote(temp, failed(err))
	}
	after, err := o.conn.Stat(ctx, o.target())
	if err != nil && !isAbsent(err) {
		o.discardLocal()
		return wrote(temp, failed(err))
	}
	if err != nil || !entry.Same(scan.RemoteEntry(after), remote) {
		o.discardLocal()
		return wrote(temp, stale("the remote file changed during the download"))
	}
	if err := o.root.Rename(o.localTemp(), filepath.FromSlash(o.Path)); err != nil {
		o.discardLocal()
		return wrote(temp, failed(err))
	}
	if err := syncDir(o.root, folder); err != nil {
		return wrote(temp, failed(err))
	}
	local, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return wrote(temp, failed(err))
	}
	return Outcome{
		Result: Done, Base: &plan.Base{Local: local, Remote: remote},
		Bytes: result.Bytes, Method: result.Mode.String(), Verified: verified(result), Reply: reply(result), Temp: temp,
	}
}

func (o *op) localTemp() string {
	return filepath.FromSlash(path.Join(path.Dir(o.Path), o.tempName()))
}

func (o *op) discardLocal() { o.removeLocal(o.tempName()) }

func (o *op) removeLocal(temp string) {
	rel := path.Join(path.Dir(o.Path), temp)
	if err := o.root.Remove(filepath.FromSlash(rel)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.env.Logger.Debug("temporary file stays for now", "path", rel, "error", err)
	}
}

// fetch downloads into the temporary file and has it on disk, with the remote time, when it
// returns nil.
func (o *op) fetch(ctx context.Context, remote entry.Entry) (result ftpclient.Result, err error) {
	file, err := o.root.OpenFile(o.localTemp(), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return result, err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err == nil && !remote.ModTime.IsZero() {
			err = o.root.Chtimes(o.localTemp(), time.Time{}, remote.ModTime)
		}
	}()
	transfer, err := o.conn.Retrieve(ctx, o.target(), 0)
	if err != nil {
		return result, err
	}
	// Not more than was announced: what has no end must not fill the disk.
	var source io.Reader = transfer
	if remote.Size >= 0 {
		source = io.LimitReader(transfer, remote.Size+1)
	}
	received, err := copyAll(ctx, file, source)
	if err == nil && remote.Size >= 0 && received > remote.Size {
		err = errGrew
	}
	if err != nil {
		transfer.Abort(ctx)
		return result, err
	}
	result, err = transfer.Finish(ctx)
	if errors.Is(err, ftpclient.ErrUnconfirmed) && result.Bytes == remote.Size {
		err = o.reconnect(ctx, err) // all has come; whether it is still what is there is asked next
	}
	if err != nil {
		return result, err
	}
	size, err := o.conn.Size(ctx, o.target())
	if err != nil {
		return result, err
	}
	if size != result.Bytes {
		return result, fmt.Errorf("%w: received %d, the server has %d", errShort, result.Bytes, size)
	}
	return result, file.Sync()
}
