package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// Plan is the outcome of one scan: what to do, in order (folders before their contents,
// deletes of contents before their folders), and what was found out on the way.
type Plan struct {
	Ops    []Op        `json:"ops"`
	Agree  []Agreement `json:"agree"`
	Forget []string    `json:"forget"`
	Notes  []Note      `json:"notes"`
}

// Totals are the numbers that guards look at.
type Totals struct {
	// Direction says which of the roots is the source.
	Direction Direction
	// Known is the number of paths in the baseline before the plan.
	Known int
	// First: none was known when the scan began. By its end its first parts may have brought some in step.
	First bool
	// Deletes counts the files that the plan deletes, PendingDeletes those whose deletion is
	// still in the queue. Folders do not count: they are empty when they go.
	Deletes, PendingDeletes int
	// Extra counts the deletions of what was never in step.
	Extra int
	// Local and Remote say whether the roots are there and hold anything.
	Local, Remote Root
	// MarkerMissing is the name of the marker file that is configured and not there.
	MarkerMissing string
	// OtherDevice, if not "", says that the local folder is on another filesystem than last time: which, and which it was.
	OtherDevice string
	// Shift is the distance by which the times of files moved without a change of size;
	// Shifted counts the files for which it is the same, Moved all files with such a move.
	Shift          time.Duration
	Shifted, Moved int
	// Here and There are what is at the names of the local side and of the server. Equal counts the files that are equal on
	// both sides and were not known to be.
	Here, There Content
	Equal       int
	// Elsewhere: the sync has had other folders, or another server, when something was last in step.
	Elsewhere bool
}

// Content tells whether a side holds what it held when both sides last agreed.
type Content struct {
	// Looked counts the known files and folders that somebody looked for.
	Looked int
	// Held counts the known files that are as they were, Changed those that are something else now, and Gone those that are not
	// there.
	Held, Changed, Gone int
	// Strange counts the files that were never in step and are not the same on the other side.
	Strange int
}

// Root is the state of one side's top folder.
type Root uint8

const (
	// RootUnseen: nobody looked, or nothing was to be seen, as nothing of what is known has ever been there.
	RootUnseen Root = iota
	// RootMissing: the folder does not exist.
	RootMissing
	// RootEmpty: the folder exists and holds nothing.
	RootEmpty
	// RootFilled: the folder holds something.
	RootFilled
)

// Halt is a guard's veto: nothing of the plan may be done until a person approves.
type Halt struct {
	Code, Reason string
	// Deletes is how many files would be deleted.
	Deletes int
	// Empty: there is nothing on the other filesystem that HaltOtherDevice is about, as below one that is not mounted.
	Empty bool
}

// Codes of halts.
const (
	HaltRootMissing  = "root-missing"
	HaltRootEmpty    = "root-empty"
	HaltOtherDevice  = "other-device"
	HaltMarker       = "marker-missing"
	HaltMaxDelete    = "max-delete"
	HaltFirstContact = "first-contact"
	HaltTimeShift    = "time-shift"
	HaltOtherContent = "other-content"
)

// Limits are the operator's.
type Limits struct {
	// AllowsDeletes says whether so many deletions of so many known paths may go out.
	AllowsDeletes func(deletes, known int) bool
	// Approved: a person has seen a halt and wants to go on.
	Approved bool
	// Halts are the codes of what that person has seen, with blanks between them, and Deletes is how many deletions there were
	// then. What comes on top of it is another matter. "" is for a person who has spoken before there was a halt: that lets
	// pass what a plan shows, and not that a folder or a disk is gone.
	Halts   string
	Deletes int
}

// lets reports whether a person has let a halt pass: that one, or one that follows from what was seen.
func (l Limits) lets(code string) bool {
	if !l.Approved {
		return false
	}
	if l.Halts == "" {
		return code != HaltRootMissing && code != HaltRootEmpty && code != HaltOtherDevice && code != HaltOtherContent
	}
	for seen := range strings.FieldsSeq(l.Halts) {
		if seen == code || code == HaltMaxDelete && (seen == HaltRootEmpty || seen == HaltFirstContact || seen == HaltOtherContent) {
			return true
		}
	}
	return false
}

// allows says whether so many deletions may go out: those that a person has let pass, and as many as ever.
func (l Limits) allows(deletes, known int) bool {
	seen := 0
	if l.lets(HaltMaxDelete) {
		if l.Halts == "" || hasCode(l.Halts, HaltRootEmpty) || hasCode(l.Halts, HaltOtherContent) {
			return true
		}
		seen = l.Deletes
	}
	return deletes <= seen || l.AllowsDeletes(deletes-seen, known)
}

func hasCode(codes, code string) bool { return slices.Contains(strings.Fields(codes), code) }

const (
	// EmptyRootAlarm is the number of known paths from which an empty root is suspicious.
	// A folder that holds one file at a time is empty every now and then.
	EmptyRootAlarm = 2
	// shiftAlarm is the number of files from which a common time shift is suspicious.
	shiftAlarm = 10
	// otherContentAlarm is the same for a source that holds other files than before: in a folder through which a few files pass,
	// each day has its own.
	otherContentAlarm = 10
	// shiftUnit: time zones differ by multiples of a quarter of an hour.
	shiftUnit = 15 * time.Minute
)

// Guard looks at the totals of a plan and returns why a person has to look first, nil if
// nobody has to. Approval does not help where the source or the local folder is missing: what
// cannot be seen is unknown, and what is on a disk must not be written beside it.
//
// Where nothing was known when the scan began, the jobs of another one may have filled a folder since the scan found it missing
// or empty. That is no alarm as long as nothing is deleted for it.
func Guard(t Totals, l Limits) *Halt {
	deletes := t.Deletes + t.PendingDeletes
	known := t.Known
	if t.First && deletes == 0 {
		known = 0
	}
	for _, side := range []struct {
		name string
		root Root
	}{{"local", t.Local}, {"remote", t.Remote}} {
		mayBeMade := side.name == "remote" && t.Direction == Up
		if side.root == RootMissing && known > 0 && !(mayBeMade && l.lets(HaltRootMissing)) {
			return &Halt{Code: HaltRootMissing, Reason: fmt.Sprintf("the %s folder is gone, but %d paths were in step before; %s", side.name, t.Known, cureMissing(mayBeMade))}
		}
		if side.name == "local" && t.OtherDevice != "" && t.Known > 0 && !l.lets(HaltOtherDevice) {
			return &Halt{Code: HaltOtherDevice, Empty: side.root == RootEmpty, Reason: fmt.Sprintf("the local folder is on another filesystem than last time (%s), and %d paths were in step before; is the right disk mounted?", t.OtherDevice, t.Known)}
		}
		anew := mayBeMade && l.lets(HaltRootMissing) // and empty then
		if side.root == RootEmpty && known >= EmptyRootAlarm && !anew && !l.lets(HaltRootEmpty) {
			return &Halt{Code: HaltRootEmpty, Reason: fmt.Sprintf("the %s folder is empty, but %d paths were in step before", side.name, t.Known)}
		}
	}
	if t.MarkerMissing != "" {
		return &Halt{Code: HaltMarker, Reason: fmt.Sprintf("the marker file %q is missing in the local folder", t.MarkerMissing)}
	}
	for _, halt := range []*Halt{t.elsewhere(), t.otherContent()} {
		if halt != nil && !l.lets(halt.Code) {
			halt.Deletes = deletes
			return halt
		}
	}
	if (t.First || t.Known <= 0) && t.Extra > 0 && !l.lets(HaltFirstContact) {
		return &Halt{Deletes: deletes, Code: HaltFirstContact, Reason: fmt.Sprintf("first contact, and %d files or folders at the target are not at the source; they would be deleted", t.Extra)}
	}
	if deletes > 0 && !l.allows(deletes, t.Known) {
		return &Halt{Deletes: deletes, Code: HaltMaxDelete, Reason: fmt.Sprintf("%d files of %d known paths would be deleted, more than max_delete allows", deletes, t.Known)}
	}
	if t.Shifted >= shiftAlarm && t.Shifted == t.Moved && 2*t.Shifted > t.Known && !l.lets(HaltTimeShift) {
		return &Halt{Code: HaltTimeShift, Reason: fmt.Sprintf("the times of %d files all moved by %s and nothing else did: a clock or time zone changed, not the files", t.Shifted, t.Shift)}
	}
	return nil
}

// elsewhere is about a sync that has other folders than before, maybe by a slip of the pen: what is at the target, or on both
// sides, should be much the same then.
func (t Totals) elsewhere() *Halt {
	strange, alike := t.There.Strange, t.Equal+t.There.Held
	switch t.Direction {
	case Down:
		strange, alike = t.Here.Strange, t.Equal+t.Here.Held
	case Both:
		strange = min(strange, t.Here.Strange)
	}
	if !t.Elsewhere || strange <= alike {
		return nil
	}
	what := "would be replaced, or stay between the others"
	if t.Direction == Both {
		what = "would be mixed with those on the other side"
	}
	return &Halt{Code: HaltFirstContact, Reason: fmt.Sprintf("the sync has other folders than before, and there only %d files are the same on both sides; %d others %s; is the configuration right?",
		alike, strange, what)}
}

// otherContent finds out whether another folder, disk or account has taken the place of one. At a source, max_delete
// watches over that.
func (t Totals) otherContent() *Halt {
	sides := []struct {
		name  string
		is    Content
		alarm int
	}{{"remote", t.There, EmptyRootAlarm}}
	switch t.Direction {
	case Down:
		sides[0].name, sides[0].is = "local", t.Here
	case Both:
		sides[0].alarm = otherContentAlarm
		sides = append(sides, sides[0])
		sides[1].name, sides[1].is = "local", t.Here
	}
	for _, side := range sides {
		files := side.is.Gone + side.is.Changed
		if side.is.Held > 0 || side.is.Gone == 0 || side.is.Strange == 0 || files < side.alarm || 2*side.is.Looked <= t.Known {
			continue
		}
		return &Halt{Code: HaltOtherContent, Reason: fmt.Sprintf("the %s folder holds none of the %d files that were in step before, but %d others: is it the right one?", side.name, files, side.is.Strange)}
	}
	return nil
}

func cureMissing(mayBeMade bool) string {
	if mayBeMade {
		return "bring it back, or approve that it is filled anew"
	}
	return "bring it back, or make it anew"
}

// Count adds one decided path to the totals.
func (t *Totals) Count(item Item, d Decision) {
	if d.Op != nil && d.Op.Action.Deletes() {
		if d.Op.DeletesFile() {
			t.Deletes++
		}
		if d.Op.Extra {
			t.Extra++
		}
	}
	known := item.Base
	if item.Recognized != nil { // a file of ours is no stranger for want of the commit
		known = item.Recognized
	}
	t.Here.count(item.Local, item.Remote, known, false)
	t.There.count(item.Remote, item.Local, known, true)
	if item.Base == nil {
		if item.Local.Entry.Kind == entry.File && equal(item.Local.Entry, item.Remote.Entry) {
			t.Equal++
		}
		return
	}
	t.countShift(item.Local, item.Base.Local)
	t.countShift(item.Remote, item.Base.Remote)
}

// CountUnchanged is Count for a known file about which nothing is decided, because it is as it was on both sides: here somebody has
// looked, and on the server too if remote.
func (t *Totals) CountUnchanged(remote bool) {
	t.Here.Looked++
	t.Here.Held++
	if remote {
		t.There.Looked++
		t.There.Held++
	}
}

// count looks at one side of a path.
func (c *Content) count(now, other Side, base *Base, remote bool) {
	if now.Knowledge != Seen {
		return
	}
	if base == nil || base.Unreadable {
		if now.Entry.Kind == entry.File && !equal(now.Entry, other.Entry) {
			c.Strange++
		}
		return
	}
	was := base.Local
	if remote {
		was = base.Remote
	}
	c.Looked++
	switch {
	case was.Kind != entry.File:
	case now.Entry.Kind == entry.Absent:
		c.Gone++
	case same(now.Entry, was):
		c.Held++
	default:
		c.Changed++
	}
}

func (t *Totals) countShift(now Side, was entry.Entry) {
	shift, moved := now.shift(was)
	if !moved {
		return
	}
	t.Moved++
	if shift == 0 {
		return
	}
	if t.Shifted == 0 {
		t.Shift = shift
	}
	if shift == t.Shift {
		t.Shifted++
	}
}

// shift says whether the time of a file moved and its size did not, and by how much if that may be the distance between two
// time zones; 0 if not.
func (s Side) shift(was entry.Entry) (by time.Duration, moved bool) {
	now := s.Entry
	if s.Knowledge != Seen || now.Kind != entry.File || entry.Same(now, was) || now.Size != was.Size {
		return 0, false
	}
	if by = now.ModTime.Sub(was.ModTime).Round(time.Second); by%shiftUnit != 0 {
		by = 0
	}
	return by, true
}
