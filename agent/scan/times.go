package scan

import (
	"context"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/state/entry"
)

// lookahead is how many names of a folder are looked through for times to ask for together. A time is as old by the
// time it counts as the listing is.
const lookahead = 256

// exactTimes are the answers about files whose listed times are coarse, by path. An answer that is an error is one too.
type exactTimes map[string]ftpclient.FileTime

// ahead goes over the names of a folder and asks for the exact times of many at once, those of far which are coarse. item says what is
// known of a name; those it leaves out are not asked for.
func (w *walker) ahead(ctx context.Context, names iter.Seq[one], far []Named, item func(one) (plan.Item, bool)) iter.Seq2[one, exactTimes] {
	return func(yield func(one, exactTimes) bool) {
		if !slices.ContainsFunc(far, func(n Named) bool { return coarse(n.Entry) }) { // there is nothing to ask
			for name := range names {
				if !yield(name, nil) {
					return
				}
			}
			return
		}
		var next []one
		hand := func() bool {
			times := w.exactTimes(ctx, next, item)
			for _, name := range next {
				if !yield(name, times) {
					return false
				}
			}
			next = next[:0]
			return true
		}
		for name := range names {
			if next = append(next, name); len(next) == lookahead && !hand() {
				return
			}
		}
		hand()
	}
}

// exactTimes asks for the times that decide about these names. When that ends the connection, those that are missing are
// asked for by refineTime, which tells.
func (w *walker) exactTimes(ctx context.Context, names []one, item func(one) (plan.Item, bool)) exactTimes {
	var paths, full []string
	for _, name := range names {
		if name.far == nil || !coarse(*name.far) {
			continue
		}
		if known, ok := item(name); ok && w.timeDecides(known) && !w.leftOut(known) {
			paths, full = append(paths, known.Path), append(full, w.request.Remote.Path(w.farRel(known)))
		}
	}
	if len(paths) == 0 {
		return nil
	}
	answers, _ := w.request.Remote.Conn.ModTimes(ctx, full)
	times := make(exactTimes, len(answers))
	for i, answer := range answers {
		times[paths[i]] = answer
	}
	return times
}

// leftOut reports names of which decide does not get as far as their times.
func (w *walker) leftOut(item plan.Item) bool {
	return IsTemp(path.Base(item.Path)) || w.excluded(item.Path, isDir(item)) || w.linked(item) != "" || w.impossible(item) != "" || w.unkept(item) != ""
}

// timeDecides reports whether the listing's coarse time would decide about a file: a LIST line has minutes at best, and in a
// zone that nobody names.
func (w *walker) timeDecides(item plan.Item) bool {
	far := item.Remote.Entry
	if item.Remote.Knowledge != plan.Seen || !coarse(far) {
		return false
	}
	was, here := entry.Entry{}, item.Local.Entry
	if item.Base != nil {
		was = item.Base.Remote
	}
	mayBe := func(other entry.Entry) bool {
		return other.Kind == entry.File && (far.Size == other.Size || far.Size < 0 || other.Size < 0)
	}
	// A listing without times shows no change, and proves nothing where there was a time.
	timeless := far.ModTime.IsZero() && !was.ModTime.IsZero()
	unchanged := entry.Same(far, was) && !timeless && settled(far, item.Base.When)
	return !unchanged && (mayBe(was) || mayBe(here)) || w.conflicts(item)
}

// conflicts reports a file that neither side has as it was when both agreed: the newer one may win.
func (w *walker) conflicts(item plan.Item) bool {
	return w.request.Rules.Direction == plan.Both && item.Local.Entry.Kind == entry.File &&
		changed(item.Local, item.Base, false) && changed(item.Remote, item.Base, true)
}

// coarse reports a file with a listed time that does not tell the second.
func coarse(far entry.Entry) bool {
	return far.Kind == entry.File && (far.Precision > time.Second || far.ModTime.IsZero())
}

// refineTime puts the exact time of a file in place of the listed one where that would decide. asked says that it did.
func (w *walker) refineTime(ctx context.Context, item plan.Item, times exactTimes) (_ plan.Item, asked bool, err error) {
	if !w.timeDecides(item) {
		return item, false, nil
	}
	answer, known := times[item.Path]
	if !known {
		answers, err := w.request.Remote.Conn.ModTimes(ctx, []string{w.request.Remote.Path(w.farRel(item))})
		if err != nil {
			return item, false, err
		}
		answer = answers[0]
	}
	if answer.Err != nil {
		return item, false, nil
	}
	item.Remote.Entry.ModTime, item.Remote.Entry.Precision = answer.ModTime, time.Second
	return item, true, nil
}

// settled reports whether a look at the time when proves a listed file unchanged. A change
// within the unit of the listed time does not show, so only a look from well after that time
// does: a day, because clocks differ.
func settled(listed entry.Entry, when time.Time) bool {
	return when.After(listed.ModTime.Add(listed.Precision + 24*time.Hour))
}

// renew dates the agreement about an unchanged file anew once that settles it: the exact time
// need not be asked for again.
func (w *walker) renew(listed entry.Entry, item plan.Item, d plan.Decision) plan.Decision {
	nothing := d.Op == nil && d.Agree == nil && !d.Forget && d.Note == nil && item.Base != nil
	if nothing && entry.Same(listed, item.Base.Remote) && settled(listed, w.began) && !settled(listed, item.Base.When) {
		d.Agree = &plan.Agreement{Path: item.Path, Base: *item.Base, Was: item.Base}
	}
	return d
}

// date writes down the listed time of a file on the server that is in step, where the server tells no other one and none is
// known: of a file that was sent to such a server. Without one, no change of equal size would ever show there.
func (w *walker) date(item plan.Item, d plan.Decision) plan.Decision {
	far := item.Remote.Entry
	if d.Op != nil || d.Agree != nil || d.Note != nil || d.Forget || item.Base == nil || item.Base.Unreadable || item.Recognized != nil ||
		item.Doubt != "" || w.request.Rules.Direction == plan.Up || item.Remote.Knowledge != plan.Seen {
		return d
	}
	now := *item.Base
	if now.Remote.Kind != entry.File || !now.Remote.ModTime.IsZero() || far.ModTime.IsZero() || !entry.Same(now.Remote, far) {
		return d
	}
	now.Remote.ModTime, now.Remote.Precision = far.ModTime, far.Precision
	d.Agree = &plan.Agreement{Path: item.Path, Base: now, Was: item.Base}
	return d
}
