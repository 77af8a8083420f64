package scan

import (
	"strings"

	"github.com/ftpferry/ftpferry/agent/plan"
	"github.com/ftpferry/ftpferry/state/entry"
)

// quick tells the files of a folder that are in step as they are, which is nearly all of them in nearly all scans, without having the
// planner decide about each. What is not plain is none of these: decide knows.
type quick struct {
	w *walker
	// far: the folder was listed on the server too.
	far bool
	// off: there is none in this folder, or each has to be decided about.
	off bool
}

// quickIn is about a folder after all was read in it. clash is what clashing has found.
func (w *walker) quickIn(local, remote presence, clash clashes) quick {
	return quick{w: w, far: remote == there, off: w.request.thorough || local != there || remote != there && remote != assumed ||
		len(clash) > 0 || w.request.Rules.Consume || w.filter.filter.HasLimits() || len(w.rotations.to)+len(w.rotations.from) > 0}
}

// passes reports whether decide would find nothing to do about a name, and nothing to write down; then it is counted as decide would
// have. It holds for regular files alone that have their row, and are the same as in that on each side that somebody looks at.
func (q quick) passes(f *frame, found one) bool {
	w, here, base := q.w, found.here, found.base
	if q.off || len(f.at) > 0 || here == nil || base == nil {
		return false
	}
	if base.Left != "" || base.Local.Kind != entry.File || base.Remote.Kind != entry.File || !entry.Same(*here, base.Local) {
		return false
	}
	direction := w.request.Rules.Direction
	if direction != plan.Down && base.Local.ID == 0 && here.ID != 0 {
		return false // see identify
	}
	far := &base.Remote
	if q.far {
		if far = found.far; far == nil || coarse(*far) || !entry.Same(*far, base.Remote) {
			return false
		}
		if direction != plan.Up && (base.Remote.ModTime.IsZero() || base.Remote.ID == 0 && far.ID != 0) {
			return false // see date and identify
		}
	}
	if !usual(found.name) || direction != plan.Up && storable(found.name) != "" || w.excluded(base.Path, false) {
		return false
	}
	w.result.Looked++
	w.result.Totals.CountUnchanged(q.far)
	f.keeps = true
	if direction != plan.Up {
		f.seen = sumOne(f.seen, found.name, *here)
	}
	if direction != plan.Down {
		f.seen = sumOne(f.seen, found.name, *far)
	}
	return true
}

// usual reports a name that FTP can carry, and that is none of our own.
func usual(name string) bool {
	for i := range len(name) {
		if name[i] < ' ' {
			return false
		}
	}
	return !strings.Contains(name, tempMark)
}
