package plan

import "github.com/ftpferry/ftpferry/state/entry"

// Guarded reports whether an operation of a scan has to wait until all of the scan has passed the guard: what would be
// destroyed before a person is asked could not be brought back. known is the number of paths in the baseline when the scan
// began.
func Guarded(rules Rules, op Op, known int) bool {
	switch {
	case op.Action.Deletes():
		return true
	case known <= 0 && rules.Delete && rules.Direction != Both:
		return true // first contact: the target may be another one than the one that was meant
	case op.Base == nil:
		return false
	}
	return op.Local.shifted(op.Base.Local) || op.Remote.shifted(op.Base.Remote)
}

// shifted reports that the time of a file moved as another time zone would move it, and nothing else did.
func (s Side) shifted(was entry.Entry) bool {
	shift, moved := s.shift(was)
	return moved && shift != 0
}
