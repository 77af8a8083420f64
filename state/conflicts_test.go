package state

import (
	"testing"
	"time"
)

func TestAConflictIsNewsOnce(t *testing.T) {
	db := openNew(t)
	note := func(path, text string, at time.Time, want bool) {
		t.Helper()
		update(t, db, func(tx *Tx) error {
			news, err := NoteConflict(tx, "s", path, text, at)
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
	update(t, db, func(tx *Tx) error { return ForgetConflicts(tx, "s", noon.Add(time.Minute)) })
	note("\xff", "both changed", noon, true) // it was not seen since
	note("a", "a folder is in the way", noon, false)
	update(t, db, func(tx *Tx) error { return ForgetConflict(tx, "s", "a") })
	note("a", "a folder is in the way", noon, true)
	update(t, db, func(tx *Tx) error { return tx.Table(tableConflicts).Put(conflictKey("s", "a"), []byte("?")) })
	note("a", "a folder is in the way", noon, true) // nobody can know
	update(t, db, func(tx *Tx) error { return ForgetConflicts(tx, "s", time.Time{}) })
	view(t, db, func(tx *Tx) error {
		if key, _ := tx.Table(tableConflicts).Last(nil); key != nil {
			t.Errorf("%q is left", key)
		}
		return nil
	})
}
