package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// errSize: the server has another number of bytes than were sent. 226 alone proves nothing.
var errSize = errors.New("size on the server differs from the bytes sent")

// upload sends one file under a temporary name, verifies its size and renames it. Nothing
// changes at the final name before everything about the new content is known to be right.
func upload(ctx context.Context, o *op) Outcome {
	local, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	if o.retried() {
		if err := o.removeTemp(ctx); err != nil {
			return failed(err)
		}
	}
	remote, found, err := o.conn.StatFile(ctx, o.target())
	if err != nil {
		return failed(err)
	}
	changed := !entry.Same(local, o.Local.Entry)
	if found {
		now := scan.RemoteEntry(remote)
		arrived, err := o.arrived(o.Local.Entry, now)
		if err != nil {
			return failed(err)
		}
		if arrived {
			// Also the end of an attempt that was cut off between its rename and its commit:
			// without this, our own file would look like somebody else's.
			return Outcome{Result: Done, Reason: "was there already", Base: &plan.Base{Local: o.Local.Entry, Remote: now}, Verified: "size and time", Replan: changed}
		}
		if !changed && o.Remote.Knowledge != plan.Unknown && !o.expected(now) {
			return stale("the remote file changed since it was planned")
		}
	}
	if changed {
		return stale("the local file changed since it was planned")
	}
	if o.unsettled(local) > 0 {
		return Outcome{Result: Stale, Reason: "still changing", Settling: true}
	}
	if err := o.keepsNames(ctx); err != nil {
		return failed(err)
	}
	return o.send(ctx, local, found)
}

// arrived reports whether the target holds the content of source already. Equal size and time
// prove that only if the target is not what it was at the last agreement: then it holds the
// content of that time. Servers have whole seconds, and a file can change twice in one.
func (o *op) arrived(source, target entry.Entry) (bool, error) {
	if !entry.Equal(source, target) {
		return false, nil
	}
	last, err := o.env.State.At(o.Path) // newer than the plan's: a job may have run since
	if err != nil || last == nil {
		return err == nil, err
	}
	lastSource, lastTarget := last.Local, last.Remote
	if o.Action == plan.Download {
		lastSource, lastTarget = last.Remote, last.Local
	}
	return !entry.Same(target, lastTarget) || entry.Same(source, lastSource), nil
}

// expected reports whether the remote file is what the plan goes by. A path assumed to be
// without a file was not looked at: what is there is what the plan replaces.
func (o *op) expected(now entry.Entry) bool {
	if o.Remote.Knowledge == plan.Assumed && o.Base == nil {
		return true
	}
	return entry.Same(now, o.Remote.Entry)
}

// send does so; over tells that there is a file at the target.
func (o *op) send(ctx context.Context, local entry.Entry, over bool) Outcome {
	file, err := scan.OpenLocal(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return failed(err)
	}
	if !entry.Same(scan.LocalEntry(info), local) {
		return stale("the local file changed since it was planned")
	}
	temp, result, err := o.storeTemp(ctx, file)
	if errors.Is(err, ftpclient.ErrUnconfirmed) {
		err = o.reconnect(ctx, err) // all was sent: it may well be there
	}
	if err != nil {
		o.discard(ctx, temp)
		return wrote(temp, failed(err))
	}
	if err := o.verify(ctx, temp, result.Bytes); err != nil {
		o.discard(ctx, temp)
		return wrote(temp, failed(err))
	}
	after, err := scan.StatLocal(o.root, o.Path)
	if err != nil || !entry.Same(after, local) || result.Bytes != local.Size {
		o.discard(ctx, temp)
		return wrote(temp, stale("the local file changed during the upload"))
	}
	if err := o.setTime(ctx, temp, local.ModTime); err != nil && !o.conn.Usable() {
		return wrote(temp, failed(err))
	}
	if replaced, err := o.rename(ctx, temp, over); err != nil {
		if !replaced {
			o.discard(ctx, temp)
		}
		return wrote(temp, failed(err))
	}
	final, found, err := o.conn.StatFile(ctx, o.target())
	if err == nil && (!found || final.Size >= 0 && final.Size != result.Bytes) {
		err = fmt.Errorf("%w: after the rename", errSize)
	}
	if err != nil {
		return wrote(temp, failed(err))
	}
	return Outcome{
		Result: Done, Base: &plan.Base{Local: local, Remote: scan.RemoteEntry(final)},
		Bytes: result.Bytes, Method: result.Mode.String(), Verified: verified(result), Reply: reply(result), Temp: temp,
	}
}

// wrote adds the temporary name to an outcome that has no other sign of it.
func wrote(temp string, o Outcome) Outcome {
	o.Temp = temp
	return o
}

// setTime sets the time of what has just been uploaded, if the server can. Where times come from
// MDTM, which some servers tell and take in local time, the zone is learned before: a fresh
// file tells it.
func (o *op) setTime(ctx context.Context, temp string, modified time.Time) error {
	has, facts := o.conn.Features().Has, o.conn.Facts()
	if has("MDTM") && (!has("MLST") || facts.MLSDBroken) && !facts.MDTMZone.Known {
		if err := o.conn.LearnTimeZone(ctx, temp, time.Now()); err != nil && !o.conn.Usable() {
			return err
		}
	}
	return o.conn.SetModTime(ctx, temp, modified)
}

// temp is the absolute remote temporary path, in the form that this server takes.
func (o *op) temp() string {
	name := o.tempName()
	if o.conn.Facts().NoDotNames {
		name = scan.WithoutDot(name)
	}
	return path.Join(path.Dir(o.target()), name)
}

// storeTemp uploads under the temporary name. Two refusals have a cure: the folder is missing
// (its own job may come later or run at the same time), or leading dots are not allowed.
func (o *op) storeTemp(ctx context.Context, file *os.File) (temp string, result ftpclient.Result, err error) {
	transfer, err := o.conn.Store(ctx, o.temp(), 0)
	if refusedName(err) {
		if dirErr := o.conn.MakeDirs(ctx, path.Dir(o.target())); dirErr != nil {
			return o.temp(), result, dirErr
		}
		transfer, err = o.conn.Store(ctx, o.temp(), 0)
	}
	if refusedName(err) && !o.conn.Facts().NoDotNames {
		plain := path.Join(path.Dir(o.target()), scan.WithoutDot(o.tempName()))
		var second error
		if transfer, second = o.conn.Store(ctx, plain, 0); second == nil {
			o.conn.LearnNoDotNames()
			err = nil
		}
	}
	if err != nil {
		return o.temp(), result, err
	}
	// An error of the copy is in Finish's verdict, together with the server's reason for it.
	transfer.ReadFrom(file)
	result, err = transfer.Finish(ctx)
	return o.temp(), result, err
}

// refusedName reports a refusal that may be about the name or the folder it is in.
func refusedName(err error) bool {
	var e *ftpclient.Error
	class := ftpclient.Classify(err)
	return errors.As(err, &e) && e.Code != 0 && (class == ftpclient.ClassParents || class == ftpclient.ClassPermanent)
}

func (o *op) verify(ctx context.Context, temp string, sent int64) error {
	size, err := o.conn.Size(ctx, temp)
	if err != nil && o.conn.Usable() && ftpclient.Classify(err) == ftpclient.ClassPermanent {
		// No SIZE on this server, or no such file: any other way of asking tells which.
		now, found, statErr := o.conn.StatFile(ctx, temp)
		if statErr == nil && found {
			size, err = now.Size, nil
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errSize, err)
	}
	if size != sent {
		return fmt.Errorf("%w: sent %d, the server has %d", errSize, sent, size)
	}
	return nil
}

// rename moves the temporary file over the target. Servers that do not replace files get the
// old one deleted first; the complete new content is there under its temporary name. Only a
// refusal of the new name (RNTO) is a reason for that: where renaming is forbidden altogether,
// deleting would leave nothing. For the same reason nothing is deleted on a server that was
// seen to replace files, unless it says itself that the file is in the way. replaced reports
// that the old file is gone, so that the temporary one is the only copy on the server.
func (o *op) rename(ctx context.Context, temp string, over bool) (replaced bool, err error) {
	err = o.move(ctx, temp)
	if err == nil && over {
		o.conn.LearnRenameOver(ftpclient.RenameReplaces)
	}
	var refusal *ftpclient.Error
	if err == nil || !o.conn.Usable() || !errors.As(err, &refusal) || refusal.Path != o.target() {
		return false, err
	}
	if o.conn.Facts().RenameOver == ftpclient.RenameReplaces && !errors.Is(err, fs.ErrExist) {
		if !errors.Is(err, fs.ErrPermission) {
			o.conn.LearnRenameOver("") // no cause is named: the next attempt finds out anew
		}
		return false, fmt.Errorf("%w (renames replaced files here before, so the old one was left alone)", err)
	}
	if _, found, statErr := o.conn.StatFile(ctx, o.target()); statErr != nil || !found {
		return false, errors.Join(err, statErr)
	}
	if removeErr := o.conn.Remove(ctx, o.target()); removeErr != nil {
		return false, errors.Join(err, removeErr)
	}
	if err = o.move(ctx, temp); err == nil {
		o.conn.LearnRenameOver(ftpclient.RenameRefuses)
	}
	return true, err
}

// move renames the temporary file. If the reply is lost, it has worked when that file is gone.
func (o *op) move(ctx context.Context, temp string) error {
	err := o.conn.Rename(ctx, temp, o.target())
	if err == nil || o.conn.Usable() {
		return err
	}
	if err := o.reconnect(ctx, err); err != nil {
		return err
	}
	if _, err := o.conn.Stat(ctx, temp); isAbsent(err) {
		return nil
	} else if err != nil {
		return err
	}
	return o.conn.Rename(ctx, temp, o.target())
}

// discard removes the temporary file if that is still possible; if not, the next attempt
// does, or the sweep.
func (o *op) discard(ctx context.Context, temp string) {
	if ctx.Err() == nil && o.conn.Usable() {
		if err := o.conn.Remove(ctx, temp); err != nil {
			o.env.Logger.Debug("temporary file stays for now", "path", temp, "error", err)
		}
	}
}

// removeTemp removes what the attempt before may have left, in both forms of the name. What
// cannot be removed now, because the server still holds it, a full scan sweeps up later.
func (o *op) removeTemp(ctx context.Context) error {
	folder := path.Dir(o.target())
	for _, name := range []string{o.lastTempName(), scan.WithoutDot(o.lastTempName())} {
		if err := o.conn.Remove(ctx, path.Join(folder, name)); err != nil && !o.conn.Usable() {
			return err
		}
	}
	return nil
}
