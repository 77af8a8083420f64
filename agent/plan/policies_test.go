package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// exceptions say where a rule for Up and Down differs from the table of decisions. In all other cells it makes no difference.
var exceptions = []struct {
	name                         string
	rules                        string // of: keep conflict consume
	source, target, base, delete string
	want                         string
}{
	{"a file that somebody else deleted at the target stays deleted", "keep", "file assumed", "absent", "file", "*", "skip, keeps"},
	{"a file that somebody else deleted at the target is for a person", "conflict", "file assumed", "absent", "file", "*", "conflict, keeps"},
	{"a file that changed and that somebody else deleted is for a person", "conflict", "changed", "absent", "file", "*", "conflict, keeps"},
	{"a file in place of a folder that somebody else deleted is for a person", "conflict", "file changed", "absent", "folder", "*", "conflict, descend, keeps"},
	{"a folder that somebody else deleted stays deleted, and what is new in it goes out", "keep", "folder assumed", "absent", "folder", "*", "skip, descend, keeps"},
	{"a folder that somebody else deleted is for a person, and what is new in it goes out", "conflict", "folder assumed", "absent", "folder", "*", "conflict, descend, keeps"},
	{"a file that somebody else changed stays so", "keep", "file assumed", "changed", "file", "*", "skip, keeps"},
	{"a file that somebody else changed is for a person", "conflict", "file assumed", "changed", "file", "*", "conflict, keeps"},
	{"a file that changed on both sides is for a person", "keep conflict", "changed", "changed", "file", "*", "conflict, keeps"},
	{"files in place of a folder on both sides are for a person", "keep conflict", "file changed", "file changed", "folder", "*", "conflict, descend, keeps"},
	{"another file at first contact is not replaced", "keep conflict", "file changed", "file changed", "none", "*", "conflict, keeps"},
	{"a folder that was never known in the way of a file stays", "keep conflict", "file changed", "folder", "none", "on", "conflict, keeps"},
	{"a folder that somebody else made of a file stays", "keep conflict", "file changed assumed", "folder", "file", "on", "conflict, keeps"},
	{"somebody else's file in the way of a folder stays", "keep conflict", "folder", "file changed", "none", "on", "conflict, keeps"},

	{"a file in step goes away at the source", "consume", "file", "assumed file", "file", "*", "transfer, keeps"},
	{"a file that is equal at the target goes away at the source", "consume", "file changed", "equal", "none file", "*", "transfer, keeps"},
	{"a file that is equal at the target in place of a folder goes away at the source", "consume", "file changed", "equal", "folder", "*", "transfer, descend, keeps"},
}

func TestDecidePolicies(t *testing.T) {
	has := func(set, word string) bool { return set == "*" || slices.Contains(strings.Fields(set), word) }
	used := map[string]bool{}
	check := func(c cell, deletes, name string, rules Rules) {
		where := fmt.Sprintf("%s: source %s, target %s, base %s, delete %s", name, c.source, c.target, c.base, deletes)
		var rows []int
		for i, row := range exceptions {
			if has(row.rules, name) && has(row.source, c.source) && has(row.target, c.target) && has(row.base, c.base) && has(row.delete, deletes) {
				rows = append(rows, i)
			}
		}
		if len(rows) > 1 {
			t.Errorf("%s: in %d rows", where, len(rows))
			return
		}
		for _, direction := range []Direction{Up, Down} {
			item, _ := c.item(direction)
			plain := Rules{Direction: direction, Delete: deletes == "on"}
			want := outcome(t, Decide(plain, item), direction)
			if len(rows) == 1 {
				row := exceptions[rows[0]]
				if want == row.want {
					t.Errorf("%s: %q is no exception", where, row.name)
				}
				want, used[row.name] = row.want, true
			}
			rules.Direction, rules.Delete = direction, deletes == "on"
			if got := outcome(t, Decide(rules, item), direction); got != want {
				t.Errorf("%s (%s): got %q, want %q", where, direction, got, want)
			}
		}
	}
	for _, source := range sourceWords {
		for _, target := range targetWords {
			for _, base := range baseWords {
				c := cell{source, target, base}
				if _, exists := c.item(Up); !exists {
					continue
				}
				for _, deletes := range []string{"off", "on"} {
					check(c, deletes, "restore", Rules{Foreign: ForeignRestore})
					check(c, deletes, "keep", Rules{Foreign: ForeignKeep})
					check(c, deletes, "conflict", Rules{Foreign: ForeignConflict})
					check(c, deletes, "consume", Rules{Consume: true})
					if source != "link" && target != "link" {
						check(c, deletes, "preserve", Rules{Links: LinksPreserve})
					}
				}
			}
		}
	}
	for _, row := range exceptions {
		if !used[row.name] {
			t.Errorf("row %q describes no cell", row.name)
		}
	}
}

// TestForeignChangesAreNotOverwrittenUnseen: where the target is not restored, whoever sends a file is told what it may replace.
func TestForeignChangesAreNotOverwrittenUnseen(t *testing.T) {
	base := &Base{Local: sourceThen, Remote: targetThen}
	up := Item{Local: seen(sourceNow), Base: base}
	if op := Decide(Rules{Direction: Up, Foreign: ForeignKeep}, up).Op; op == nil || op.Remote != (Side{Assumed, targetThen}) {
		t.Errorf("up: %+v", op)
	}
	down := Item{Remote: seen(targetNow), Base: base}
	if op := Decide(Rules{Direction: Down, Foreign: ForeignConflict}, down).Op; op == nil || op.Local != (Side{Assumed, sourceThen}) {
		t.Errorf("down: %+v", op)
	}
	if op := Decide(Rules{Direction: Up, Foreign: ForeignKeep}, Item{Local: seen(sourceNow)}).Op; op == nil || op.Remote != (Side{Knowledge: Assumed}) {
		t.Errorf("new: %+v", op)
	}
	if op := Decide(Rules{Direction: Up}, up).Op; op == nil || op.Remote != (Side{}) {
		t.Errorf("restored: %+v", op)
	}
	for _, item := range []Item{up, down} {
		op := Decide(Rules{Direction: Both}, item).Op
		if op == nil || op.Local.Knowledge == Unknown || op.Remote.Knowledge == Unknown {
			t.Errorf("both: %+v", op)
		}
	}
}

func TestMayReplace(t *testing.T) {
	base := &Base{Local: sourceThen, Remote: targetThen}
	assumed := func(e entry.Entry) Side { return Side{Assumed, e} }
	restore, keep, both := Rules{Direction: Up}, Rules{Direction: Up, Foreign: ForeignKeep}, Rules{Direction: Both}
	for _, test := range []struct {
		name  string
		rules Rules
		op    Op
		now   entry.Entry
		want  bool
	}{
		{"what was seen", restore, Op{Action: Upload, Remote: seen(targetThen)}, targetThen, true},
		{"not what was seen", restore, Op{Action: Upload, Remote: seen(targetThen)}, targetNow, false},
		{"what was seen here", both, Op{Action: Download, Local: seen(targetThen), Remote: seen(sourceNow)}, targetThen, true},
		{"not what was seen here", both, Op{Action: Download, Local: seen(targetThen), Remote: seen(sourceNow)}, sourceNow, false},
		{"what is assumed", both, Op{Action: Download, Local: assumed(sourceThen), Base: base}, sourceThen, true},
		{"not what is assumed", both, Op{Action: Download, Local: assumed(sourceThen), Base: base}, sourceNow, false},
		{"anything, where nobody looked and nothing is known", restore, Op{Action: Upload, Remote: assumed(entry.Entry{})}, targetNow, true},
		{"anything, where nobody could look", restore, Op{Action: Upload, Base: base}, targetNow, true},
		{"nothing, where nobody looked and foreign files stay", keep, Op{Action: Upload, Remote: assumed(entry.Entry{})}, targetNow, false},
		{"nothing is there, as assumed", keep, Op{Action: Upload, Remote: assumed(entry.Entry{})}, entry.Entry{}, true},
		{"nothing, where nobody could look, with both directions", both, Op{Action: Upload, Base: base}, targetNow, false},
		{"a link to something else", both, Op{Action: LinkLocal, Local: seen(linkTo("a"))}, linkTo("b"), false},
	} {
		if got := test.op.MayReplace(test.rules, test.now); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

func linkTo(target string) entry.Entry { return entry.Entry{Kind: entry.Link, Target: target} }

// TestLinksPreserved: a link is sent like a file whose content is what it points at.
func TestLinksPreserved(t *testing.T) {
	was, now, silent := linkTo("was"), linkTo("now"), linkTo("")
	base := func(source, target entry.Entry) *Base { return &Base{Local: source, Remote: target} }
	linked, filed, foldered := base(was, was), base(sourceThen, targetThen), base(dir, dir)
	gone := entry.Entry{}
	for _, test := range []struct {
		name            string
		source, target  entry.Entry
		base            *Base
		off, on         string // one way, delete off and on
		bothOff, bothOn string // "" for the same; source is local
	}{
		{"a new link", now, gone, nil, "link, keeps", "", "pass local, keeps", ""},
		{"a link that nobody says the target of", silent, gone, nil, "skip, keeps", "", "skip, keeps", ""},
		{"a link in step", was, was, linked, "nothing, keeps", "", "nothing, keeps", ""},
		{"a link in step whose target the server does not tell", was, silent, base(was, silent), "nothing, keeps", "", "nothing, keeps", ""},
		{"equal links at first contact", now, now, nil, "agree, keeps", "", "agree, keeps", ""},
		{"a link at first contact whose target the server does not tell", now, silent, nil, "skip, keeps", "", "skip, keeps", ""},
		{"different links at first contact", now, was, nil, "link, keeps", "", "aside remote, keeps", ""},
		{"a link that points at something else now", now, was, linked, "link, keeps", "", "pass local, keeps", ""},
		{"a link that points at something else at the target", was, now, linked, "link, keeps", "", "pass remote, keeps", ""},
		{"links that changed alike", now, now, linked, "agree, keeps", "", "agree, keeps", ""},
		{"links that changed on both sides", now, linkTo("new"), linked, "link, keeps", "", "aside remote, keeps", ""},
		{"a deleted link", gone, was, linked, "forget, keeps", "delete", "pass remote, keeps", "delete remote"},
		{"a link that was deleted and points at something else at the target", gone, now, linked, "forget, keeps", "conflict, keeps", "pass remote, keeps", ""},
		{"a link missing at the target", was, gone, linked, "link, keeps", "", "pass local, keeps", "delete local"},
		{"an extra link", gone, now, nil, "nothing, keeps", "delete, extra", "pass remote, keeps", ""},
		{"a file in place of a link", sourceNow, was, linked, "conflict, keeps", "delete, replan", "aside remote, keeps", "delete remote, replan, keeps"},
		{"a file in place of a link that changed", sourceNow, now, linked, "conflict, keeps", "", "aside remote, keeps", ""},
		{"a link in place of a file", now, targetThen, filed, "conflict, keeps", "delete, replan", "aside remote, keeps", "delete remote, replan, keeps"},
		{"a link in place of a file that changed", now, targetNow, filed, "conflict, keeps", "", "aside remote, keeps", ""},
		{"a link and an extra file", now, targetNow, nil, "conflict, keeps", "delete, extra, replan", "aside remote, keeps", ""},
		{"a folder in place of a link", dir, was, linked, "conflict, keeps", "delete, replan", "aside remote, keeps", "delete remote, replan, keeps"},
		{"a folder and an extra link", dir, now, nil, "conflict, keeps", "delete, extra, replan", "aside remote, keeps", ""},
		{"a link in place of a folder", now, dir, foldered, "conflict, keeps", "delete, replan, descend", "aside local, keeps", ""},
		{"a device", other, was, linked, "skip, keeps", "", "skip, keeps", ""},
		{"a device at the target", was, other, linked, "conflict, keeps", "", "skip, keeps", ""},
	} {
		for _, deletes := range []bool{false, true} {
			want, wantBoth := test.off, test.bothOff
			if deletes && test.on != "" {
				want = test.on
			}
			if deletes && test.bothOn != "" {
				wantBoth = test.bothOn
			}
			item := Item{Path: "a", Local: seen(test.source), Remote: seen(test.target), Base: test.base}
			rules := Rules{Direction: Up, Delete: deletes, Links: LinksPreserve}
			if got := outcome(t, Decide(rules, item), Up); got != want {
				t.Errorf("%s, delete %v: up: %q, want %q", test.name, deletes, got, want)
			}
			rules.Direction = Both
			if got := bothOutcome(t, Decide(rules, item)); got != wantBoth {
				t.Errorf("%s, delete %v: both: %q, want %q", test.name, deletes, got, wantBoth)
			}
			item.Local, item.Remote = item.Remote, item.Local
			if item.Base != nil {
				item.Base = base(test.base.Remote, test.base.Local)
			}
			rules.Direction = Down
			if got := outcome(t, Decide(rules, item), Down); got != want {
				t.Errorf("%s, delete %v: down: %q, want %q", test.name, deletes, got, want)
			}
		}
	}
}

// TestLinksPreservedAgainstForeignChanges: they are somebody else's change like that of a file.
func TestLinksPreservedAgainstForeignChanges(t *testing.T) {
	was, now := linkTo("was"), linkTo("now")
	rules := Rules{Direction: Up, Delete: true, Links: LinksPreserve, Foreign: ForeignConflict}
	for name, item := range map[string]Item{
		"changed":       {Local: seen(was), Remote: seen(now), Base: &Base{Local: was, Remote: was}},
		"deleted":       {Local: seen(was), Remote: seen(entry.Entry{}), Base: &Base{Local: was, Remote: was}},
		"first contact": {Local: seen(was), Remote: seen(now)},
		"in the way":    {Local: seen(was), Remote: seen(sourceNow)},
	} {
		if got := outcome(t, Decide(rules, item), Up); got != "conflict, keeps" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestWhoLoses: the older version goes aside, the remote one where nobody can tell.
func TestWhoLoses(t *testing.T) {
	at := func(size int64, age, precision time.Duration) entry.Entry {
		e := file(size, age)
		e.Precision = precision
		return e
	}
	timeless := entry.Entry{Kind: entry.File, Size: 5}
	minute := 90 * time.Second
	for _, test := range []struct {
		name          string
		local, remote entry.Entry
		aside         Action
		newer         Action // under ResolveNewer
		to            string
	}{
		{"the local one is older", at(1, time.Hour, 1), at(2, 0, 1), SetAsideLocal, Download, "a/b (conflict 2026-03-01 120000 box).txt"},
		{"the remote one is older", at(1, 0, 1), at(2, time.Hour, 1), SetAsideRemote, Upload, "a/b (conflict 2026-03-01 120000 box).txt"},
		{"the same time", at(1, time.Hour, 1), at(2, time.Hour, 1), SetAsideRemote, SetAsideRemote, "a/b (conflict 2026-03-01 120000 box).txt"},
		{"closer together than the server can tell", at(1, time.Hour+minute/2, 1), at(2, time.Hour, time.Minute), SetAsideRemote, SetAsideRemote, "a/b (conflict 2026-03-01 120000 box).txt"},
		{"closer together than time zones", at(1, time.Hour+minute, 1), at(2, time.Hour, time.Minute), SetAsideRemote, SetAsideRemote, "a/b (conflict 2026-03-01 120000 box).txt"},
		{"just far enough apart", at(1, 15*time.Hour+minute, 1), at(2, time.Hour, time.Minute), SetAsideLocal, Download, "a/b (conflict 2026-02-28 215830 box).txt"},
		{"the remote side tells no time", at(1, 0, 1), timeless, SetAsideRemote, SetAsideRemote, "a/b (conflict 2026-03-01 133000 box).txt"},
		{"the local side tells no time", timeless, at(2, 0, 1), SetAsideRemote, SetAsideRemote, "a/b (conflict 2026-03-01 130000 box).txt"},
	} {
		item := Item{Path: "a/b.txt", Local: seen(test.local), Remote: seen(test.remote)}
		rules := Rules{Direction: Both, Host: "box", Now: noon.Add(30 * time.Minute), Zone: time.FixedZone("", 3600)}
		op := Decide(rules, item).Op
		if op == nil || op.Action != test.aside || op.To != test.to {
			t.Errorf("%s: %+v, want %s to %s", test.name, op, test.aside, test.to)
		}
		rules.Conflict = ResolveNewer
		if op := Decide(rules, item).Op; op == nil || op.Action != test.newer {
			t.Errorf("%s: newer: %+v, want %s", test.name, op, test.newer)
		}
	}
	item := Item{Path: "b", Local: seen(at(1, time.Hour, 1)), Remote: seen(at(2, 0, 1))}
	if op := Decide(Rules{Direction: Both}, item).Op; op == nil || op.To != "b (conflict 2026-03-01 110000)" {
		t.Errorf("without a zone and a host: %+v", op)
	}
}

// TestAConflictSaysHowItEnds, and only with what ends it.
func TestAConflictSaysHowItEnds(t *testing.T) {
	const same = ` until a person makes both the same ("ftpferry put -f" sends the one from here, "ftpferry get -f" fetches the other) or deletes both`
	file := func(size int64) Side {
		return Side{Knowledge: Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: time.Unix(size, 0)}}
	}
	link := func(target string) Side {
		return Side{Knowledge: Seen, Entry: entry.Entry{Kind: entry.Link, Target: target}}
	}
	base, absent := &Base{Local: file(1).Entry, Remote: file(1).Entry}, Side{Knowledge: Seen}
	links := &Base{Local: link("a").Entry, Remote: link("a").Entry}
	for sentence, row := range map[string]struct {
		item Item
		want string
	}{
		"another file at first contact":               {Item{Local: file(1), Remote: file(2)}, "differs on the server, and was never in step; kept" + same},
		"both have changed":                           {Item{Local: file(2), Remote: file(3), Base: base}, "both changed; kept" + same},
		"somebody has changed it":                     {Item{Local: file(1), Remote: file(3), Base: base}, "changed on the server by somebody else; kept" + same},
		"a link, which cannot be got or put":          {Item{Local: link("a"), Remote: link("b"), Base: links}, "changed on the server by somebody else; kept until a person makes both the same or deletes both"},
		"somebody has deleted it":                     {Item{Local: file(1), Remote: absent, Base: base}, `deleted on the server by somebody else; left alone until a person deletes it here too, or brings it back on the server ("ftpferry put")`},
		"it has changed, and somebody has deleted it": {Item{Local: file(2), Remote: absent, Base: base}, `changed here, deleted on the server by somebody else; left alone until a person deletes it here too, or brings it back on the server ("ftpferry put")`},
		"a link that somebody has deleted":            {Item{Local: link("a"), Remote: absent, Base: links}, "deleted on the server by somebody else; left alone until a person deletes it here too, or brings it back on the server"},
	} {
		t.Run(sentence, func(t *testing.T) {
			rules := Rules{Direction: Up, Delete: true, Foreign: ForeignConflict, Links: LinksPreserve}
			d := Decide(rules, row.item)
			if d.Note == nil || !d.Note.Conflict || d.Note.Text != row.want {
				t.Fatalf("%+v, want the conflict %q", d.Note, row.want)
			}
			gone := row.item
			gone.Local, gone.Remote = absent, absent
			if d := Decide(rules, gone); d.Note != nil || d.Op != nil {
				t.Errorf("both are deleted: %+v", d)
			}
			alike := row.item
			if alike.Remote.Entry.Kind == entry.Absent {
				alike.Remote = alike.Local
			} else {
				alike.Local = alike.Remote
			}
			if d := Decide(rules, alike); d.Note != nil || d.Op != nil {
				t.Errorf("both are the same: %+v, %+v", d.Note, d.Op)
			}
		})
	}
}

// TestAConflictInBothDirectionsSaysHowItEnds, and what may come of it otherwise than planned.
func TestAConflictInBothDirectionsSaysHowItEnds(t *testing.T) {
	const one = " until a person deletes one of them, or makes both the same"
	const cure = ` ("ftpferry put -f" sends the one from here, "ftpferry get -f" fetches the other)`
	file := func(size int64, second int64) Side {
		return Side{Knowledge: Seen, Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: time.Unix(second, 0)}}
	}
	folder := Side{Knowledge: Seen, Entry: entry.Entry{Kind: entry.Dir}}
	base := &Base{Local: file(1, 1).Entry, Remote: file(1, 1).Entry}
	for _, row := range []struct {
		sentence string
		rule     Resolution
		item     Item
		want     string
	}{
		{"a person decides between two files", ResolveAsk, Item{Local: file(2, 2), Remote: file(3, 3), Base: base}, "changed on both sides; left alone" + one + cure},
		{"also at first contact", ResolveAsk, Item{Local: file(2, 2), Remote: file(3, 3)}, "differs on both sides; left alone" + one + cure},
		{"a folder is neither sent nor fetched over a file", ResolveAsk, Item{Local: file(2, 2), Remote: folder}, "a file here, a folder on the server; left alone" + one},
		{"files of the same size may be the same", ResolveCopy, Item{Local: file(2, 2), Remote: file(2, 3)}, "differs on both sides; both are kept, the one here under another name, unless they hold the same"},
		{"others are not", ResolveCopy, Item{Local: file(2, 2), Remote: file(3, 3)}, "differs on both sides; both are kept, the one here under another name"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			d := Decide(Rules{Direction: Both, Conflict: row.rule}, row.item)
			got := ""
			if d.Note != nil && d.Note.Conflict {
				got = d.Note.Text
			} else if d.Op != nil {
				got = d.Op.Reason
			}
			if got != row.want {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}
