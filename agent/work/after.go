package work

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// acts reports whether anything becomes of a source.
func (a After) acts() bool { return a.Delete || a.Move != nil }

// consume lets the local file go whose upload has ended well, if the sync wants that. Then the path is forgotten. Only the
// file that was sent goes: one that has changed since is kept and looked at again.
func (o *op) consume(done Outcome) Outcome {
	if !o.env.Sync.Upload.After.acts() {
		return done
	}
	says, err := o.saidHere()
	if err != nil {
		return failed(err)
	}
	if o.env.Sync.Settle > 0 && o.source().IsWritten(o.Path) {
		done.Reason, done.Replan = join(done.Reason, scan.Written+" since it was sent: kept"), true
		return done
	}
	what, back, err := o.letGo(done.Base.Local)
	if errors.Is(err, errReplaced) {
		done.Reason, done.Replan = join(done.Reason, "the local file changed since it was sent: kept"), true
		if back != "" && back != o.Path {
			done.Also = append(done.Also, back)
		}
		return done
	}
	if err == nil {
		err = syncDir(o.root, filepath.FromSlash(path.Dir(o.Path)))
	}
	if err != nil {
		done.Result, done.Base, done.Err = Failed, nil, fmt.Errorf("all was sent, but the local file has to stay: %w", err)
		return done
	}
	if err := o.followHere(says); err != nil {
		done.Result, done.Base, done.Err = Failed, nil, says.stays(err)
		return done
	}
	done.Base, done.Forget, done.Reason = nil, true, join(done.Reason, what)
	return done
}

// errReplaced: the local file is not the one that was sent.
var errReplaced = errors.New("the local file is another one than was sent")

// ErrTwin: what somebody else has put at the target looks like the source, and nothing proves that it holds the same. Neither goes, and neither is replaced.
var ErrTwin = errors.New("somebody else's file with the same size and time is at the target, and is not proven to hold the same; both are kept until a person deletes or renames one of them")

// letGo moves or deletes the local file that was sent. Programs replace files at any moment, so that it gets another name first
// and is looked at under that: what is not the file that was sent gets its name back, or one with a number if that was taken
// meanwhile. The error is errReplaced then, and back the name.
func (o *op) letGo(sent entry.Entry) (what, back string, err error) {
	now, err := o.source().Stat(o.Path)
	switch {
	case err != nil:
		return "", "", err
	case now.Kind == entry.Absent:
		return "gone here already", "", nil
	case !unchanged(sent, now):
		return "", "", errReplaced
	}
	link, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return "", "", err
	}
	after, to := o.env.Sync.Upload.After, o.parting()
	if after.Delete {
		err = renameNew(o.root, filepath.FromSlash(o.Path), filepath.FromSlash(to))
	} else {
		o.gone = after.Move(o.Path, time.Now())
		to, err = o.putAwayLocal(o.gone)
	}
	if errors.Is(err, fs.ErrNotExist) {
		if now, statErr := o.source().Stat(o.Path); statErr == nil && now.Kind == entry.Absent {
			return "gone here already", "", nil
		}
	}
	if err != nil {
		return "", "", err
	}
	went, err := scan.StatLocal(o.root, to)
	if err == nil && !unchanged(sent, went) && (went.Kind != entry.Link || link.Kind != entry.Link) { // a link is followed: it alone goes
		if back, err = moveLocal(o.root, to, o.Path); err == nil {
			err = errReplaced
		}
	}
	if err != nil || !after.Delete {
		return "moved to " + to, back, err
	}
	return "deleted here", "", removePlain(o.root, to)
}

// parting is the name of a local file between its upload and its end, the same for all attempts of a job. It is that of a claim,
// which no scan sends or sweeps away: until it was looked at, it may be a file that somebody has put there instead.
func (o *op) parting() string {
	return path.Join(path.Dir(o.Path), scan.ClaimName(path.Base(o.Path), o.env.Instance, uint64(o.job.ID)))
}

// finishParting ends what an attempt before was cut off in: the file that was sent goes, another one gets its name back.
func (o *op) finishParting() error {
	if !o.retried() {
		return nil
	}
	return o.endParting()
}

// endParting is finishParting for what this attempt may have been cut off in.
func (o *op) endParting() error {
	if !o.env.Sync.Upload.After.Delete {
		return nil
	}
	left, err := scan.StatLocal(o.root, o.parting())
	if err != nil || left.Kind == entry.Absent {
		return err
	}
	if left.Kind == entry.File && unchanged(o.Local.Entry, left) {
		return removePlain(o.root, o.parting())
	}
	_, err = moveLocal(o.root, o.parting(), o.Path)
	return err
}

// mayGo reports whether source is on the server already, so that it may go without being sent. That it has the same size and
// the time of the same second is not enough for that: it may be the next file of that name, and the one before may have been
// sent, let go and forgotten. arrived tells that much.
func (o *op) mayGo(ctx context.Context, source, target entry.Entry, arrived bool) (bool, error) {
	last, err := o.env.State.At(o.Path)
	if err != nil {
		return false, err
	}
	if last != nil && unchanged(last.Local, source) && entry.Same(last.Remote, target) {
		return true, nil // whatever the server tells about times
	}
	if !arrived {
		return false, nil
	}
	file, err := o.source().Open(o.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil // and has gone already
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	return o.sameWhole(ctx, o.target(), file, source.Size)
}

// sameWhole reports whether the file p on the server is the first size bytes of local, all of them: one of the two is to go for
// that. Where the server computes no hash it is read back if the attempt before has most likely brought it there, if it is
// small and would come here, or if it is not to be replaced; else to transfer it once more costs less than to be wrong.
func (o *op) sameWhole(ctx context.Context, p string, local io.ReaderAt, size int64) (bool, error) {
	return o.identical(ctx, p, local, size, o.retried() || o.Action != plan.Upload && size <= comparedWhole || o.KeepsTwin(o.env.Sync.Rules))
}

// identical is sameWhole. back: where the server computes no hash, the file is read back; else it is not the same.
func (o *op) identical(ctx context.Context, p string, local io.ReaderAt, size int64, back bool) (bool, error) {
	how, err := o.verifyHash(ctx, p, local, size)
	if err == nil && strings.HasPrefix(how, string(VerifySize)) {
		if !back {
			return false, nil
		}
		if err = o.reread(ctx, p, local, 0, size); err != nil && !o.conn.Usable() && errors.Is(err, errContent) {
			return false, o.reconnect(ctx, err) // it was not read to its end
		}
	}
	if errors.Is(err, errContent) || o.refusesToTell(err) {
		return false, nil
	}
	return err == nil, err
}

// meetsItself reports whether a file that is on both sides and was never in step, or has changed on both since, is the same on both,
// whatever its times are: then there is nothing to transfer. Only a server that computes hashes is asked: reading costs as much as the
// transfer.
func (o *op) meetsItself(ctx context.Context, p string, source, target entry.Entry) (bool, error) {
	local, remote := source, target
	if o.Action == plan.Download {
		local, remote = target, source
	}
	last, err := o.env.State.At(o.Path)
	if err != nil || !o.mayMeetItself(local, remote, last) {
		return false, err
	}
	file, err := o.source().Open(o.Path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return o.identical(ctx, p, file, source.Size, false)
}

// mayMeetItself reports whether meetsItself has to ask, by what both sides look like and what they last agreed on; nil is nothing.
func (o *op) mayMeetItself(local, remote entry.Entry, last *state.Baseline) bool {
	if local.Kind != entry.File || remote.Kind != entry.File || local.Size <= 0 || local.Size != remote.Size || len(o.conn.Hashes()) == 0 {
		return false
	}
	return last == nil || !entry.Same(local, last.Local) && !entry.Same(remote, last.Remote) // what did not change holds the old content
}

// comparedWhole is up to what size a file is read back to find out whether it has to be transferred.
const comparedWhole = 64 << 10
