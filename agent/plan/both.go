package plan

import (
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// threeWay decides for Both. Neither side is right as such: what counts is which of them is not any more as it was when both
// agreed.
type threeWay struct {
	rules         Rules
	item          Item
	base          *Base // nil: never agreed, or nobody can tell on what
	local, remote end
}

// end is one side of a path. Without a look at it, it is as it was when both sides agreed, and whoever carries something out
// there looks first.
type end struct {
	Side
	unseen  bool         // nobody could look: it is no source of anything
	was     *entry.Entry // nil if base is
	place   string       // for people
	actions *actions
}

// actions are what can be done to one side.
type actions struct{ file, dir, link, remove, setAside Action }

var (
	toLocal  = actions{Download, MakeLocalDir, LinkLocal, DeleteLocal, SetAsideLocal}
	toRemote = actions{Upload, MakeRemoteDir, LinkRemote, DeleteRemote, SetAsideRemote}
)

func decideBoth(rules Rules, item Item, base *Base) Decision {
	if base != nil && base.Unreadable {
		base = nil
	}
	t := threeWay{rules: rules, item: item, base: base}
	t.local = end{Side: item.Local, place: "here", actions: &toLocal}
	t.remote = end{Side: item.Remote, place: "on the server", actions: &toRemote}
	if base != nil {
		t.local.knew(&base.Local)
		t.remote.knew(&base.Remote)
	}
	return t.decide()
}

func (e *end) knew(was *entry.Entry) {
	e.was = was
	if e.Knowledge == Unknown {
		e.unseen = true
		e.Side = Side{Knowledge: Assumed, Entry: *was}
	}
}

func (e end) exists() bool { return e.Entry.Kind != entry.Absent }
func (e end) isDir() bool  { return e.Entry.Kind == entry.Dir }
func (e end) isLeaf() bool { return e.exists() && !e.isDir() }

// changed is true for all that never agreed.
func (e end) changed() bool { return e.was == nil || !same(e.Entry, *e.was) }

// opposite returns the other side of the path.
func (t threeWay) opposite(e end) end {
	if e.actions == t.local.actions {
		return t.remote
	}
	return t.local
}

func (t threeWay) bothSeen() bool { return t.local.Knowledge == Seen && t.remote.Knowledge == Seen }

func (t threeWay) decide() Decision {
	for _, e := range []end{t.local, t.remote} {
		if text := t.rules.skips(e.Entry); text != "" {
			return t.item.skip(text)
		}
	}
	if t.base == nil && !t.bothSeen() {
		return Decision{Keeps: true} // there may be anything on the other side
	}
	local, remote := t.local.Entry.Kind, t.remote.Entry.Kind
	var decision Decision
	switch {
	case local == entry.Absent && remote == entry.Absent:
		return Decision{Forget: t.item.Base != nil, Descend: t.wasDir() || t.item.Base != nil && t.item.Base.Unreadable}
	case remote == entry.Absent:
		decision = t.oneSided(t.local)
	case local == entry.Absent:
		decision = t.oneSided(t.remote)
	case local == entry.Dir && remote == entry.Dir:
		return t.folders()
	case local == remote:
		decision = t.versions()
	default:
		return t.clash()
	}
	decision.Descend = decision.Descend || t.wasDir() // be it to forget what was in it
	return decision
}

func (t threeWay) wasDir() bool {
	return t.base != nil && (t.base.Local.Kind == entry.Dir || t.base.Remote.Kind == entry.Dir)
}

// pass makes the other side what this one is.
func (t threeWay) pass(from end, reason string) Decision {
	to := t.opposite(from)
	var action Action
	switch {
	case from.unseen:
		return Decision{Keeps: true}
	case from.Entry.Kind == entry.Link && from.Entry.Target == "":
		return t.item.skip(noTarget)
	case from.Entry.Kind == entry.Link:
		action = to.actions.link
	case from.isDir():
		action = to.actions.dir
	default:
		action = to.actions.file
	}
	return Decision{Op: t.op(action, reason), Descend: from.isDir(), Keeps: true}
}

// op carries what is assumed of a side that nobody could look at, so that it is held against what is there.
func (t threeWay) op(action Action, reason string) *Op {
	op := t.item.op(action, reason)
	op.Local, op.Remote = t.local.Side, t.remote.Side
	return op
}

func (t threeWay) agree() Decision {
	if !t.bothSeen() {
		return Decision{Keeps: true}
	}
	return t.item.agree()
}

// oneSided decides about what only one side has.
func (t threeWay) oneSided(have end) Decision {
	lacks := t.opposite(have)
	switch {
	case t.base == nil:
		return t.pass(have, "new "+have.place)
	case have.changed():
		return t.pass(have, fmt.Sprintf("changed %s, deleted %s; what changed stays", have.place, lacks.place))
	case !t.rules.Delete:
		return t.pass(have, fmt.Sprintf("missing %s; delete is off", lacks.place))
	case !t.bothSeen():
		return Decision{Keeps: true, Descend: have.isDir()}
	}
	return Decision{Op: t.op(have.actions.remove, "deleted "+lacks.place), Descend: have.isDir()}
}

func (t threeWay) folders() Decision {
	decision := Decision{Keeps: true}
	if t.item.Recognized != nil || t.local.changed() || t.remote.changed() {
		decision = t.agree()
	}
	decision.Descend = true
	return decision
}

// versions decides about two files or two links.
func (t threeWay) versions() Decision {
	local, remote := t.local.changed(), t.remote.changed()
	switch {
	case !local && !remote:
		if t.item.Recognized != nil {
			return t.agree()
		}
		return Decision{Keeps: true}
	// A side that did not change holds the old content, however equal its size and time may look: servers have whole seconds,
	// and a file can change twice in one.
	case !remote:
		return t.pass(t.local, "changed here")
	case !local:
		return t.pass(t.remote, "changed on the server")
	case equal(t.local.Entry, t.remote.Entry):
		return t.agree()
	case t.local.Entry.Kind == entry.Link && (t.local.Entry.Target == "" || t.remote.Entry.Target == ""):
		return t.item.skip(noTarget)
	}
	return t.conflict()
}

// conflict decides about two files or two links that are not the same, neither of which may be the old one.
func (t threeWay) conflict() Decision {
	what, resolution := "changed on both sides", t.rules.Conflict
	if t.base == nil {
		what = "differs on both sides"
	}
	if t.item.Base != nil && t.base == nil && resolution != ResolveAsk {
		resolution = ResolveCopy // it may well be that only one side changed: neither is lost for that
	}
	order, known := t.order()
	switch {
	case resolution == ResolveAsk:
		return t.item.unlessSame(what, "; left alone"+t.untilOne())
	case resolution == ResolveLocal:
		return t.wins(t.local, what+"; the local one wins")
	case resolution == ResolveRemote:
		return t.wins(t.remote, what+"; the one on the server wins")
	case resolution == ResolveNewer && known && order > 0:
		return t.wins(t.local, what+"; the local one is newer")
	case resolution == ResolveNewer && known && order < 0:
		return t.wins(t.remote, what+"; the one on the server is newer")
	}
	return t.setAside(t.loser(), what)
}

// wins passes one of two versions on.
func (t threeWay) wins(winner end, reason string) Decision {
	if t.item.Contents == Comparable && t.item.mayHoldSame() {
		reason += ", unless both hold the same" // whoever carries it out compares them first
	}
	return t.pass(winner, reason)
}

// zones is how far apart two tellings of one time may be if nobody knows the zone of one of them.
const zones = 14 * time.Hour

// order compares the times of both sides: it is above 0 if the local one is newer. Not known are times that a side does not
// tell, or that lie closer together than both sides can tell apart. Coarse times are those of a LIST line, which is in a zone that
// servers do not tell: an older version must not win for being some hours to the east.
func (t threeWay) order() (order int, known bool) {
	local, remote := t.local.Entry, t.remote.Entry
	apart, unit := local.ModTime.Sub(remote.ModTime), max(local.Precision, remote.Precision, time.Nanosecond)
	if unit > time.Second {
		unit += zones
	}
	if local.ModTime.IsZero() || remote.ModTime.IsZero() || apart.Abs() < unit {
		return 0, false
	}
	if apart < 0 {
		return -1, true
	}
	return 1, true
}

// loser is the side whose version is set aside.
func (t threeWay) loser() end {
	if order, known := t.order(); known && order < 0 {
		return t.local
	}
	return t.remote
}

// setAside keeps both versions.
func (t threeWay) setAside(loser end, what string) Decision {
	when := loser.Entry.ModTime
	if when.IsZero() {
		when = t.rules.Now
	}
	zone := t.rules.Zone
	if zone == nil {
		zone = time.UTC
	}
	reason := fmt.Sprintf("%s; both are kept, the one %s under another name", what, loser.place)
	if t.item.mayHoldSame() {
		reason += ", unless they hold the same" // whoever carries it out compares them first
	}
	op := t.op(loser.actions.setAside, reason)
	op.To = ConflictName(t.item.Path, when.In(zone), t.rules.Host)
	return Decision{Op: op, Keeps: true}
}

func (t threeWay) areFiles() bool {
	return t.local.Entry.Kind == entry.File && t.remote.Entry.Kind == entry.File
}

// untilOne says how a conflict ends that is left to a person.
func (t threeWay) untilOne() string {
	text := " until a person deletes one of them, or makes both the same"
	if t.areFiles() {
		text += ` ("ftpferry put -f" sends the one from here, "ftpferry get -f" fetches the other)`
	}
	return text
}

// clash decides about a path that is a file, a link and a folder at the same time, two of them.
func (t threeWay) clash() Decision {
	if !t.bothSeen() {
		return Decision{Keeps: true}
	}
	for _, e := range []end{t.local, t.remote} {
		if other := t.opposite(e); t.rules.Delete && t.base != nil && e.isLeaf() && !e.changed() {
			op := t.op(e.actions.remove, fmt.Sprintf("a %s took its place %s", kindWord(other.Entry), other.place))
			op.Replan = true
			return Decision{Op: op, Keeps: true}
		}
	}
	what := fmt.Sprintf("a %s here, a %s on the server", kindWord(t.local.Entry), kindWord(t.remote.Entry))
	if t.rules.Conflict != ResolveCopy && t.rules.Conflict != "" {
		return t.item.conflict(what + "; left alone" + t.untilOne())
	}
	loser := t.loser()
	if loser.isDir() {
		loser = t.opposite(loser)
	}
	return t.setAside(loser, what)
}
