package state

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

func TestAConflictIsNewsOnce(t *testing.T) {
	db := openNew(t)
	note := func(path, text string, at time.Time, want bool) {
		t.Helper()
		update(t, db, func(tx *Tx) error {
			news, err := PutNote(tx, "s", Note{Path: path, Text: text}, at)
			if news != want {
				t.Errorf("%q, %q: news is %v", path, text, news)
			}
			return err
		})
	}
	note("a", "both changed", noon, true)
	note("a", "both changed", noon.Add(time.Hour), false)
	note("a", "a folder is in the way", noon.Add(time.Hour), true)
	note("\xff", "both changed", noon, true)
	update(t, db, func(tx *Tx) error { return DropNotes(tx, "s", noon.Add(time.Minute), nil) })
	note("\xff", "both changed", noon, true) // it was not seen since
	note("a", "a folder is in the way", noon, false)
	update(t, db, func(tx *Tx) error { return DropNote(tx, "s", "a") })
	note("a", "a folder is in the way", noon, true)
	update(t, db, func(tx *Tx) error { return tx.Table(tableConflicts).Put(noteKey("s", "a"), []byte("?")) })
	note("a", "a folder is in the way", noon, true) // nobody can know
	update(t, db, func(tx *Tx) error { return DropNotes(tx, "s", time.Time{}, nil) })
	view(t, db, func(tx *Tx) error {
		if key, _ := tx.Table(tableConflicts).Last(nil); key != nil {
			t.Errorf("%q is left", key)
		}
		return nil
	})
}

func TestNotesOfAllKinds(t *testing.T) {
	db := openNew(t)
	put := func(n Note, at time.Time) {
		update(t, db, func(tx *Tx) error {
			_, err := PutNote(tx, "s", n, at)
			return err
		})
	}
	put(Note{Path: "b", Kind: NoteSkipped, Text: "a link"}, noon)
	put(Note{Path: "a", Kind: NoteUnknown, Text: "no right"}, noon)
	put(Note{Path: "", Text: "both changed"}, noon)
	put(Note{Path: "c", Kind: NoteUnknown, Text: "no right"}, noon.Add(time.Hour))
	list := func() (paths []string) {
		view(t, db, func(tx *Tx) error {
			paths = nil
			return EachNote(tx, "s", func(n Note) (bool, error) {
				paths = append(paths, n.Path)
				return true, nil
			})
		})
		return paths
	}
	if got := list(); !slices.Equal(got, []string{"", "a", "b", "c"}) {
		t.Errorf("noted: %q", got)
	}
	view(t, db, func(tx *Tx) error {
		if n, ok := GetNote(tx, "s", "a"); !ok || n.Kind != NoteUnknown || !n.First.Equal(noon) {
			t.Errorf("%+v, %v", n, ok)
		}
		if n, ok := GetNote(tx, "s", "x"); ok {
			t.Errorf("%+v of a path that was never noted", n)
		}
		return nil
	})
	put(Note{Path: "b", Kind: NoteConflict, Text: "a link"}, noon.Add(time.Hour))
	update(t, db, func(tx *Tx) error {
		return DropNotes(tx, "s", noon.Add(time.Minute), func(n Note) bool { return n.Kind == NoteUnknown })
	})
	if got := list(); !slices.Equal(got, []string{"", "b", "c"}) {
		t.Errorf("left: %q", got)
	}
}

func TestNotesBelowAPath(t *testing.T) {
	db := openNew(t)
	long := strings.Repeat("long/", longest/4)
	for _, row := range []struct {
		path string
		kind NoteKind
		at   time.Time
	}{
		{"a", NoteHeld, noon}, {"a/b", NoteHeld, noon}, {"a/new", NoteHeld, noon.Add(time.Hour)}, {"a/other", NoteSkipped, noon}, {"a.b", NoteHeld, noon},
		{long + "a/b", NoteHeld, noon}, {long + "b", NoteHeld, noon},
	} {
		update(t, db, func(tx *Tx) error {
			_, err := PutNote(tx, "s", Note{Path: row.path, Kind: row.kind, Text: "x"}, row.at)
			return err
		})
	}
	left := func(below string, want ...string) {
		t.Helper()
		update(t, db, func(tx *Tx) error {
			return DropNotesIn(tx, "s", below, noon.Add(time.Minute), func(n Note) bool { return n.Kind == NoteHeld })
		})
		var paths []string
		view(t, db, func(tx *Tx) error {
			paths = nil
			return EachNote(tx, "s", func(n Note) (bool, error) {
				paths = append(paths, n.Path)
				return true, nil
			})
		})
		if !slices.Equal(paths, want) {
			t.Errorf("below %.10q: left are %q", below, paths)
		}
	}
	left("a", "a.b", "a/new", "a/other", long+"a/b", long+"b")
	left(long+"a", "a.b", "a/new", "a/other", long+"b")
	left("", "a/new", "a/other")
}

// TestTheVersionOfNotes is another one after each change of them that was committed, and after no other.
func TestTheVersionOfNotes(t *testing.T) {
	db := openNew(t)
	version := func() (v int) {
		view(t, db, func(tx *Tx) error {
			v = NotesVersion(tx, "s")
			return nil
		})
		return v
	}
	put := func(sync string, n Note, at time.Time) func(tx *Tx) error {
		return func(tx *Tx) error {
			_, err := PutNote(tx, sync, n, at)
			return err
		}
	}
	was := version()
	if was == 0 {
		t.Error("nothing has changed, and nobody can tell")
	}
	for _, row := range []struct {
		sentence string
		change   func(tx *Tx) error
		isOther  bool
	}{
		{"a new note", put("s", Note{Path: "a/b", Text: "x"}, noon), true},
		{"the same one is seen again", put("s", Note{Path: "a/b", Text: "x", Until: noon}, noon.Add(time.Hour)), false},
		{"another reason", put("s", Note{Path: "a/b", Text: "y"}, noon), true},
		{"another kind", put("s", Note{Path: "a/b", Text: "y", Kind: NoteHeld}, noon), true},
		{"another sync", put("other", Note{Path: "a/b", Text: "x"}, noon), false},
		{"something else is written", func(tx *Tx) error { return PutSync(tx, "s", SyncState{Rescans: 1}) }, false},
		{"none is dropped that there is not", func(tx *Tx) error { return DropNote(tx, "s", "a") }, false},
		{"none is as old as that", func(tx *Tx) error { return DropNotes(tx, "s", noon.Add(-time.Hour), nil) }, false},
		{"those in a folder are dropped", func(tx *Tx) error {
			return DropNotesIn(tx, "s", "a", noon.Add(time.Minute), func(Note) bool { return true })
		}, true},
		{"a note again", put("s", Note{Path: "c", Text: "x"}, noon), true},
		{"it is dropped", func(tx *Tx) error { return DropNote(tx, "s", "c") }, true},
		{"and again", put("s", Note{Path: "c", Text: "x"}, noon), true},
		{"all are dropped", func(tx *Tx) error { return DropNotes(tx, "s", time.Time{}, nil) }, true},
	} {
		update(t, db, func(tx *Tx) error {
			err := row.change(tx)
			if is := version(); row.isOther && is != 0 || !row.isOther && is != was {
				t.Errorf("%s, before the commit: %d after %d", row.sentence, is, was)
			}
			if is := NotesVersion(tx, "s"); is != 0 {
				t.Errorf("%s, in the transaction itself: %d", row.sentence, is)
			}
			return err
		})
		is := version()
		if is == 0 || (is != was) != row.isOther {
			t.Errorf("%s: %d after %d", row.sentence, is, was)
		}
		was = is
	}
	undone := errUnchanged
	if err := db.Update(func(tx *Tx) error { return cmp.Or(put("s", Note{Path: "d"}, noon)(tx), undone) }); err != undone {
		t.Fatal(err)
	}
	update(t, db, func(tx *Tx) error { return PutSync(tx, "s", SyncState{}) })
	if version() == 0 {
		t.Error("nobody can tell for ever, after a transaction that came to nothing")
	}
}

// TestANoteKeepsWhatWasSeen: a side that was not looked at this time is as it was when somebody did. Rows of older versions have no
// looks, and are as good as ever.
func TestANoteKeepsWhatWasSeen(t *testing.T) {
	db := openNew(t)
	file := func(size int64, at time.Time) *Look {
		return &Look{Entry: entry.Entry{Kind: entry.File, Size: size, ModTime: noon}, When: at}
	}
	check := func(what string, n Note, here, there *Look) {
		t.Helper()
		for side, looks := range map[string][2]*Look{"here": {n.Local, here}, "on the server": {n.Remote, there}} {
			if got, want := looks[0], looks[1]; (got == nil) != (want == nil) || got != nil && *got != *want {
				t.Errorf("%s, %s: got %+v, want %+v", what, side, got, want)
			}
		}
	}
	update(t, db, func(tx *Tx) error {
		old := `{"path":"a","kind":"skipped","text":"left alone","first":"2025-01-02T03:04:05Z","last":"2025-01-02T03:04:05Z"}`
		if err := tx.Table(tableConflicts).Put(noteKey("s", "a"), []byte(old)); err != nil {
			return err
		}
		n, ok := GetNote(tx, "s", "a")
		if !ok || n.Text != "left alone" || n.Kind != NoteSkipped || n.First.Year() != 2025 {
			t.Fatalf("the old row is %+v, %v", n, ok)
		}
		check("an old row", n, nil, nil)
		news, err := PutNote(tx, "s", Note{Path: "a", Kind: NoteSkipped, Text: "left alone", Local: file(1, noon), Remote: file(2, noon)}, noon)
		if n, _ = GetNote(tx, "s", "a"); news || err != nil || n.First.Year() != 2025 {
			t.Errorf("news: %v, %v; %+v", news, err, n)
		}
		check("seen", n, file(1, noon), file(2, noon))
		later := noon.Add(time.Hour)
		if _, err := PutNote(tx, "s", Note{Path: "a", Text: "changed on both sides", Local: file(3, later)}, later); err != nil {
			return err
		}
		n, _ = GetNote(tx, "s", "a")
		check("one side was seen", n, file(3, later), file(2, noon))
		return nil
	})
}
