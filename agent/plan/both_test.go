package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// The words of the table of both directions. A side that is a "file" is as in the baseline where that has a file, one that is
// "changed" is another file, and where both sides are "equal" they became so by themselves. "recognised" is a baseline with a
// file that a transfer of ours has brought about and could not report.
var (
	bothSides    = strings.Fields("unknown assumed absent file changed equal folder link other")
	bothBases    = strings.Fields("none unreadable file recognised folder")
	bothPolicies = strings.Fields("copy newer local remote ask")
)

type bothCell struct{ local, remote, base string }

// item builds the item of a cell, or reports that there is no such cell.
func (c bothCell) item() (Item, bool) {
	item := Item{Path: "a/b"}
	var base *Base
	switch c.base {
	case "unreadable":
		item.Base = &Base{Unreadable: true}
	case "file":
		base = &Base{Local: sourceThen, Remote: targetThen}
		item.Base = base
	case "recognised":
		base = &Base{Local: sourceThen, Remote: targetThen}
		item.Base, item.Recognized = &Base{Local: file(3, 9*time.Hour), Remote: file(3, 9*time.Hour)}, base
	case "folder":
		base = &Base{Local: dir, Remote: dir}
		item.Base = base
	}
	side := func(word string, then, now entry.Entry, was func() entry.Entry) Side {
		switch word {
		case "unknown":
			return Side{}
		case "assumed":
			if base == nil {
				return Side{Knowledge: Assumed}
			}
			return Side{Knowledge: Assumed, Entry: was()}
		}
		return seen(map[string]entry.Entry{"file": then, "changed": now, "equal": file(77, 3*time.Minute), "folder": dir, "link": link, "other": other}[word])
	}
	item.Local = side(c.local, sourceThen, sourceNow, func() entry.Entry { return base.Local })
	item.Remote = side(c.remote, targetThen, targetNow, func() entry.Entry { return base.Remote })
	return item, (c.local == "equal") == (c.remote == "equal")
}

// bothDecisions is the table for Both. A and B are the two sides, whichever is which; each cell is in exactly one row, and "*"
// stands for all words. want is in the words of bothOutcome, where A and B stand for local and remote too, "newer" for the side
// with the newer file and "older" for the other one.
var bothDecisions = []struct {
	name, a, b, base, delete, policy string
	want                             string
}{
	{"links and devices are skipped, and what the other side has stays", "link other", "*", "*", "*", "*", "skip, keeps"},

	{"without a baseline nothing is done about what nobody looked at", "unknown assumed", "unknown assumed absent file changed folder", "none unreadable", "*", "*", "nothing, keeps"},
	{"nobody looked anywhere: nothing", "unknown assumed", "unknown assumed", "file recognised", "*", "*", "nothing, keeps"},
	{"nobody looked at a known folder: what is in it may be known better", "unknown assumed", "unknown assumed", "folder", "*", "*", "nothing, descend, keeps"},
	{"what nobody looked at is not deleted, though it is gone on the other side", "unknown assumed", "absent", "file recognised", "on", "*", "nothing, keeps"},
	{"nor is a folder", "unknown assumed", "absent", "folder", "on", "*", "nothing, descend, keeps"},
	{"delete off: what nobody could look at does not come back", "unknown", "absent", "file recognised", "off", "*", "nothing, keeps"},
	{"delete off: nor does a folder that nobody could look at", "unknown", "absent", "folder", "off", "*", "nothing, descend, keeps"},
	{"delete off: what is assumed there comes back, and the worker looks", "assumed", "absent", "file recognised", "off", "*", "pass A, keeps"},
	{"delete off: so does a folder that is assumed there", "assumed", "absent", "folder", "off", "*", "pass A, descend, keeps"},
	{"unchanged and not looked at: nothing", "unknown assumed", "file", "file recognised", "*", "*", "nothing, keeps"},
	{"a change goes out to what nobody looked at, and the worker looks", "unknown assumed", "changed", "file recognised", "*", "*", "pass B, keeps"},
	{"a known folder is looked into though the other side could not be", "unknown assumed", "folder", "folder", "*", "*", "nothing, descend, keeps"},
	{"a folder in place of a file waits until both sides are seen", "unknown assumed", "folder", "file recognised", "*", "*", "nothing, keeps"},
	{"a file in place of a folder waits until both sides are seen", "unknown assumed", "file changed", "folder", "*", "*", "nothing, keeps"},

	{"gone on both sides and never known", "absent", "absent", "none", "*", "*", "nothing"},
	{"a file gone on both sides is forgotten", "absent", "absent", "file recognised", "*", "*", "forget"},
	{"a folder gone on both sides is forgotten with all that was in it, and so is what may have been one", "absent", "absent", "folder unreadable", "*", "*", "forget, descend"},
	{"a new file goes to the other side", "file changed", "absent", "none unreadable", "*", "*", "pass A, keeps"},
	{"a new folder goes to the other side", "folder", "absent", "none unreadable", "*", "*", "pass A, descend, keeps"},
	{"a deleted file is deleted", "file", "absent", "file recognised", "on", "*", "delete A"},
	{"delete off: a deleted file comes back", "file", "absent", "file recognised", "off", "*", "pass A, keeps"},
	{"deleted against changed: the change wins", "changed", "absent", "file recognised", "*", "*", "pass A, keeps"},
	{"deleted against made a folder: the folder wins", "folder", "absent", "file recognised", "*", "*", "pass A, descend, keeps"},
	{"a deleted folder is deleted after its contents", "folder", "absent", "folder", "on", "*", "delete A, descend"},
	{"delete off: a deleted folder comes back", "folder", "absent", "folder", "off", "*", "pass A, descend, keeps"},
	{"a deleted folder against a file in its place: the file wins, and the contents are forgotten", "file changed", "absent", "folder", "*", "*", "pass A, descend, keeps"},

	{"a known folder is looked into", "folder", "folder", "folder", "*", "*", "nothing, descend, keeps"},
	{"a folder on both sides that was none is in step", "folder", "folder", "none unreadable file recognised", "*", "*", "agree, descend, keeps"},

	{"unchanged on both sides: nothing", "file", "file", "file", "*", "*", "nothing, keeps"},
	{"what our own transfer has brought about is in step", "file", "file", "recognised", "*", "*", "agree, keeps"},
	{"a change goes to the other side", "changed", "file", "file recognised", "*", "*", "pass A, keeps"},
	{"files that became equal are in step", "equal", "equal", "none unreadable file recognised", "*", "*", "agree, keeps"},
	{"files that became equal in place of a folder are in step, and its contents are forgotten", "equal", "equal", "folder", "*", "*", "agree, descend, keeps"},

	{"changed on both sides: both are kept, the older one beside the other", "changed", "changed", "file recognised", "*", "copy", "aside older, keeps"},
	{"first contact of different files: both are kept", "file changed", "file changed", "none", "*", "copy", "aside older, keeps"},
	{"different files in place of a folder: both are kept, and its contents are forgotten", "file changed", "file changed", "folder", "*", "copy", "aside older, descend, keeps"},
	{"different files, and nobody can tell what they were: both are kept, whoever should win", "file changed", "file changed", "unreadable", "*", "copy newer local remote", "aside older, keeps"},
	{"changed on both sides: the newer one wins", "changed", "changed", "file recognised", "*", "newer", "pass newer, keeps"},
	{"first contact of different files: the newer one wins", "file changed", "file changed", "none", "*", "newer", "pass newer, keeps"},
	{"different files in place of a folder: the newer one wins", "file changed", "file changed", "folder", "*", "newer", "pass newer, descend, keeps"},
	{"changed on both sides: the local one wins", "changed", "changed", "file recognised", "*", "local", "pass local, keeps"},
	{"first contact of different files: the local one wins", "file changed", "file changed", "none", "*", "local", "pass local, keeps"},
	{"different files in place of a folder: the local one wins", "file changed", "file changed", "folder", "*", "local", "pass local, descend, keeps"},
	{"changed on both sides: the remote one wins", "changed", "changed", "file recognised", "*", "remote", "pass remote, keeps"},
	{"first contact of different files: the remote one wins", "file changed", "file changed", "none", "*", "remote", "pass remote, keeps"},
	{"different files in place of a folder: the remote one wins", "file changed", "file changed", "folder", "*", "remote", "pass remote, descend, keeps"},
	{"changed on both sides: a person decides", "changed", "changed", "file recognised", "*", "ask", "conflict, keeps"},
	{"different files without a baseline: a person decides", "file changed", "file changed", "none unreadable", "*", "ask", "conflict, keeps"},
	{"different files in place of a folder: a person decides", "file changed", "file changed", "folder", "*", "ask", "conflict, descend, keeps"},

	{"a folder took the place of a file on one side: the file goes, the folder comes", "file", "folder", "file recognised", "on", "*", "delete A, replan, keeps"},
	{"delete off: a folder took the place of a file: the file is kept beside it", "file", "folder", "file recognised", "off", "copy", "aside A, keeps"},
	{"delete off: a folder took the place of a file: a person decides", "file", "folder", "file recognised", "off", "newer local remote ask", "conflict, keeps"},
	{"a file that changed and a folder: the file is kept beside it", "changed", "folder", "file recognised", "*", "copy", "aside A, keeps"},
	{"a file that changed and a folder: a person decides", "changed", "folder", "file recognised", "*", "newer local remote ask", "conflict, keeps"},
	{"a file and a folder without a file in the baseline: the file is kept beside it", "file changed", "folder", "none unreadable folder", "*", "copy", "aside A, keeps"},
	{"a file and a folder without a file in the baseline: a person decides", "file changed", "folder", "none unreadable folder", "*", "newer local remote ask", "conflict, keeps"},
}

// bothOutcome puts a decision for Both into words.
func bothOutcome(t *testing.T, d Decision) string {
	t.Helper()
	said := map[Action]string{
		Upload: "pass local", MakeRemoteDir: "pass local", LinkRemote: "pass local", DeleteRemote: "delete remote", SetAsideRemote: "aside remote",
		Download: "pass remote", MakeLocalDir: "pass remote", LinkLocal: "pass remote", DeleteLocal: "delete local", SetAsideLocal: "aside local",
	}
	text := "nothing"
	if d.Op != nil {
		if d.Agree != nil || d.Forget || d.Note != nil || d.Op.Reason == "" || d.Op.Extra {
			t.Errorf("an operation and something else: %+v", d)
		}
		if text = said[d.Op.Action]; d.Op.Replan {
			text += ", replan"
		}
		if asides := d.Op.Action == SetAsideLocal || d.Op.Action == SetAsideRemote; asides != (d.Op.To != "") {
			t.Errorf("%s to %q", d.Op.Action, d.Op.To)
		}
		d.Op = nil
		if rest := outcome(t, d, Both); rest != "nothing" {
			text += strings.TrimPrefix(rest, "nothing")
		}
		return text
	}
	return outcome(t, d, Both)
}

func TestDecideBoth(t *testing.T) {
	has := func(set, word string) bool { return set == "*" || slices.Contains(strings.Fields(set), word) }
	used := map[string]bool{}
	check := func(c bothCell, deletes, policy string) {
		item, exists := c.item()
		if !exists {
			return
		}
		where := fmt.Sprintf("local %s, remote %s, base %s, delete %s, %s", c.local, c.remote, c.base, deletes, policy)
		rows, want := 0, ""
		for _, row := range bothDecisions {
			if !has(row.base, c.base) || !has(row.delete, deletes) || !has(row.policy, policy) {
				continue
			}
			a, b := "", ""
			switch {
			case has(row.a, c.local) && has(row.b, c.remote):
				a, b = "local", "remote"
			case has(row.a, c.remote) && has(row.b, c.local):
				a, b = "remote", "local"
			default:
				continue
			}
			newer, older := "local", "remote"
			if item.Local.Entry.ModTime.Before(item.Remote.Entry.ModTime) {
				newer, older = older, newer
			}
			rows++
			used[row.name] = true
			want = strings.NewReplacer(" A", " "+a, " B", " "+b, "newer", newer, "older", older).Replace(row.want)
		}
		if rows != 1 {
			t.Errorf("%s: in %d rows of the table, want 1", where, rows)
			return
		}
		d := Decide(Rules{Direction: Both, Delete: deletes == "on", Conflict: Resolution(policy)}, item)
		if got := bothOutcome(t, d); got != want {
			t.Errorf("%s: got %q, want %q", where, got, want)
		}
		if d.Op != nil && d.Op.Base != item.Base || d.Agree != nil && d.Agree.Was != item.Base {
			t.Errorf("%s: the decision expects another baseline than the one on record", where)
		}
	}
	for _, local := range bothSides {
		for _, remote := range bothSides {
			for _, base := range bothBases {
				for _, deletes := range []string{"off", "on"} {
					for _, policy := range bothPolicies {
						check(bothCell{local, remote, base}, deletes, policy)
					}
				}
			}
		}
	}
	for _, row := range bothDecisions {
		if !used[row.name] {
			t.Errorf("row %q describes no cell", row.name)
		}
	}
}
