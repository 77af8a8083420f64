package state

import (
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
