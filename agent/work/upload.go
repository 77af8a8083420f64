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
	"github.com/ftpferry/ftpferry/ftpclient/list"
	"github.com/ftpferry/ftpferry/state/entry"
)

// upload sends one file under a temporary name, verifies it and renames it. Nothing changes at the final name before
// everything about the new content is known to be right; with Upload.Direct, nothing else does.
func upload(ctx context.Context, o *op) Outcome {
	err := o.finishParting()
	if err != nil {
		return failed(err)
	}
	if o.growth, err = o.grows(); err != nil {
		return failed(err)
	}
	if o.growth != nil {
		return o.uploadGrowing(ctx)
	}
	local, err := o.source().Stat(o.Path)
	if err != nil {
		return failed(err)
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
	old, end := o.look(ctx, local)
	if end != nil {
		if resumes && end.Result != Failed {
			if err := o.removeTemp(ctx, lastParts); err != nil {
				o.env.Logger.Debug("temporary file stays for now", "path", o.Path, "error", err)
			}
		}
		return *end
	}
	return o.send(ctx, local, old, resumes)
}

// look asks for what is at the target; old is nil if that is no file. end, if not nil, is what came of the job: there is
// nothing to send.
func (o *op) look(ctx context.Context, local entry.Entry) (old *list.Entry, end *Outcome) {
	end = new(Outcome)
	remote, found, err := o.conn.StatFile(ctx, o.target())
	if err != nil && !(o.env.Sync.Direct && o.refusesToTell(err)) {
		*end = failed(err)
		return nil, end
	}
	changed := !entry.Same(local, o.Local.Entry)
	if found && err == nil {
		old = &remote
		now := scan.RemoteEntry(remote)
		arrived, err := o.arrived(o.Local.Entry, now)
		if err == nil && o.env.Sync.Upload.After.acts() {
			arrived, err = o.mayGo(ctx, o.Local.Entry, now, arrived)
		}
		how := "size and time"
		if err == nil && !arrived && !changed {
			how = "content"
			arrived, err = o.meetsItself(ctx, o.target(), o.Local.Entry, now)
		}
		if err != nil {
			*end = failed(err)
			return nil, end
		}
		if arrived {
			// Also the end of an attempt that was cut off between its rename and its commit:
			// without this, our own file would look like somebody else's.
			*end = o.consume(Outcome{
				Result: Done, Already: true, Reason: "was there already", Base: &plan.Base{Local: o.Local.Entry, Remote: now}, Verified: how, Replan: changed,
			})
			return nil, end
		}
		if !changed && o.Remote.Knowledge != plan.Unknown && !o.expected(now) {
			torn, err := o.torn(ctx, now, local.Size)
			if err != nil {
				*end = failed(err)
				return nil, end
			}
			if !torn {
				*end = stale("the remote file changed since it was planned")
				return nil, end
			}
		}
		if !changed && o.KeepsTwin(o.env.Sync.Rules) && o.expected(now) {
			*end = failed(ErrTwin)
			return nil, end
		}
	}
	if changed {
		*end = moving("the local file changed since it was planned", o.Local.Entry, local)
		return nil, end
	}
	if why := o.unsettled(local); why != "" {
		*end = Outcome{Result: Stale, Reason: why, Settling: true, Held: why}
		return nil, end
	}
	if err := o.keepsNames(ctx); err != nil {
		*end = failed(err)
		return nil, end
	}
	return old, nil
}

// torn reports whether the attempt before, which wrote to the final name, may have been cut off in the middle of what is there
// now: it is a beginning of the file, which has this size, as far as the server lets that be seen. Anything else is somebody else's.
func (o *op) torn(ctx context.Context, now entry.Entry, size int64) (bool, error) {
	if !o.env.Sync.Direct || !o.retried() || now.Kind != entry.File || now.Size > size {
		return false, nil
	}
	if now.Size <= 0 {
		return true, nil
	}
	file, err := o.source().Open(o.Path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	same, err := o.conn.SamePrefix(ctx, o.target(), file, now.Size)
	if o.refusesToTell(err) {
		return true, nil
	}
	return same, err
}

// refusesToTell reports that a server would not answer a question, and can be asked others.
func (o *op) refusesToTell(err error) bool {
	return err != nil && o.conn.Usable() && ftpclient.Classify(err) == ftpclient.ClassPermanent
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
	return o.MayReplace(o.env.Sync.Rules, now)
}

// send does so, over old if that is not nil.
func (o *op) send(ctx context.Context, local entry.Entry, old *list.Entry, resumes bool) Outcome {
	file, end := o.openSource(local)
	if end != nil {
		return *end
	}
	defer file.Close()
	return o.sendOpen(ctx, file, local, old, resumes)
}

// openSource opens the local file, which is what was seen of it before; end, if not nil, is what came of the job if it is not.
func (o *op) openSource(local entry.Entry) (file *os.File, end *Outcome) {
	file, err := o.source().Open(o.Path)
	if err != nil {
		return nil, ended(failed(err))
	}
	info, err := file.Stat()
	if err != nil {
		return nil, ended(failed(errors.Join(err, file.Close())))
	}
	if now := scan.LocalEntry(info); !entry.Same(now, local) {
		file.Close() // nothing was written to it
		return nil, ended(moving("the local file changed since it was planned", local, now))
	}
	return file, nil
}

// sendOpen sends the file that is open.
func (o *op) sendOpen(ctx context.Context, file *os.File, local entry.Entry, old *list.Entry, resumes bool) Outcome {
	touched := o.lastTouched(file)
	s, err := o.store(ctx, file, local.Size, resumes)
	how, end := o.proves(ctx, &s, err, file, local, touched)
	if end != nil {
		return *end
	}
	return o.complete(ctx, s, local, old, how)
}

// proves makes sure that all of what was sent is there, under its temporary name, and still is what is here; err is what the transfer
// ended with, and touched when the file was touched last before it. end, if not nil, is what came of the job: it is not.
func (o *op) proves(ctx context.Context, s *stored, err error, file *os.File, local entry.Entry, touched time.Time) (how string, end *Outcome) {
	if errors.Is(err, ftpclient.ErrUnconfirmed) {
		err = o.reconnect(ctx, err) // all was sent: it may well be there
	}
	if err != nil {
		o.giveUp(ctx, *s, local, err)
		return "", ended(s.wrote(failed(err)))
	}
	how, err = o.verifyStored(ctx, s, file)
	after, statErr := o.source().Stat(o.Path)
	if statErr != nil || !o.isStill(after, local) || s.total() != local.Size {
		o.discard(ctx, s.name)
		return "", ended(s.wrote(moving("the local file changed during the upload", local, after)))
	}
	if why := o.disturbed(file, touched); why != "" {
		o.discard(ctx, s.name)
		return "", ended(s.wrote(Outcome{Result: Stale, Reason: why + " during the upload", Settling: true, Held: why}))
	}
	if err != nil {
		o.giveUp(ctx, *s, local, err)
		return "", ended(s.wrote(failed(err)))
	}
	return how, nil
}

// complete gives what is there under its temporary name its time and its permissions, and then its final name.
func (o *op) complete(ctx context.Context, s stored, local entry.Entry, old *list.Entry, how string) Outcome {
	ctx, o.half = steady(ctx), false // all is there: what is left is done in a moment
	if err := o.setTime(ctx, s.name, local.ModTime); err != nil && !o.conn.Usable() {
		return s.wrote(failed(err))
	}
	remark, err := o.setMode(ctx, s.name, old)
	if err != nil {
		return s.wrote(failed(err))
	}
	if s.name != o.target() {
		if replaced, err := o.rename(ctx, s.name, old != nil); err != nil {
			if o.onlyCopy = replaced; !replaced {
				o.giveUp(ctx, s, local, err)
			}
			return s.wrote(failed(err))
		}
	}
	remote, err := o.final(ctx, s, old)
	if err != nil {
		return s.wrote(failed(err))
	}
	return o.uploaded(s, local, remote, how, remark)
}

// uploaded is the outcome of an upload that is at its final name.
func (o *op) uploaded(s stored, local, remote entry.Entry, how, remark string) Outcome {
	return o.consume(s.wrote(Outcome{
		Result: Done, Reason: join(s.remark(), remark), Base: &plan.Base{Local: local, Remote: remote},
		Bytes: s.result.Bytes, Method: s.result.Mode.String(), Verified: how, Reply: reply(s.result),
	}))
}

// final is the remote half of the baseline: what the server tells about what is there now. Of what nobody may look at it
// is what was sent.
func (o *op) final(ctx context.Context, s stored, old *list.Entry) (entry.Entry, error) {
	if s.unseen {
		return entry.Entry{Kind: entry.File, Size: s.total()}, nil
	}
	now, found, err := o.conn.StatFile(ctx, o.target())
	return o.finally(ctx, s, old, now, found, err)
}

// finally is final with the server's answer about what is there now.
func (o *op) finally(ctx context.Context, s stored, old *list.Entry, now list.Entry, found bool, err error) (entry.Entry, error) {
	if !found && (err == nil || o.refusesToTell(err)) {
		now, found, err = o.listed(ctx, o.target())
	}
	if err == nil && (!found || now.Size >= 0 && now.Size != s.total()) {
		err = fmt.Errorf("%w: after the rename", errSize)
	}
	if err != nil {
		return entry.Entry{}, err
	}
	return scan.RemoteEntry(now), o.restoreMode(ctx, now, old)
}

// join is what is to be said of both.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// setTime sets the time of what has just been uploaded, if the server can. Where times come from
// MDTM, which some servers tell and take in local time, the zone is learned before: a fresh
// file tells it.
func (o *op) setTime(ctx context.Context, temp string, modified time.Time) error {
	if o.wantsTimeZone() {
		if err := o.conn.LearnTimeZone(ctx, temp, time.Now()); err != nil && !o.conn.Usable() {
			return err
		}
	}
	return o.conn.SetModTime(ctx, temp, modified)
}

// wantsTimeZone: times come from MDTM, and nobody knows in which zone.
func (o *op) wantsTimeZone() bool {
	has, facts := o.conn.Features().Has, o.conn.Facts()
	return has("MDTM") && (!has("MLST") || facts.MLSDBroken) && !facts.MDTMZone.Known
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
	if !o.refusesTarget(err) {
		return false, err
	}
	if !over && o.env.Sync.TempFolder != "" {
		// Nothing was written beside the target before, so its folder may be missing.
		if dirErr := o.conn.MakeDirs(ctx, path.Dir(o.target())); dirErr != nil {
			return false, errors.Join(err, dirErr)
		}
		if err = o.move(ctx, temp); !o.refusesTarget(err) {
			return false, err
		}
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

// refusesTarget reports that an error of move is the server's word about the new name. Anything else may be about a rename that was
// carried out: what is at the target then is the only copy on the server.
func (o *op) refusesTarget(err error) bool {
	var refusal *ftpclient.Error
	return errors.As(err, &refusal) && refusal.Path == o.target() && o.conn.Usable()
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
	if _, err := o.conn.Stat(ctx, temp); IsAbsent(err) {
		return nil
	} else if err != nil {
		return err
	}
	return o.conn.Rename(ctx, temp, o.target())
}
