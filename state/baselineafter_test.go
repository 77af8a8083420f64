package state

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/state/entry"
)

// TestBaselineInPortions reads all rows of a sync, whatever their names are and however many at a time, and goes on behind one that
// is gone and one that nobody can read.
func TestBaselineInPortions(t *testing.T) {
	db := openNew(t)
	long := strings.Repeat("folder/", 400) + strings.Repeat("n", 3000)
	want := map[string]Baseline{}
	update(t, db, func(tx *Tx) error {
		for _, path := range []string{"a", "a/b", "a/b/c.txt", "a.txt", "latin/\xfc", "hostile/\x00\x01name", "hos\x00tile/\x01", long, long + "2", Shorten(long), "bad/row"} {
			row := Baseline{Path: path, Local: entry.Entry{Kind: entry.File, Size: 7, ModTime: noon}, Remote: entry.Entry{Kind: entry.File, Size: 7}, When: noon}
			want[path] = row
			for _, sync := range []string{"r", "s", "s2"} {
				if err := PutBaseline(tx, sync, row); err != nil {
					return err
				}
			}
		}
		key := baselineKey("s", "bad/row")
		return tx.Table(tableBaseline).Put(key, []byte("what?"))
	})
	delete(want, "bad/row")
	for _, limit := range []int{1, 3, 100} {
		got, bad := map[string]Baseline{}, 0
		var place []byte
		for {
			var rows []BaselineRow
			view(t, db, func(tx *Tx) (err error) {
				rows, err = BaselineAfter(tx, "s", place, limit)
				return err
			})
			if len(rows) == 0 {
				break
			}
			if len(rows) > limit {
				t.Fatalf("%d rows, want %d at most", len(rows), limit)
			}
			for _, row := range rows {
				if bytes.Compare(row.Place, place) <= 0 {
					t.Fatalf("%q does not lead on from %q", row.Place, place)
				}
				if place = row.Place; row.Bad != "" {
					bad++
				} else {
					got[row.Path] = row.Baseline
				}
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" || bad != 1 {
			t.Errorf("%d at a time: %d bad rows\n%s", limit, bad, diff)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}
