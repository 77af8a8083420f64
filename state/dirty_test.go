package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func dirtyPaths(t *testing.T, db *DB, sync string) (paths []Dirty) {
	t.Helper()
	view(t, db, func(tx *Tx) (err error) { paths, err = DirtyPaths(tx, sync, 0); return err })
	return paths
}

func wantDirty(t *testing.T, db *DB, name string, want ...Dirty) {
	t.Helper()
	if diff := cmp.Diff(want, dirtyPaths(t, db, "s")); diff != "" {
		t.Errorf("%s:\n%s", name, diff)
	}
}

func TestDirty(t *testing.T) {
	db := openNew(t)
	later := noon.Add(time.Second)
	update(t, db, func(tx *Tx) error {
		check(t, MarkDirty(tx, "s2", "x", "other sync", false, noon))
		check(t, MarkDirty(tx, "s", "b", "created", true, noon))
		check(t, MarkDirty(tx, "s", "b", "written", false, later))
		check(t, MarkDirty(tx, "s", "latin \xfc", "created", false, noon))
		return MarkDirty(tx, "s", "", "overflow", false, noon)
	})
	b := Dirty{Path: "b", First: noon, Last: later, Remote: true, Why: "written", Mark: 3}
	root := Dirty{First: noon, Last: noon, Why: "overflow", Mark: 5}
	latin := Dirty{Path: "latin \xfc", First: noon, Last: noon, Why: "created", Mark: 4}
	wantDirty(t, db, "merged: first time kept, last time and reason new, remote sticks", root, b, latin)
	view(t, db, func(tx *Tx) error {
		if got, err := DirtyPaths(tx, "s", 2); len(got) != 2 || err != nil {
			t.Errorf("limit 2 gave %d rows, %v", len(got), err)
		}
		return nil
	})
	read := dirtyPaths(t, db, "s")
	update(t, db, func(tx *Tx) error { return ClearDirty(tx, "s", append(read, Dirty{Path: "unknown"})) })
	wantDirty(t, db, "cleared")
}

// TestMarksOfWhatIsOnlyDue: nothing takes the place of a mark for what has happened, and such a mark takes the place of any other.
func TestMarksOfWhatIsOnlyDue(t *testing.T) {
	db := openNew(t)
	later := noon.Add(time.Second)
	update(t, db, func(tx *Tx) error {
		check(t, MarkDirty(tx, "s", "a", "changed", true, noon))
		check(t, MarkDue(tx, "s", "a", "watch poll", later))
		check(t, MarkDue(tx, "s", "b", "watch poll", noon))
		check(t, MarkDue(tx, "s", "b", "watch poll again", later))
		check(t, MarkDue(tx, "s", "c", "watch poll", noon))
		return MarkDirty(tx, "s", "c", "changed", false, later)
	})
	a := Dirty{Path: "a", First: noon, Last: noon, Remote: true, Why: "changed", Mark: 1}
	b := Dirty{Path: "b", First: noon, Last: noon, Due: true, Why: "watch poll", Mark: 2}
	c := Dirty{Path: "c", First: noon, Last: later, Why: "changed", Mark: 4}
	wantDirty(t, db, "marked", a, b, c)
	update(t, db, func(tx *Tx) error { return tx.Table(tableDirty).Put(dirtyKey("s", "d"), []byte("{")) })
	update(t, db, func(tx *Tx) error { return MarkDue(tx, "s", "d", "watch poll", noon) })
	wantDirty(t, db, "a row that cannot be read asks for more", a, b, c, Dirty{Remote: true, Why: "a mark of the state file could not be read", Bad: "s\x00d"})
}

func TestNoMarkIsLostWhateverTheClockSays(t *testing.T) {
	for name, again := range map[string]time.Time{
		"the same instant": noon, "the clock was set back": noon.Add(-24 * time.Hour), "the clock was set forth": noon.Add(time.Hour),
		"before 1970": time.Date(1960, 1, 1, 0, 0, 0, 0, time.UTC), "no clock at all": {},
	} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			update(t, db, func(tx *Tx) error { return MarkDirty(tx, "s", "b", "created", false, noon) })
			read := dirtyPaths(t, db, "s")
			var last uint64
			view(t, db, func(tx *Tx) error { last = LastMark(tx); return nil })
			update(t, db, func(tx *Tx) error { return MarkDirty(tx, "s", "b", "again", false, again) })
			update(t, db, func(tx *Tx) error {
				check(t, ClearDirty(tx, "s", read))
				return ClearDirtyUpTo(tx, "s", last)
			})
			wantDirty(t, db, "marked again since it was read, so it stays", Dirty{Path: "b", First: noon, Last: again, Why: "again", Mark: 2})
		})
	}
}

func TestMarksOfOlderVersions(t *testing.T) {
	db := openNew(t)
	old := func(path string) Dirty { return Dirty{Path: path, First: noon, Last: noon} }
	update(t, db, func(tx *Tx) error {
		for _, path := range []string{"a", "b", "c"} { // as they were written: without a number
			text := fmt.Sprintf(`{"path":%q,"first":"2026-03-01T12:00:00.000000123Z","last":"2026-03-01T12:00:00.000000123Z"}`, path)
			check(t, tx.Table(tableDirty).Put(dirtyKey("s", path), []byte(text)))
		}
		return nil
	})
	wantDirty(t, db, "read", old("a"), old("b"), old("c"))
	read := dirtyPaths(t, db, "s")
	update(t, db, func(tx *Tx) error { return MarkDirty(tx, "s", "a", "again", false, noon) })
	update(t, db, func(tx *Tx) error { return ClearDirty(tx, "s", read[:2]) })
	a := Dirty{Path: "a", First: noon, Last: noon, Why: "again", Mark: 1}
	wantDirty(t, db, "a was marked again, b is cleared", a, old("c"))
	update(t, db, func(tx *Tx) error { return ClearDirtyUpTo(tx, "s", 0) })
	wantDirty(t, db, "a full scan that began before the first numbered mark clears the old ones", a)
}

func TestClearDirtyUpTo(t *testing.T) {
	db := openNew(t)
	mark := func(sync string, from, to int) {
		t.Helper()
		update(t, db, func(tx *Tx) error {
			for i := from; i < to; i++ {
				check(t, MarkDirty(tx, sync, fmt.Sprintf("f%05d", i), "", false, noon))
			}
			return nil
		})
	}
	view(t, db, func(tx *Tx) error {
		if last := LastMark(tx); last != 0 {
			t.Errorf("a new file has mark %d", last)
		}
		return nil
	})
	const many = 2*deleteChunk + 10 // more than are held in memory at once
	mark("s", 0, many)
	mark("other", 0, 3)
	var last uint64
	view(t, db, func(tx *Tx) error { last = LastMark(tx); return nil })
	if last != many+3 {
		t.Errorf("last mark = %d", last)
	}
	mark("s", 4000, 4002)
	mark("s", many, many+1)
	update(t, db, func(tx *Tx) error { return ClearDirtyUpTo(tx, "s", last) })
	var left []string
	for _, d := range dirtyPaths(t, db, "s") {
		left = append(left, d.Path)
	}
	if got, want := strings.Join(left, " "), fmt.Sprintf("f04000 f04001 f%05d", many); got != want {
		t.Errorf("left: %s, want %s", got, want)
	}
	if others := dirtyPaths(t, db, "other"); len(others) != 3 {
		t.Errorf("%d of 3 marks of another sync are left", len(others))
	}
	update(t, db, func(tx *Tx) error { return ClearDirtyUpTo(tx, "s", last+1000) })
	view(t, db, func(tx *Tx) error {
		if now := LastMark(tx); now != last+3 {
			t.Errorf("the last mark went from %d to %d although nothing was marked", last+3, now)
		}
		return nil
	})
}

func TestBadDirtyRows(t *testing.T) {
	for name, garbage := range map[string]string{
		"no JSON": "\x00{nonsense", "empty": "", "null": "null", "cut short": `{"path":"d/f","fir`, "another path": `{"path":"d/g","mark":1}`,
	} {
		t.Run(name, func(t *testing.T) {
			db := openNew(t)
			spoil := func() {
				update(t, db, func(tx *Tx) error { return tx.Table(tableDirty).Put(dirtyKey("s", "d/f"), []byte(garbage)) })
			}
			spoil()
			update(t, db, func(tx *Tx) error { return MarkDirty(tx, "s", "z", "good", false, noon) })
			bad := Dirty{Remote: true, Why: "a mark of the state file could not be read", Bad: "s\x00d/f"}
			good := Dirty{Path: "z", First: noon, Last: noon, Why: "good", Mark: 1}
			wantDirty(t, db, "the bad one stands for the whole sync", bad, good)

			update(t, db, func(tx *Tx) error { return ClearDirty(tx, "s", []Dirty{{Path: "d/f", Mark: 1}}) })
			wantDirty(t, db, "nobody clears a bad one by accident", bad, good)
			update(t, db, func(tx *Tx) error { return ClearDirty(tx, "s", []Dirty{bad}) })
			wantDirty(t, db, "cleared after the whole sync was looked at", good)

			spoil()
			update(t, db, func(tx *Tx) error { return ClearDirtyUpTo(tx, "s", 0) })
			wantDirty(t, db, "a full scan clears it too", good)

			spoil()
			update(t, db, func(tx *Tx) error {
				check(t, ClearDirty(tx, "s", []Dirty{good}))
				return MarkDirty(tx, "s", "d/f", "event", false, noon)
			})
			renewed := Dirty{Path: "d/f", First: noon, Last: noon, Remote: true, Why: "event", Mark: 2}
			wantDirty(t, db, "an event replaces it, and the far side is looked at in case that was asked for", renewed)
			update(t, db, func(tx *Tx) error { return ClearDirty(tx, "s", []Dirty{bad}) })
			wantDirty(t, db, "replaced since it was read, so it stays", renewed)
		})
	}
}
