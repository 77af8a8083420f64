package work

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// ErrLeadsNowhere: what a link points at does not come to the server, where links lead only to what is there.
var ErrLeadsNowhere = errors.New("leads to nothing that takes part in the sync, and the server makes no such links: make what it points at, or leave out the link by a pattern")

// AwaitedError: what a link points at takes part in the sync and is not on the server yet, where links lead only to what is there.
// Whether anything is about to bring it is not known here.
type AwaitedError struct {
	Target string // as the link has it
	Path   string // of the same, relative to the root of the sync
}

func (e *AwaitedError) Error() string {
	return fmt.Sprintf("the link points at %q, which is not on the server yet", e.Target)
}

// linkLocal makes the link that is on the server. Its target comes from there, so that it is made only if it stays within the
// folder of the sync, whatever links there are on the way.
func linkLocal(ctx context.Context, o *op) Outcome {
	found, err := o.linkOnServer(ctx)
	if err != nil {
		return failed(err)
	}
	if found.Kind != entry.Link {
		return stale("the remote link is gone")
	}
	local, err := localLink(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	if local.Kind != entry.Absent && local.Kind != entry.Link {
		return stale("the local side changed since it was planned")
	}
	target, err := o.localTarget(found.Target)
	if errors.Is(err, ErrUnsafe) {
		return left(local, found, fmt.Sprintf("it points at %q on the server, which is not in the folder of the sync", found.Target))
	}
	if err != nil {
		return failed(err)
	}
	if local.Target != target && !o.MayReplace(o.env.Sync.Rules, local) {
		return stale("the local side changed since it was planned")
	}
	done := Outcome{
		Result: Done, Verified: "reread",
		Base: &plan.Base{Local: entry.Entry{Kind: entry.Link, Target: target}, Remote: found},
	}
	if local.Target == target {
		done.Reason = "was there already"
		return done
	}
	if err := localFolder(o.root, o.Path); err != nil {
		return o.withoutFolder(path.Dir(o.Path), err)
	}
	temp := o.localTemp()
	o.discardLocal()
	if err := o.root.Symlink(filepath.FromSlash(target), temp); err != nil {
		return failed(err)
	}
	rename := renameNew
	if local.Kind == entry.Link {
		rename = (*os.Root).Rename
	}
	if err := rename(o.root, temp, filepath.FromSlash(o.Path)); err != nil {
		o.discardLocal()
		return failed(err)
	}
	if err := syncDir(o.root, filepath.FromSlash(path.Dir(o.Path))); err != nil {
		return failed(err)
	}
	return done
}

// localTarget is what a local link has to point at for one on the server. An absolute path is a local one only within the
// folder of the sync.
func (o *op) localTarget(remote string) (string, error) {
	target := remote
	if path.IsAbs(target) {
		below, ok := strings.CutPrefix(path.Clean(target)+"/", strings.TrimSuffix(o.remote.Root, "/")+"/")
		if !ok {
			return "", fmt.Errorf("%w: the link points at %q", ErrUnsafe, remote)
		}
		up := strings.Repeat("../", strings.Count(o.Path, "/"))
		if target = path.Clean(up + below); strings.HasPrefix(below, "../") {
			return "", fmt.Errorf("%w: the link points at %q", ErrUnsafe, remote)
		}
	}
	if err := staysInside(o.Path, target); err != nil {
		return "", err
	}
	// What is on the way may be links that were here before.
	_, err := o.root.Stat(filepath.FromSlash(path.Join(path.Dir(o.Path), target)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		return "", fmt.Errorf("%w: the link points at %q: %w", ErrUnsafe, remote, err)
	}
	return target, nil
}

// staysInside refuses the target of a link at rel that is no relative path within the root. Steps up may only stand at its
// beginning: behind a name that is a link, they lead elsewhere than they seem to.
func staysInside(rel, target string) error {
	depth, down := strings.Count(rel, "/"), false
	for name := range strings.SplitSeq(strings.TrimRight(target, "/"), "/") {
		switch {
		case name == ".":
		case name == ".." && !down && depth > 0:
			depth--
		case name == "..", inside(name) != nil, name == "":
			return fmt.Errorf("%w: the link points at %q", ErrUnsafe, target)
		default:
			down = true
		}
	}
	return nil
}

// localLink looks at a local path, with the target of a link, as it would be on a server.
func localLink(root *os.Root, rel string) (entry.Entry, error) {
	e, err := scan.StatLocal(root, rel)
	if err != nil || e.Kind != entry.Link {
		return e, err
	}
	target, err := root.Readlink(filepath.FromSlash(rel))
	e.Target = filepath.ToSlash(target)
	return e, err
}

// linkOnServer looks at the path by LIST: many servers answer other questions about a link with what it points at.
func (o *op) linkOnServer(ctx context.Context) (entry.Entry, error) {
	found, err := o.conn.ReadLink(ctx, o.target())
	if IsAbsent(err) {
		return entry.Entry{}, nil
	}
	if err != nil {
		return entry.Entry{}, err
	}
	return scan.RemoteEntry(found), nil
}

// linkRemote makes the local link on the server, where that can make links.
func linkRemote(ctx context.Context, o *op) Outcome {
	local, err := localLink(o.root, o.Path)
	if err != nil {
		return failed(err)
	}
	if local.Kind != entry.Link || o.Local.Entry.Target != "" && local.Target != o.Local.Entry.Target {
		return stale("the local link changed since it was planned")
	}
	remote, err := o.linkOnServer(ctx)
	if err != nil {
		return failed(err)
	}
	if path.IsAbs(local.Target) || filepath.IsAbs(filepath.FromSlash(local.Target)) {
		return left(local, remote, fmt.Sprintf("it points at %q, which means nothing on the server", local.Target))
	}
	if staysInside(o.Path, local.Target) != nil { // whoever writes here must not reach the rest of the server by that
		return left(local, remote, fmt.Sprintf("it points at %q, which is not in the folder of the sync", local.Target))
	}
	if err := o.keepsNames(ctx); err != nil {
		return failed(err)
	}
	if err == nil && remote.Kind == entry.Absent {
		err = o.conn.MakeDirs(ctx, path.Dir(o.target())) // its own job may come later
	}
	if err != nil {
		return failed(err)
	}
	done := Outcome{Result: Done, Verified: "reply", Base: &plan.Base{Local: local, Remote: entry.Entry{Kind: entry.Link, Target: local.Target}}}
	switch {
	case remote.Kind == entry.Link && o.pointsAt(remote.Target, local.Target):
		done.Reason, done.Base.Remote = "was there already", remote
		return done
	case remote.Kind == entry.Link:
		if err = o.tryLink(ctx, local.Target); err != nil {
			break // the old one stays until the new one can be made
		}
		if err := o.conn.Remove(ctx, o.target()); err != nil {
			return failed(err)
		}
		remote = entry.Entry{}
	case remote.Kind != entry.Absent:
		return stale("something that is no link, as far as the server shows, is in the way")
	}
	if err == nil {
		err = o.conn.Symlink(ctx, local.Target, o.target())
	}
	if errors.Is(err, ftpclient.ErrUnsupported) {
		return left(local, remote, err.Error())
	}
	if err != nil && o.conn.Usable() {
		err = cmp.Or(o.leads(ctx, local.Target), err)
	}
	if err != nil {
		return failed(err)
	}
	done.Reply = o.conn.LastReply()
	if now, err := o.linkOnServer(ctx); err == nil && now.Kind != entry.Absent {
		done.Base.Remote, done.Verified = now, "listing"
	}
	return done
}

// tryLink finds out beside the link that is there whether the server makes one to target here: some do for what is not there, too.
func (o *op) tryLink(ctx context.Context, target string) error {
	if err := o.conn.Symlink(ctx, path.Join(path.Dir(o.target()), target), o.temp()); err != nil {
		return err
	}
	return o.conn.Remove(ctx, o.temp())
}

// leads says why the server cannot have a link to target here: nothing is there yet, or never will be.
func (o *op) leads(ctx context.Context, target string) error {
	look, err := o.statRemote(ctx, path.Join(path.Dir(o.target()), target))
	if err != nil || look.Kind != entry.Absent {
		return err
	}
	rel := path.Join(path.Dir(o.Path), target)
	here, err := o.root.Stat(filepath.FromSlash(rel))
	if err != nil || !here.Mode().IsRegular() && !here.IsDir() {
		return fmt.Errorf("the link points at %q: it %w", target, ErrLeadsNowhere)
	}
	why, err := o.keptFromServer(rel, here.IsDir())
	if err != nil {
		return err
	}
	if why != "" {
		return fmt.Errorf("the link points at %q (%s): it %w", target, why, ErrLeadsNowhere)
	}
	return &AwaitedError{Target: target, Path: rel}
}

// keptFromServer says why what is at rel here does not come to the server under that name, "" if it may.
func (o *op) keptFromServer(rel string, isDir bool) (why string, err error) {
	filter := o.env.Sync.Filter.In(o.source(), time.Now())
	if why, err = filter.WhyAnywhere(rel, isDir); why != "" || err != nil {
		return why, err
	}
	e, err := scan.StatLocal(o.root, rel)
	if err != nil || e.Kind != entry.File {
		return "", err
	}
	if filter.LimitedForGood(o.env.Sync.Rules.Direction, plan.Item{Path: rel, Local: plan.Side{Knowledge: plan.Seen, Entry: e}}) {
		return "beyond the limits of size or age", nil
	}
	if name := o.env.Sync.remoteName(rel, e.ModTime); name != rel {
		return fmt.Sprintf("called %q on the server", path.Base(name)), nil
	}
	return "", nil
}

// left is the end of a link that is not made, while both sides stay as they are.
func left(local, remote entry.Entry, why string) Outcome {
	return Outcome{Result: Done, Reason: "skipped: " + why, Base: &plan.Base{Local: local, Remote: remote, Left: "not made as a link: " + why}}
}

// pointsAt reports whether a link on the server points at what a local one does: servers make paths absolute.
func (o *op) pointsAt(remote, local string) bool {
	return remote == local || path.Clean(remote) == path.Join(path.Dir(o.target()), local)
}
