package plan

import "github.com/ftpferry/ftpferry/state/entry"

// unlessSame is a conflict about two versions that both were seen, for a reason, unless they may hold the same whatever their times
// are and the server can tell: then they are compared first.
func (i Item) unlessSame(reason, until string) Decision {
	local, remote := i.Local.Entry, i.Remote.Entry
	files := local.Kind == entry.File && remote.Kind == entry.File && i.Local.Knowledge == Seen && i.Remote.Knowledge == Seen
	if i.Contents == Comparable && files && local.Size >= 0 && local.Size == remote.Size {
		return Decision{Op: i.op(Compare, reason+"; in step if both hold the same"), Keeps: true}
	}
	decision := i.conflict(reason + until)
	decision.Note.Compared = i.Contents == Different
	return decision
}

// DecideDifferent is what is decided about an operation that compares once nothing proves that both sides hold the same.
func (o Op) DecideDifferent(rules Rules) Note {
	item := Item{Path: o.Path, Local: o.Local, Remote: o.Remote, Base: o.Base, Contents: Different}
	note := Note{Path: o.Path, Conflict: true, Compared: true, Text: o.Reason}
	if decided := Decide(rules, item).Note; decided != nil {
		note.Text = decided.Text // as it is told at each look from now on
	}
	note.Local, note.Remote = o.Local, o.Remote
	return note
}
