package plan

import "github.com/ftpferry/ftpferry/state/entry"

// Guarded reports whether an operation of a scan has to wait until all of the scan has passed the guard: what would be
// destroyed before a person is asked could not be brought back. known is the number of paths in the baseline when the scan
// began, elsewhere as in [Totals].
func Guarded(rules Rules, op Op, known int, elsewhere bool) bool {
	switch {
	case op.Action.Deletes():
		return true
	case known <= 0 && (elsewhere || rules.Delete && rules.Direction != Both):
		return true // first contact: the target may be another one than the one that was meant
	case op.Base == nil:
		return false
	}
	if target := op.target(); rules.Direction != Both && target.Knowledge == Seen && target.Entry.Kind == entry.File {
		was := op.Base.Remote
		if rules.Direction == Down {
			was = op.Base.Local
		}
		if !same(target.Entry, was) {
			return true // somebody else's version, and maybe not the only thing there that is somebody else's
		}
	}
	return op.Local.shifted(op.Base.Local) || op.Remote.shifted(op.Base.Remote)
}

// shifted reports that the time of a file moved as another time zone would move it, and nothing else did.
func (s Side) shifted(was entry.Entry) bool {
	shift, moved := s.shift(was)
	return moved && shift != 0
}
