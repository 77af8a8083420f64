package state

import (
	"testing"

	bolt "go.etcd.io/bbolt"
)

// TestASmallFileIsSeldomGivenBack: more of it than there is cannot be in memory, however often its rows are read and written.
// Without that a commit of the dispatcher gives back all of the file, and has it read again, after every thirty jobs.
func TestASmallFileIsSeldomGivenBack(t *testing.T) {
	db := openNew(t)
	update(t, db, func(tx *Tx) error {
		var told int64
		tx.giveBack = func(_ *bolt.Tx, touched int64) { told += touched }
		for range 10 * smallFile / placeCost {
			if _, _, err := GetBaseline(tx, "s", "a/b"); err != nil {
				return err
			}
		}
		tx.end()
		if size := tx.engine.Size(); told == 0 || told > size {
			t.Errorf("%d bytes of %d were counted as touched", told, size)
		}
		return nil
	})
}
