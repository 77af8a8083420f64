package state

import bolt "go.etcd.io/bbolt"

const (
	// lookAfter is how much of the memory map may have become resident, in bytes by the count of Tx.touch, before somebody looks
	// how large the process is.
	lookAfter = 8 << 20
	// mostResident is how large it may be without the map being given back. With what comes before the next look it stays below
	// the 150 MB that are promised.
	mostResident = 112 << 20
	// smallFile is up to where it does no harm that all of a file is in memory.
	smallFile = 8 << 20
	// cheapFile is up to where it takes next to no time to have all of a file in memory again.
	cheapFile = 32 << 20
	// placeCost is the most that one place in a table makes resident: Linux maps 16 pages around the one that is wanted.
	placeCost = 64 << 10
)

// giveBack counts what was touched of the memory map and at times, where the process is large or the file small, returns all of it to
// the system, so that its memory does not grow with the file. What is needed again is still in the system's cache of the file, but to
// come by it again costs as much as the work itself where rows are written all over a large table. The count cannot tell that from
// a walk, as it knows nothing of places that are touched again: it says when to look, no more.
//
// The transaction must be open: it keeps the map where it is. Nobody who reads the map at the same time notices: it is
// shared with the file and is never written through, so the pages that come back are the same. See also madvise(2).
func (db *DB) giveBack(tx *bolt.Tx, touched int64) {
	if db.touched.Add(touched) < lookAfter {
		return
	}
	db.touched.Store(0)
	if tx.Size() > cheapFile {
		if size, known := processSize(); known && size <= db.mostResident {
			return
		}
	}
	forgetPages(db.engine.Info().Data, uintptr(tx.Size()))
}
