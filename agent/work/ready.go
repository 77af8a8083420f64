package work

import (
	"context"
	"fmt"
	"path"
	"time"

	"github.com/ftpferry/ftpferry/agent/scan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// said is the file that said of a source that it is complete, as it was before the source went; of kind Absent, there is none.
type said struct {
	rel  string
	look entry.Entry
}

// saidHere looks for the file that says that the local source is complete.
func (o *op) saidHere() (s said, err error) {
	if o.env.Sync.Ready.IsZero() {
		return s, nil
	}
	s.rel = o.env.Sync.Ready.Of(o.Path)
	s.look, err = scan.StatLocal(o.root, s.rel)
	return s, err
}

// saidThere looks for the file that says that the remote source is complete.
func (o *op) saidThere(ctx context.Context) (s said, err error) {
	if o.env.Sync.Ready.IsZero() {
		return s, nil
	}
	s.rel = o.env.Sync.Ready.Of(o.Path)
	s.look, err = o.statRemote(ctx, o.remote.Path(s.rel))
	return s, err
}

// beside is where the file goes that said that a source is complete: to where that went, or would go now.
func (s said) beside(o *op, after After) string {
	gone := o.gone
	if gone == "" {
		gone = after.Move(o.Path, time.Now())
	}
	return path.Join(path.Dir(gone), path.Base(s.rel))
}

// followHere lets a file go that said that the local source is complete, which has gone, unless it is about others too that are
// still there. One that is new is about the next source.
func (o *op) followHere(s said) error {
	if s.look.Kind != entry.File {
		return nil
	}
	source, err := scan.StatLocal(o.root, o.Path)
	if err != nil || source.Kind != entry.Absent {
		return err
	}
	now, err := scan.StatLocal(o.root, s.rel)
	if err != nil || !unchanged(s.look, now) {
		return err
	}
	if o.env.Sync.Ready.Shared() {
		names := o.source().Read(path.Dir(s.rel))
		if o.isAboutOthers(s, names) {
			return nil
		}
	}
	if o.env.Sync.Upload.After.Delete {
		return removePlain(o.root, s.rel)
	}
	_, err = moveLocal(o.root, s.rel, s.beside(o, o.env.Sync.Upload.After))
	return err
}

// followThere is followHere on the server.
func (o *op) followThere(ctx context.Context, s said) error {
	if s.look.Kind != entry.File {
		return nil
	}
	source, err := o.statRemote(ctx, o.target())
	if err != nil || source.Kind != entry.Absent {
		return err
	}
	full := o.remote.Path(s.rel)
	now, err := o.statRemote(ctx, full)
	if err != nil || !certain(now, s.look) {
		return err
	}
	if o.env.Sync.Ready.Shared() {
		names, _, err := o.remote.Read(ctx, path.Dir(s.rel))
		if err != nil || o.isAboutOthers(s, names) {
			return err
		}
	}
	if o.env.Sync.Download.After.Delete {
		return o.removeRemote(ctx, full)
	}
	to := path.Clean(s.beside(o, o.env.Sync.Download.After))
	if err := inside(to); err != nil {
		return err
	}
	_, err = o.putAwayRemote(ctx, full, to)
	return err
}

// isAboutOthers reports whether what is in the folder, or may be, has a file that takes part and of which s says that it is complete.
func (o *op) isAboutOthers(s said, in scan.Entries) bool {
	ready, filter := o.env.Sync.Ready, o.env.Sync.Filter.In(o.source(), time.Now())
	for _, found := range in.Names {
		rel := path.Join(path.Dir(s.rel), found.Name)
		if found.Kind != entry.File || ready.Of(rel) != s.rel || scan.IsTemp(rel) {
			continue
		}
		if why, err := filter.WhyAnywhere(rel, false); err != nil || why == "" {
			return true
		}
	}
	return in.Unknown != ""
}

// stays is the outcome if the file that said that the source is complete could not go.
func (s said) stays(err error) error {
	return fmt.Errorf("all was transferred, but %q, which said that it was complete, has to stay: %w", s.rel, err)
}
