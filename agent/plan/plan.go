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
	// Host is the name of this machine, for the names of what is set aside.
	Host string
	// Now is the time of the scan, for the name of what is set aside without a time of its own, and Zone the time zone of such
	// names; nil is UTC.
	Now  time.Time
	Zone *time.Location
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

// String is a word for people.
func (k Knowledge) String() string {
	switch k {
	case Assumed:
		return "assumed"
	case Seen:
		return "seen"
	}
	return "unknown"
}

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
	// Left, if not "", says why one of two links is not made like the other, or not at all: it is left so until one of them changes.
	Left string `json:"left,omitempty"`
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
	// Contents is what is known of what two files hold.
	Contents Contents
}

// Contents says whether it can be told what two files hold that are on both sides.
type Contents uint8

const (
	// Untold: only by reading them.
	Untold Contents = iota
	// Comparable: the server offers hashes.
	Comparable
	// Different: they were compared as they are now, and nothing proves that they hold the same.
	Different
)

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
	// Compare has the server hash a file before a person is asked which of two versions is right, and changes neither side.
	Compare Action = "compare"
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
	// Unproven: whether what is at Path is what was at From, only a comparison of contents tells.
	Unproven bool `json:"unproven,omitempty"`
	// Rotated: a move of a file that only ever grows and may have grown since; something else may be under its old name already.
	// What both sides had in step at Path goes.
	Rotated bool `json:"rotated,omitempty"`
	// Reason is for people.
	Reason string `json:"reason"`
	// Extra marks the deletion of something that was never in step.
	Extra bool `json:"extra,omitempty"`
	// Approved: a person let this deletion pass, so that it does not count again while it waits.
	Approved bool `json:"approved,omitempty"`
	// Replan: the path needs another look when this is done.
	Replan bool `json:"replan,omitempty"`
	// Touched is when the local file that goes was touched last in any way, which nobody can set back; zero: that is not known.
	Touched time.Time `json:"touched,omitzero"`
	// Ready: a file beside it says that the source is complete, so that nobody has to wait whether it changes.
	Ready bool `json:"ready,omitempty"`
	// Planned is when it went into the queue; zero in rows of older versions.
	Planned time.Time `json:"planned,omitzero"`
	// Ours: what is at the target has been brought there by a transfer of ours that was cut off before it could report.
	Ours bool `json:"ours,omitempty"`
}

// target is the side that the operation changes.
func (o Op) target() Side {
	switch o.Action {
	case Download, MakeLocalDir, DeleteLocal, LinkLocal, SetAsideLocal, MoveLocal:
		return o.Local
	}
	return o.Remote
}

// DeletesFile reports whether the operation deletes a file, and not an empty folder.
func (o Op) DeletesFile() bool {
	return o.Action == DeleteRemote && o.Remote.Entry.Kind != entry.Dir || o.Action == DeleteLocal && o.Local.Entry.Kind != entry.Dir
}

// MayReplace reports whether what is at the operation's target now may be replaced or removed: whether it is what the plan went
// by. Where one side is right whatever the other one is, that is anything of which the plan knew nothing.
func (o Op) MayReplace(rules Rules, now entry.Entry) bool {
	target := o.target()
	if rules.Direction != Both && !rules.keepsForeign() && (target.Knowledge == Unknown || target.Knowledge == Assumed && o.Base == nil) {
		return true
	}
	return same(now, target.Entry)
}

// KeepsTwin reports whether the file at the target has to stay if it does not hold what the source does: nothing but its size and time
// made the plan take it for that, and what somebody else has put there is not to be replaced.
func (o Op) KeepsTwin(rules Rules) bool {
	target := o.target()
	if o.Ours || !rules.keepsForeign() || target.Knowledge != Seen || target.Entry.Kind != entry.File || !equal(o.Local.Entry, o.Remote.Entry) {
		return false
	}
	switch {
	case o.Base == nil:
		return true
	case rules.Direction == Down:
		return !same(target.Entry, o.Base.Local)
	}
	return !same(target.Entry, o.Base.Remote)
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
	// Held: a file that is not complete yet. Again: nothing tells when it is, so that it has to be looked at again.
	Held  bool `json:"held,omitempty"`
	Again bool `json:"again,omitempty"`
	// Until, if not zero, is when a file that is held has to be looked at again.
	Until time.Time `json:"until,omitzero"`
	// Local and Remote are what the look that found it knows of both sides.
	Local  Side `json:"local,omitzero"`
	Remote Side `json:"remote,omitzero"`
	// Compared: the conflict is about two files that were compared as they are.
	Compared bool `json:"compared,omitempty"`
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
	base := item.Base
	if item.Recognized != nil {
		base = item.Recognized
	}
	if base != nil && base.Left != "" {
		if rules.Links == LinksPreserve && item.isAs(*base) {
			return item.skip(base.Left)
		}
		if base.Local.Kind == entry.Absent || base.Remote.Kind == entry.Absent {
			base = nil // they never agreed
		}
	}
	var decision Decision
	if rules.Direction == Both {
		decision = decideBoth(rules, item, base)
	} else {
		decision = decideOneWay(rules, item, base)
	}
	if item.Doubt != "" && decision.Op != nil {
		return item.conflict(fmt.Sprintf("%s, but %s; left alone", decision.Op.Reason, item.Doubt))
	}
	return decision
}

// isAs reports whether no side is known to differ from what it was.
func (i Item) isAs(base Base) bool {
	return (i.Local.Knowledge != Seen || same(i.Local.Entry, base.Local)) && (i.Remote.Knowledge != Seen || same(i.Remote.Entry, base.Remote))
}

func (i Item) op(action Action, reason string) *Op {
	return &Op{Action: action, Path: i.Path, Local: i.Local, Remote: i.Remote, Base: i.Base, Reason: reason, Ours: i.Recognized != nil}
}

// agree says that both sides are in step as they are.
func (i Item) agree() Decision {
	return Decision{
		Agree: &Agreement{Path: i.Path, Base: Base{Local: i.Local.Entry, Remote: i.Remote.Entry}, Was: i.Base},
		Keeps: true,
	}
}

func (i Item) skip(text string) Decision {
	return Decision{Note: &Note{Path: i.Path, Text: text}, Keeps: true}
}

func (i Item) conflict(text string) Decision {
	return Decision{Note: &Note{Path: i.Path, Conflict: true, Text: text}, Keeps: true}
}

// skips says why what is there takes no part, "" if it does.
func (r Rules) skips(e entry.Entry) string {
	switch {
	case e.Kind == entry.Link && r.Links != LinksPreserve:
		return "symbolic links are not transferred"
	case e.Kind == entry.Other:
		return "not a regular file"
	}
	return ""
}

// noTarget: there is a link, and no way to make another one like it.
const noTarget = "nobody says what this symbolic link points at"

// keepsForeign: what somebody else has done at the target is not undone.
func (r Rules) keepsForeign() bool {
	return r.Foreign == ForeignKeep || r.Foreign == ForeignConflict
}

// kindWord is for people.
func kindWord(e entry.Entry) string {
	switch e.Kind {
	case entry.Dir:
		return "folder"
	case entry.Link:
		return "link"
	}
	return "file"
}

// same is entry.Same that also knows when a link points at something else.
func same(a, b entry.Entry) bool {
	return entry.Same(a, b) && (a.Kind != entry.Link || a.Target == "" || b.Target == "" || a.Target == b.Target)
}

// equal is entry.Equal that also knows when two links point at the same.
func equal(a, b entry.Entry) bool {
	if a.Kind == entry.Link && b.Kind == entry.Link {
		return a.Target != "" && a.Target == b.Target
	}
	return entry.Equal(a, b)
}
