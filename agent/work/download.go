package work

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"path/filepath"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// errShort: fewer or more bytes came than the server's SIZE says.
var errShort = errors.New("size on the server differs from the bytes received")

// errGrew: more bytes came than the server's SIZE said before.
var errGrew = errors.New("the file grew")

// download fetches one file under a temporary name, verifies it, syncs it to disk and renames it. The remote file goes after
// that, if it is to go at all.
func download(ctx context.Context, o *op) Outcome {
	if err := throughLink(o.root, o.Path); err != nil {
		return failed(err)
	}
	local, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	from, err := o.origin(ctx)
	if err != nil {
		return failed(err)
	}
	arrived, err := o.hasArrived(ctx, local, from)
	if err != nil {
		return failed(err)
	}
	how := "size and time"
	if !arrived && entry.Same(from.look, o.Remote.Entry) {
		how = "content"
		if arrived, err = o.meetsItself(ctx, from.path, from.look, local); err != nil {
			return failed(err)
		}
	}
	if arrived {
		return o.arrivedBefore(ctx, local, from, how)
	}
	if !entry.Same(from.look, o.Remote.Entry) && from.look.Kind == entry.File {
		return o.withdraw(ctx, from, moving("the remote file changed since it was planned", o.Remote.Entry, from.look))
	}
	if reason := o.overtaken(local, from); reason != "" {
		return o.withdraw(ctx, from, stale(reason))
	}
	if o.KeepsTwin(o.env.Sync.Rules) {
		return o.withdraw(ctx, from, failed(ErrTwin))
	}
	if why := o.unsettled(from.look); why != "" {
		return o.withdraw(ctx, from, Outcome{Result: Stale, Reason: why, Replan: true, Held: why})
	}
	if o.env.Sync.Claim && !from.claimed {
		if from, err = o.claim(ctx, from); errors.Is(err, errTaken) {
			return stale(err.Error())
		} else if err != nil {
			return failed(err)
		}
		if !entry.Same(from.look, o.Remote.Entry) {
			return o.withdraw(ctx, from, moving("the remote file changed since it was planned", o.Remote.Entry, from.look))
		}
	}
	return o.receive(ctx, local, from)
}

// hasArrived reports whether the local file is the remote one already. Before the remote one goes for that, more than size and
// time has to show it: it may be the next file of that name.
func (o *op) hasArrived(ctx context.Context, local entry.Entry, from origin) (bool, error) {
	if local.Kind != entry.File {
		return false, nil
	}
	arrived, err := o.arrived(o.Remote.Entry, local)
	if err != nil || !arrived || !o.env.Sync.Download.After.acts() || from.look.Kind == entry.Absent {
		return arrived, err
	}
	last, err := o.env.State.At(o.Path)
	if err != nil || last != nil && unchanged(last.Local, local) && entry.Same(last.Remote, from.look) {
		return err == nil, err
	}
	file, err := scan.OpenLocal(o.root, o.Path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return o.sameWhole(ctx, from.path, file, local.Size)
}

// arrivedBefore is also the end of an attempt that was cut off between its rename and its commit: without it, our own file would
// look like somebody else's. Its new name may not be on disk yet.
func (o *op) arrivedBefore(ctx context.Context, local entry.Entry, from origin, how string) Outcome {
	if err := syncDir(o.root, filepath.FromSlash(path.Dir(o.Path))); err != nil {
		return failed(err)
	}
	o.discardLocal()
	return o.conclude(ctx, from, Outcome{
		Result: Done, Already: true, Reason: "was there already", Base: &plan.Base{Local: local, Remote: o.Remote.Entry}, Verified: how,
		Replan: !alike(from.look, o.Remote.Entry),
	})
}

// overtaken says what is not any more as the plan saw it, "" if nothing is.
func (o *op) overtaken(local entry.Entry, from origin) string {
	switch {
	case local.Kind != entry.File && local.Kind != entry.Absent:
		return "something that is no regular file is in the way"
	case from.look.Kind == entry.Absent:
		return "the remote file is gone"
	case !entry.Same(from.look, o.Remote.Entry):
		return "the remote file changed since it was planned"
	case !o.MayReplace(o.env.Sync.Rules, local):
		return "the local file changed since it was planned"
	}
	return ""
}

// withdraw ends an attempt after which nothing of it is to be left.
func (o *op) withdraw(ctx context.Context, from origin, outcome Outcome) Outcome {
	o.discardLocal()
	return o.unclaim(ctx, from, outcome)
}

func (o *op) receive(ctx context.Context, local entry.Entry, from origin) Outcome {
	if err := localFolder(o.root, o.Path); err != nil {
		return o.withdraw(ctx, from, o.withoutFolder(path.Dir(o.Path), err))
	}
	got, err := o.fetch(ctx, from)
	if err != nil {
		return o.notReceived(ctx, from, err)
	}
	ctx = steady(ctx) // all has come: what is left is done in a moment
	after, err := o.statRemote(ctx, from.path)
	if err != nil {
		return wrote(o.tempFile(), failed(err))
	}
	return o.land(ctx, local, from, after, got)
}

// notReceived ends an attempt that has not received all of the file.
func (o *op) notReceived(ctx context.Context, from origin, err error) Outcome {
	outcome := failed(err)
	if errors.Is(err, errGrew) {
		outcome = stale("the remote file grew during the download")
		outcome.Held = scan.Growing
	} else if o.keeps(from.look, err) {
		return wrote(o.tempFile(), outcome) // the next attempt goes on with it, and with what is claimed
	}
	return wrote(o.tempFile(), o.withdraw(ctx, from, outcome))
}

// land gives a file that is complete and on disk its name, unless one of both sides has changed: after is what the remote one is now.
func (o *op) land(ctx context.Context, local entry.Entry, from origin, after entry.Entry, got fetched) Outcome {
	temp := o.tempFile()
	if !entry.Same(after, from.look) {
		return wrote(temp, o.withdraw(ctx, from, moving("the remote file changed during the download", from.look, after)))
	}
	if now, err := scan.StatLocal(o.root, o.Path); err != nil || !entry.Same(now, local) {
		return wrote(temp, o.withdraw(ctx, from, stale("the local file changed during the download")))
	}
	if err := o.root.Rename(o.localTemp(), filepath.FromSlash(o.Path)); err != nil {
		return wrote(temp, o.withdraw(ctx, from, failed(err)))
	}
	if err := syncDir(o.root, filepath.FromSlash(path.Dir(o.Path))); err != nil {
		return wrote(temp, failed(err))
	}
	here, err := scan.StatLocal(o.root, o.Path)
	if err != nil {
		return wrote(temp, failed(err))
	}
	return o.conclude(ctx, from, Outcome{
		Result: Done, Base: &plan.Base{Local: here, Remote: from.look},
		Bytes: got.Bytes, Method: got.Mode.String(), Verified: got.verified, Reply: reply(got.Result), Temp: temp,
	})
}

// tempFile is the temporary file of this attempt, with its folder.
func (o *op) tempFile() string { return filepath.Join(o.env.Sync.Local, o.localTemp()) }

func (o *op) localTemp() string { return o.localTempOf(o.job.Claims) }

// localTempOf is the local temporary path of an attempt, as the system writes it.
func (o *op) localTempOf(attempt int) string {
	name := scan.TempName(path.Base(o.Path), o.env.Instance, uint64(o.job.ID), attempt)
	return filepath.FromSlash(path.Join(path.Dir(o.Path), name))
}

// discardLocal removes what this attempt and those before may have left.
func (o *op) discardLocal() {
	for attempt := o.job.Claims; attempt > 0; attempt-- { // most of many found the server down, and it costs next to nothing
		o.removeLocal(o.localTempOf(attempt))
	}
}

func (o *op) removeLocal(temp string) {
	if err := o.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		o.env.Logger.Debug("temporary file stays for now", "path", temp, "error", err)
	}
}
