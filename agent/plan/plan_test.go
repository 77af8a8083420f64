package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// file is a file on a disk.
func file(size int64, age time.Duration) entry.Entry {
	return entry.Entry{Kind: entry.File, Size: size, ModTime: noon.Add(-age), Precision: time.Nanosecond}
}

var (
	dir   = entry.Entry{Kind: entry.Dir}
	link  = entry.Entry{Kind: entry.Link}
	other = entry.Entry{Kind: entry.Other}

	// The target has a time of its own: it could not keep that of the source.
	sourceThen, targetThen = file(10, time.Hour), file(10, 2*time.Hour)
	sourceNow, targetNow   = file(11, time.Minute), file(12, time.Second)
)

func seen(e entry.Entry) Side { return Side{Knowledge: Seen, Entry: e} }

// The words of the decision table. A side that is a "file" is as in the baseline where that
// has a file, one that is "changed" is another file; "equal" is a target that has become like
// the source.
var (
	sourceWords = strings.Fields("unknown assumed absent file changed folder link other")
	targetWords = strings.Fields("unknown assumed absent file changed equal folder link other")
	baseWords   = strings.Fields("none file folder")
)

type cell struct{ source, target, base string }

// item builds the item of a cell, or reports that there is no such cell.
func (c cell) item(direction Direction) (Item, bool) {
	var base *Base
	switch c.base {
	case "file":
		base = &Base{Local: sourceThen, Remote: targetThen}
	case "folder":
		base = &Base{Local: dir, Remote: dir}
	}
	assumed := func(e func(*Base) entry.Entry) Side {
		if base == nil {
			return Side{Knowledge: Assumed}
		}
		return Side{Knowledge: Assumed, Entry: e(base)}
	}
	common := map[string]Side{"unknown": {}, "absent": seen(entry.Entry{}), "folder": seen(dir), "link": seen(link), "other": seen(other)}
	source, ok := common[c.source]
	if !ok {
		source = map[string]Side{
			"assumed": assumed(func(b *Base) entry.Entry { return b.Local }), "file": seen(sourceThen), "changed": seen(sourceNow),
		}[c.source]
	}
	target, ok := common[c.target]
	if !ok {
		target = map[string]Side{
			"assumed": assumed(func(b *Base) entry.Entry { return b.Remote }), "file": seen(targetThen), "changed": seen(targetNow),
			"equal": source,
		}[c.target]
	}
	item := Item{Path: "a/b", Local: source, Remote: target, Base: base}
	if direction == Down {
		item.Local, item.Remote = item.Remote, item.Local
		if base != nil {
			item.Base = &Base{Local: base.Remote, Remote: base.Local}
		}
	}
	noSuchEqual := c.target == "equal" && c.source != "file" && c.source != "changed"
	return item, !noSuchEqual && !(c.source == "assumed" && c.target == "assumed")
}

// decisions is the table. Each cell of sources, targets, baselines and delete on or off is in
// exactly one row; "*" stands for all words. want is what Decide says, in the words of outcome.
var decisions = []struct {
	name, source, target, base, delete string
	want                               string
}{
	{"a source nobody could look at is left alone", "unknown", "*", "*", "*", "nothing, keeps"},
	{"a source nobody looked at, and of which nothing is known, may hold anything", "assumed", "*", "none", "*", "nothing, keeps"},
	{"links and devices at the source are skipped, and what the target has stays", "link other", "*", "*", "*", "skip, keeps"},

	{"gone at the source: a target nobody could look at is left alone", "absent", "unknown", "*", "*", "nothing, keeps"},
	{"gone on both sides and never known", "absent", "absent assumed", "none", "*", "nothing"},
	{"a file gone on both sides is forgotten", "absent", "absent", "file", "*", "forget"},
	{"a folder gone on both sides is forgotten with all that was in it", "absent", "absent", "folder", "*", "forget, descend"},

	{"an extra file stays when delete is off", "absent", "file changed", "none", "off", "nothing, keeps"},
	{"an extra file is deleted as such", "absent", "file changed", "none", "on", "delete, extra"},
	{"an extra folder stays when delete is off, and is looked into", "absent", "folder", "none", "off", "nothing, descend, keeps"},
	{"an extra folder is deleted after its contents", "absent", "folder", "none", "on", "delete, extra, descend"},
	{"an extra link or device stays when delete is off", "absent", "link other", "none", "off", "nothing, keeps"},
	{"an extra link or device stays", "absent", "link other", "none", "on", "skip, keeps"},

	{"delete off: what is gone at the source is forgotten and stays", "absent", "assumed file changed link other", "file", "off", "forget, keeps"},
	{"delete off: a folder in place of a forgotten file is looked into", "absent", "folder", "file", "off", "forget, descend, keeps"},
	{"delete off: a folder that is gone at the source is forgotten with its contents", "absent", "assumed file changed folder link other", "folder", "off", "forget, descend, keeps"},
	{"a deleted file is deleted", "absent", "assumed file", "file", "on", "delete"},
	{"deleted at the source but changed at the target is a conflict", "absent", "changed folder link other", "file", "on", "conflict, keeps"},
	{"a deleted folder is deleted after its contents", "absent", "assumed folder", "folder", "on", "delete, descend"},
	{"a deleted folder that is something else at the target is a conflict", "absent", "file changed link other", "folder", "on", "conflict, keeps"},

	{"a new file goes out though the target could not be looked at: the worker looks", "file changed", "unknown assumed", "none", "*", "transfer, keeps"},
	{"an unchanged file waits while the target cannot be looked at", "file assumed", "unknown", "file", "*", "nothing, keeps"},
	{"a changed file goes out though the target could not be looked at", "changed", "unknown", "file", "*", "transfer, keeps"},
	{"a file that was a folder goes out though the target could not be looked at", "file changed", "unknown", "folder", "*", "transfer, keeps"},
	{"an unchanged file needs nothing", "file", "assumed file", "file", "*", "nothing, keeps"},
	{"a file assumed unchanged needs nothing", "assumed", "file", "file", "*", "nothing, keeps"},
	{"a changed file goes out", "changed", "assumed file changed", "file", "*", "transfer, keeps"},
	{"a file missing at the target goes out", "file changed", "absent", "none", "*", "transfer, keeps"},
	{"a known file missing at the target goes out again", "file changed assumed", "absent", "file", "*", "transfer, keeps"},
	{"a file in place of a folder that the target lost goes out, and the contents are forgotten", "file changed", "absent", "folder", "*", "transfer, descend, keeps"},
	{"another file at first contact is replaced", "file changed", "file changed", "none", "*", "transfer, keeps"},
	{"a file changed at the target is restored", "file assumed", "changed", "file", "*", "transfer, keeps"},
	{"a file in place of a folder on both sides goes out, and the contents are forgotten", "file changed", "file changed", "folder", "*", "transfer, descend, keeps"},
	{"files that are equal are in step, whatever happened to each", "file changed", "equal", "none file", "*", "agree, keeps"},
	{"files that are equal in place of a folder are in step, and the contents are forgotten", "file changed", "equal", "folder", "*", "agree, descend, keeps"},
	{"a folder in the way of a file is a conflict when delete is off", "file changed", "folder", "*", "off", "conflict, keeps"},
	{"a folder in the way of a file assumed there is a conflict when delete is off", "assumed", "folder", "file", "off", "conflict, keeps"},
	{"a folder in the way of a file is a conflict even by assumption when delete is off", "file changed", "assumed", "folder", "off", "conflict, keeps"},
	{"a folder never known in the way of a file is an extra one to be deleted", "file changed", "folder", "none", "on", "delete, extra, replan, descend"},
	{"a folder in the way of a file is deleted first", "file changed", "folder", "file folder", "on", "delete, replan, descend"},
	{"a folder in the way of a file assumed there is deleted first", "assumed", "folder", "file", "on", "delete, replan, descend"},
	{"a folder assumed in the way of a file is deleted first", "file changed", "assumed", "folder", "on", "delete, replan, descend"},
	{"a link or device in the way of a file is a conflict", "file changed", "link other", "none file", "*", "conflict, keeps"},
	{"a link or device in the way of a file assumed there is a conflict", "assumed", "link other", "file", "*", "conflict, keeps"},
	{"a link or device in place of a folder in the way of a file is a conflict", "file changed", "link other", "folder", "*", "conflict, descend, keeps"},

	{"a known folder is looked into though the target could not be looked at", "folder assumed", "unknown", "folder", "*", "nothing, descend, keeps"},
	{"a new folder is made though the target could not be looked at", "folder", "unknown", "none file", "*", "mkdir, descend, keeps"},
	{"a new folder is made where nobody looked", "folder", "assumed", "none", "*", "mkdir, descend, keeps"},
	{"a known folder is looked into", "folder", "assumed folder", "folder", "*", "nothing, descend, keeps"},
	{"a folder assumed there is looked into", "assumed", "folder", "folder", "*", "nothing, descend, keeps"},
	{"a folder missing at the target is made", "folder", "absent", "*", "*", "mkdir, descend, keeps"},
	{"a folder assumed there and missing at the target is made", "assumed", "absent", "folder", "*", "mkdir, descend, keeps"},
	{"a folder on both sides that was none is in step", "folder", "folder", "none file", "*", "agree, descend, keeps"},
	{"a file in the way of a folder is a conflict when delete is off", "folder", "file changed", "*", "off", "conflict, keeps"},
	{"a file assumed in the way of a folder is a conflict when delete is off", "folder", "assumed", "file", "off", "conflict, keeps"},
	{"a file in the way of a folder assumed there is a conflict when delete is off", "assumed", "file changed", "folder", "off", "conflict, keeps"},
	{"a file never known in the way of a folder is an extra one to be deleted", "folder", "file changed", "none", "on", "delete, extra, replan"},
	{"a known file in the way of a folder is deleted first", "folder", "assumed file", "file", "on", "delete, replan"},
	{"a file changed at the target in the way of a folder is a conflict", "folder", "changed", "file", "on", "conflict, keeps"},
	{"a file in place of a known folder is a conflict", "folder assumed", "file changed", "folder", "on", "conflict, keeps"},
	{"a link or device in the way of a folder is a conflict", "folder", "link other", "*", "*", "conflict, keeps"},
	{"a link or device in the way of a folder assumed there is a conflict", "assumed", "link other", "folder", "*", "conflict, keeps"},
}

// outcome puts a decision into words. It fails the test where the decision says two things.
func outcome(t *testing.T, d Decision, direction Direction) string {
	t.Helper()
	var said, flags []string
	if d.Op != nil {
		said = append(said, map[Direction]map[Action]string{
			Up:   {Upload: "transfer", MakeRemoteDir: "mkdir", DeleteRemote: "delete", LinkRemote: "link"},
			Down: {Download: "transfer", MakeLocalDir: "mkdir", DeleteLocal: "delete", LinkLocal: "link"},
		}[direction][d.Op.Action])
		if d.Op.Reason == "" {
			t.Error("an operation without a reason")
		}
		if d.Op.Extra {
			flags = append(flags, "extra")
		}
		if d.Op.Replan {
			flags = append(flags, "replan")
		}
	}
	if d.Agree != nil {
		said = append(said, "agree")
	}
	if d.Forget {
		said = append(said, "forget")
	}
	if d.Note != nil {
		said = append(said, map[bool]string{true: "conflict", false: "skip"}[d.Note.Conflict])
		if d.Note.Text == "" {
			t.Error("a note without a text")
		}
	}
	if len(said) > 1 {
		t.Errorf("says %q at the same time", said)
	}
	if len(said) == 0 {
		said = []string{"nothing"}
	}
	if d.Descend {
		flags = append(flags, "descend")
	}
	if d.Keeps {
		flags = append(flags, "keeps")
	}
	return strings.Join(append(said, flags...), ", ")
}

func TestDecide(t *testing.T) {
	has := func(set, word string) bool { return set == "*" || slices.Contains(strings.Fields(set), word) }
	used := map[string]bool{}
	for _, source := range sourceWords {
		for _, target := range targetWords {
			for _, base := range baseWords {
				for _, deletes := range []string{"off", "on"} {
					c := cell{source, target, base}
					if _, exists := c.item(Up); !exists {
						continue
					}
					where := fmt.Sprintf("source %s, target %s, base %s, delete %s", source, target, base, deletes)
					var rows []int
					for i, row := range decisions {
						if has(row.source, source) && has(row.target, target) && has(row.base, base) && has(row.delete, deletes) {
							rows = append(rows, i)
						}
					}
					if len(rows) != 1 {
						t.Errorf("%s: in %d rows of the table, want 1", where, len(rows))
						continue
					}
					row := decisions[rows[0]]
					used[row.name] = true
					for _, direction := range []Direction{Up, Down} {
						item, _ := c.item(direction)
						d := Decide(Rules{Direction: direction, Delete: deletes == "on"}, item)
						if got := outcome(t, d, direction); got != row.want {
							t.Errorf("%s: %s (%s): got %q, want %q", row.name, where, direction, got, row.want)
						}
					}
				}
			}
		}
	}
	for _, row := range decisions {
		if !used[row.name] {
			t.Errorf("row %q describes no cell", row.name)
		}
	}
}

// TestDecideCarriesWhatItSaw: whoever carries an operation out checks it against the looks.
func TestDecideCarriesWhatItSaw(t *testing.T) {
	base := &Base{Local: sourceThen, Remote: targetThen}
	item := Item{Path: "a/b", Local: seen(sourceNow), Remote: seen(targetThen), Base: base}
	want := &Op{Action: Upload, Path: "a/b", Local: item.Local, Remote: item.Remote, Base: base, Reason: "changed"}
	if diff := cmp.Diff(want, Decide(Rules{Direction: Up}, item).Op); diff != "" {
		t.Error(diff)
	}
	item.Remote = seen(sourceNow)
	agreed := &Agreement{Path: "a/b", Base: Base{Local: sourceNow, Remote: sourceNow}, Was: base}
	if diff := cmp.Diff(agreed, Decide(Rules{Direction: Up}, item).Agree); diff != "" {
		t.Error(diff)
	}
}

func TestReasonsAreForPeople(t *testing.T) {
	base := &Base{Local: sourceThen, Remote: targetThen}
	for _, test := range []struct {
		name       string
		item       Item
		up, downTo string // downTo: the mirrored item with direction down
	}{
		{"a new file", Item{Local: seen(sourceNow), Remote: seen(entry.Entry{})}, "new", "new"},
		{"a changed file", Item{Local: seen(sourceNow), Remote: seen(targetThen), Base: base}, "changed", "changed"},
		{"a missing file", Item{Local: seen(sourceThen), Remote: seen(entry.Entry{}), Base: base}, "missing on the server", "missing here"},
		{"a file changed at the target", Item{Local: seen(sourceThen), Remote: seen(targetNow), Base: base}, "changed on the server, restored", "changed here, restored"},
		{"another file at first contact", Item{Local: seen(sourceNow), Remote: seen(targetNow)}, "differs on the server", "differs here"},
		{"a deleted file", Item{Local: seen(entry.Entry{}), Remote: seen(targetThen), Base: base}, "deleted here", "deleted on the server"},
		{"an extra file", Item{Local: seen(entry.Entry{}), Remote: seen(targetNow)}, "not here", "not on the server"},
		{"deleted and changed", Item{Local: seen(entry.Entry{}), Remote: seen(targetNow), Base: base},
			`deleted here but changed on the server; kept until a person deletes it on the server too, or brings it back here ("ftpferry get")`,
			`deleted on the server but changed here; kept until a person deletes it here too, or brings it back on the server ("ftpferry put")`},
		{"a link", Item{Local: seen(link)}, "symbolic links are not transferred", "symbolic links are not transferred"},
	} {
		mirrored := Item{Local: test.item.Remote, Remote: test.item.Local}
		if b := test.item.Base; b != nil {
			mirrored.Base = &Base{Local: b.Remote, Remote: b.Local}
		}
		for direction, item := range map[Direction]Item{Up: test.item, Down: mirrored} {
			want := map[Direction]string{Up: test.up, Down: test.downTo}[direction]
			d := Decide(Rules{Direction: direction, Delete: true}, item)
			got := ""
			if d.Op != nil {
				got = d.Op.Reason
			} else if d.Note != nil {
				got = d.Note.Text
			}
			if got != want {
				t.Errorf("%s, %s: %q, want %q", test.name, direction, got, want)
			}
		}
	}
}

// TestUnreadableBaseNeverLeadsToADeletion: that a row of the state cannot be read says nothing about the files. What is in step
// or can be brought in step by a transfer gets a new row by that.
func TestUnreadableBaseNeverLeadsToADeletion(t *testing.T) {
	kept := 0
	for _, direction := range []Direction{Up, Down} {
		for _, source := range sourceWords {
			for _, target := range targetWords {
				item, exists := cell{source, target, "none"}.item(direction)
				if !exists {
					continue
				}
				for _, deletes := range []bool{false, true} {
					rules := Rules{Direction: direction, Delete: deletes}
					want := outcome(t, Decide(rules, item), direction)
					unreadable := item
					unreadable.Base = &Base{Unreadable: true}
					d := Decide(rules, unreadable)
					switch {
					case source == "absent" && target == "absent":
						want = "forget, descend"
					case source == "absent" && target == "assumed":
						want = "nothing, keeps"
					case strings.HasPrefix(want, "delete"):
						kept++
						want = "conflict, keeps"
						if target == "folder" {
							want = "conflict, descend, keeps"
						}
						if !strings.Contains(d.Note.Text, "cannot be read from the state file") {
							t.Errorf("note: %s", d.Note.Text)
						}
					}
					if got := outcome(t, d, direction); got != want {
						t.Errorf("%s, source %s, target %s, delete %v: got %q, want %q", direction, source, target, deletes, got, want)
					}
					if d.Op != nil && d.Op.Base != unreadable.Base || d.Agree != nil && d.Agree.Was != unreadable.Base {
						t.Errorf("%s, source %s, target %s: the decision expects another baseline than the one on record", direction, source, target)
					}
				}
			}
		}
	}
	if kept < 6 {
		t.Errorf("only %d cells would have been deletions", kept)
	}
	item := Item{Path: "a", Local: seen(entry.Entry{}), Remote: seen(sourceNow), Base: &Base{Unreadable: true}, Recognized: &Base{Local: sourceNow, Remote: sourceNow}}
	if got := outcome(t, Decide(Rules{Direction: Up, Delete: true}, item), Up); got != "delete" {
		t.Errorf("a transfer that is known to be ours: got %q", got)
	}
}

// TestRecognizedCountsInPlaceOfTheBase: a transfer that was cut off before its commit is no
// change of somebody else.
func TestRecognizedCountsInPlaceOfTheBase(t *testing.T) {
	before := &Base{Local: sourceThen, Remote: targetThen}
	ours := &Base{Local: sourceNow, Remote: sourceNow}
	for _, test := range []struct {
		name   string
		source entry.Entry
		base   *Base
		want   string
	}{
		{"the source is still what was sent: in step", sourceNow, nil, "agree, keeps"},
		{"the same with an older baseline", sourceNow, before, "agree, keeps"},
		{"the source changed since: it goes out", targetNow, before, "transfer, keeps"},
		{"the source was deleted since: no conflict", entry.Entry{}, before, "delete"},
		{"the source was deleted since, first contact: nothing extra", entry.Entry{}, nil, "delete"},
	} {
		item := Item{Path: "a", Local: seen(test.source), Remote: seen(sourceNow), Base: test.base, Recognized: ours}
		d := Decide(Rules{Direction: Up, Delete: true}, item)
		if got := outcome(t, d, Up); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if d.Op != nil && d.Op.Base != test.base {
			t.Errorf("%s: the operation expects another baseline than the one on record", test.name)
		}
	}
	item := Item{Path: "a", Local: seen(entry.Entry{}), Remote: seen(sourceNow), Recognized: ours}
	if d := Decide(Rules{Direction: Up}, item); d.Forget || !d.Keeps {
		t.Errorf("delete off: %+v, want the file kept and no baseline forgotten that is not there", d)
	}
}

func BenchmarkDecide(b *testing.B) {
	const items = 100_000
	var all []Item
	for i := 0; len(all) < items; i++ {
		c := cell{sourceWords[i%len(sourceWords)], targetWords[i/7%len(targetWords)], baseWords[i/3%len(baseWords)]}
		if item, exists := c.item(Up); exists {
			item.Path = fmt.Sprintf("folder%03d/file%06d", i/1000, i)
			all = append(all, item)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, item := range all {
			Decide(Rules{Direction: Up, Delete: true}, item)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/items, "ns/item")
}

// TestOurOwnIsNoTwin: a transfer that was cut off behind its rename has put there what looks like the source.
func TestOurOwnIsNoTwin(t *testing.T) {
	file := entry.Entry{Kind: entry.File, Size: 7, ModTime: time.Unix(1_600_000_000, 0), Precision: time.Second}
	rules := Rules{Direction: Up, Foreign: ForeignKeep, Consume: true}
	item := Item{Path: "a", Local: Side{Knowledge: Seen, Entry: file}, Remote: Side{Knowledge: Seen, Entry: file}}
	for _, ours := range []bool{false, true} {
		if ours {
			item.Recognized = &Base{Local: file, Remote: file}
		}
		op := Decide(rules, item).Op
		if op == nil {
			t.Fatalf("ours: %v, nothing is planned", ours)
		}
		if got := op.KeepsTwin(rules); got == ours {
			t.Errorf("ours: %v, kept as somebody else's: %v", ours, got)
		}
	}
}
