package state

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestHotTablesAreTablesLikeOthers: what is kept in memory until the end of a transaction is seen, taken back and written down as
// if it were not.
func TestHotTablesAreTablesLikeOthers(t *testing.T) {
	db := openNew(t)
	random := rand.New(rand.NewPCG(1, 2))
	rows := func(table Table) string {
		var text bytes.Buffer
		check(t, table.Scan(nil, nil, func(key, value []byte) (bool, error) {
			fmt.Fprintf(&text, "%s=%q ", key, value)
			return true, nil
		}))
		return text.String()
	}
	giveUp := errors.New("given up")
	for range 200 {
		err := db.Update(func(tx *Tx) error {
			ordinary, hot := tx.Table("t"), tx.Table(tableCounts)
			for range random.IntN(12) {
				key := fmt.Append(nil, random.IntN(6))
				switch random.IntN(8) {
				case 0:
					check(t, ordinary.Delete(key))
					check(t, hot.Delete(key))
				case 1:
					if one, other := rows(ordinary), rows(hot); one != other {
						t.Fatalf("within: %s\nwant: %s", other, one)
					}
				case 2:
					if one, other := ordinary.Get(key), hot.Get(key); !bytes.Equal(one, other) || (one == nil) != (other == nil) {
						t.Fatalf("row %s is %q, want %q", key, other, one)
					}
				default:
					value := fmt.Append(nil, random.IntN(100))[random.IntN(2):] // some of them empty
					check(t, ordinary.Put(key, value))
					check(t, hot.Put(key, value))
				}
			}
			if random.IntN(4) == 0 {
				return giveUp
			}
			return nil
		})
		if err != nil && err != giveUp {
			t.Fatal(err)
		}
		view(t, db, func(tx *Tx) error {
			if one, other := rows(tx.Table("t")), rows(tx.Table(tableCounts)); one != other {
				t.Fatalf("afterwards: %s\nwant: %s", other, one)
			}
			return nil
		})
	}
	update(t, db, func(tx *Tx) error {
		hot := tx.Table(tableCounts)
		check(t, hot.Put([]byte("a"), nil))
		return hot.Scan(nil, nil, func(_, _ []byte) (bool, error) {
			if hot.Put([]byte("b"), nil) == nil || hot.Delete([]byte("a")) == nil {
				t.Error("written to under a scan")
			}
			return false, nil
		})
	})
	view(t, db, func(tx *Tx) error {
		if err := tx.Table(tableCounts).Put([]byte("a"), nil); !errors.Is(err, ErrReadOnly) {
			t.Errorf("written to by a reader: %v", err)
		}
		return nil
	})
}
