package queue

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// FatalCrashes in a row make a job dead.
const FatalCrashes = 3

// Crashed reports whether the job is dead because the agent went down while it was running, again and again.
func (j Job) Crashed() bool { return j.State == Dead && j.Crashes >= FatalCrashes }

// Recovered tells what Recover did with the running jobs.
type Recovered struct {
	Requeued, Dead []ID
}

// Recover takes back all running jobs. It must be called once after the file was opened and
// before the first Claim: then nobody can be working on them. They become due again, to go on
// from their Progress, or else with what was enqueued meanwhile; the third crash in a row makes
// a job dead.
func Recover(tx *state.Tx, now time.Time) (Recovered, error) {
	var done Recovered
	err := healed(tx, now, func() error {
		ids, err := idsOf(tx.Table(tableRunning), nil)
		if err != nil {
			return err
		}
		for _, id := range ids {
			old, err := loadIndexed(tx, id, Running)
			if err != nil {
				return err
			}
			job := old
			job.Crashes++
			if job.Crashes >= FatalCrashes {
				job.takeNext()
				job.LastError, job.LastReply = fmt.Sprintf("was running in %d crashes of the agent", job.Crashes), ""
				job.die(now)
				done.Dead = append(done.Dead, id)
			} else {
				job.State = Due
				if job.takeNextUnlessBegun() {
					job.schedule(now)
				}
				done.Requeued = append(done.Requeued, id)
			}
			if err := replace(tx, &old, job); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return done, fmt.Errorf("queue: recover running jobs: %w", err)
	}
	return done, nil
}

// Poison returns a copy of the bytes of a row that could not be read, and whether there are any.
// They are kept until the job is dropped or its path is enqueued anew.
func Poison(tx *state.Tx, id ID) (row []byte, ok bool) {
	kept := tx.Table(tablePoison).Get(idKey(id))
	if _, err := load(tx, id); errors.Is(err, state.ErrBadRow) { // not met by a repair yet
		kept = tx.Table(tableJobs).Get(idKey(id))
	}
	return bytes.Clone(kept), kept != nil
}

// healed runs do. If that meets a row that cannot be read or an index that points nowhere, the
// queue is repaired and do runs once more, so do must be able to go on where it stopped.
func healed(tx *state.Tx, now time.Time, do func() error) error {
	err := do()
	if Damaged(err) {
		if err := repair(tx, now); err != nil {
			return fmt.Errorf("repair: %w", err)
		}
		return do()
	}
	return err
}

// Damaged reports whether an error is about rows or indexes of the queue that do not fit, which Repair mends.
func Damaged(err error) bool { return errors.Is(err, state.ErrBadRow) || errors.Is(err, ErrIndex) }

// Repair puts dead jobs in the place of rows that cannot be read, and makes all indexes anew. What changes jobs does so by itself where
// it has to; what only looks for one, such as Lookup, does not. It is slow.
func Repair(tx *state.Tx, now time.Time) error {
	if err := repair(tx, now); err != nil {
		return fmt.Errorf("queue: repair: %w", err)
	}
	return nil
}

// KindUnreadable is the kind of a dead job whose row says nothing any more, not even of which sync it is.
const KindUnreadable = "unreadable"

// repair puts dead jobs in the place of rows that cannot be read or that are second to another
// of the same kind, sync and path, keeps their bytes in queue/poison, and makes all indexes anew.
// It is slow and hardly ever needed.
func repair(tx *state.Tx, now time.Time) error {
	bad, err := unreadable(tx)
	if err != nil {
		return err
	}
	jobs := tx.Table(tableJobs)
	for key, job := range bad {
		value := bytes.Clone(jobs.Get([]byte(key)))
		if err := jobs.Delete([]byte(key)); err != nil {
			return err
		}
		if len(key) != len(idKey(0)) { // its end may be the number of another job
			if job.ID, err = freeID(tx); err != nil {
				return err
			}
			job.Path = standInPath(job.ID)
		}
		if err := tx.Table(tablePoison).Put(idKey(job.ID), value); err != nil {
			return err
		}
		job.die(now)
		if err := writeJob(tx, &job); err != nil {
			return err
		}
	}
	for _, table := range indexTables {
		if _, err := tx.Table(table).DeletePrefix(nil); err != nil {
			return err
		}
	}
	return jobs.Scan(nil, nil, func(key, value []byte) (bool, error) {
		job, err := decodeJob(jobs, key, value)
		if err != nil {
			return false, err
		}
		return true, reindex(tx, nil, &job)
	})
}

// unreadable returns stand-ins for the rows that cannot be read, by key. What tells the work from
// other work is still in the index, unless the path was too long for it.
func unreadable(tx *state.Tx) (map[string]Job, error) {
	bad := make(map[string]Job)
	keys := make(map[ID]string)
	first := make(map[string]ID)
	jobs := tx.Table(tableJobs)
	err := jobs.Scan(nil, nil, func(key, value []byte) (bool, error) {
		job, err := decodeJob(jobs, key, value)
		if err != nil {
			bad[string(key)] = standIn(idOf(key), err)
			if len(key) == len(idKey(0)) {
				keys[idOf(key)] = string(key)
			}
			return true, nil
		}
		unique := string(uniqueKey(job.Kind, job.Sync, job.Path))
		if other, ok := first[unique]; ok {
			bad[string(key)] = standIn(job.ID, fmt.Errorf("%s of %q is job %d already", job.Kind, job.Path, other))
		} else {
			first[unique] = job.ID
		}
		return true, nil
	})
	if err != nil || len(keys) == 0 {
		return bad, err
	}
	err = tx.Table(tableUnique).Scan(nil, nil, func(key, value []byte) (bool, error) {
		jobKey, ok := keys[idOf(value)]
		if !ok {
			return true, nil
		}
		parts := state.KeyStrings(key)
		_, taken := first[string(key)]
		if !taken && len(parts) == 3 && parts[0] != "" && bytes.Equal(uniqueKey(parts[0], parts[1], parts[2]), key) {
			job := bad[jobKey]
			job.Kind, job.Sync, job.Path = parts[0], parts[1], parts[2]
			bad[jobKey] = job
			first[string(key)] = job.ID
		}
		return true, nil
	})
	return bad, err
}

func standIn(id ID, err error) Job {
	return Job{
		ID:        id,
		New:       New{Kind: KindUnreadable, Path: standInPath(id)},
		State:     Dead,
		LastError: err.Error(),
	}
}

func standInPath(id ID) string { return fmt.Sprintf("job-%d", id) }
