package state

import (
	"crypto/sha256"
	"encoding"
	"errors"
)

// tableAppended holds what was sent of files that only ever grow, under the keys of the baseline. A row goes with the one of the
// baseline.
const tableAppended = "appended"

// Appended is what the server has of a file that only ever grows: as many bytes of its beginning as were sent, and what proves
// that a file here still begins with them.
type Appended struct {
	Size int64 `json:"size"`
	// ID is the entry.ID of the source, 0 if nobody could tell.
	ID uint64 `json:"id,omitempty"`
	// Running is the state of a SHA-256 of all bytes (encoding.BinaryMarshaler), First and Last are the SHA-256 of the first and
	// last of them, AppendedBlock at most.
	Running []byte `json:"running"`
	First   []byte `json:"first"`
	Last    []byte `json:"last"`
}

// AppendedBlock is how many bytes the hashes of the beginning and of the end are about.
const AppendedBlock = 64 << 10

// GetAppended returns the row of a path and whether there is one. One that cannot be read is none: then the whole file is sent.
func GetAppended(tx *Tx, sync, path string) (Appended, bool, error) {
	key := baselineKey(sync, path)
	row, ok, err := ReadRow[Appended](tx.Table(tableAppended), key)
	if errors.Is(err, ErrBadRow) || ok && row.problem() != "" {
		return Appended{}, false, nil
	}
	return row, ok, err
}

// PutAppended adds or replaces the row of a path.
func PutAppended(tx *Tx, sync, path string, row Appended) error {
	return WriteRow(tx.Table(tableAppended), baselineKey(sync, path), row)
}

// DeleteAppended removes the row of a path, if there is one.
func DeleteAppended(tx *Tx, sync, path string) error {
	return tx.Table(tableAppended).Delete(baselineKey(sync, path))
}

// MoveAppended gives the row of a path to another one, whose own row goes.
func MoveAppended(tx *Tx, sync, from, to string) error {
	row, ok, err := GetAppended(tx, sync, from)
	if err == nil && ok {
		err = PutAppended(tx, sync, to, row)
	} else if err == nil {
		err = DeleteAppended(tx, sync, to)
	}
	if err != nil {
		return err
	}
	return DeleteAppended(tx, sync, from)
}

// problem says what cannot be, "" if nothing.
func (a Appended) problem() string {
	running, _ := sha256.New().(encoding.BinaryUnmarshaler)
	switch {
	case a.Size < 0:
		return "its size is less than nothing"
	case len(a.First) != sha256.Size || len(a.Last) != sha256.Size:
		return "a hash in it has another length"
	case running == nil || running.UnmarshalBinary(a.Running) != nil:
		return "its running hash is none"
	}
	return ""
}

func checkAppended(key, value []byte) error {
	if err := checkJSON[Appended](3)(key, value); err != nil {
		return err
	}
	row, err := decodeJSON[Appended](value)
	if problem := row.problem(); err == nil && problem != "" {
		return badRow("%s", problem)
	}
	return err
}
