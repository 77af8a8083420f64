package work

import (
	"context"
	"errors"
	"fmt"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// origin is the remote file of a download: where it is now, as an absolute path, and what it looks like.
type origin struct {
	path    string
	look    entry.Entry // of kind Absent: it is gone
	claimed bool
}

// claimPath is the absolute path of the file while this job has it, in the form that the server takes.
func (o *op) claimPath() string {
	name := scan.ClaimName(path.Base(o.Path), o.env.Instance, uint64(o.job.ID))
	if o.conn.Facts().NoDotNames {
		name = scan.WithoutDot(name)
	}
	return path.Join(path.Dir(o.target()), name)
}

// origin finds the remote file: where an attempt before has claimed it, else under its own name.
func (o *op) origin(ctx context.Context) (origin, error) {
	if (o.env.Sync.Claim || o.env.Sync.Download.After.acts()) && o.retried() {
		if from, found, err := o.claimed(ctx); err != nil || found {
			return from, err
		}
	}
	look, err := o.statRemote(ctx, o.target())
	return origin{o.target(), o.timed(look), false}, err
}

// claimed looks for the remote file where this job has claimed it.
func (o *op) claimed(ctx context.Context) (from origin, found bool, err error) {
	look, err := o.statRemote(ctx, o.claimPath())
	if errors.Is(err, ftpclient.ErrIncomplete) && o.conn.Usable() {
		// Listings hide such names. The file was claimed only as the server told its size under that one: it is gone if that is refused.
		if _, found, fileErr := o.conn.StatFile(ctx, o.claimPath()); !found {
			look, err = entry.Entry{}, fileErr
		}
	}
	return origin{o.claimPath(), o.timed(look), true}, err == nil && look.Kind != entry.Absent, err
}

// timed gives a look at the file of the plan the time that the listing told, if there is none in it: a server without MDTM
// tells times in listings alone. Without one, no change of equal size would ever show again; one since then still does.
func (o *op) timed(look entry.Entry) entry.Entry {
	if look.Kind == entry.File && look.ModTime.IsZero() && entry.Same(look, o.Remote.Entry) {
		look.ModTime, look.Precision = o.Remote.Entry.ModTime, o.Remote.Entry.Precision
	}
	return look
}

// errTaken: somebody else has claimed the file.
var errTaken = errors.New("somebody else has taken the file")

// errVanished: a file is not there under the name that it was given, or the server does not show such names.
var errVanished = errors.New("the server says that it has renamed the file, and has not")

// claim renames the file on the server, so that nobody else takes it. Of several who try, one has renamed it then and the
// others find nothing under its name. The error is errTaken if somebody else was faster.
func (o *op) claim(ctx context.Context, from origin) (origin, error) {
	claimed := origin{path: o.claimPath(), claimed: true}
	err := o.renameRemote(ctx, from.path, claimed.path)
	if refusedName(err) && !o.conn.Facts().NoDotNames && o.conn.Usable() {
		if look, _ := o.statRemote(ctx, from.path); look.Kind != entry.Absent {
			plain := path.Join(path.Dir(claimed.path), scan.WithoutDot(path.Base(claimed.path)))
			if second := o.renameRemote(ctx, from.path, plain); second == nil {
				o.conn.LearnNoDotNames()
				claimed.path, err = plain, nil
			}
		}
	}
	if refusedName(err) && o.conn.Usable() { // so it is not ours, and only its own name has to be looked at
		if now, lookErr := o.statRemote(ctx, from.path); lookErr == nil && now.Kind == entry.Absent {
			return from, errTaken
		}
	}
	if err == nil {
		claimed.look, err = o.statRemote(ctx, claimed.path)
		claimed.look = o.timed(claimed.look)
		if err == nil && claimed.look.Kind != entry.File {
			err = errVanished
		}
		if errors.Is(err, errVanished) || errors.Is(err, ftpclient.ErrIncomplete) {
			if back := o.conn.Rename(ctx, claimed.path, from.path); back != nil {
				o.env.Logger.Debug("rename back", "path", o.Path, "error", back)
			}
		}
	}
	if err != nil {
		return from, fmt.Errorf("claim the file on the server: %w", err)
	}
	return claimed, nil
}

// giveBack gives a claimed file its own name again, or one with a number if somebody has put another file there.
// renamed reports the latter.
func (o *op) giveBack(ctx context.Context, from origin) (renamed bool, err error) {
	if !from.claimed {
		return false, nil
	}
	name, err := o.moveRemote(ctx, from.path, o.target())
	if err != nil {
		return false, fmt.Errorf("give the file its name back: %w", err)
	}
	return name != o.target(), nil
}

// conclude lets the remote file go where that is asked for. What was downloaded is complete, on disk and under its name by
// then; the remote file goes only if it still is what was downloaded.
func (o *op) conclude(ctx context.Context, from origin, done Outcome) Outcome {
	ctx = steady(ctx)
	after := o.env.Sync.Download.After
	if !after.acts() {
		renamed, err := o.giveBack(ctx, from)
		if err != nil {
			return wrote(done.Temp, failed(err))
		}
		done.Replan = done.Replan || renamed
		return done
	}
	says, err := o.saidThere(ctx)
	if err != nil {
		return wrote(done.Temp, failed(err))
	}
	if from, err = o.partWith(ctx, from); err != nil {
		return wrote(done.Temp, failed(err))
	}
	switch {
	case from.look.Kind == entry.Absent: // by an attempt before
	case !certain(from.look, o.Remote.Entry):
		renamed, err := o.giveBack(ctx, from)
		if err != nil {
			return wrote(done.Temp, failed(err))
		}
		done.Reason, done.Replan = "the remote file changed and stays", true
		if renamed {
			done.Reason += " under another name"
		}
		return done
	case after.Delete:
		if err := o.removeRemote(ctx, from.path); err != nil {
			return wrote(done.Temp, o.unclaim(ctx, from, failed(fmt.Errorf("downloaded, but the remote file cannot be deleted: %w", err))))
		}
	default:
		to := after.Move(o.Path, time.Now())
		o.gone = to
		if err := inside(path.Clean(to)); err != nil {
			return wrote(done.Temp, o.unclaim(ctx, from, failed(err)))
		}
		if _, err := o.putAwayRemote(ctx, from.path, to); err != nil {
			return wrote(done.Temp, o.unclaim(ctx, from, failed(fmt.Errorf("downloaded, but the remote file cannot be moved to %q: %w", to, err))))
		}
	}
	if err := o.followThere(ctx, says); err != nil {
		return wrote(done.Temp, failed(says.stays(err)))
	}
	done.Base, done.Forget = nil, true
	return done
}

// partWith looks at the remote file for the last time before it goes. Whoever writes to the server may replace it between that
// look and the deletion, and nobody has the new one then: so it is claimed first, where the server lets files be renamed.
func (o *op) partWith(ctx context.Context, from origin) (origin, error) {
	look, err := o.statRemote(ctx, from.path)
	if err != nil || from.claimed || look.Kind != entry.File || !certain(look, o.Remote.Entry) {
		from.look = look
		return from, err
	}
	claimed, err := o.claim(ctx, from)
	switch {
	case errors.Is(err, errTaken):
		from.look = entry.Entry{}
		return from, nil
	case errors.Is(err, errVanished) && o.conn.Usable():
		from.look, err = o.statRemote(ctx, from.path)
		return from, err
	case o.refusesToTell(err):
		from.look = look
		return from, nil
	}
	return claimed, err
}

// unclaim ends an attempt that cannot let a claimed file go: it has its own name again, if the server is there to say so.
func (o *op) unclaim(ctx context.Context, from origin, outcome Outcome) Outcome {
	if from.claimed && ctx.Err() == nil && o.conn.Usable() {
		if _, err := o.giveBack(ctx, from); err != nil {
			o.env.Logger.Warn("a claimed file keeps its name on the server for now", "path", o.Path, "error", err)
		}
	}
	return outcome
}

// certain reports whether a file is what was seen before, with a size that is known.
func certain(now, before entry.Entry) bool {
	return entry.Same(now, before) && now.Size >= 0 && before.Size >= 0
}

// removeRemote deletes a file. If the reply is lost, it has worked when nothing is there.
func (o *op) removeRemote(ctx context.Context, p string) error {
	err := o.conn.Remove(ctx, p)
	if err == nil || o.conn.Usable() {
		return err
	}
	if lost := o.reconnect(ctx, err); lost != nil {
		return lost
	}
	if look, lookErr := o.statRemote(ctx, p); lookErr == nil && look.Kind == entry.Absent {
		return nil
	}
	return err
}
