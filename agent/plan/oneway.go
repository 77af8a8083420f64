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
	if d.source.Knowledge == Unknown || d.source.Knowledge == Assumed && d.base == nil {
		return Decision{Keeps: true} // there may be anything at the source
	}
	if text := d.rules.skips(d.source.Entry); text != "" {
		return d.item.skip(text)
	}
	switch d.source.Entry.Kind {
	case entry.Absent:
		return d.sourceGone()
	case entry.Dir:
		return d.sourceDir()
	}
	decision := d.sourceLeaf()
	if d.target.Knowledge != Unknown && d.target.Entry.Kind != entry.Dir && d.wasDir() {
		decision.Descend = true
	}
	return decision
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
	return d.base != nil && !same(d.source.Entry, d.baseSource())
}

func (d decider) targetChanged() bool {
	return d.base != nil && d.target.Knowledge == Seen && !same(d.target.Entry, d.baseTarget())
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

// foreign reports that what is at the target is not ours to replace: somebody else put it there, and the policy is not to
// restore.
func (d decider) foreign() bool {
	return d.rules.keepsForeign() && d.target.Knowledge == Seen && (d.base == nil || d.targetChanged())
}

func (d decider) transfer(reason string) Decision {
	toLink := d.source.Entry.Kind == entry.Link
	if toLink && d.source.Entry.Target == "" {
		return d.item.skip(noTarget)
	}
	to := toRemote
	if d.rules.Direction == Down {
		to = toLocal
	}
	op := d.item.op(to.file, reason)
	if toLink {
		op.Action = to.link
	}
	if d.target.Knowledge == Unknown && d.rules.keepsForeign() {
		// Whoever carries it out has to find what the target is believed to be.
		assumed := Side{Knowledge: Assumed}
		if d.base != nil {
			assumed.Entry = d.baseTarget()
		}
		if d.rules.Direction == Down {
			op.Local = assumed
		} else {
			op.Remote = assumed
		}
	}
	return Decision{Op: op, Keeps: true}
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

// sourceLeaf decides about a file or a link at the source.
func (d decider) sourceLeaf() Decision {
	if d.target.Knowledge == Unknown {
		// The worker looks before it acts; a file that is there and the same costs nothing.
		if d.base != nil && !d.sourceChanged() {
			return Decision{Keeps: true}
		}
		return d.transfer(d.newOrChanged())
	}
	target := d.target.Entry.Kind
	switch {
	case target == entry.Absent && d.base == nil:
		return d.transfer("new")
	case target == entry.Absent && d.sourceChanged():
		if d.rules.Foreign == ForeignConflict {
			text := fmt.Sprintf("changed %s, deleted %s by somebody else; left alone", d.sourceName(), d.targetName())
			return d.item.conflict(text + d.untilBoth(d.source, d.sourceName(), d.targetName()))
		}
		return d.transfer("changed")
	case target == entry.Absent:
		if d.rules.keepsForeign() {
			return d.deletedByOthers()
		}
		return d.transfer("missing " + d.targetName())
	case target == d.source.Entry.Kind:
		return d.versions()
	case target == entry.Dir && !d.rules.Delete:
		return d.item.conflict(fmt.Sprintf("a folder %s where a file is %s; delete is off", d.targetName(), d.sourceName()))
	case target == entry.Dir && d.foreign():
		return d.item.conflict(fmt.Sprintf("a folder of somebody else %s where a file is %s; kept", d.targetName(), d.sourceName()))
	case target == entry.Dir:
		op := d.delete("a file takes the place of this folder")
		op.Replan = true
		return Decision{Op: op, Descend: true}
	case d.rules.skips(d.target.Entry) == "":
		return d.makeWay("a " + kindWord(d.source.Entry))
	}
	return d.item.conflict(fmt.Sprintf("something that is no regular file is in the way %s", d.targetName()))
}

// deletedByOthers leaves a path alone that is missing at the target.
func (d decider) deletedByOthers() Decision {
	text := fmt.Sprintf("deleted %s by somebody else; left alone", d.targetName())
	if d.rules.Foreign == ForeignConflict {
		return d.item.conflict(text + d.untilBoth(d.source, d.sourceName(), d.targetName()))
	}
	return d.item.skip(text)
}

// untilSame says how a conflict about two files or links ends: to change or to delete one of them would be one more change by
// somebody.
func (d decider) untilSame() string {
	text := " until a person makes both the same"
	if d.source.Entry.Kind == entry.File {
		text += ` ("ftpferry put -f" sends the one from here, "ftpferry get -f" fetches the other)`
	}
	return text + " or deletes both"
}

// unlessSame is a conflict about two versions, unless they may hold the same: see Item.unlessSame. A source that goes when it has
// arrived is looked at again for that.
func (d decider) unlessSame(reason string) Decision {
	decision := d.item.unlessSame(reason, "; kept"+d.untilSame())
	if decision.Op != nil {
		decision.Op.Replan = d.rules.Consume
	}
	return decision
}

// untilBoth is untilSame for what is on one side only, and is missing on the other.
func (d decider) untilBoth(there Side, has, lacks string) string {
	text := fmt.Sprintf(" until a person deletes it %s too, or brings it back %s", has, lacks)
	if there.Entry.Kind != entry.File {
		return text
	}
	if lacks == "here" {
		return text + ` ("ftpferry get")`
	}
	return text + ` ("ftpferry put")`
}

// makeWay removes a file or a link at the target that is something else at the source.
func (d decider) makeWay(source string) Decision {
	target := "the " + kindWord(d.target.Entry)
	switch {
	case !d.rules.Delete:
		return d.item.conflict(fmt.Sprintf("a %s %s where %s is %s; delete is off", kindWord(d.target.Entry), d.targetName(), source, d.sourceName()))
	case d.targetChanged() || d.foreign():
		return d.item.conflict(fmt.Sprintf("%s %s, but %s %s changed; kept", source, d.sourceName(), target, d.targetName()))
	}
	op := d.delete(source + " takes the place of this " + kindWord(d.target.Entry))
	op.Replan = true
	return Decision{Op: op}
}

func (d decider) newOrChanged() string {
	if d.base == nil {
		return "new"
	}
	return "changed"
}

// versions decides about two files or two links.
func (d decider) versions() Decision {
	sourceChanged, targetChanged := d.sourceChanged(), d.targetChanged()
	if d.base != nil && !sourceChanged && !targetChanged {
		if d.item.Recognized != nil {
			return d.inStep(d.item.agree())
		}
		return d.inStep(Decision{Keeps: true})
	}
	// A target that did not change holds the old content, however equal its size and time may
	// look: servers have whole seconds, and a file can change twice in one.
	if d.target.Knowledge == Seen && (d.base == nil || targetChanged) && equal(d.source.Entry, d.target.Entry) {
		return d.inStep(d.item.agree())
	}
	switch {
	case d.base == nil && d.target.Entry.Kind == entry.Link && d.target.Entry.Target == "":
		return d.item.skip(noTarget)
	case d.base == nil && d.foreign():
		return d.unlessSame(fmt.Sprintf("differs %s, and was never in step", d.targetName()))
	case d.base == nil:
		return d.transfer("differs " + d.targetName())
	case sourceChanged && d.foreign():
		return d.unlessSame("both changed")
	case sourceChanged:
		return d.transfer("changed")
	case d.rules.Foreign == ForeignConflict:
		return d.unlessSame(fmt.Sprintf("changed %s by somebody else", d.targetName()))
	case d.foreign():
		return d.item.skip(fmt.Sprintf("changed %s by somebody else; left alone until it changes %s", d.targetName(), d.sourceName()))
	}
	return d.transfer("changed " + d.targetName() + ", restored")
}

// inStep lets a source go that has arrived: the transfer finds out that nothing is left to be sent.
func (d decider) inStep(decision Decision) Decision {
	if d.rules.Consume && d.source.Knowledge == Seen && d.source.Entry.Kind == entry.File {
		return d.transfer(fmt.Sprintf("arrived %s, goes away %s", d.targetName(), d.sourceName()))
	}
	return decision
}

func (d decider) sourceDir() Decision {
	if d.target.Knowledge == Unknown || d.target.Knowledge == Assumed && d.base == nil {
		if d.wasDir() {
			return Decision{Descend: true, Keeps: true}
		}
		return d.makeDir("new")
	}
	target := d.target.Entry.Kind
	switch {
	case target == entry.Absent && d.base == nil:
		return d.makeDir("new")
	case target == entry.Absent && d.rules.keepsForeign() && d.wasDir():
		decision := d.deletedByOthers()
		decision.Descend = true // what is new in it goes out
		return decision
	case target == entry.Absent:
		return d.makeDir("missing " + d.targetName())
	case target == entry.Dir:
		if d.base == nil || d.sourceChanged() {
			decision := d.item.agree()
			decision.Descend = true
			return decision
		}
		return Decision{Descend: true, Keeps: true}
	case d.rules.skips(d.target.Entry) == "":
		return d.makeWay("a folder")
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
		return d.item.conflict(fmt.Sprintf("deleted %s but changed %s; kept", d.sourceName(), d.targetName()) + d.untilBoth(d.target, d.targetName(), d.sourceName()))
	}
	if d.rules.skips(d.target.Entry) != "" {
		return d.item.skip(fmt.Sprintf("no regular file, left alone %s", d.targetName()))
	}
	return Decision{Op: d.delete("deleted " + d.sourceName()), Descend: isDir}
}

// extra decides about something at the target that never was in step.
func (d decider) extra(isDir bool) Decision {
	if !d.rules.Delete {
		return Decision{Descend: isDir, Keeps: true}
	}
	if d.rules.skips(d.target.Entry) != "" {
		return d.item.skip(fmt.Sprintf("no regular file, left alone %s", d.targetName()))
	}
	return Decision{Op: d.delete("not " + d.sourceName()), Descend: isDir}
}
