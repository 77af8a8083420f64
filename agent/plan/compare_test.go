package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// TestWhatMayBeTheSameIsComparedFirst: a conflict about two files of one size is told once they were compared, where the server can
// tell what it has. Whatever else is decided does not depend on that.
func TestWhatMayBeTheSameIsComparedFirst(t *testing.T) {
	here, there, longer := file(10, time.Hour), file(10, 5*time.Hour), file(11, time.Hour)
	agreed := &Base{Local: file(3, 9*time.Hour), Remote: file(3, 9*time.Hour)}
	sent := &Base{Local: here, Remote: file(3, 9*time.Hour)}
	unknownSize := here
	unknownSize.Size = -1
	both, up, down := Rules{Direction: Both, Conflict: ResolveAsk}, Rules{Direction: Up, Foreign: ForeignKeep}, Rules{Direction: Down, Foreign: ForeignKeep}
	strict := Rules{Direction: Up, Foreign: ForeignConflict}
	leaves := Rules{Direction: Up, Foreign: ForeignKeep, Consume: true}
	for _, row := range []struct {
		sentence      string
		rules         Rules
		local, remote entry.Entry
		base          *Base
		want          string // where the server offers hashes
		different     string // once they were compared
	}{
		{"both: at first contact", both, here, there, nil, "compare", "conflict"},
		{"both: changed on both sides", both, here, there, agreed, "compare", "conflict"},
		{"both: nobody can tell on what they agreed", both, here, there, &Base{Unreadable: true}, "compare", "conflict"},
		{"both: of other sizes", both, here, longer, nil, "conflict", "conflict"},
		{"both: of unknown sizes", both, unknownSize, unknownSize, nil, "conflict", "conflict"},
		{"both: a file and a folder", both, here, dir, nil, "conflict", "conflict"},
		{"both: equal by size and time", both, here, here, nil, "agree", "agree"},
		{"both: another rule decides", Rules{Direction: Both, Conflict: ResolveLocal}, here, there, nil, "upload", "upload"},
		{"both: who sets aside compares", Rules{Direction: Both}, here, there, nil, "set_aside_remote", "set_aside_remote"},
		{"up: at first contact", up, here, there, nil, "compare", "conflict"},
		{"up: both changed", up, here, there, agreed, "compare", "conflict"},
		{"up: changed on the server, and the source did not", up, here, there, sent, "skip", "skip"},
		{"up: the same, and a person has to decide", strict, here, there, sent, "compare", "conflict"},
		{"up: at first contact, and a person has to decide", strict, here, there, nil, "compare", "conflict"},
		{"up: of other sizes", strict, here, longer, nil, "conflict", "conflict"},
		{"up: the source goes when it has arrived", leaves, here, there, nil, "compare, replan", "conflict"},
		{"up: the target is made like the source", Rules{Direction: Up}, here, there, nil, "upload", "upload"},
		{"down: at first contact", down, here, there, nil, "compare", "conflict"},
		{"down: both changed", down, here, there, agreed, "compare", "conflict"},
	} {
		item := Item{Path: "a", Local: seen(row.local), Remote: seen(row.remote), Base: row.base}
		untold := said(Decide(row.rules, item))
		if untold != row.different {
			t.Errorf("%s: without hashes %q, want %q", row.sentence, untold, row.different)
		}
		item.Contents = Comparable
		d := Decide(row.rules, item)
		if got := said(d); got != row.want || !d.Keeps {
			t.Errorf("%s: got %q, want %q", row.sentence, got, row.want)
		}
		item.Contents = Different
		after := Decide(row.rules, item)
		if got := said(after); got != row.different {
			t.Errorf("%s: once they were compared %q, want %q", row.sentence, got, row.different)
		}
		if d.Op == nil || d.Op.Action != Compare {
			continue
		}
		if d.Op.Base != row.base || !strings.HasSuffix(d.Op.Reason, "; in step if both hold the same") {
			t.Errorf("%s: %+v", row.sentence, d.Op)
		}
		told := d.Op.DecideDifferent(row.rules)
		if !after.Note.Compared || !told.Compared || told.Text != after.Note.Text || !told.Conflict || told.Path != "a" || told.Local != d.Op.Local || told.Remote != d.Op.Remote {
			t.Errorf("%s: told as %+v, and at the next look as %+v", row.sentence, told, after.Note)
		}
	}
}

// TestWhoeverWinsMayHoldTheSame: the plan says that a transfer does not happen if both hold the same, where the server can tell that.
func TestWhoeverWinsMayHoldTheSame(t *testing.T) {
	agreed := &Base{Local: file(3, 9*time.Hour), Remote: file(3, 9*time.Hour)}
	here, there, longer := file(10, 5*time.Hour), file(10, time.Hour), file(11, time.Hour)
	for _, row := range []struct {
		sentence string
		conflict Resolution
		remote   entry.Entry
		base     *Base
		contents Contents
		reason   string
	}{
		{"the local one wins, changed on both sides", ResolveLocal, there, agreed, Comparable, "changed on both sides; the local one wins, unless both hold the same"},
		{"the local one wins, at first contact", ResolveLocal, there, nil, Comparable, "differs on both sides; the local one wins, unless both hold the same"},
		{"the one on the server wins", ResolveRemote, there, agreed, Comparable, "changed on both sides; the one on the server wins, unless both hold the same"},
		{"the newer one wins", ResolveNewer, there, agreed, Comparable, "changed on both sides; the one on the server is newer, unless both hold the same"},
		{"the server offers no hashes", ResolveLocal, there, agreed, Untold, "changed on both sides; the local one wins"},
		{"they are of other sizes", ResolveLocal, longer, agreed, Comparable, "changed on both sides; the local one wins"},
	} {
		d := Decide(Rules{Direction: Both, Conflict: row.conflict}, Item{Path: "a", Local: seen(here), Remote: seen(row.remote), Base: row.base, Contents: row.contents})
		if d.Op == nil || d.Op.Reason != row.reason {
			t.Errorf("%s: %+v", row.sentence, d.Op)
		}
	}
}

// TestRulesThatLeaveNothingToAPerson end a comparison that other rules have called for without a conflict.
func TestRulesThatLeaveNothingToAPerson(t *testing.T) {
	op := Decide(Rules{Direction: Both, Conflict: ResolveAsk}, Item{Path: "a", Local: seen(file(1, 0)), Remote: seen(file(1, time.Hour)), Contents: Comparable}).Op
	for _, rules := range []Rules{{Direction: Both}, {Direction: Both, Conflict: ResolveLocal}, {Direction: Up}} {
		if note := op.DecideDifferent(rules); note != nil {
			t.Errorf("%+v: %+v", rules, note)
		}
	}
}

// said is what a decision says in a word.
func said(d Decision) string {
	switch {
	case d.Op != nil && d.Op.Replan:
		return string(d.Op.Action) + ", replan"
	case d.Op != nil:
		return string(d.Op.Action)
	case d.Agree != nil:
		return "agree"
	case d.Note != nil && d.Note.Conflict:
		return "conflict"
	case d.Note != nil:
		return "skip"
	}
	return "nothing"
}
