package state

import (
	"testing"
	"time"
)

func TestFolders(t *testing.T) {
	db := openNew(t)
	row := Folder{Told: 1772359384000, First: 1772359385123, Settled: true, Sum: 1<<63 + 7}
	update(t, db, func(tx *Tx) error {
		check(t, PutBaseline(tx, "s", Baseline{Path: "kept", When: noon}))
		for i, path := range []string{"kept", "gone", "kept"} {
			added, err := PutFolder(tx, "s", path, row)
			if check(t, err); added != (i < 2) {
				t.Errorf("%d: added %v", i, added)
			}
		}
		_, err := PutFolder(tx, "s2", "other", row)
		return err
	})
	update(t, db, func(tx *Tx) error {
		if got, known := GetFolder(tx, "s", "gone"); !known || got != row {
			t.Errorf("%+v, %v", got, known)
		}
		left, err := PruneFolders(tx, "s", func(key []byte) bool { return IsKnown(tx, key) })
		if check(t, err); left != 1 {
			t.Errorf("%d left", left)
		}
		if _, known := GetFolder(tx, "s", "gone"); known {
			t.Error("a folder that is gone is still known")
		}
		check(t, tx.Table(tableFolders).Put(baselineKey("s", "bad"), []byte("garbage")))
		if _, known := GetFolder(tx, "s", "bad"); known {
			t.Error("a row that cannot be read is known")
		}
		return DropBaseline(tx, "s")
	})
	view(t, db, func(tx *Tx) error {
		if _, known := GetFolder(tx, "s", "kept"); known {
			t.Error("the row of a sync that begins anew is still known")
		}
		if _, known := GetFolder(tx, "s2", "other"); !known {
			t.Error("the row of another sync is gone")
		}
		return nil
	})
}

func TestWhenFoldersMayBeLeftOut(t *testing.T) {
	trusted := FolderTimes{For: 3, Whole: noon}
	with := func(change func(f *FolderTimes)) FolderTimes {
		f := trusted
		change(&f)
		return f
	}
	for sentence, row := range map[string]struct {
		learned FolderTimes
		after   time.Duration
		want    bool
	}{
		"trusted, and all were listed a moment ago": {trusted, time.Minute, true},
		"not seen often enough":                     {with(func(f *FolderTimes) { f.For = 2 }), time.Minute, false},
		"seen to be wrong":                          {with(func(f *FolderTimes) { f.Against = "wrong" }), time.Minute, false},
		"the eighth poll":                           {with(func(f *FolderTimes) { f.Polls = 7 }), time.Minute, false},
		"the seventh poll":                          {with(func(f *FolderTimes) { f.Polls = 6 }), time.Minute, true},
		"an hour later":                             {trusted, time.Hour, false},
		"a clock was ahead":                         {trusted, -time.Minute, false},
		"all were never listed":                     {with(func(f *FolderTimes) { f.Whole = time.Time{} }), time.Minute, false},
	} {
		if got := row.learned.MaySpare(noon.Add(row.after)); got != row.want {
			t.Errorf("%s: %v", sentence, got)
		}
	}
	if room := (FolderTimes{Rows: 2 * mostLearned}).Room(); room != 0 {
		t.Errorf("room for %d more while that is learned", room)
	}
	if room := with(func(f *FolderTimes) { f.Rows = 2 * mostLearned }).Room(); room != mostFolders-2*mostLearned {
		t.Errorf("room for %d more", room)
	}
}
