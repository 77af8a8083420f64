package state

import bolt "go.etcd.io/bbolt"

const (
	// giveBackAfter is how much of the memory map may become resident, in bytes by the count of Tx.touch.
	giveBackAfter = 32 << 20
	// smallFile is up to where it does no harm that all of a file is in memory.
	smallFile = giveBackAfter / 4
	// placeCost is the most that one place in a table makes resident: Linux maps 16 pages around the one that is wanted.
	placeCost = 64 << 10
)

// giveBack counts what was touched of the memory map and at times returns all of it to the system, so that the memory
// of the process does not grow with the file. What is needed again is still in the system's cache of the file.
//
// The transaction must be open: it keeps the map where it is. Nobody who reads the map at the same time notices: it is
// shared with the file and is never written through, so the pages that come back are the same. See also madvise(2).
func (db *DB) giveBack(tx *bolt.Tx, touched int64) {
	if db.touched.Add(touched) < giveBackAfter {
		return
	}
	db.touched.Store(0)
	forgetPages(db.engine.Info().Data, uintptr(tx.Size()))
}
