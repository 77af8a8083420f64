package scan

import (
	"fmt"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state"
	"github.com/ftpferry/ftpferry/state/entry"
)

// at is a time so many minutes after ten o'clock.
func at(minutes int) time.Time {
	return time.Date(2026, 3, 1, 10, minutes, 0, 0, time.UTC)
}

func fileAt(name string, id uint64, size int64, minutes int) Named {
	return Named{Name: name, Entry: entry.Entry{Kind: entry.File, ID: id, Size: size, ModTime: at(minutes), Precision: time.Second}}
}

// inStep are the rows of a folder in which all that was listed is here too.
func agreed(names ...Named) (rows []state.Baseline) {
	for _, found := range names {
		local := found.Entry
		local.ID = 0
		rows = append(rows, state.Baseline{Path: "folder/" + found.Name, Local: local, Remote: found.Entry})
	}
	return rows
}

func sumOver(t testing.TB, names []Named) uint64 {
	t.Helper()
	sum, only := sumOfFiles(Entries{Names: names})
	if !only {
		t.Fatal("not files alone")
	}
	return sum
}

func TestWhatTwoListingsSayAboutTheTimeOfAFolder(t *testing.T) {
	a, b := fileAt("a", 1, 10, 1), fileAt("b", 2, 10, 2)
	edited := fileAt("a", 1, 11, 7)
	for sentence, row := range map[string]struct {
		before, after  []Named
		from, to       int // times of the folder
		unsettled, new bool
		base           []state.Baseline // nil: all is in step
		want           verdict
	}{
		"nothing has happened":                                     {[]Named{a, b}, []Named{a, b}, 3, 3, false, false, nil, undecided},
		"a file was edited in place, and the time followed":        {[]Named{a, b}, []Named{edited, b}, 3, 7, false, false, nil, follows},
		"the same within the slack":                                {[]Named{a, b}, []Named{fileAt("a", 1, 11, 7), b}, 3, 7, false, false, nil, follows},
		"all of them were":                                         {[]Named{a, b}, []Named{edited, fileAt("b", 2, 10, 8)}, 3, 8, false, false, nil, follows},
		"only the time of a file changed":                          {[]Named{a, b}, []Named{fileAt("a", 1, 10, 7), b}, 3, 7, false, false, nil, follows},
		"a file was edited, and the time did not follow":           {[]Named{a, b}, []Named{fileAt("a", 1, 11, 3), b}, 3, 3, false, false, nil, lags},
		"a file was edited, and is newer than its folder":          {[]Named{a, b}, []Named{edited, b}, 3, 3, false, false, nil, older},
		"a file is newer than its folder at first sight":           {nil, []Named{edited}, 3, 3, false, true, nil, older},
		"a name is new, and the time did not follow":               {[]Named{a}, []Named{a, b}, 3, 3, false, false, nil, lags},
		"a name is gone, and the time did not follow":              {[]Named{a, b}, []Named{a}, 3, 3, false, false, nil, lags},
		"a file was put in place of another, which did not follow": {[]Named{a}, []Named{fileAt("a", 9, 10, 1)}, 3, 3, false, false, nil, lags},
		"a name is new, and the time followed":                     {[]Named{a}, []Named{a, fileAt("b", 2, 10, 7)}, 3, 7, false, false, nil, undecided},
		"a name is gone, and the time followed":                    {[]Named{a, b}, []Named{a}, 3, 7, false, false, nil, undecided},
		"a file was replaced by another":                           {[]Named{a, b}, []Named{fileAt("a", 9, 11, 7), b}, 3, 7, false, false, nil, undecided},
		"one was edited and another replaced":                      {[]Named{a, b}, []Named{edited, fileAt("b", 9, 10, 7)}, 3, 7, false, false, nil, undecided},
		"one was edited and another made":                          {[]Named{a}, []Named{edited, fileAt("b", 2, 10, 7)}, 3, 7, false, false, nil, undecided},
		"files have no identity":                                   {[]Named{fileAt("a", 0, 10, 1)}, []Named{fileAt("a", 0, 11, 7)}, 3, 7, false, false, nil, undecided},
		"the time of the file was set back":                        {[]Named{a}, []Named{fileAt("a", 1, 11, 0)}, 3, 7, false, false, nil, undecided},
		"the time of the folder went back":                         {[]Named{a}, []Named{fileAt("a", 1, 11, 1)}, 3, 2, false, false, nil, undecided},
		"a zone moved all times":                                   {[]Named{a}, []Named{fileAt("a", 1, 10, 31)}, 3, 33, false, false, nil, undecided},
		"nothing changed but the time of the folder":               {[]Named{a}, []Named{a}, 3, 7, false, false, nil, undecided},
		"it was listed too soon after it had changed":              {[]Named{a}, []Named{fileAt("a", 1, 11, 3)}, 3, 3, true, false, nil, undecided},
		"it was never listed before":                               {nil, []Named{a}, 0, 3, false, true, nil, undecided},
		"what was there before is not what is known":               {[]Named{a}, []Named{edited}, 3, 7, false, false, agreed(fileAt("a", 1, 12, 2)), undecided},
		"a file was not here":                                      {[]Named{a}, []Named{edited}, 3, 7, false, false, []state.Baseline{{Path: "folder/a", Remote: a.Entry}}, undecided},
		"a row cannot be read":                                     {[]Named{a}, []Named{edited}, 3, 7, false, false, []state.Baseline{{Path: "folder/a", Bad: "?", Local: a.Entry, Remote: a.Entry}}, undecided},
	} {
		t.Run(sentence, func(t *testing.T) {
			was := state.Folder{Told: at(row.from).UnixMilli(), Settled: !row.unsettled, Sum: sumOver(t, row.before)}
			base := row.base
			if base == nil {
				base = agreed(row.before...)
			}
			if row.new {
				was = state.Folder{}
			}
			now := state.Folder{Told: at(row.to).UnixMilli(), Sum: sumOver(t, row.after)}
			if got := judge(was, !row.new, now, row.after, base); got != row.want {
				t.Errorf("%d, want %d", got, row.want)
			}
		})
	}
}

// FuzzFolderTimes: people change a folder in any way on servers whose folders have times of some kind. Where each change moves the time,
// nothing speaks against it, and where one in place does not, and is all that happens, nothing speaks for it.
func FuzzFolderTimes(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, true)
	f.Add([]byte{3, 3, 3, 3}, false)
	f.Add([]byte{0, 16, 2, 3, 34, 4, 4}, true)
	f.Fuzz(func(t *testing.T, steps []byte, faithful bool) {
		names := map[byte]Named{}
		clock, told, next := 1, 1, uint64(1)
		var known state.Folder
		var base []state.Baseline
		for listing, step := range steps {
			if clock > 50 {
				return
			}
			clock += 2
			inPlace, changed := false, true
			switch who := step >> 4 & 1; step & 3 {
			case 0: // made, or replaced
				next++
				names[who] = fileAt(fmt.Sprint(who), next, int64(step), clock)
			case 1: // deleted
				_, changed = names[who]
				delete(names, who)
			case 2: // edited
				n, there := names[who]
				if inPlace, changed = there, there; there {
					names[who] = fileAt(n.Name, n.ID, n.Size+1, clock)
				}
			default:
				changed = false
			}
			if changed && (faithful || !inPlace) {
				told = clock
			}
			var listed []Named
			for who := range byte(2) {
				if n, there := names[who]; there {
					listed = append(listed, n)
				}
			}
			now := state.Folder{Told: at(told).UnixMilli(), Settled: true, Sum: sumOver(t, listed)}
			got := judge(known, listing > 0, now, listed, base)
			if faithful && (got == lags || got == older) {
				t.Fatalf("step %d of %v speaks against a server that is right", listing, steps)
			}
			if !faithful && got == follows {
				t.Fatalf("step %d of %v speaks for a server that is wrong", listing, steps)
			}
			if !faithful && inPlace && got != lags && got != older {
				t.Fatalf("step %d of %v does not show that the server is wrong: %d", listing, steps, got)
			}
			known, base = now, agreed(listed...)
		}
	})
}
