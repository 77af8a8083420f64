package state

import (
	"crypto/sha256"
	"encoding"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wasSent is a row about so many bytes.
func wasSent(t *testing.T, size int64) Appended {
	t.Helper()
	running, err := sha256.New().(encoding.BinaryMarshaler).MarshalBinary()
	check(t, err)
	sum := sha256.Sum256(nil)
	return Appended{Size: size, ID: 7, Running: running, First: sum[:], Last: sum[:]}
}

// TestWhatWasSentGoesWithTheBaseline: with its row, and with all of them.
func TestWhatWasSentGoesWithTheBaseline(t *testing.T) {
	db := openNew(t)
	sizes := func(tx *Tx) map[string]int64 {
		found := map[string]int64{}
		for _, sync := range []string{"s", "s2"} {
			for _, path := range []string{"a", "b", "f/c", "bad"} {
				if row, ok, err := GetAppended(tx, sync, path); err != nil {
					t.Error(err)
				} else if ok {
					found[sync+" "+path] = row.Size
				}
			}
		}
		return found
	}
	step := func(what string, change func(tx *Tx), want map[string]int64) {
		t.Helper()
		update(t, db, func(tx *Tx) error {
			change(tx)
			if diff := cmp.Diff(want, sizes(tx)); diff != "" {
				t.Errorf("%s: %s", what, diff)
			}
			return nil
		})
	}
	step("put", func(tx *Tx) {
		for path, size := range map[string]int64{"a": 1, "b": 2, "f/c": 3} {
			check(t, PutBaseline(tx, "s", Baseline{Path: path}))
			check(t, PutAppended(tx, "s", path, wasSent(t, size)))
		}
		check(t, PutAppended(tx, "s2", "a", wasSent(t, 4)))
		row := wasSent(t, 5)
		row.Running = []byte("garbage")
		check(t, PutAppended(tx, "s", "bad", row))
	}, map[string]int64{"s a": 1, "s b": 2, "s f/c": 3, "s2 a": 4})
	step("a new baseline", func(tx *Tx) { check(t, PutBaseline(tx, "s", Baseline{Path: "a"})) }, map[string]int64{"s a": 1, "s b": 2, "s f/c": 3, "s2 a": 4})
	step("moved over another one", func(tx *Tx) { check(t, MoveAppended(tx, "s", "a", "b")) }, map[string]int64{"s b": 1, "s f/c": 3, "s2 a": 4})
	step("moved, with nothing to move", func(tx *Tx) { check(t, MoveAppended(tx, "s", "a", "b")) }, map[string]int64{"s f/c": 3, "s2 a": 4})
	step("the row of the baseline goes", func(tx *Tx) { check(t, DeleteBaseline(tx, "s", "f/c")) }, map[string]int64{"s2 a": 4})
	step("all rows go", func(tx *Tx) { check(t, DropBaseline(tx, "s2")) }, map[string]int64{})
}
