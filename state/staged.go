package state

import (
	"bytes"
	"encoding/binary"
)

// tableStaged holds operations of scans that wait for the guard. Its keys are sync 00 job number: those of one job lie side
// by side, in the order in which they came.
const tableStaged = "staged"

func stagedPrefix(sync string, job uint64) []byte { return Key(sync, job) }

func stagedCount(sync string, job uint64) count {
	return count{key: Key(tableStaged, sync, job), table: tableStaged, prefix: stagedPrefix(sync, job)}
}

// stagedJob takes a key apart: what comes before the number, and the job.
func stagedJob(key []byte) (prefix []byte, job uint64, ok bool) {
	const numbers = 8 + 8
	if len(key) < numbers+1 || key[len(key)-numbers-1] != 0 {
		return nil, 0, false
	}
	prefix = key[:len(key)-8]
	return prefix, binary.BigEndian.Uint64(prefix[len(prefix)-8:]), true
}

// Stage keeps an operation of a scan that may not become a job before the whole scan has passed the guard, after those of the
// same job that were staged before.
func Stage(tx *Tx, sync string, job uint64, operation []byte) error {
	t := tx.Table(tableStaged)
	id, err := t.NextID()
	if err != nil {
		return err
	}
	if err := t.Put(Key(sync, job, id), operation); err != nil {
		return err
	}
	return addCount(tx, stagedCount(sync, job), 1)
}

// TakeStaged removes up to limit operations of a job (0 or less: all), in the order in which they were staged, and returns
// copies of them. more says whether others are left.
func TakeStaged(tx *Tx, sync string, job uint64, limit int) (operations [][]byte, more bool, err error) {
	t := tx.Table(tableStaged)
	var keys [][]byte
	err = t.Scan(stagedPrefix(sync, job), nil, func(key, value []byte) (bool, error) {
		if limit > 0 && len(keys) == limit {
			more = true
			return false, nil
		}
		keys = append(keys, bytes.Clone(key))
		operations = append(operations, append([]byte{}, value...))
		return true, nil
	})
	if err != nil {
		return nil, false, err
	}
	for _, key := range keys {
		if err := t.Delete(key); err != nil {
			return nil, false, err
		}
	}
	if !more { // whatever the number said, none is left
		return operations, false, tx.Table(tableCounts).Delete(stagedCount(sync, job).key)
	}
	return operations, true, addCount(tx, stagedCount(sync, job), -len(keys))
}

// EachStaged calls fn with the operations of a job, which are valid during the call, in the order in which they were staged.
func EachStaged(tx *Tx, sync string, job uint64, fn func(operation []byte) error) error {
	return tx.Table(tableStaged).Scan(stagedPrefix(sync, job), nil, func(_, value []byte) (bool, error) {
		return true, fn(value)
	})
}

// CountStaged returns how many operations of a job are staged, without counting.
func CountStaged(tx *Tx, sync string, job uint64) (int, error) {
	return readCount(tx, stagedCount(sync, job))
}

// DropStaged removes all operations that a job has staged.
func DropStaged(tx *Tx, sync string, job uint64) error {
	return dropStaged(tx, stagedPrefix(sync, job))
}

func dropStaged(tx *Tx, prefix []byte) error {
	if _, err := tx.Table(tableStaged).DeletePrefix(prefix); err != nil {
		return err
	}
	return tx.Table(tableCounts).Delete(append(Key(tableStaged, ""), prefix...))
}

// DropStagedExcept removes the operations of all jobs of a sync ("": of all syncs) that keep does not ask for.
func DropStagedExcept(tx *Tx, sync string, keep func(job uint64) bool) error {
	t := tx.Table(tableStaged)
	var all []byte
	if sync != "" {
		all = Key(sync, "")
	}
	for from := all; ; {
		var prefix []byte
		next, kept := []byte(nil), false
		err := t.Scan(all, from, func(key, _ []byte) (bool, error) {
			found, job, ok := stagedJob(key)
			if !ok { // not a key of this table: Check reports it
				next, kept = append(bytes.Clone(key), 0), true
				return false, nil
			}
			prefix, kept = bytes.Clone(found), keep(job)
			next = Successor(prefix)
			return false, nil
		})
		if err != nil || prefix == nil && !kept {
			return err
		}
		if !kept {
			if err := dropStaged(tx, prefix); err != nil {
				return err
			}
		}
		if next == nil {
			return nil
		}
		from = next
	}
}
