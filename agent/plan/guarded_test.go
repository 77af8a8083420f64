package plan

import (
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

func TestGuarded(t *testing.T) {
	mirror, careful := Rules{Direction: Up, Delete: true}, Rules{Direction: Up}
	was := file(5, 0)
	base := &Base{Local: was, Remote: was}
	moved := func(by time.Duration) Side {
		e := was
		e.ModTime = e.ModTime.Add(by)
		return seen(e)
	}
	gone := seen(entry.Entry{})
	for _, test := range []struct {
		name  string
		rules Rules
		op    Op
		known int
		want  bool
	}{
		{"a deletion waits", mirror, Op{Action: DeleteRemote, Local: gone, Remote: seen(was), Base: base}, 100, true},
		{"a deletion here waits", Rules{Direction: Down, Delete: true}, Op{Action: DeleteLocal, Local: seen(was), Remote: gone, Base: base}, 100, true},
		{"the deletion of an empty folder waits", mirror, Op{Action: DeleteRemote, Local: gone, Remote: seen(dir)}, 100, true},
		{"a deletion that was planned while deleting was on waits for what the guard says", careful, Op{Action: DeleteRemote}, 100, true},
		{"a new file goes out", mirror, Op{Action: Upload, Local: seen(was), Remote: gone}, 100, false},
		{"a new folder goes out", mirror, Op{Action: MakeRemoteDir, Local: seen(dir), Remote: gone}, 100, false},
		{"a changed file goes out", mirror, Op{Action: Upload, Local: seen(file(6, 0)), Remote: seen(was), Base: base}, 100, false},
		{"a file that is missing at the target goes out", mirror, Op{Action: Upload, Local: seen(was), Remote: gone, Base: base}, 100, false},
		{"a file written anew at its own time goes out", mirror, Op{Action: Upload, Local: moved(61 * time.Minute), Remote: seen(was), Base: base}, 100, false},
		{"a file whose time moved by an hour waits", mirror, Op{Action: Upload, Local: moved(time.Hour), Remote: seen(was), Base: base}, 100, true},
		{"a file whose time moved back by a quarter of an hour waits", mirror, Op{Action: Upload, Local: moved(-15 * time.Minute), Remote: seen(was), Base: base}, 100, true},
		{"a file whose time moved at the target waits", mirror, Op{Action: Upload, Local: seen(was), Remote: moved(time.Hour), Base: base}, 100, true},
		{"the same downwards", Rules{Direction: Down}, Op{Action: Download, Local: seen(was), Remote: moved(2 * time.Hour), Base: base}, 100, true},
		{"a file whose time and size changed goes out", mirror, Op{Action: Upload, Local: seen(file(6, -time.Hour)), Remote: seen(was), Base: base}, 100, false},
		{"a side that nobody looked at has not moved", mirror,
			Op{Action: Upload, Local: seen(file(6, 0)), Remote: Side{Knowledge: Assumed, Entry: file(5, -time.Hour)}, Base: base}, 100, false},
		{"at first contact with a target in which things may be deleted all waits", mirror, Op{Action: Upload, Local: seen(was), Remote: gone}, 0, true},
		{"new folders too", mirror, Op{Action: MakeRemoteDir, Local: seen(dir), Remote: gone}, 0, true},
		{"first contact of both directions deletes nothing on either side", Rules{Direction: Both, Delete: true}, Op{Action: Upload, Local: seen(was), Remote: gone}, 0, false},
		{"with both directions a deletion waits", Rules{Direction: Both, Delete: true}, Op{Action: DeleteLocal, Local: seen(was), Remote: gone, Base: base}, 100, true},
		{"a version is set aside at once", Rules{Direction: Both}, Op{Action: SetAsideLocal, Local: seen(file(6, 0)), Remote: seen(file(7, 0)), Base: base}, 100, false},
		{"a version is not set aside for the sake of a time zone", Rules{Direction: Both}, Op{Action: SetAsideRemote, Local: seen(file(6, 0)), Remote: moved(time.Hour), Base: base}, 100, true},
		{"what somebody else has written at the target waits to be replaced", mirror, Op{Action: Upload, Local: seen(was), Remote: seen(file(7, 0)), Base: base}, 100, true},
		{"and downwards", Rules{Direction: Down}, Op{Action: Download, Local: seen(file(7, 0)), Remote: seen(was), Base: base}, 100, true},
		{"first contact without deletion is harmless", careful, Op{Action: Upload, Local: seen(was), Remote: gone}, 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Guarded(test.rules, test.op, test.known, false); got != test.want {
				t.Errorf("waits: %v", got)
			}
		})
	}
}

// TestElsewhereAllWaits: with other folders than before nothing begins that may have to be asked about at the end.
func TestElsewhereAllWaits(t *testing.T) {
	op := Op{Action: Upload, Local: seen(file(5, 0)), Remote: seen(entry.Entry{})}
	for _, direction := range []Direction{Up, Down, Both} {
		if !Guarded(Rules{Direction: direction}, op, 0, true) || Guarded(Rules{Direction: direction}, op, 100, true) {
			t.Errorf("%s: first contact does not wait, or all that comes later does", direction)
		}
	}
}

// TestGuardedIsWhatTheGuardCounts: whatever counts as a shift in the totals has waited for them.
func TestGuardedIsWhatTheGuardCounts(t *testing.T) {
	for minutes := -90; minutes <= 90; minutes++ {
		was, now := file(5, 0), file(5, time.Duration(minutes)*time.Minute+400*time.Millisecond)
		item := Item{Local: seen(now), Remote: seen(was), Base: &Base{Local: was, Remote: was}}
		d := Decide(Rules{Direction: Up}, item)
		var totals Totals
		totals.Count(item, d)
		if waits := Guarded(Rules{Direction: Up}, *d.Op, 1, false); waits != (totals.Shifted == 1) {
			t.Errorf("%d minutes: waits %v, totals %+v", minutes, waits, totals)
		}
	}
}
