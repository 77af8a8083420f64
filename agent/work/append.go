package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// growth is the upload of a file that only ever grows. How long it is is looked at once: what is written meanwhile goes next time.
type growth struct {
	row *state.Appended // what was sent before, nil if that is not known
	// sent is what is on the server when the upload is done.
	sent *sent
}

// grows reports whether the file of the operation is one that only ever grows: by its name, or because it was one under the name
// that it had before.
func (o *op) grows() (*growth, error) {
	row, err := o.env.State.Appended(o.Path)
	if err != nil {
		return nil, fmt.Errorf("read what was sent: %w", err)
	}
	if row == nil && !o.growsByName() {
		return nil, nil
	}
	return &growth{row: row}, nil
}

func (o *op) growsByName() bool { return o.env.Sync.Appends != nil && o.env.Sync.Appends(o.Path) }

// isStill reports whether a file that is being sent, or is about to be, is what the look was at. One that grows may have become
// longer since.
func (o *op) isStill(now, look entry.Entry) bool {
	if o.growth == nil {
		return entry.Same(now, look)
	}
	return now.Kind == entry.File && look.Kind == entry.File && sameID(now, look) && now.Size >= look.Size
}

// sameID reports that it may be one file, as far as that is known.
func sameID(a, b entry.Entry) bool { return a.ID == 0 || b.ID == 0 || a.ID == b.ID }

// uploadGrowing sends what is new in a file that only ever grows to the end of the one on the server. Where anything is in doubt,
// the whole file goes as any other one does.
func (o *op) uploadGrowing(ctx context.Context) Outcome {
	file, err := o.source().Open(o.Path)
	if err != nil {
		return o.vanished(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return failed(err)
	}
	local := scan.LocalEntry(info)
	if local.Kind != entry.File || !sameID(local, o.Local.Entry) {
		return stale("the local file is another one than was planned")
	}
	resumes, err := o.resumes(local)
	if err != nil {
		return failed(err)
	}
	if o.retried() && !resumes && !o.env.Sync.Direct {
		if err := o.removeTemp(ctx, lastParts); err != nil {
			return failed(err)
		}
	}
	if err := o.keepsNames(ctx); err != nil {
		return failed(err)
	}
	found, there, err := o.conn.StatFile(ctx, o.target())
	if err != nil && !(o.env.Sync.Direct && o.refusesToTell(err)) {
		return failed(err)
	}
	if !there || err != nil {
		return o.sendWhole(ctx, file, local, nil, resumes)
	}
	ours, err := o.mayExtend(ctx, file, local, found)
	if err != nil {
		return failed(err)
	}
	if ours {
		outcome, done := o.extend(ctx, file, local, found)
		if done {
			return outcome
		}
		return o.sendWhole(ctx, file, local, &found, false)
	}
	now := scan.RemoteEntry(found)
	if o.growth.row == nil && entry.Same(local, o.Local.Entry) {
		arrived, err := o.arrived(local, now)
		if err != nil {
			return failed(err)
		}
		if arrived {
			return o.known(ctx, file, local, now)
		}
	}
	if o.Remote.Knowledge != plan.Unknown && !o.expected(now) {
		if last, err := o.env.State.At(o.Path); err != nil || last == nil || !entry.Same(last.Remote, now) {
			torn, err := o.torn(ctx, now, local.Size)
			if err != nil {
				return failed(err)
			}
			if !torn {
				return stale("the remote file changed since it was planned")
			}
		}
	}
	return o.sendWhole(ctx, file, local, &found, resumes)
}

// vanished is what came of the job if the file cannot be opened.
func (o *op) vanished(err error) Outcome {
	if IsAbsent(err) {
		return stale("the local file changed since it was planned")
	}
	return failed(err)
}

// known writes down of a file that was found to be on the server what is needed to go on with it.
func (o *op) known(ctx context.Context, file *os.File, local, remote entry.Entry) Outcome {
	s := newSent()
	if err := s.upTo(ctx, file, local.Size); err != nil {
		return failed(err)
	}
	row, err := s.row(local.ID)
	if err != nil {
		return failed(err)
	}
	return Outcome{Result: Done, Already: true, Reason: "was there already", Verified: "size and time", Base: &plan.Base{Local: local, Remote: remote}, Appended: row}
}

// mayExtend reports whether both files are what was sent, the local one with more behind it: then only that has to be sent.
func (o *op) mayExtend(ctx context.Context, file *os.File, local entry.Entry, found list.Entry) (bool, error) {
	row := o.growth.row
	if row == nil || local.Size < row.Size || found.Size < row.Size || found.Size > local.Size {
		return false, nil
	}
	last, err := o.env.State.At(o.Path)
	if err != nil || last == nil {
		return false, err
	}
	all := row.ID == 0 || row.ID != local.ID || local.ModTime.Before(last.Local.ModTime)
	if o.growth.sent, err = beginsAs(ctx, file, *row, all); err != nil {
		return false, err
	}
	if o.growth.sent == nil {
		o.env.Logger.Info("the whole file is sent, as it does not begin with what was sent before", "path", o.Path, "sent", row.Size)
		return false, nil
	}
	if found.Size == row.Size && entry.Same(last.Remote, scan.RemoteEntry(found)) {
		return true, nil
	}
	if found.Size == row.Size && !o.retried() {
		return false, nil // somebody else has changed it: what becomes of that is decided as for any file
	}
	// Longer than what is known of, or with another time: most likely what an attempt has sent that was cut off.
	same, err := o.conn.SamePrefix(ctx, o.target(), file, found.Size)
	if o.refusesToTell(err) {
		return false, nil
	}
	return same, err
}

// extend sends what is not on the server yet. done is false if that did not work and the whole file has to go.
func (o *op) extend(ctx context.Context, file *os.File, local entry.Entry, found list.Entry) (outcome Outcome, done bool) {
	offset, s := found.Size, o.growth.sent
	if err := s.upTo(ctx, file, offset); err != nil {
		return failed(err), true
	}
	put := stored{name: o.target(), offset: offset}
	if offset < local.Size {
		var err error
		if put.result, err = o.sendTail(ctx, file, offset, local.Size); err != nil {
			if errors.Is(err, ftpclient.ErrMismatch) && o.conn.Usable() || o.refusesToTell(err) {
				o.env.Logger.Info("the whole file is sent, as nothing was added to it", "path", o.Path, "error", err)
				return Outcome{}, false
			}
			return failed(err), true
		}
	}
	if s.size != local.Size {
		return stale("the local file became shorter during the upload"), true
	}
	how, err := o.verifyTail(ctx, put, file)
	if errors.Is(err, errContent) || errors.Is(err, errSize) {
		o.env.Logger.Warn("the whole file is sent, as there is something else on the server", "path", o.Path, "error", err)
		return Outcome{}, false
	}
	if err != nil {
		return failed(err), true
	}
	ctx = steady(ctx)
	if err := o.setTime(ctx, o.target(), local.ModTime); err != nil && !o.conn.Usable() {
		return failed(err), true
	}
	remote, err := o.final(ctx, put, nil)
	if err != nil {
		return failed(err), true
	}
	row, err := s.row(local.ID)
	if err != nil {
		return failed(err), true
	}
	remark := fmt.Sprintf("added to %d bytes", offset)
	if offset == local.Size {
		remark = "nothing was added"
	}
	return Outcome{
		Result: Done, Already: offset == local.Size, Reason: remark, Base: &plan.Base{Local: local, Remote: remote}, Appended: row,
		Bytes: put.result.Bytes, Method: put.result.Mode.String(), Verified: how, Reply: reply(put.result),
	}, true
}

// sendTail sends what is between offset and size. Where only the final reply is lost, the caller asks what is there.
func (o *op) sendTail(ctx context.Context, file *os.File, offset, size int64) (ftpclient.Result, error) {
	transfer, err := o.conn.Extend(ctx, o.target(), file, offset, size)
	if err != nil {
		return ftpclient.Result{}, err
	}
	o.env.Live.set(transfer, size, offset)
	transfer.ReadFrom(o.growth.from(file, offset, size))
	result, err := transfer.Finish(ctx)
	if errors.Is(err, ftpclient.ErrUnconfirmed) {
		err = o.reconnect(ctx, err)
	}
	return result, err
}

// from reads what goes to the server, and no more of it than there was when its length was looked at.
func (g *growth) from(file io.ReaderAt, offset, size int64) io.Reader {
	return io.TeeReader(io.NewSectionReader(file, offset, size-offset), g.sent)
}

// verifyTail makes sure that the whole file is there; of what was there before, only a hash looks at every byte.
func (o *op) verifyTail(ctx context.Context, put stored, file *os.File) (how string, err error) {
	size := o.growth.sent.size
	if o.env.Sync.Verify != VerifyReread {
		return verifyRemote(ctx, o, put.name, file, size)
	}
	if err := o.verifySize(ctx, put.name, size); err != nil {
		return "", err
	}
	from := max(0, put.offset-state.AppendedBlock)
	return fmt.Sprintf("reread from byte %d on", from), o.reread(ctx, put.name, file, from, size)
}

// sendWhole sends all of it, over old if that is not nil.
func (o *op) sendWhole(ctx context.Context, file *os.File, local entry.Entry, old *list.Entry, resumes bool) Outcome {
	o.growth.sent = newSent()
	outcome := o.sendOpen(ctx, file, local, old, resumes)
	if outcome.Result != Done {
		return outcome
	}
	row, err := o.growth.sent.row(local.ID)
	if err != nil {
		return failed(err)
	}
	outcome.Appended = row
	return outcome
}
