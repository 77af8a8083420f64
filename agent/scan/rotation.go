package scan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// rotations are the files of one folder that only ever grow and were put under another name in it, as programs do that keep the
// last few of their logs: whether something new is under the old name already or not. On the server they are renamed too, before
// anything is sent under the old name.
type rotations struct {
	folder string
	known  bool
	// to are the new paths by the old ones, from the old ones by the new ones.
	to, from map[string]string
}

// end is the last new path of a chain: the one whose own file, if there was one, was not given another name.
func (r *rotations) end(rel string) string {
	for r.to[rel] != "" {
		rel = r.to[rel]
	}
	return rel
}

// renamed pairs old and new paths in a folder by the IDs of what is there now and was there when both sides last agreed. What has
// two names is left alone. It is pure.
func renamed(folder string, here []Named, base []state.Baseline) (to map[string]string) {
	names, now := map[uint64]string{}, map[string]entry.Entry{}
	for _, n := range here {
		now[n.Name] = n.Entry
		if n.Kind != entry.File || n.ID == 0 {
			continue
		}
		if _, twice := names[n.ID]; twice {
			names[n.ID] = ""
		} else {
			names[n.ID] = n.Name
		}
	}
	was := make(map[string]state.Baseline, len(base))
	for _, row := range base {
		was[path.Base(row.Path)] = row
	}
	to = map[string]string{}
	for old, row := range was {
		name := names[row.Local.ID]
		is := now[old]
		switch {
		case row.Bad != "" || row.Local.Kind != entry.File || row.Remote.Kind != entry.File || row.Local.ID == 0:
		case name == "" || name == old || strings.EqualFold(name, old):
		case is.Kind != entry.Absent && (is.Kind != entry.File || is.ID == 0):
		case was[name].Local.ID == row.Local.ID || was[name].Bad != "":
		default:
			to[path.Join(folder, old)] = path.Join(folder, name)
		}
	}
	return to
}

// straight takes out the paths that were exchanged in a circle: none of them can go first. It is pure.
func straight(to map[string]string) {
	for rel := range to {
		at := rel
		for range len(to) + 1 {
			at = to[at]
		}
		if at == "" {
			continue
		}
		for next := to[at]; next != ""; next = to[at] { // it never ends: all that lead there stay as they are
			delete(to, at)
			at = next
		}
	}
}

func (w *walker) followsRotation() bool {
	return w.request.Appends != nil && w.request.Rules.Direction == plan.Up
}

// rotate finds the rotations of a folder. far tells what is at a path on the server, if that was looked at.
func (w *walker) rotate(folder string, here []Named, base []state.Baseline, far func(rel string) (plan.Side, error)) error {
	w.rotations = rotations{folder: folder, known: true}
	if len(base) == 0 {
		return nil
	}
	now := make(map[string]entry.Entry, len(here))
	for _, n := range here {
		now[path.Join(folder, n.Name)] = n.Entry
	}
	rows := make(map[string]*state.Baseline, len(base))
	for i := range base {
		rows[base[i].Path] = &base[i]
	}
	to := renamed(folder, here, base)
	for old, name := range to {
		follows, err := w.mayRotate(*rows[old], rows[name], plan.Item{
			Path: name, Local: plan.Side{Knowledge: plan.Seen, Entry: now[name]}, Base: baseOf(rows[name]),
		}, far)
		if err != nil {
			return err
		}
		if !follows {
			delete(to, old)
		}
	}
	straight(to)
	w.rotations.to, w.rotations.from = to, make(map[string]string, len(to))
	for old, name := range to {
		w.rotations.from[name] = old
	}
	return nil
}

// mayRotate reports whether a file can be followed to its new name, over what is known to be there on the server.
func (w *walker) mayRotate(was state.Baseline, over *state.Baseline, item plan.Item, far func(rel string) (plan.Side, error)) (bool, error) {
	sent, err := w.request.Appended(was.Path)
	if err != nil {
		return false, fmt.Errorf("read what was sent: %w", err)
	}
	now := item.Local.Entry
	switch {
	case sent == nil && !(w.request.Appends(was.Path) && entry.Same(was.Local, now)):
		return false, nil // nothing would tell whether it is the same one
	case sent != nil && !w.beginsAs(item.Path, now, *sent):
		return false, nil // the number of a file that is gone was given to this one
	case IsTemp(path.Base(item.Path)) || w.excluded(item.Path, false) || w.filter.limited(plan.Up, item):
		return false, nil
	case w.excluded(was.Path, false) || w.linked(item) != "" || w.impossible(item) != "":
		return false, nil
	}
	there, err := far(was.Path)
	if err != nil || there.Knowledge != plan.Assumed && there.Entry.Kind != entry.File {
		return false, err
	}
	if there, err = far(item.Path); err != nil || there.Knowledge == plan.Unknown {
		return false, err
	}
	if there.Knowledge == plan.Assumed || there.Entry.Kind == entry.Absent {
		item.Remote = plan.Side{Knowledge: plan.Seen}
		return w.unkept(item) == "", nil
	}
	return over != nil && entry.Same(over.Remote, there.Entry), nil
}

// beginsAs reports whether a file may begin with what was sent, as far as the first block tells.
func (w *walker) beginsAs(rel string, now entry.Entry, sent state.Appended) bool {
	if now.Size < sent.Size {
		return false
	}
	file, err := w.local.Open(rel)
	if err != nil {
		return false
	}
	defer file.Close()
	first := make([]byte, min(sent.Size, state.AppendedBlock))
	if _, err := io.ReadFull(file, first); err != nil {
		return false
	}
	sum := sha256.Sum256(first)
	return bytes.Equal(sum[:], sent.First)
}

// rotated decides about a path that was given another name as it was rotated, or is such a name. The path itself is left alone
// until that was done on the server too; then it is looked at again.
func (w *walker) rotated(ctx context.Context, item plan.Item) (bool, error) {
	is, known := item.Local.Entry, item.Base != nil
	switch {
	case !w.followsRotation() || item.Doubt != "":
		return false, nil
	case is.Kind != entry.File && (is.Kind != entry.Absent || !known) || known && is.Kind == entry.File && is.ID == item.Base.Local.ID:
		return false, nil // it is what it was, or no file
	}
	if err := w.rotationsOf(ctx, folderOf(item.Path)); err != nil {
		return false, err
	}
	r := w.rotations
	if r.to[item.Path] == "" && r.from[item.Path] == "" {
		return false, nil
	}
	end := r.end(item.Path)
	if _, recorded := w.moves.from[r.from[end]]; recorded {
		return true, nil
	}
	if end != item.Path {
		if w.request.Paths == nil {
			return true, nil // it comes, or has come
		}
		other, err := w.item(ctx, end)
		if err != nil {
			return false, err
		}
		item = other
	}
	op := plan.Op{
		Action: plan.MoveRemote, Path: end, Local: item.Local, Remote: item.Remote, Base: item.Base, From: r.from[end], Rotated: true,
		Reason: fmt.Sprintf("rotated here from %q", r.from[end]),
	}
	if w.moves.from == nil {
		w.moves.from = map[string]bool{}
	}
	w.moves.from[op.From] = false
	w.record(item, plan.Decision{Op: &op})
	return true, nil
}

// rotationsOf looks for rotations in a folder that was not walked through.
func (w *walker) rotationsOf(ctx context.Context, folder string) error {
	if w.rotations.known && w.rotations.folder == folder {
		return nil
	}
	base, err := w.base(folder)
	if err != nil {
		return err
	}
	var here []Named
	if w.request.Local != nil {
		here = w.local.Read(folder).Names
	}
	return w.rotate(folder, here, base, func(rel string) (plan.Side, error) {
		if w.remoteRoot == there {
			return w.statRemote(ctx, rel)
		}
		return plan.Side{Knowledge: plan.Assumed}, nil
	})
}

// farSides tells what is in a folder of the server that was read, or assumed to be as it was.
func farSides(far Entries, remote presence, hidden bool) func(rel string) (plan.Side, error) {
	found := make(map[string]entry.Entry, len(far.Names))
	for _, n := range far.Names {
		found[n.Name] = n.Entry
	}
	return func(rel string) (plan.Side, error) {
		e, is := found[path.Base(rel)]
		switch {
		case remote == assumed || !is && !hidden && strings.HasPrefix(path.Base(rel), "."):
			return plan.Side{Knowledge: plan.Assumed}, nil
		case !is && far.Unknown != "":
			return plan.Side{}, nil
		}
		return plan.Side{Knowledge: plan.Seen, Entry: e}, nil
	}
}
