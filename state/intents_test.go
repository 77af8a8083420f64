package state

import (
	"slices"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// TestIntentsKeepTheirDirection, and those of versions that did not write it down can be read.
func TestIntentsKeepTheirDirection(t *testing.T) {
	db := openNew(t)
	file := entry.Entry{Kind: entry.File, Size: 7, ModTime: noon, Precision: time.Second}
	update(t, db, func(tx *Tx) error {
		check(t, tx.Table(tableIntents).Put(baselineKey("s", "f"), []byte(`{"sources":[{"kind":"file","size":7,"mtime":"`+noon.Format(time.RFC3339)+`","precision":1000000000}]}`)))
		for range 2 { // the second time is the same
			check(t, AddIntent(tx, "s", "f", Intent{Source: file}))
			check(t, AddIntent(tx, "s", "f", Intent{Source: file, Down: true}))
		}
		got := Intents(tx, "s", "f")
		if want := []Intent{{Source: file}, {Source: file, Down: true}}; !slices.EqualFunc(got, want, func(a, b Intent) bool {
			return a.Down == b.Down && entry.Equal(a.Source, b.Source)
		}) {
			t.Errorf("%v, want %v", got, want)
		}
		return nil
	})
}
