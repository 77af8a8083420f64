// Package plan decides what has to be done so that two sides agree. It is pure: values in,
// values out, no disk, no network, no clock.
package plan

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// Direction says which side is the source.
type Direction string

const (
	// Up makes the server like the local folder.
	Up Direction = "up"
	// Down makes the local folder like the server.
	Down Direction = "down"
	// Both passes on what has changed since both sides last agreed, in either direction.
	Both Direction = "both"
)

// Rules are the parts of a sync's configuration that decide.
type Rules struct {
	Direction Direction
	// Delete removes from the target what is not (any more) at the source. With Both it passes on deletions of what was in
	// step, and never removes what was not.
	Delete bool
	// Foreign is for Up and Down: what becomes of a file that was changed at the target by somebody else.
	Foreign Foreign
	// Conflict is for Both: what becomes of a path that changed on both sides.
	Conflict Resolution
	// Consume: a source that was transferred goes away (after_upload, after_download). A file that is equal on both sides
	// is planned as a transfer then, which finds that out and only lets the source go.
	Consume bool
	// Links says what to do with symbolic links.
	Links Links
}

// Foreign says what becomes of a file that somebody else changed at the target.
type Foreign string

// What becomes of it: it is made what the source is, it stays until the source changes, or it stays until a person decides.
const (
	ForeignRestore  Foreign = "restore" // also ""
	ForeignKeep     Foreign = "keep"
	ForeignConflict Foreign = "conflict"
)

// Resolution says who wins when a path changed on both sides.
type Resolution string

// The winners. ResolveCopy keeps both: the older one is set aside under another name, which then goes to the other side too.
// ResolveAsk leaves the path alone until a person has made both sides equal or removed one.
const (
	ResolveCopy   Resolution = "copy" // also ""
	ResolveNewer  Resolution = "newer"
	ResolveLocal  Resolution = "local"
	ResolveRemote Resolution = "remote"
	ResolveAsk    Resolution = "ask"
)

// Links says what becomes of symbolic links.
type Links string

// LinksSkip leaves them alone and says so, LinksFollow takes what they point at, which scans do while they read, and
// LinksPreserve makes a link at the other side.
const (
	LinksSkip     Links = "skip" // also ""
	LinksFollow   Links = "follow"
	LinksPreserve Links = "preserve"
)

// Knowledge says where the look at one side of a path comes from.
type Knowledge uint8

const (
	// Unknown: nobody could look. What is unknown is never taken for absent.
	Unknown Knowledge = iota
	// Assumed: nobody looked; the side is taken to be as the baseline says. Whoever acts
	// on it has to look first.
	Assumed
	// Seen: somebody looked during this scan.
	Seen
)

// Side is what is known about one side of a path.
type Side struct {
	Knowledge Knowledge   `json:"knowledge"`
	Entry     entry.Entry `json:"entry"`
}

// Base is what both sides looked like when they last agreed.
type Base struct {
	Local  entry.Entry `json:"local"`
	Remote entry.Entry `json:"remote"`
	// When is the time of the agreement.
	When time.Time `json:"when,omitzero"`
	// Unreadable: they did agree, and nobody can tell on what. The rest is zero, and nothing is deleted for it.
	Unreadable bool `json:"unreadable,omitempty"`
}

// Item is one path with everything known about it. Base is nil for a path that never agreed.
type Item struct {
	Path   string
	Local  Side
	Remote Side
	Base   *Base
	// Doubt, if not empty, says why this name and another one may be the same on the server: then nothing is done about it.
	Doubt string
	// Recognized, if not nil, is the agreement that a transfer of ours has brought about and
	// could not report because it was cut off. It counts in place of Base.
	Recognized *Base
}

// Action is what an Op does.
type Action string

// The actions. Deletes of folders expect the folder to be empty.
const (
	Upload        Action = "upload"
	Download      Action = "download"
	MakeRemoteDir Action = "make_remote_dir"
	MakeLocalDir  Action = "make_local_dir"
	DeleteRemote  Action = "delete_remote"
	DeleteLocal   Action = "delete_local"
	// SetAsideRemote and SetAsideLocal rename the loser of a conflict on its own side, from Path to To. Both names have to be
	// looked at again then.
	SetAsideRemote Action = "set_aside_remote"
	SetAsideLocal  Action = "set_aside_local"
	// MoveRemote and MoveLocal rename a file, or a folder with all that is in it, from From to Path, because it was renamed on
	// the other side.
	MoveRemote Action = "move_remote"
	MoveLocal  Action = "move_local"
	// LinkRemote and LinkLocal make a symbolic link to what the link on the other side points at.
	LinkRemote Action = "link_remote"
	LinkLocal  Action = "link_local"
)

// Deletes reports whether the action removes something.
func (a Action) Deletes() bool { return a == DeleteRemote || a == DeleteLocal }

// Op is one thing to do. Local and Remote are what the plan saw: whoever carries it out
// checks that they still hold.
type Op struct {
	Action Action `json:"action"`
	Path   string `json:"path"`
	Local  Side   `json:"local"`
	Remote Side   `json:"remote"`
	Base   *Base  `json:"base,omitempty"`
	// From is the old path of a move, To the new one of what is set aside.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Reason is for people.
	Reason string `json:"reason"`
	// Extra marks the deletion of something that was never in step.
	Extra bool `json:"extra,omitempty"`
	// Approved: a person let this deletion pass, so that it does not count again while it waits.
	Approved bool `json:"approved,omitempty"`
	// Replan: the path needs another look when this is done.
	Replan bool `json:"replan,omitempty"`
}

// DeletesFile reports whether the operation deletes a file, and not an empty folder.
func (o Op) DeletesFile() bool {
	return o.Action == DeleteRemote && o.Remote.Entry.Kind != entry.Dir || o.Action == DeleteLocal && o.Local.Entry.Kind != entry.Dir
}

// Agreement is a path found in step without anything to do.
type Agreement struct {
	Path string `json:"path"`
	Base Base   `json:"base"`
	// Was is the base before, nil if there was none.
	Was *Base `json:"was,omitempty"`
}

// Note is a path that is left alone, and why.
type Note struct {
	Path string `json:"path"`
	// Conflict: a person has to decide. Otherwise the path is skipped by rule.
	Conflict bool   `json:"conflict"`
	Text     string `json:"text"`
}

// Decision is what Decide says about one path: at most one of Op, Agree, Forget and Note.
type Decision struct {
	Op    *Op
	Agree *Agreement
	// Forget: the path is gone on both sides (or its deletion is not to be passed on); its
	// baseline goes.
	Forget bool
	Note   *Note
	// Descend: what is below the path has to be decided too.
	Descend bool
	// Keeps: something stays at this path of the target, so its folder cannot go.
	Keeps bool
}

// Decide says what to do about one path.
func Decide(rules Rules, item Item) Decision {
	d := decider{rules: rules, item: item, source: item.Local, target: item.Remote, base: item.Base}
	if item.Recognized != nil {
		d.base = item.Recognized
	}
	if rules.Direction == Down {
		d.source, d.target = item.Remote, item.Local
	}
	decision := d.decideBase()
	if item.Doubt != "" && decision.Op != nil {
		return d.conflict(fmt.Sprintf("%s, but %s; left alone", decision.Op.Reason, item.Doubt))
	}
	return decision
}

func (d decider) decideBase() Decision {
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
		kept := d.conflict(fmt.Sprintf("%s, but what both sides agreed on cannot be read from the state file; kept %s", decision.Op.Reason, target))
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
		return d.skip("symbolic links are not transferred")
	}
	return d.skip("not a regular file")
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

func (d decider) op(action Action, reason string) *Op {
	return &Op{Action: action, Path: d.item.Path, Local: d.item.Local, Remote: d.item.Remote, Base: d.item.Base, Reason: reason}
}

func (d decider) transfer(reason string) Decision {
	action := Upload
	if d.rules.Direction == Down {
		action = Download
	}
	return Decision{Op: d.op(action, reason), Keeps: true}
}

func (d decider) makeDir(reason string) Decision {
	action := MakeRemoteDir
	if d.rules.Direction == Down {
		action = MakeLocalDir
	}
	return Decision{Op: d.op(action, reason), Descend: true, Keeps: true}
}

func (d decider) delete(reason string) *Op {
	action := DeleteRemote
	if d.rules.Direction == Down {
		action = DeleteLocal
	}
	op := d.op(action, reason)
	op.Extra = d.base == nil
	return op
}

func (d decider) agree() Decision {
	return Decision{
		Agree: &Agreement{Path: d.item.Path, Base: Base{Local: d.item.Local.Entry, Remote: d.item.Remote.Entry}, Was: d.item.Base},
		Keeps: true,
	}
}

func (d decider) skip(text string) Decision {
	return Decision{Note: &Note{Path: d.item.Path, Text: text}, Keeps: true}
}

func (d decider) conflict(text string) Decision {
	return Decision{Note: &Note{Path: d.item.Path, Conflict: true, Text: text}, Keeps: true}
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
			return d.conflict(fmt.Sprintf("a folder %s where a file is %s; delete is off", d.targetName(), d.sourceName()))
		}
		op := d.delete("a file takes the place of this folder")
		op.Replan = true
		return Decision{Op: op, Descend: true}
	}
	return d.conflict(fmt.Sprintf("something that is no regular file is in the way %s", d.targetName()))
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
			return d.agree()
		}
		return Decision{Keeps: true}
	}
	// A target that did not change holds the old content, however equal its size and time may
	// look: servers have whole seconds, and a file can change twice in one.
	if d.target.Knowledge == Seen && (d.base == nil || targetChanged) && entry.Equal(d.source.Entry, d.target.Entry) {
		return d.agree()
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
			decision := d.agree()
			decision.Descend = true
			return decision
		}
		return Decision{Descend: true, Keeps: true}
	case entry.File:
		if !d.rules.Delete {
			return d.conflict(fmt.Sprintf("a file %s where a folder is %s; delete is off", d.targetName(), d.sourceName()))
		}
		if d.targetChanged() {
			return d.conflict(fmt.Sprintf("a folder %s, but the file %s changed; kept", d.sourceName(), d.targetName()))
		}
		op := d.delete("a folder takes the place of this file")
		op.Replan = true
		return Decision{Op: op}
	}
	return d.conflict(fmt.Sprintf("something that is no folder is in the way %s", d.targetName()))
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
		return d.conflict(fmt.Sprintf("deleted %s but changed %s; kept", d.sourceName(), d.targetName()))
	}
	if !isDir && d.target.Entry.Kind != entry.File {
		return d.skip(fmt.Sprintf("no regular file, left alone %s", d.targetName()))
	}
	return Decision{Op: d.delete("deleted " + d.sourceName()), Descend: isDir}
}

// extra decides about something at the target that never was in step.
func (d decider) extra(isDir bool) Decision {
	if !d.rules.Delete {
		return Decision{Descend: isDir, Keeps: true}
	}
	if !isDir && d.target.Entry.Kind != entry.File {
		return d.skip(fmt.Sprintf("no regular file, left alone %s", d.targetName()))
	}
	return Decision{Op: d.delete("not " + d.sourceName()), Descend: isDir}
}
