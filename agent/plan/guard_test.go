package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

func TestGuard(t *testing.T) {
	tenPercent := func(deletes, known int) bool { return deletes*10 <= known }
	five := func(deletes, _ int) bool { return deletes <= 5 }
	hour := Totals{Known: 20, Shift: time.Hour, Shifted: 20, Moved: 20}
	shift := func(change func(*Totals)) Totals {
		t := hour
		change(&t)
		return t
	}
	all := strings.Join([]string{HaltRootMissing, HaltRootEmpty, HaltOtherDevice, HaltMarker, HaltMaxDelete, HaltFirstContact, HaltTimeShift, HaltOtherContent}, " ")
	other := func(direction Direction, change func(*Content)) Totals {
		c := Content{Looked: 20, Gone: 11, Changed: 3, Strange: 1}
		change(&c)
		return Totals{Known: 20, Direction: direction, There: c}
	}
	asIs := func(*Content) {}
	for _, test := range []struct {
		name     string
		totals   Totals
		allows   func(deletes, known int) bool
		approved bool
		code     string // "" for no halt
		says     string // part of the reason
	}{
		{"nothing happens", Totals{Known: 5, Local: RootFilled, Remote: RootFilled}, tenPercent, false, "", ""},
		{"nothing at all was seen", Totals{}, tenPercent, false, "", ""},

		{"the local folder is gone", Totals{Known: 1, Local: RootMissing}, tenPercent, false, HaltRootMissing, "the local folder is gone, but 1 paths"},
		{"no approval makes up for a local folder", Totals{Known: 1, Local: RootMissing}, tenPercent, true, HaltRootMissing, "make it anew"},
		{"nor for one that is the target", Totals{Known: 1, Local: RootMissing, Direction: Down}, tenPercent, true, HaltRootMissing, "local"},
		{"a local folder that never held anything may be missing", Totals{Local: RootMissing}, tenPercent, false, "", ""},
		{"the remote folder is gone", Totals{Known: 1, Remote: RootMissing, Direction: Up}, tenPercent, false, HaltRootMissing, "approve that it is filled anew"},
		{"approval fills a remote target anew", Totals{Known: 1, Remote: RootMissing, Direction: Up}, tenPercent, true, "", ""},
		{"no approval makes up for a remote source", Totals{Known: 1, Remote: RootMissing, Direction: Down}, tenPercent, true, HaltRootMissing, "remote"},
		{"a remote folder that never held anything may be missing", Totals{Remote: RootMissing, Direction: Up}, tenPercent, false, "", ""},

		{"the local folder is empty", Totals{Known: 2, Local: RootEmpty}, tenPercent, false, HaltRootEmpty, "the local folder is empty, but 2 paths"},
		{"the remote folder is empty", Totals{Known: 2, Remote: RootEmpty}, tenPercent, false, HaltRootEmpty, "the remote folder is empty"},
		{"a folder of one file is empty every now and then", Totals{Known: 1, Local: RootEmpty, Remote: RootEmpty}, tenPercent, false, "", ""},
		{"a person wanted it empty", Totals{Known: 100, Local: RootEmpty, Deletes: 100}, tenPercent, true, "", ""},
		{"a folder nobody looked at is not empty", Totals{Known: 100, Remote: RootUnseen, Local: RootFilled}, tenPercent, false, "", ""},

		{"a target that another scan has filled since it was found empty", Totals{Known: 10, First: true, Remote: RootEmpty, Direction: Up}, tenPercent, false, "", ""},
		{"a local one", Totals{Known: 10, First: true, Local: RootEmpty, Remote: RootFilled, Direction: Down}, tenPercent, false, "", ""},
		{"a target that another scan has made since it was missing", Totals{Known: 10, First: true, Remote: RootMissing, Direction: Up}, tenPercent, false, "", ""},
		{"a source that was emptied while another scan brought it in step", Totals{Known: 10, First: true, Local: RootEmpty, Deletes: 1}, tenPercent, false, HaltRootEmpty, "local"},
		{"the same with its deletions in the queue already", Totals{Known: 10, First: true, Local: RootEmpty, PendingDeletes: 1}, tenPercent, false, HaltRootEmpty, "local"},
		{"another disk, found while another scan filled it", Totals{Known: 10, First: true, OtherDevice: "tmpfs", Local: RootEmpty}, tenPercent, false, HaltOtherDevice, ""},

		{"with both directions no approval makes up for a local folder", Totals{Known: 1, Local: RootMissing, Direction: Both}, tenPercent, true, HaltRootMissing, "the local folder is gone"},
		{"nor for a remote one", Totals{Known: 1, Remote: RootMissing, Direction: Both}, tenPercent, true, HaltRootMissing, "the remote folder is gone, but 1 paths were in step before; bring it back, or make it anew"},
		{"with both directions a side that never held anything may be missing", Totals{Remote: RootMissing, Local: RootFilled, Direction: Both}, tenPercent, false, "", ""},
		{"with both directions an emptied local folder halts", Totals{Known: 2, Local: RootEmpty, Remote: RootFilled, Direction: Both}, tenPercent, false, HaltRootEmpty, "local"},
		{"with both directions an emptied remote folder halts", Totals{Known: 2, Local: RootFilled, Remote: RootEmpty, Direction: Both}, tenPercent, false, HaltRootEmpty, "remote"},

		{"another disk", Totals{Known: 1, OtherDevice: "tmpfs, was ext4", Local: RootFilled}, tenPercent, false, HaltOtherDevice, "(tmpfs, was ext4), and 1 paths"},
		{"another disk that is empty: the disk is what is wrong", Totals{Known: 9, OtherDevice: "tmpfs", Local: RootEmpty}, tenPercent, false, HaltOtherDevice, ""},
		{"another disk, and an empty server: the disk first", Totals{Known: 9, OtherDevice: "tmpfs", Local: RootFilled, Remote: RootEmpty}, tenPercent, false, HaltOtherDevice, ""},
		{"another disk, approved", Totals{Known: 1, OtherDevice: "tmpfs", Local: RootFilled}, tenPercent, true, "", ""},
		{"a missing folder goes before its disk", Totals{Known: 1, OtherDevice: "tmpfs", Local: RootMissing}, tenPercent, false, HaltRootMissing, ""},
		{"another disk before anything was in step", Totals{OtherDevice: "tmpfs", Local: RootFilled}, tenPercent, false, "", ""},

		{"the marker is missing", Totals{MarkerMissing: ".mounted"}, tenPercent, false, HaltMarker, `".mounted"`},
		{"no approval makes up for the marker", Totals{MarkerMissing: ".mounted"}, tenPercent, true, HaltMarker, `".mounted"`},
		{"a missing folder goes before its marker", Totals{Known: 1, Local: RootMissing, MarkerMissing: "m"}, tenPercent, true, HaltRootMissing, ""},
		{"an empty folder goes before its marker", Totals{Known: 2, Local: RootEmpty, MarkerMissing: "m"}, tenPercent, false, HaltRootEmpty, ""},

		{"first contact with a target that holds more", Totals{Extra: 1, Deletes: 1}, tenPercent, false, HaltFirstContact, "1 files or folders"},
		{"first contact with nothing but extra folders", Totals{Extra: 3}, five, false, HaltFirstContact, "3 files or folders"},
		{"first contact, approved", Totals{Extra: 1000, Deletes: 1000}, tenPercent, true, "", ""},
		{"first contact, and parts of the plan are in step by now", Totals{First: true, Known: 5000, Extra: 1, Deletes: 1}, tenPercent, false, HaltFirstContact, "1 files or folders"},
		{"something extra later on is a matter of max_delete", Totals{Known: 100, Extra: 10, Deletes: 10}, tenPercent, false, "", ""},
		{"first contact goes before max_delete", Totals{Extra: 1000, Deletes: 1000}, tenPercent, false, HaltFirstContact, ""},

		{"as many deletes as the share allows", Totals{Known: 100, Deletes: 10}, tenPercent, false, "", ""},
		{"one more than the share allows", Totals{Known: 100, Deletes: 11}, tenPercent, false, HaltMaxDelete, "11 files of 100 known paths"},
		{"as many deletes as the count allows", Totals{Known: 9, Deletes: 5}, five, false, "", ""},
		{"one more than the count allows", Totals{Known: 1000, Deletes: 6}, five, false, HaltMaxDelete, "6 files"},
		{"those that wait in the queue count too", Totals{Known: 100, Deletes: 6, PendingDeletes: 5}, tenPercent, false, HaltMaxDelete, "11 files"},
		{"more than allowed, approved", Totals{Known: 100, Deletes: 99}, tenPercent, true, "", ""},
		{"no deletes need no leave", Totals{Known: 100}, func(int, int) bool { panic("asked") }, false, "", ""},

		{"a target with other files than before", other(Up, asIs), tenPercent, false, HaltOtherContent, "the remote folder holds none of the 14 files that were in step before, but 1 others"},
		{"one of two sides with other files than before", other(Both, asIs), tenPercent, false, HaltOtherContent, "remote"},
		{"a source with other files than before is a matter of max_delete", other(Down, asIs), tenPercent, false, "", ""},
		{"other files than before, approved", other(Up, asIs), tenPercent, true, "", ""},
		{"one known file is there", other(Up, func(c *Content) { c.Held = 1 }), tenPercent, false, "", ""},
		{"all files were written anew", other(Up, func(c *Content) { c.Gone, c.Strange = 0, 0 }), tenPercent, false, "", ""},
		{"a target that lost its files, and nothing is strange there", other(Up, func(c *Content) { c.Strange = 0 }), tenPercent, false, "", ""},
		{"a look at half of what is known proves nothing", other(Up, func(c *Content) { c.Looked = 10 }), tenPercent, false, "", ""},
		{"two files are enough at a target", other(Up, func(c *Content) { c.Gone, c.Changed = 1, 1 }), tenPercent, false, HaltOtherContent, ""},
		{"a few files pass through a folder of both directions", other(Both, func(c *Content) { c.Gone, c.Changed = 9, 0 }), tenPercent, false, "", ""},

		{"other folders than before, and other files at the target", Totals{Elsewhere: true, Direction: Up, There: Content{Strange: 3}, Equal: 2}, tenPercent, false, HaltFirstContact, "only 2 files are the same on both sides; 3 others would be replaced"},
		{"other folders than before, downwards", Totals{Elsewhere: true, Direction: Down, Here: Content{Strange: 1}}, tenPercent, false, HaltFirstContact, ""},
		{"other folders than before, approved", Totals{Elsewhere: true, Direction: Up, There: Content{Strange: 3}}, tenPercent, true, "", ""},
		{"other folders than before, and most of it is the same", Totals{Elsewhere: true, Direction: Up, There: Content{Strange: 3}, Equal: 3}, tenPercent, false, "", ""},
		{"other folders than before, some of it in step by now", Totals{Elsewhere: true, Direction: Up, There: Content{Strange: 3, Held: 2}, Equal: 1}, tenPercent, false, "", ""},
		{"another source than before with an empty target", Totals{Elsewhere: true, Direction: Up, Here: Content{Strange: 3}}, tenPercent, false, "", ""},
		{"two folders that would be mixed", Totals{Elsewhere: true, Direction: Both, Here: Content{Strange: 3}, There: Content{Strange: 1}}, tenPercent, false, HaltFirstContact, "1 others would be mixed"},
		{"two folders that were never anywhere else are mixed", Totals{Direction: Both, Here: Content{Strange: 3}, There: Content{Strange: 1}}, tenPercent, false, "", ""},
		{"another folder of two, the other one empty", Totals{Elsewhere: true, Direction: Both, Here: Content{Strange: 3}}, tenPercent, false, "", ""},

		{"all times moved by an hour", hour, tenPercent, false, HaltTimeShift, "20 files all moved by 1h0m0s"},
		{"all times moved by an hour, approved", hour, tenPercent, true, "", ""},
		{"ten files are enough to tell", shift(func(t *Totals) { t.Known, t.Shifted, t.Moved = 10, 10, 10 }), tenPercent, false, HaltTimeShift, ""},
		{"nine files are not", shift(func(t *Totals) { t.Known, t.Shifted, t.Moved = 9, 9, 9 }), tenPercent, false, "", ""},
		{"one file moved by another distance", shift(func(t *Totals) { t.Moved++ }), tenPercent, false, "", ""},
		{"half of the files moved", shift(func(t *Totals) { t.Known = 40 }), tenPercent, false, "", ""},
		{"more than half of them moved", shift(func(t *Totals) { t.Known = 39 }), tenPercent, false, HaltTimeShift, ""},
		{"max_delete goes before a time shift", shift(func(t *Totals) { t.Deletes = 20 }), tenPercent, false, HaltMaxDelete, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			halt := Guard(test.totals, Limits{AllowsDeletes: test.allows, Approved: test.approved, Halts: all})
			switch {
			case halt == nil && test.code != "":
				t.Errorf("goes on, want %s", test.code)
			case halt != nil && (halt.Code != test.code || !strings.Contains(halt.Reason, test.says)):
				t.Errorf("halted: %+v, want %q with %q", halt, test.code, test.says)
			}
		})
	}
}

// TestAnApprovalIsForWhatWasSeen: a person who let some deletions pass has not said that the disk may be gone.
func TestAnApprovalIsForWhatWasSeen(t *testing.T) {
	ten := func(deletes, _ int) bool { return deletes <= 10 }
	for _, test := range []struct {
		name    string
		halts   string // what was seen
		deletes int
		totals  Totals
		code    string // "" for no halt
	}{
		{"the deletions that were seen", HaltMaxDelete, 50, Totals{Known: 99, Deletes: 50}, ""},
		{"a few more", HaltMaxDelete, 50, Totals{Known: 99, Deletes: 40, PendingDeletes: 20}, ""},
		{"many more", HaltMaxDelete, 50, Totals{Known: 99, Deletes: 61}, HaltMaxDelete},
		{"deletions, and then everything is gone", HaltMaxDelete, 50, Totals{Known: 99, Deletes: 50, Local: RootEmpty}, HaltRootEmpty},
		{"deletions, and then another disk", HaltMaxDelete, 50, Totals{Known: 99, Deletes: 50, Local: RootFilled, OtherDevice: "tmpfs"}, HaltOtherDevice},
		{"deletions, and then all times move", HaltMaxDelete, 50, Totals{Known: 20, Deletes: 1, Shift: time.Hour, Shifted: 20, Moved: 20}, HaltTimeShift},
		{"another disk, and it is empty", HaltOtherDevice, 0, Totals{Known: 99, OtherDevice: "tmpfs", Local: RootEmpty}, HaltRootEmpty},
		{"another disk, and it holds less", HaltOtherDevice, 0, Totals{Known: 99, OtherDevice: "tmpfs", Local: RootFilled, Deletes: 50}, HaltMaxDelete},
		{"another disk and then that it holds less", HaltOtherDevice + " " + HaltMaxDelete, 50, Totals{Known: 99, OtherDevice: "tmpfs", Local: RootFilled, Deletes: 50}, ""},
		{"an empty folder means that all goes", HaltRootEmpty, 0, Totals{Known: 99, Local: RootEmpty, Deletes: 99}, ""},
		{"a remote folder that is made anew is empty", HaltRootMissing, 0, Totals{Known: 99, Local: RootFilled, Remote: RootEmpty, Direction: Up}, ""},
		{"a remote folder that is made anew, and an empty local one", HaltRootMissing, 0, Totals{Known: 99, Deletes: 99, Local: RootEmpty, Direction: Up}, HaltRootEmpty},
		{"what first contact deletes", HaltFirstContact, 30, Totals{Extra: 30, Deletes: 30}, ""},
		{"first contact, and there is more by now", HaltFirstContact, 30, Totals{Extra: 90, Deletes: 90}, HaltMaxDelete},
		{"all times moved, and nothing else was seen", HaltTimeShift, 0, Totals{Known: 20, Deletes: 11, Shift: time.Hour, Shifted: 20, Moved: 20}, HaltMaxDelete},
		{"whoever speaks before there is a halt lets deletions pass", "", 0, Totals{Known: 99, Deletes: 99, Local: RootFilled}, ""},
		{"and what first contact deletes", "", 0, Totals{Extra: 30, Deletes: 30}, ""},
		{"and not that everything is gone", "", 0, Totals{Known: 99, Deletes: 99, Local: RootEmpty}, HaltRootEmpty},
		{"nor another disk", "", 0, Totals{Known: 99, Local: RootFilled, OtherDevice: "tmpfs"}, HaltOtherDevice},
	} {
		t.Run(test.name, func(t *testing.T) {
			halt := Guard(test.totals, Limits{AllowsDeletes: ten, Approved: true, Halts: test.halts, Deletes: test.deletes})
			if code := codeOf(halt); code != test.code {
				t.Errorf("halted by %q, want %q", code, test.code)
			}
		})
	}
}

func codeOf(halt *Halt) string {
	if halt == nil {
		return ""
	}
	return halt.Code
}

func TestGuardAsksWithAllDeletesAndAllKnownPaths(t *testing.T) {
	var deletes, known int
	Guard(Totals{Known: 50, Deletes: 3, PendingDeletes: 4, Extra: 2}, Limits{AllowsDeletes: func(d, k int) bool {
		deletes, known = d, k
		return true
	}})
	if deletes != 7 || known != 50 {
		t.Errorf("asked for %d deletes of %d, want 7 of 50", deletes, known)
	}
}

func TestCount(t *testing.T) {
	up, down := Rules{Direction: Up, Delete: true}, Rules{Direction: Down, Delete: true}
	at := func(size int64, after time.Duration) entry.Entry { return file(size, -after) }
	known := func(e entry.Entry) *Base { return &Base{Local: e, Remote: e} }
	// moved is a file whose time moved on the local side.
	moved := func(by time.Duration) Item {
		return Item{Local: seen(at(5, by)), Remote: seen(at(5, 0)), Base: known(at(5, 0))}
	}
	gone := seen(entry.Entry{})
	for _, test := range []struct {
		name  string
		rules Rules
		items []Item
		want  Totals
	}{
		{"a deleted file", up, []Item{{Local: gone, Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"a deleted file, downwards", down, []Item{{Local: seen(at(5, 0)), Remote: gone, Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"a deleted file that nobody looked for yet", up,
			[]Item{{Local: gone, Remote: Side{Knowledge: Assumed, Entry: at(5, 0)}, Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"a deleted folder is empty when it goes", up, []Item{{Local: gone, Remote: seen(dir), Base: known(dir)}}, Totals{}},
		{"an extra file", up, []Item{{Local: gone, Remote: seen(at(5, 0))}}, Totals{Deletes: 1, Extra: 1}},
		{"an extra folder", up, []Item{{Local: gone, Remote: seen(dir)}}, Totals{Extra: 1}},
		{"an extra file in the way of a folder", up, []Item{{Local: seen(dir), Remote: seen(at(5, 0))}}, Totals{Deletes: 1, Extra: 1}},
		{"a known file in the way of a folder", up, []Item{{Local: seen(dir), Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"with both directions, a file deleted there", Rules{Direction: Both, Delete: true},
			[]Item{{Local: seen(at(5, 0)), Remote: gone, Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"with both directions, a file deleted here", Rules{Direction: Both, Delete: true},
			[]Item{{Local: gone, Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"with both directions, a file that a folder took the place of", Rules{Direction: Both, Delete: true},
			[]Item{{Local: seen(dir), Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{Deletes: 1}},
		{"with both directions nothing is extra, and what is set aside is not deleted", Rules{Direction: Both, Delete: true},
			[]Item{{Local: gone, Remote: seen(at(5, 0))}, {Local: seen(at(6, 0)), Remote: seen(at(5, 0))}}, Totals{}},
		{"new and changed files delete nothing", up,
			[]Item{{Local: seen(at(5, 0)), Remote: gone}, {Local: seen(at(6, 7)), Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{}},

		{"an hour", up, []Item{moved(time.Hour)}, Totals{Shift: time.Hour, Shifted: 1, Moved: 1}},
		{"an hour back", up, []Item{moved(-time.Hour)}, Totals{Shift: -time.Hour, Shifted: 1, Moved: 1}},
		{"a zone of three quarters of an hour", up, []Item{moved(345 * time.Minute)}, Totals{Shift: 345 * time.Minute, Shifted: 1, Moved: 1}},
		{"an hour on both sides counts twice", up,
			[]Item{{Local: seen(at(5, time.Hour)), Remote: seen(at(5, time.Hour)), Base: known(at(5, 0))}}, Totals{Shift: time.Hour, Shifted: 2, Moved: 2}},
		{"an hour less what the precision cut off", up, []Item{moved(time.Hour - 300*time.Millisecond)}, Totals{Shift: time.Hour, Shifted: 1, Moved: 1}},
		{"a touched file moves by any distance", up, []Item{moved(61 * time.Minute)}, Totals{Moved: 1}},
		{"a fraction of a second is no zone", up, []Item{moved(300 * time.Millisecond)}, Totals{Moved: 1}},
		{"two distances: the first one counts", up, []Item{moved(time.Hour), moved(2 * time.Hour), moved(time.Hour)}, Totals{Shift: time.Hour, Shifted: 2, Moved: 3}},
		{"an edit that changes the size is no move", up,
			[]Item{{Local: seen(at(6, time.Hour)), Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{}},
		{"a time that is not known any more is no move", up,
			[]Item{{Local: seen(entry.Entry{Kind: entry.File, Size: 5}), Remote: seen(at(5, 0)), Base: known(at(5, 0))}}, Totals{}},
		{"a side that nobody looked at does not move", up,
			[]Item{{Local: seen(at(5, 0)), Remote: Side{Knowledge: Assumed, Entry: at(5, time.Hour)}, Base: known(at(5, 0))}}, Totals{}},
		{"a folder does not move", up, []Item{{Local: seen(dir), Remote: seen(dir), Base: known(dir)}}, Totals{}},
		{"first contact has nothing to compare with", up, []Item{{Local: seen(at(5, time.Hour)), Remote: seen(at(5, 0))}}, Totals{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got Totals
			for _, item := range test.items {
				got.Count(item, Decide(test.rules, item))
			}
			got.Here, got.There, got.Equal = Content{}, Content{}, 0 // see TestContent
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestContent(t *testing.T) {
	gone, was := seen(entry.Entry{}), file(5, 0)
	known := &Base{Local: was, Remote: was}
	for _, test := range []struct {
		name        string
		item        Item
		here, there Content
		equal       int
	}{
		{"in step", Item{Local: seen(was), Remote: seen(was), Base: known}, Content{Looked: 1, Held: 1}, Content{Looked: 1, Held: 1}, 0},
		{"gone on one side, changed on the other", Item{Local: gone, Remote: seen(file(6, 0)), Base: known}, Content{Looked: 1, Gone: 1}, Content{Looked: 1, Changed: 1}, 0},
		{"a folder says nothing", Item{Local: seen(dir), Remote: gone, Base: &Base{Local: dir, Remote: dir}}, Content{Looked: 1}, Content{Looked: 1}, 0},
		{"new on one side", Item{Local: gone, Remote: seen(was)}, Content{}, Content{Strange: 1}, 0},
		{"new and not the same", Item{Local: seen(file(6, 0)), Remote: seen(was)}, Content{Strange: 1}, Content{Strange: 1}, 0},
		{"new and the same", Item{Local: seen(was), Remote: seen(was)}, Content{}, Content{}, 1},
		{"ours without the commit, and new on the other side since", Item{Local: seen(was), Remote: seen(file(6, 0)), Recognized: known}, Content{Looked: 1, Held: 1}, Content{Looked: 1, Changed: 1}, 0},
		{"ours without the commit, and gone on the other side since", Item{Local: seen(was), Remote: gone, Recognized: known}, Content{Looked: 1, Held: 1}, Content{Looked: 1, Gone: 1}, 0},
		{"nobody looked at one side", Item{Local: gone, Base: known}, Content{Looked: 1, Gone: 1}, Content{}, 0},
		{"nobody can tell what was in step", Item{Local: gone, Remote: seen(was), Base: &Base{Unreadable: true}}, Content{}, Content{Strange: 1}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got Totals
			got.Count(test.item, Decision{})
			if got.Here != test.here || got.There != test.there || got.Equal != test.equal {
				t.Errorf("here %+v, there %+v, %d equal", got.Here, got.There, got.Equal)
			}
		})
	}
}

// TestZoneShift: a server that went over to summer time must not cause a pass that sends
// everything again, and a day's work must not look like one.
func TestZoneShift(t *testing.T) {
	const files = 30
	pass := func(change func(i int, item *Item)) *Halt {
		totals := Totals{Known: files, Local: RootFilled, Remote: RootFilled}
		for i := range files {
			e := file(int64(i), time.Duration(i)*time.Minute)
			item := Item{Local: seen(e), Remote: seen(e), Base: &Base{Local: e, Remote: e}}
			change(i, &item)
			totals.Count(item, Decide(Rules{Direction: Up, Delete: true}, item))
		}
		return Guard(totals, Limits{AllowsDeletes: func(int, int) bool { return true }})
	}
	shift := func(item *Item) { item.Remote.Entry.ModTime = item.Remote.Entry.ModTime.Add(time.Hour) }
	for _, test := range []struct {
		name   string
		halts  bool
		change func(i int, item *Item)
	}{
		{"nothing changed", false, func(int, *Item) {}},
		{"all times at the server moved by an hour", true, func(_ int, item *Item) { shift(item) }},
		{"the same, and some files were edited and deleted here", true, func(i int, item *Item) {
			shift(item)
			if i < 3 {
				item.Local.Entry = entry.Entry{}
			} else if i < 6 {
				item.Local.Entry.Size++
			}
		}},
		{"all files were written anew, at their own times", false, func(i int, item *Item) {
			item.Local.Entry.ModTime = noon.Add(time.Duration(i*7) * time.Second)
		}},
		{"all files were touched at one moment", false, func(_ int, item *Item) { item.Local.Entry.ModTime = noon.Add(time.Hour) }},
		{"a third of the files were restored with times an hour off", false, func(i int, item *Item) {
			if i%3 == 0 {
				shift(item)
			}
		}},
	} {
		halt := pass(test.change)
		if halts := halt != nil && halt.Code == HaltTimeShift; halts != test.halts || halt != nil && !halts {
			t.Errorf("%s: %+v, want a halt: %v", test.name, halt, test.halts)
		}
	}
}
