package scan

import (
	"context"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

const (
	// mostMoves is how many renames one run of a scan finds; beyond that files are transferred.
	mostMoves = 1000
	// mostOrigins is how many paths are looked at for the one that a file had before. That with the same ID is among them.
	mostOrigins = 64
)

// moves is what a run of a scan found renamed.
type moves struct {
	// from are the old paths, and whether they are those of the server.
	from map[string]bool
	// handed: something was handed over before, so that an old path may have been decided on already.
	handed bool
}

// findMove finds out whether something that is new on one side was there under another path when both sides last agreed, and is
// gone from there. Then it is renamed on the other side too, with all that is in it, and the old path is left alone. Without
// deletions the old path stays on the other side, so nothing is looked for.
func (w *walker) findMove(ctx context.Context, item plan.Item) (moved bool, err error) {
	r := w.request
	if r.Identified == nil || !r.Rules.Delete || item.Base != nil || item.Recognized != nil || item.Doubt != "" || len(w.moves.from) >= mostMoves {
		return false, nil
	}
	for _, far := range [...]bool{false, true} {
		source, target, action, where := item.Local, item.Remote, plan.MoveRemote, "here"
		if far {
			source, target, action, where = target, source, plan.MoveLocal, "on the server"
		}
		if far && r.Rules.Direction == plan.Up || !far && r.Rules.Direction == plan.Down ||
			source.Knowledge != plan.Seen || target.Knowledge == plan.Unknown || target.Entry.Kind != entry.Absent {
			continue
		}
		from, proven, err := w.origin(ctx, item.Path, source.Entry, far)
		if err != nil || from == "" {
			return false, err
		}
		op := plan.Op{Action: action, Path: item.Path, Local: item.Local, Remote: item.Remote, From: from, Unproven: !proven,
			Reason: fmt.Sprintf("renamed %s from %q", where, from), Replan: source.Entry.Kind == entry.Dir}
		return true, w.recordMove(item, op, far)
	}
	return false, nil
}

// within reports whether a path is in a folder that was found under its new name, or has something in it that was: one goes
// after the other then, or the second would not find what it is about.
func (m *moves) within(from string) bool {
	for other := range m.from {
		if isIn(from, other) || isIn(other, from) {
			return true
		}
	}
	return false
}

func (w *walker) recordMove(item plan.Item, op plan.Op, far bool) error {
	if w.moves.from == nil {
		w.moves.from = map[string]bool{}
	}
	if w.moves.within(op.From) {
		w.result.Again = append(w.result.Again, op.Path)
	} else {
		w.record(item, plan.Decision{Op: &op})
	}
	w.moves.from[op.From] = far
	return w.takeBack(op.From, op.Path)
}

// movedAway reports a path that was found under its new name, or is below one that was.
func (w *walker) movedAway(item plan.Item) bool {
	if len(w.moves.from) == 0 {
		return false
	}
	for rel := item.Path; rel != "."; rel = path.Dir(rel) {
		if far, moved := w.moves.from[rel]; moved {
			source := item.Local
			if far {
				source = item.Remote
			}
			return source.Knowledge == plan.Seen && source.Entry.Kind == entry.Absent
		}
	}
	return false
}

// takeBack takes deletions of the old path, and below it, out of what was found and of the totals. Those that were handed over
// already find, once they are let go, that the path is not in the baseline any more.
func (w *walker) takeBack(from, to string) error {
	p, totals := &w.result.Plan, &w.result.Totals
	kept, taken := p.Ops[:0], 0
	for _, op := range p.Ops {
		if !op.Action.Deletes() || !isIn(op.Path, from) {
			kept = append(kept, op)
			continue
		}
		if op.DeletesFile() {
			taken++
		}
		if op.Extra {
			totals.Extra--
		}
	}
	p.Ops = kept
	if (w.moves.handed || w.request.Cursor != nil) && inOrder(from, to) < 0 {
		known, err := w.filesIn(from)
		if err != nil {
			return err
		}
		taken = max(taken, known)
	}
	totals.Deletes = max(totals.Deletes-taken, 0)
	return nil
}

// filesIn counts the files at a path and below it that were in step.
func (w *walker) filesIn(rel string) (files int, err error) {
	row, err := w.request.At(rel)
	if err != nil || row == nil {
		return 0, err
	}
	if row.Local.Kind != entry.Dir {
		return 1, nil
	}
	for folders := []string{rel}; len(folders) > 0; {
		rows, err := w.request.Children(folders[0])
		if err != nil {
			return files, fmt.Errorf("read baseline: %w", err)
		}
		folders = folders[1:]
		for _, row := range rows {
			if row.Local.Kind == entry.Dir {
				folders = append(folders, row.Path)
			} else {
				files++
			}
		}
	}
	return files, nil
}

// origin returns the path under which the baseline knows what is new at rel, "" if there is none. proven: it has the same ID;
// otherwise only a comparison of contents can tell.
func (w *walker) origin(ctx context.Context, rel string, e entry.Entry, far bool) (from string, proven bool, err error) {
	paths, err := w.identified(e, far)
	if err != nil {
		return "", false, err
	}
	likely := ""
	for _, from := range paths {
		row, same, proven, err := w.mayBe(from, rel, e, far)
		if err != nil {
			return "", false, err
		}
		if !same || !proven && (likely != "" || !w.comparable(e, *row)) {
			continue
		}
		gone, err := w.gone(ctx, from, rel, far)
		if err == nil && gone && e.Kind == entry.Dir {
			gone, err = w.holdsTheSame(ctx, from, rel, far)
		}
		switch {
		case err != nil:
			return "", false, err
		case gone && proven:
			return from, true, nil
		case gone:
			likely = from
		}
	}
	return likely, false, nil
}

func (w *walker) identified(e entry.Entry, far bool) ([]string, error) {
	if w.request.Known == 0 || !w.request.Rules.Delete {
		return nil, nil // a first contact knows nothing by another name, and without deletions nobody asks
	}
	side := state.LocalSide
	if far {
		side = state.RemoteSide
	}
	paths, err := w.request.Identified(side, e, mostOrigins)
	if err != nil {
		return nil, fmt.Errorf("read identities: %w", err)
	}
	return paths, nil
}

// mayBe reports whether what is at rel on one side is what the baseline knows at from, and whether the IDs prove it.
func (w *walker) mayBe(from, rel string, e entry.Entry, far bool) (row *state.Baseline, same, proven bool, err error) {
	if _, taken := w.moves.from[from]; taken || isIn(from, rel) || isIn(rel, from) || !w.filter.leads(from, e.Kind == entry.Dir) {
		return nil, false, false, nil
	}
	if row, err = w.request.At(from); err != nil {
		return nil, false, false, fmt.Errorf("read baseline: %w", err)
	}
	if row == nil || row.Bad != "" || row.Local.Kind != e.Kind || row.Remote.Kind != e.Kind {
		return nil, false, false, nil
	}
	was := row.Local
	if far {
		was = row.Remote
	}
	proven = was.ID != 0 && was.ID == e.ID && (far || w.wasThere(rel, e, row.When))
	return row, entry.Same(was, e) && (proven || e.Kind == entry.File), proven, nil
}

// wasThere reports whether what is at a local path now was there, under whatever path, at the time when. The number of a file
// that was removed is given to the next one, which may have its size, and its time too where programs set that: of unpacked
// archives, and of builds that are to be the same each time. Where nobody says when a file was made, or it is
// said to be in the future, a time in whole seconds proves nothing.
func (w *walker) wasThere(rel string, e entry.Entry, when time.Time) bool {
	if w.request.Local == nil {
		return false
	}
	if at := born(w.request.Local, rel); !at.IsZero() && !when.IsZero() && !at.After(time.Now()) {
		return !at.After(when)
	}
	return e.Kind == entry.Dir || e.ModTime.Nanosecond() != 0
}

// comparable reports whether the contents of a file on both sides might be compared by a hash.
func (w *walker) comparable(e entry.Entry, row state.Baseline) bool {
	if e.Kind != entry.File || e.Size <= 0 || row.Remote.Size >= 0 && row.Local.Size >= 0 && row.Remote.Size != row.Local.Size {
		return false
	}
	if w.request.Remote == nil {
		return true // whoever renames it finds out
	}
	server, ok := w.request.Remote.Conn.(interface{ Hashes() []ftpclient.Algorithm })
	return ok && len(server.Hashes()) > 0
}

// gone reports whether a path is surely not there any more.
func (w *walker) gone(ctx context.Context, from, rel string, far bool) (bool, error) {
	if far {
		there, err := w.statRemote(ctx, from)
		return err == nil && there.Knowledge == plan.Seen && there.Entry.Kind == entry.Absent, err
	}
	there, err := w.statLocal(from)
	switch {
	case err != nil:
		return false, nil // nobody can tell
	case there.Kind == entry.Absent:
		return true, nil
	case !strings.EqualFold(from, rel) || path.Dir(from) != path.Dir(rel):
		return false, nil
	}
	// Where both spellings lead to one file, the folder says which one it has.
	names := ReadLocal(w.request.Local, strings.TrimPrefix(path.Dir(from), "."))
	for _, found := range names.Names {
		if found.Name == path.Base(from) {
			return false, nil
		}
	}
	return names.Unknown == "", nil
}

// holdsTheSame reports whether at least half of what the baseline knows in the folder from is in the folder rel. The number of a
// folder that was removed may have been given to a new one, which then has nothing in common with it.
func (w *walker) holdsTheSame(ctx context.Context, from, rel string, far bool) (bool, error) {
	rows, err := w.base(from)
	if err != nil || len(rows) == 0 {
		return false, err
	}
	var now Entries
	if far {
		if now, _, err = w.request.Remote.Read(ctx, rel); err != nil {
			if !w.request.Remote.Conn.Usable() {
				return false, err
			}
			return false, nil
		}
	} else {
		now = ReadLocal(w.request.Local, rel)
	}
	found, same := make(map[string]entry.Entry, len(now.Names)), 0
	for _, name := range now.Names {
		found[name.Name] = name.Entry
	}
	for _, row := range rows {
		was, is := row.Local, found[path.Base(row.Path)]
		if far {
			was = row.Remote
		}
		if is.Kind != entry.Absent && entry.Same(was, is) && (was.ID == is.ID || was.ID == 0 || is.ID == 0) {
			same++
		}
	}
	return 2*same >= len(rows), nil
}

// recognizeMove finds out whether both sides hold a file under a new path that was in step under an old one: a rename of ours
// that was cut off before its commit, or one that somebody has made on both sides. On servers that keep no times nothing else
// would tell that both are the same.
func (w *walker) recognizeMove(ctx context.Context, item plan.Item) (plan.Item, error) {
	here, there := item.Local, item.Remote
	if w.request.Identified == nil || item.Base != nil || item.Recognized != nil || here.Knowledge != plan.Seen || there.Knowledge != plan.Seen ||
		here.Entry.Kind != entry.File || there.Entry.Kind != entry.File || entry.Equal(here.Entry, there.Entry) {
		return item, nil
	}
	far := w.request.Rules.Direction == plan.Down
	known := here.Entry
	if far {
		known = there.Entry
	}
	paths, err := w.identified(known, far)
	if err != nil {
		return item, err
	}
	for _, from := range paths {
		row, same, _, err := w.mayBe(from, item.Path, known, far)
		if err != nil {
			return item, err
		}
		sameID := func(was, is entry.Entry) bool { return is.ID != 0 && was.ID == is.ID }
		if !same || !sameFile(row.Local, here.Entry) || !sameFile(row.Remote, there.Entry) ||
			!(sameID(row.Local, here.Entry) && w.wasThere(item.Path, here.Entry, row.When)) && !sameID(row.Remote, there.Entry) {
			continue
		}
		goneThere, err := w.gone(ctx, from, item.Path, true)
		if err != nil {
			return item, err
		}
		if goneHere, _ := w.gone(ctx, from, item.Path, false); goneHere && goneThere {
			item.Recognized = &plan.Base{Local: here.Entry, Remote: there.Entry}
			return item, nil
		}
	}
	return item, nil
}

// sameFile is entry.Same for looks at two paths of one side: IDs that are known must not differ.
func sameFile(was, is entry.Entry) bool {
	return entry.Same(was, is) && was.Size == is.Size && (was.ID == is.ID || was.ID == 0 || is.ID == 0)
}

// identify writes down what tells a path that is in step from others, if that is not known yet: it was not when the row was
// written, by an older version, or about a folder that was just made.
func (w *walker) identify(item plan.Item, d plan.Decision) plan.Decision {
	if w.request.Identified == nil || d.Op != nil || d.Agree != nil || d.Note != nil || d.Forget || item.Base == nil || item.Base.Unreadable ||
		item.Recognized != nil || item.Doubt != "" {
		return d
	}
	now, direction := *item.Base, w.request.Rules.Direction
	fill := func(was *entry.Entry, is plan.Side) {
		if was.ID == 0 && is.Knowledge == plan.Seen && entry.Same(*was, is.Entry) {
			was.ID = is.Entry.ID
		}
	}
	if direction != plan.Down {
		fill(&now.Local, item.Local)
	}
	if direction != plan.Up {
		fill(&now.Remote, item.Remote)
	}
	if now != *item.Base {
		d.Agree = &plan.Agreement{Path: item.Path, Base: now, Was: item.Base}
	}
	return d
}
