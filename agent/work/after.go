package work

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// acts reports whether anything becomes of a source.
func (a After) acts() bool { return a.Delete || a.Move != nil }

// consume lets the local file go whose upload has ended well, if the sync wants that. Then the path is forgotten. Only the
// file that was sent goes: one that has changed since is kept and looked at again.
func (o *op) consume(done Outcome) Outcome {
	after := o.env.Sync.Upload.After
	if !after.acts() {
		return done
	}
	now, err := o.source().Stat(o.Path)
	if err == nil && now.Kind != entry.Absent && !unchanged(done.Base.Local, now) {
		done.Reason, done.Replan = join(done.Reason, "the local file changed since it was sent: kept"), true
		return done
	}
	what := "gone here already"
	switch {
	case err != nil || now.Kind == entry.Absent:
	case after.Delete:
		what, err = "deleted here", o.root.Remove(filepath.FromSlash(o.Path))
	default:
		var to string
		to, err = o.putAwayLocal(after.Move(o.Path, time.Now()))
		what = "moved to " + to
	}
	if err == nil {
		err = syncDir(o.root, filepath.FromSlash(path.Dir(o.Path)))
	}
	if err != nil {
		done.Result, done.Base, done.Err = Failed, nil, fmt.Errorf("all was sent, but the local file has to stay: %w", err)
		return done
	}
	done.Base, done.Forget, done.Reason = nil, true, join(done.Reason, what)
	return done
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
	if o.retried() {
		// The attempt before has most likely sent it: its hash or, without one, its end tells.
		arrived, err = o.conn.SamePrefix(ctx, o.target(), file, source.Size)
	} else {
		var how string
		how, err = o.verifyHash(ctx, o.target(), file, source.Size)
		arrived = err == nil && !strings.HasPrefix(how, string(VerifySize))
	}
	if errors.Is(err, errContent) || o.refusesToTell(err) {
		return false, nil
	}
	return arrived, err
}
