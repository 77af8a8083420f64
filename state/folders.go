package state

import (
	"encoding/binary"
	"time"
)

// tableFolders holds what the server told of folders in which there are only files, under the keys of the baseline.
const tableFolders = "folders"

// Folder is one listing of a folder on the server that held files alone.
type Folder struct {
	// Told is the time of the folder in the listing of its parent, in milliseconds of Unix time.
	Told int64
	// First is when that time was told first, by our clock, in milliseconds of Unix time.
	First int64
	// Settled: the folder was listed long enough after First, so that a later change cannot have the same time.
	Settled bool
	// Sum is one over the names, identities, sizes and times of all that was in it.
	Sum uint64
}

// A row is format, flags, three numbers of eight bytes.
const (
	formatFolder  = 1
	folderSettled = 1
	folderLength  = 2 + 3*8
)

func encodeFolder(f Folder) []byte {
	row := append(make([]byte, 0, folderLength), formatFolder, 0)
	if f.Settled {
		row[1] = folderSettled
	}
	for _, number := range [...]uint64{uint64(f.Told), uint64(f.First), f.Sum} {
		row = binary.BigEndian.AppendUint64(row, number)
	}
	return row
}

func decodeFolder(row []byte) (Folder, error) {
	if len(row) != folderLength || row[0] != formatFolder || row[1]&^folderSettled != 0 {
		return Folder{}, badRow("it is not what is written down of a folder")
	}
	number := func(i int) uint64 { return binary.BigEndian.Uint64(row[2+8*i:]) }
	return Folder{Settled: row[1] == folderSettled, Told: int64(number(0)), First: int64(number(1)), Sum: number(2)}, nil
}

func checkFolder(_, value []byte) error {
	_, err := decodeFolder(value)
	return err
}

// GetFolder returns the row of a folder and whether there is one. One that cannot be read is none: then the folder is listed.
func GetFolder(tx *Tx, sync, path string) (Folder, bool) {
	value := tx.Table(tableFolders).Get(baselineKey(sync, path))
	if value == nil {
		return Folder{}, false
	}
	f, err := decodeFolder(value)
	return f, err == nil
}

// PutFolder adds or replaces the row of a folder; added reports whether it had none.
func PutFolder(tx *Tx, sync, path string, f Folder) (added bool, err error) {
	t, key := tx.Table(tableFolders), baselineKey(sync, path)
	added = t.Get(key) == nil
	return added, t.Put(key, encodeFolder(f))
}

// DropFolders removes the rows of a sync.
func DropFolders(tx *Tx, sync string) error {
	_, err := PruneFolders(tx, sync, func([]byte) bool { return false })
	return err
}

// PruneFolders removes the rows of a sync for which keep returns false, and returns how many are left. keep gets the key of the
// folder's own row in the baseline.
func PruneFolders(tx *Tx, sync string, keep func(key []byte) bool) (left int, err error) {
	t := tx.Table(tableFolders)
	var gone [][]byte
	err = t.Scan(Key(sync, ""), nil, func(key, _ []byte) (bool, error) {
		if keep(key) {
			left++
		} else {
			gone = append(gone, append([]byte(nil), key...))
		}
		return true, nil
	})
	for _, key := range gone {
		if err == nil {
			err = t.Delete(key)
		}
	}
	return left, err
}

// IsKnown reports whether there is a row of the baseline at a key that PruneFolders has given.
func IsKnown(tx *Tx, key []byte) bool { return tx.Table(tableBaseline).Get(key) != nil }

// FolderTimes is what was learned about the times that a server tells of its folders: whether they follow every change in them.
type FolderTimes struct {
	// For is how many scans have seen them follow, the last of which began at ForScan.
	For     int       `json:"for,omitempty"`
	ForScan time.Time `json:"for_scan,omitzero"`
	// Against says, for people, why they cannot be trusted; "" if nothing speaks against it. It is for good.
	Against string `json:"against,omitempty"`
	// Rows is how many folders are written down.
	Rows int `json:"rows,omitempty"`
	// Whole is when the last scan ended that has listed all folders, and Polls counts those since then that may have spared some.
	Whole time.Time `json:"whole,omitzero"`
	Polls int       `json:"polls,omitempty"`
	// LastPoll is when the last of these ended.
	LastPoll time.Time `json:"last_poll,omitzero"`
	// Spared counts the listings that were spared.
	Spared uint64 `json:"spared,omitempty"`
}

const (
	// enoughFor is how many scans have to have seen it.
	enoughFor = 3
	// sparingPolls and sparingTime bound how long a folder may go without being listed: every eighth poll lists all.
	sparingPolls = 7
	sparingTime  = time.Hour
)

const (
	// mostLearned and mostFolders bound the rows of a sync until the times are trusted, and then.
	mostLearned = 1000
	mostFolders = 100_000
)

// Room is how many more folders may be written down.
func (f FolderTimes) Room() int {
	switch {
	case f.Against != "":
		return 0
	case f.Trusted():
		return max(0, mostFolders-f.Rows)
	}
	return max(0, mostLearned-f.Rows)
}

// Trusted reports whether the times have been seen to follow often enough, and never not to.
func (f FolderTimes) Trusted() bool { return f.Against == "" && f.For >= enoughFor }

// MaySpare reports whether a poll that begins now may leave out folders whose times are what they were.
func (f FolderTimes) MaySpare(now time.Time) bool {
	since := now.Sub(f.Whole)
	return f.Trusted() && f.Polls < sparingPolls && !f.Whole.IsZero() && since >= 0 && since < sparingTime
}
