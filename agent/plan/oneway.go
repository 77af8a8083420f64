package plan

import (
	"fmt"

	"github.com/ftpferry/ftpferry/state/entry"
)

// decideOneWay decides for Up and Down: the source is right.
func decideOneWay(rules Rules, item Item, base *Base) Decision {
	d := decider{rules: rules, item: item, source: item.Local, target: item.Remote, base: base}
	if rules.Direction == Down {
		d.source, d.target = item.Remote, item.Local
	}
	if d.base != nil && d.base.Unreadable {
		return d.withoutBase()
	}
	return d.decide()
}

// withoutBase decides as if the path had never been in step, but neither deletes anything there nor forgets the path until both
// sides were seen without it.
func (d decider) withoutBase() Decision {
	target := d.targetName()
	d.base = nil
	decision := d.decide()
	if decision.Op != nil && decision.Op.Action.Deletes() {
		kept := d.item.conflict(fmt.Sprintf("%s, but what both sides agreed on cannot be read from the state file; kept %s", decision.Op.Reason, target))
		kept.Descend = decision.Descend
		return kept
	}
	if decision.Forget {
		if d.source.Knowledge != Seen || d.target.Knowledge != Seen {
			return Decision{Keeps: true}
		}
		decision.Descend = true // it may have been a folder
	}
	return decision
}

func (d decider) decide() Decision {
	switch {
	case d.source.Knowledge == Unknown || d.source.Knowledge == Assumed && d.base == nil:
		return Decision{Keeps: true} // there may be anything at the source
	case d.source.Entry.Kind == entry.Absent:
		return d.sourceGone()
	case d.source.Entry.Kind == entry.Dir:
		return d.sourceDir()
	case d.source.Entry.Kind == entry.File:
		return d.sourceFile()
	case d.source.Entry.Kind == entry.Link:
		return d.item.skip("symbolic links are not transferred")
	}
	return d.item.skip("not a regular file")
}

type decider struct {
	rules          Rules
	item           Item
	source, target Side
	base           *Base
}

// names of the sides in reasons
func (d decider) sourceName() string {
	if d.rules.Direction == Down {
		return "on the server"
	}
	return "here"
}

func (d decider) targetName() string {
	if d.rules.Direction == Down {
		return "here"
	}
	return "on the server"
}

// sourceChanged and targetChanged compare with the baseline. Both are false without one.
func (d decider) sourceChanged() bool {
	return d.base != nil && !entry.Same(d.source.Entry, d.baseSource())
}

func (d decider) targetChanged() bool {
	return d.base != nil && d.target.Knowledge == Seen && !entry.Same(d.target.Entry, d.baseTarget())
}

func (d decider) baseSource() entry.Entry {
	if d.rules.Direction == Down {
		return d.base.Remote
	}
	return d.base.Local
}

func (d decider) baseTarget() entry.Entry {
	if d.rules.Direction == Down {
		return d.base.Local
	}
	return d.base.Remote
}

func (d decider) transfer(reason string) Decision {
	action := Upload
	if d.rules.Direction == Down {
		action = Download
	}
	return Decision{Op: d.item.op(action, reason), Keeps: true}
}

func (d decider) makeDir(reason string) Decision {
	action := MakeRemoteDir
	if d.rules.Direction == Down {
		action = MakeLocalDir
	}
	return Decision{Op: d.item.op(action, reason), Descend: true, Keeps: true}
}

func (d decider) delete(reason string) *Op {
	action := DeleteRemote
	if d.rules.Direction == Down {
		action = DeleteLocal
	}
	op := d.item.op(action, reason)
	op.Extra = d.base == nil
	return op
}

// wasDir reports a path that was a folder: what the baseline knows below it has to be decided
// too, be it to forget it.
func (d decider) wasDir() bool { return d.base != nil && d.baseTarget().Kind == entry.Dir }

func (d decider) sourceFile() Decision {
	decision := d.sourceFileItself()
	if d.target.Knowledge != Unknown && d.target.Entry.Kind != entry.Dir && d.wasDir() {
		decision.Descend = true
	}
	return decision
}

func (d decider) sourceFileItself() Decision {
	switch d.target.Knowledge {
	case Unknown:
		// The worker looks before it acts; a file that is there and the same costs nothing.
		if d.base != nil && !d.sourceChanged() {
			return Decision{Keeps: true}
		}
		return d.transfer(d.newOrChanged())
	case Assumed:
		if d.base == nil {
			return d.transfer("new")
		}
	}
	switch d.target.Entry.Kind {
	case entry.Absent:
		if d.base != nil && !d.sourceChanged() {
			return d.transfer("missing " + d.targetName())
		}
		return d.transfer(d.newOrChanged())
	case entry.File:
		return d.bothFiles()
	case entry.Dir:
		if !d.rules.Delete {
			return d.item.conflict(fmt.Sprintf("a folder %s where a file is %s; delete is off", d.targetName(), d.sourceName()))
		}
		op := d.delete("a file takes the place of this folder")
		op.Replan = true
		return Decision{Op: op, Descend: true}
	}
	return d.item.conflict(fmt.Sprintf("something that is no regular file is in the way %s", d.targetName()))
}

func (d decider) newOrChanged() string {
	if d.base == nil {
		return "new"
	}
	return "changed"
}

func (d decider) bothFiles() Decision {
	sourceChanged, targetChanged := d.sourceChanged(), d.targetChanged()
	if d.base != nil && !sourceChanged && !targetChanged {
		if d.item.Recognized != nil {
			return d.item.agree()
		}
		return Decision{Keeps: true}
	}
	// A target that did not change holds the old content, however equal its size and time may
	// look: servers have whole seconds, and a file can change twice in one.
	if d.target.Knowledge == Seen && (d.base == nil || targetChanged) && entry.Equal(d.source.Entry, d.target.Entry) {
		return d.item.agree()
	}
	switch {
	case d.base == nil:
		return d.transfer("differs " + d.targetName())
	case sourceChanged:
		return d.transfer("changed")
	}
	return d.transfer("changed " + d.targetName() + ", restored")
}

func (d decider) sourceDir() Decision {
	if d.target.Knowledge == Unknown || d.target.Knowledge == Assumed && d.base == nil {
		if d.wasDir() {
			return Decision{Descend: true, Keeps: true}
		}
		return d.makeDir("new")
	}
	switch d.target.Entry.Kind {
	case entry.Absent:
		if d.base == nil {
			return d.makeDir("new")
		}
		return d.makeDir("missing " + d.targetName())
	case entry.Dir:
		if d.base == nil || d.sourceChanged() {
			decision := d.item.agree()
			decision.Descend = true
			return decision
		}
		return Decision{Descend: true, Keeps: true}
	case entry.File:
		if !d.rules.Delete {
			return d.item.conflict(fmt.Sprintf("a file %s where a folder is %s; delete is off", d.targetName(), d.sourceName()))
		}
		if d.targetChanged() {
			return d.item.conflict(fmt.Sprintf("a folder %s, but the file %s changed; kept", d.sourceName(), d.targetName()))
		}
		op := d.delete("a folder takes the place of this file")
		op.Replan = true
		return Decision{Op: op}
	}
	return d.item.conflict(fmt.Sprintf("something that is no folder is in the way %s", d.targetName()))
}

// sourceGone decides about a path that is not at the source.
func (d decider) sourceGone() Decision {
	if d.target.Knowledge == Unknown {
		return Decision{Keeps: true}
	}
	if d.target.Entry.Kind == entry.Absent {
		return Decision{Forget: d.item.Base != nil, Descend: d.wasDir()}
	}
	isDir := d.target.Entry.Kind == entry.Dir
	if d.base == nil {
		return d.extra(isDir)
	}
	if !d.rules.Delete {
		return Decision{Forget: d.item.Base != nil, Descend: isDir || d.wasDir(), Keeps: true}
	}
	if d.targetChanged() {
		return d.item.conflict(fmt.Sprintf("deleted %s but changed %s; kept", d.sourceName(), d.targetName()))
	}
	if !isDir && d.target.Entry.Kind != entry.File {
		return d.item.skip(fmt.Sprintf("no regular file, left alone %s", d.targetName()))
	}
	return Decision{Op: d.delete("deleted " + d.sourceName()), Descend: isDir}
}

// extra decides about something at the target that never was in step.
func (d decider) extra(isDir bool) Decision {
	if !d.rules.Delete {
		return Decision{Descend: isDir, Keeps: true}
	}
	if !isDir && d.target.Entry.Kind != entry.File {
		return d.item.skip(fmt.Sprintf("no regular file, left alone %s", d.targetName()))
	}
	return Decision{Op: d.delete("not " + d.sourceName()), Descend: isDir}
}
