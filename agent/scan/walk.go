package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// base returns what is known of the contents of a folder, sorted.
func (w *walker) base(dir string) ([]state.Baseline, error) {
	rows, err := w.request.Children(dir)
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", err)
	}
	if byPath := func(a, b state.Baseline) int { return strings.Compare(a.Path, b.Path) }; !slices.IsSortedFunc(rows, byPath) {
		slices.SortFunc(rows, byPath)
	}
	return rows, nil
}

func baseOf(row *state.Baseline) *plan.Base {
	if row == nil {
		return nil
	}
	return &plan.Base{Local: row.Local, Remote: row.Remote, When: row.When, Left: row.Left, Unreadable: row.Bad != ""}
}

func (w *walker) readLocal(rel string, p presence) Entries {
	switch p {
	case absent:
		return Entries{}
	case there:
		e := w.local.Read(rel)
		if e.Unknown != "" {
			if now, err := w.local.Stat(rel); err == nil && now.Kind != entry.Dir {
				w.again(rel)
				return e
			}
			w.unknown(rel, e.Unknown)
		}
		return e
	}
	return Entries{Unknown: "not looked at"}
}

func (w *walker) readRemote(ctx context.Context, rel string, p presence, base []state.Baseline) (e Entries, hidden bool, err error) {
	switch p {
	case absent, assumed:
		return Entries{}, true, nil
	case there:
		listing, err := w.request.Remote.list(ctx, rel, base)
		e, hidden, err := w.request.Remote.read(ctx, rel, listing, err)
		if errors.Is(err, fs.ErrNotExist) {
			// It was there a moment ago. The next scan knows better.
			now, statErr := w.statRemote(ctx, rel)
			if statErr == nil && (now.Knowledge == plan.Unknown || now.Entry.Kind == entry.Dir) {
				// It is shown and cannot be entered, whatever the server calls that.
				e := refused(err)
				w.unlisted(rel, e)
				return e, false, nil
			}
			w.again(rel)
			return Entries{Unknown: "vanished during the scan"}, false, statErr
		}
		if e.Unknown != "" {
			w.unlisted(rel, e)
		}
		return e, hidden, err
	}
	return Entries{Unknown: "not looked at"}, true, nil
}

// unlisted notes a folder of the server that is unknown, unless that is how it is meant.
func (w *walker) unlisted(rel string, e Entries) {
	if !e.Refused || !w.request.DropBox {
		w.unknown(rel, e.Unknown)
	}
}

// decideUnless leaves a path alone that clashes with another one, with all below it.
func (w *walker) decideUnless(ctx context.Context, clash string, item plan.Item, times exactTimes, at []Level) (keeps bool, err error) {
	if clash == "" {
		return w.decide(ctx, item, times, at)
	}
	w.result.Looked++
	w.note(item, plan.Note{Path: item.Path, Text: clash, Conflict: true})
	return true, nil
}

// decide has the planner decide about one path and goes below it. With a place in it to go on from, what is decided before its
// contents was recorded in an earlier part. keeps reports whether something stays there at the target.
func (w *walker) decide(ctx context.Context, item plan.Item, times exactTimes, at []Level) (keeps bool, err error) {
	if instance, job, attempt, temp := parseTempName(path.Base(item.Path)); temp {
		return w.temporary(item, instance, job, attempt), nil
	}
	if before, instance, job, claim := ParseClaimName(path.Base(item.Path)); claim {
		return w.claimed(item, before, instance, job), nil
	}
	if item.Remote.Entry.Kind == entry.Dir && item.Local.Entry.Kind == entry.Absent && item.Base == nil && ftpclient.IsProbe(path.Base(item.Path)) {
		return w.probe(item), nil
	}
	limited := w.filter.limited(w.request.Rules.Direction, item)
	excluded := w.excluded(item.Path, isDir(item))
	if excluded || limited && gone(item) {
		if err := w.forget(ctx, item, at); err != nil {
			return true, err
		}
	}
	if limited && !excluded { // it may be within the limits again; while it is on both sides, it must not be a stranger then
		if young := w.young(item); young != nil {
			w.note(item, *young)
		}
	}
	if excluded || limited {
		return w.target(item).Entry.Kind != entry.Absent, nil
	}
	if w.movedAway(item) {
		return false, nil // by when its folder may go, it is under its new name
	}
	if text := cmp.Or(w.linked(item), w.impossible(item)); text != "" {
		w.note(item, plan.Note{Path: item.Path, Text: text})
		return true, nil
	}
	if loops, err := w.loopsFar(ctx, item); err != nil || loops {
		w.note(item, plan.Note{Path: item.Path, Text: "the folder on the server is one that it is in: a symbolic link that the server does not show as one"})
		return true, err
	}
	if text := w.unkept(item); text != "" {
		w.note(item, plan.Note{Path: item.Path, Text: text, Conflict: true})
		return true, nil
	}
	if w.isUnmounted(item) {
		w.unknown(item.Path, unmounted)
		return true, nil
	}
	if w.needsFarSide(item) {
		w.result.Looked++
		w.result.Changed = append(w.result.Changed, item)
		return true, nil
	}
	if rotated, err := w.rotated(ctx, item); err != nil || rotated {
		return true, err
	}
	resumed := len(at) > 0 && at[0].holds(w.request.Rules.Direction, item)
	if !resumed {
		at = []Level{{}}
		w.result.Looked++
	}
	listed := item.Remote.Entry
	item, asked, err := w.refineTime(ctx, item, times)
	if err != nil {
		return true, err
	}
	if item, err = w.recognizeOwn(item); err != nil {
		return true, err
	}
	if item, err = w.knownByNow(item); err != nil {
		return true, err
	}
	if item, err = w.recognizeMove(ctx, item); err != nil {
		return true, err
	}
	if moved, err := w.findMove(ctx, item); err != nil || moved {
		return true, err // what is in it is looked at under its new name
	}
	d, err := w.judge(item)
	if err != nil {
		return true, err
	}
	d = w.keepsBehindLinks(d)
	if asked {
		d = w.renew(listed, item, d)
	}
	d, err = w.hold(ctx, item, w.identify(item, w.date(item, d)))
	if err != nil {
		return true, err
	}
	deletes := d.Op != nil && d.Op.Action.Deletes()
	if !deletes && !resumed {
		w.record(item, d)
	}
	keeps = d.Keeps
	if d.Descend || resumed {
		level := &w.levels[len(w.levels)-1]
		level.Local, level.Remote = item.Local.Entry.Kind, item.Remote.Entry.Kind
		w.entered = item.Remote.Entry.ID
		stays, err := w.folder(ctx, item.Path, below(item.Local, present(item.Local.Entry.Kind == entry.Dir)), w.belowRemote(item), at[1:])
		if err != nil {
			return true, err
		}
		if deletes && stays {
			w.note(item, plan.Note{Path: item.Path, Conflict: d.Op.Replan, Text: d.Op.Reason + ", but something in it stays; kept"})
			return true, nil
		}
		keeps = keeps || stays
	}
	if deletes {
		w.record(item, d)
	}
	return keeps, nil
}

func below(s plan.Side, p presence) presence {
	if s.Knowledge == plan.Unknown {
		return unknown
	}
	return p
}

func (w *walker) belowRemote(item plan.Item) presence {
	if item.Remote.Knowledge == plan.Assumed {
		return assumed
	}
	return below(item.Remote, present(item.Remote.Entry.Kind == entry.Dir))
}

// target is the side that would be changed. Where that may be either, it is the one that has the path, or has a folder there:
// that one may have to go.
func (w *walker) target(item plan.Item) plan.Side {
	switch w.request.Rules.Direction {
	case plan.Down:
		return item.Local
	case plan.Both:
		if here, far := item.Local.Entry.Kind, item.Remote.Entry.Kind; far == entry.Absent || here == entry.Dir && far != entry.Dir {
			return item.Local
		}
	}
	return item.Remote
}

// targets are the looks at all sides that may be changed; where that is one, the second is Absent.
func (w *walker) targets(item plan.Item) [2]entry.Entry {
	if w.request.Rules.Direction == plan.Both {
		return [2]entry.Entry{item.Local.Entry, item.Remote.Entry}
	}
	return [2]entry.Entry{w.target(item).Entry}
}

// forget drops what is known of a path that does not take part any more, and of all below it.
// Nothing is deleted by that: if it takes part again one day, equal files are adopted.
func (w *walker) forget(ctx context.Context, item plan.Item, at []Level) error {
	if len(at) == 0 || !at[0].Forgets {
		if at = []Level{{}}; item.Base == nil {
			return nil
		}
		w.result.Plan.Forget = append(w.result.Plan.Forget, item.Path)
		if item.Base.Local.Kind != entry.Dir {
			return nil
		}
	}
	children, err := w.request.Children(item.Path)
	if err != nil {
		return fmt.Errorf("read baseline: %w", err)
	}
	w.levels[len(w.levels)-1].Forgets = true
	f := w.enter(at[1:])
	defer w.leave(f)
	open := path.Join(item.Path, f.under())
	here := func(row state.Baseline, rel string) int { return strings.Compare(row.Path, rel) }
	if i, found := slices.BinarySearchFunc(children, open, here); !found && open != item.Path {
		children = slices.Insert(children, i, state.Baseline{Path: open}) // it is forgotten, and what is below it not yet
	}
	for _, child := range children {
		name := path.Base(child.Path)
		if f.passed(name) {
			continue
		}
		if err := w.forget(ctx, plan.Item{Path: child.Path, Base: baseOf(&child)}, w.begin(f, name)); err != nil {
			return err
		}
		if err := w.end(ctx, f, name); err != nil {
			return err
		}
	}
	return nil
}

// impossible says why a name cannot exist on both sides, "" if it can.
func (w *walker) impossible(item plan.Item) string {
	name := path.Base(item.Path)
	if w.request.Rules.Direction != plan.Up {
		if text := storable(name); text != "" {
			return text
		}
	}
	if w.request.Rules.Direction != plan.Down {
		if text := tooLong(item); text != "" {
			return text
		}
	}
	return sendable(name)
}

// unkept says why a name would not be what it is on this server, "" if it would: somebody has to
// rename it.
func (w *walker) unkept(item plan.Item) string {
	if w.request.Rules.Direction == plan.Down || w.request.Remote == nil ||
		item.Local.Entry.Kind == entry.Absent || item.Remote.Entry.Kind != entry.Absent {
		return ""
	}
	if what := w.request.Remote.Conn.Facts().ChangesName(path.Base(w.farRel(item))); what != "" {
		return "the server changes such names (this one " + what + "): rename it"
	}
	return ""
}

// temporary notes an orphan, which will be swept. Any other temporary file keeps its folder:
// somebody may be writing it.
func (w *walker) temporary(item plan.Item, instance string, job uint64, attempt int) (keeps bool) {
	target := w.target(item).Entry.Kind
	if w.request.Orphan == nil || !w.request.Orphan(instance, job, attempt) {
		return target != entry.Absent
	}
	if item.Remote.Knowledge == plan.Seen && ourKind(item.Remote.Entry.Kind) {
		w.result.Orphans = append(w.result.Orphans, Orphan{Path: item.Path, Remote: true})
	}
	if item.Local.Knowledge == plan.Seen && ourKind(item.Local.Entry.Kind) {
		w.result.Orphans = append(w.result.Orphans, Orphan{Path: item.Path})
	}
	return target != entry.Absent && !ourKind(target)
}

// ourKind reports whether jobs make such a thing under a temporary name.
func ourKind(k entry.Kind) bool { return k == entry.File || k == entry.Link }

// probe notes a folder that tried a name on the server: it is no part of the sync. Those that
// upload make them, and sweep up what a crash has left.
func (w *walker) probe(item plan.Item) (keeps bool) {
	if w.request.Rules.Direction == plan.Down {
		return false
	}
	if w.request.Orphan != nil {
		w.result.Orphans = append(w.result.Orphans, Orphan{Path: item.Path, Remote: true})
	}
	return true
}

func (w *walker) record(item plan.Item, d plan.Decision) {
	w.result.Totals.Count(item, d)
	p := &w.result.Plan
	if d.Op != nil {
		p.Ops = append(p.Ops, *d.Op)
	}
	if d.Agree != nil {
		p.Agree = append(p.Agree, *d.Agree)
	}
	if d.Forget {
		p.Forget = append(p.Forget, item.Path)
	}
	if d.Note != nil {
		w.note(item, *d.Note)
	}
}

func (w *walker) note(item plan.Item, n plan.Note) {
	n.Local, n.Remote = item.Local, item.Remote
	w.result.Plan.Notes = append(w.result.Plan.Notes, n)
}

// again notes a folder that went away while it was looked at.
func (w *walker) again(rel string) {
	w.result.Unseen++
	w.result.Again = append(w.result.Again, rel)
}

func (w *walker) unknown(rel, reason string) {
	w.result.Unseen++
	w.result.Unknown = append(w.result.Unknown, Unknown{Path: rel, Reason: reason})
}

// lookForHidden asks for a name with a leading dot that a listing did not show: it may leave
// such names out, and what is not shown is not absent.
func (w *walker) lookForHidden(ctx context.Context, item plan.Item) (plan.Item, error) {
	if w.excluded(item.Path, item.Local.Entry.Kind == entry.Dir) || IsTemp(item.Path) {
		return item, nil
	}
	expected := item.Base != nil && item.Base.Remote.Kind != entry.Absent || item.Local.Entry.Kind != entry.Absent
	if !expected || item.Remote.Knowledge != plan.Seen || item.Remote.Entry.Kind != entry.Absent {
		return item, nil
	}
	remote, err := w.statItem(ctx, item)
	item.Remote = remote
	if remote.Entry.Kind != entry.Absent && w.result.Totals.Remote == plan.RootEmpty {
		w.result.Totals.Remote = plan.RootFilled // the listing did not show it
	}
	return item, err
}

// needsFarSide reports a path that has changed here where either side may be right, and nobody looks at the other one. What takes no
// part has a note instead.
func (w *walker) needsFarSide(item plan.Item) bool {
	if w.request.Remote != nil || w.request.Rules.Direction != plan.Both || item.Local.Knowledge != plan.Seen || item.Base != nil && item.Base.Unreadable {
		return false
	}
	var was entry.Entry
	if item.Base != nil {
		was = item.Base.Local
	}
	now := item.Local.Entry
	if now.Kind == was.Kind && (now.Kind == entry.Absent || entry.Same(now, was) && now.Target == was.Target) {
		return false
	}
	return plan.Decide(w.request.Rules, item).Note == nil
}

// statRemote asks the server for one path. Only the end of the connection is an error.
func (w *walker) statRemote(ctx context.Context, rel string) (plan.Side, error) {
	if sendable(rel) != "" {
		return plan.Side{Knowledge: plan.Seen}, nil // what cannot be asked for cannot be there
	}
	r := w.request.Remote
	e, err := r.Stat(ctx, rel)
	switch {
	case err == nil:
		return plan.Side{Knowledge: plan.Seen, Entry: e}, nil
	case errors.Is(err, fs.ErrNotExist):
		return plan.Side{Knowledge: plan.Seen}, nil
	case !r.Conn.Usable():
		return plan.Side{}, err
	}
	w.unknown(rel, fmt.Sprintf("cannot look at the server: %v", err))
	return plan.Side{}, nil
}

// recognizeOwn finds out whether a target holds what a transfer of ours put there that was
// cut off before its commit. Then that is what both sides agreed on last: without this, our
// own file would look like somebody else's change.
func (w *walker) recognizeOwn(item plan.Item) (plan.Item, error) {
	direction := w.request.Rules.Direction
	oursThere := direction != plan.Down && changed(item.Remote, item.Base, true)
	oursHere := direction != plan.Up && changed(item.Local, item.Base, false)
	if w.request.Intents == nil || !oursThere && !oursHere {
		return item, nil
	}
	intents, err := w.request.Intents(item.Path)
	if err != nil {
		return item, fmt.Errorf("read intents: %w", err)
	}
	for _, intent := range intents {
		target, ours, down := item.Remote.Entry, oursThere, intent.Down || direction == plan.Down
		if down {
			target, ours = item.Local.Entry, oursHere
		}
		if !ours || !entry.Equal(intent.Source, target) {
			continue
		}
		item.Recognized = &plan.Base{Local: intent.Source, Remote: target}
		if down {
			item.Recognized = &plan.Base{Local: target, Remote: intent.Source}
		}
		break
	}
	return item, nil
}

// knownByNow looks once more for what both sides agreed on, if one of them has something that is in no row: the rows of a folder were
// read before the folder itself, and a job may have put it there meanwhile. Where nothing was known it would count as a stranger.
func (w *walker) knownByNow(item plan.Item) (plan.Item, error) {
	here, far := item.Local, item.Remote
	if item.Base != nil || item.Recognized != nil || here.Knowledge != plan.Seen || far.Knowledge != plan.Seen ||
		(here.Entry.Kind == entry.Absent) == (far.Entry.Kind == entry.Absent) || w.request.At == nil {
		return item, nil
	}
	row, err := w.request.At(item.Path)
	if err != nil {
		return item, fmt.Errorf("read baseline: %w", err)
	}
	item.Base = baseOf(row)
	return item, nil
}

// changed reports a file that is not what it was when both sides last agreed.
func changed(now plan.Side, base *plan.Base, remote bool) bool {
	if now.Knowledge != plan.Seen || now.Entry.Kind != entry.File {
		return false
	}
	if base == nil {
		return true
	}
	was := base.Local
	if remote {
		was = base.Remote
	}
	return !entry.Same(now.Entry, was)
}
