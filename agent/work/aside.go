package work

import (
	"context"
	"fmt"
	"path"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// setAsideLocal and setAsideRemote rename the loser of a conflict on its own side. Both names are looked at again then: the
// winner is passed on under the old one, the loser under the new one. Whatever is cut off in between, both contents are there.
func setAsideLocal(ctx context.Context, o *op) Outcome {
	if o.Local.Entry.Kind == entry.Dir {
		return stale("folders are not set aside")
	}
	local, remote, err := o.bothSides(ctx)
	if err != nil {
		return failed(err)
	}
	if local.Kind == entry.Absent {
		return o.setAsideBefore(func(rel string) (entry.Entry, error) { return scan.StatLocal(o.root, rel) })
	}
	if !entry.Same(local, o.Local.Entry) || o.Remote.Knowledge == plan.Seen && !entry.Same(remote, o.Remote.Entry) {
		return stale("one of the sides changed since the conflict was seen")
	}
	if why := o.unsettled(local); why != "" { // whoever writes it would go on under the other name
		return Outcome{Result: Stale, Reason: why, Settling: true, Held: why}
	}
	if end := o.sameAfterAll(ctx, local, remote); end != nil {
		return *end
	}
	name, err := moveLocal(o.root, o.Path, o.To)
	if err != nil {
		return failed(fmt.Errorf("set aside: %w", err))
	}
	return setAside(name)
}

func setAsideRemote(ctx context.Context, o *op) Outcome {
	if o.Remote.Entry.Kind == entry.Dir {
		return stale("folders are not set aside")
	}
	local, remote, err := o.bothSides(ctx)
	if err != nil {
		return failed(err)
	}
	if remote.Kind == entry.Absent {
		return o.setAsideBefore(func(rel string) (entry.Entry, error) { return o.statRemote(ctx, o.remote.Path(rel)) })
	}
	if !entry.Same(remote, o.Remote.Entry) || o.Local.Knowledge == plan.Seen && !entry.Same(local, o.Local.Entry) {
		return stale("one of the sides changed since the conflict was seen")
	}
	if end := o.sameAfterAll(ctx, local, remote); end != nil {
		return *end
	}
	if err := o.conn.KeepsName(ctx, o.remote.Root, path.Base(o.To)); err != nil {
		return failed(err)
	}
	name, err := o.moveRemote(ctx, o.target(), o.remote.Path(o.To))
	if err != nil {
		return failed(fmt.Errorf("set aside: %w", err))
	}
	return setAside(path.Join(path.Dir(o.To), path.Base(name)))
}

// sameAfterAll compares what is on both sides, and ends the job if that is the same: there is nothing to set aside then. Where two
// people hold one file, its times may differ, and servers may tell none, or in a zone of their own. Read in vain, it costs less
// than a copy that nobody wants: that would be transferred to both sides.
func (o *op) sameAfterAll(ctx context.Context, local, remote entry.Entry) *Outcome {
	if local.Kind != entry.File || remote.Kind != entry.File || local.Size < 0 || local.Size != remote.Size {
		return nil
	}
	same, err := o.holdTheSame(ctx, local.Size, true)
	if err != nil {
		return ended(failed(fmt.Errorf("compare both versions: %w", err)))
	}
	here, there, err := o.bothSides(ctx)
	switch {
	case err != nil:
		return ended(failed(err))
	case !entry.Same(here, local) || !entry.Same(there, remote):
		return ended(stale("one of the sides changed while they were compared"))
	case !same:
		return nil
	}
	if o.Remote.Knowledge == plan.Seen {
		remote = o.Remote.Entry // as listings tell it, which may say more of its time
	}
	return &Outcome{
		Result: Done, Already: true, Reason: "the same on both sides: nothing was set aside",
		Base: &plan.Base{Local: local, Remote: remote}, Verified: "content",
	}
}

// holdTheSame compares two files of one size. back: as for identical.
func (o *op) holdTheSame(ctx context.Context, size int64, back bool) (bool, error) {
	if size == 0 {
		return true, nil
	}
	file, err := o.source().Open(o.Path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	return o.identical(ctx, o.target(), file, size, back)
}

func setAside(name string) Outcome {
	return Outcome{Result: Done, Reason: fmt.Sprintf("kept as %q", name), Forget: true, Replan: true, Also: []string{name}, Verified: "renamed"}
}

// setAsideBefore is the end of an attempt that was cut off between its rename and its commit: what was to be set aside is there
// under one of the names that it may have got.
func (o *op) setAsideBefore(look func(rel string) (entry.Entry, error)) Outcome {
	loser := o.Local.Entry
	if o.Action == plan.SetAsideRemote {
		loser = o.Remote.Entry
	}
	for n := 1; n <= mostNumbers; n++ {
		found, err := look(plan.Numbered(o.To, n))
		if err != nil {
			return failed(err)
		}
		if found.Kind == entry.Absent {
			break
		}
		if entry.Same(found, loser) {
			return setAside(plan.Numbered(o.To, n))
		}
	}
	return stale("what was to be set aside is gone")
}

// bothSides looks at both sides of the path, as scans do.
func (o *op) bothSides(ctx context.Context) (local, remote entry.Entry, err error) {
	if local, err = o.source().Stat(o.Path); err != nil {
		return local, remote, err
	}
	remote, err = o.statRemote(ctx, o.target())
	return local, remote, err
}

// statRemote looks at an absolute path on the server; what is proven not to be there is of kind Absent. A link is looked for
// where the plan knows of one on either side.
func (o *op) statRemote(ctx context.Context, p string) (entry.Entry, error) {
	found, err := o.remote.Look(ctx, p)
	if o.Remote.Entry.Kind == entry.Link || o.Local.Entry.Kind == entry.Link || o.Base != nil && o.Base.Remote.Kind == entry.Link {
		found, err = o.remote.WithoutFollowing(ctx, p, found, err)
	}
	if IsAbsent(err) {
		return entry.Entry{}, nil
	}
	return found, err
}
