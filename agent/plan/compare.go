package plan

import "github.com/ftpferry/ftpferry/state/entry"

// unlessSame is a conflict about two versions that both were seen, for a reason, unless they may hold the same whatever their times
// are and the server can tell: then they are compared first.
func (i Item) unlessSame(reason, until string) Decision {
	if i.Contents == Comparable && i.mayHoldSame() {
		return Decision{Op: i.op(Compare, reason+"; in step if both hold the same"), Keeps: true}
	}
	decision := i.conflict(reason + until)
	decision.Note.Compared = i.Contents == Different
	return decision
}

// mayHoldSame reports two files that were seen to have one size.
func (i Item) mayHoldSame() bool {
	local, remote := i.Local, i.Remote
	return local.Knowledge == Seen && remote.Knowledge == Seen && local.Entry.Kind == entry.File && remote.Entry.Kind == entry.File &&
		local.Entry.Size >= 0 && local.Entry.Size == remote.Entry.Size
}

// DecideDifferent is the conflict that an operation which compares ends in once nothing proves that both sides hold the same, as each
// look tells it from then on. It is nil if the rules, which may be others by now, leave nothing to a person.
func (o Op) DecideDifferent(rules Rules) *Note {
	note := Decide(rules, Item{Path: o.Path, Local: o.Local, Remote: o.Remote, Base: o.Base, Contents: Different}).Note
	if note == nil || !note.Conflict {
		return nil
	}
	note.Local, note.Remote = o.Local, o.Remote
	return note
}
