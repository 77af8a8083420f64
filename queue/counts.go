package queue

import (
	"encoding/binary"
	"time"

	"github.com/ftpferry/ftpferry/state"
)

// Counts are the numbers of jobs by state.
type Counts struct {
	Due, Waiting, Running, Dead int
	// Retrying is how many of Waiting have failed before.
	Retrying int
	// NextDue is when the first waiting job becomes due; zero if none waits.
	NextDue time.Time
}

// tally is the row of one sync in queue/counts: numbers of eight bytes each.
type tally [tallySize]int

// Places in a tally. Serial jobs are counted apart, because Claim asks for that.
const (
	tallyDue = iota
	tallyDueSerial
	tallyRunning
	tallyRunningSerial
	tallyWaiting
	tallyRetrying
	tallyDead
	tallySize
)

func (c *tally) add(job Job, delta int) {
	switch job.State {
	case Waiting:
		c[tallyWaiting] += delta
		if job.LastError != "" {
			c[tallyRetrying] += delta
		}
	case Due:
		c[tallyDue+int(serialByte(job.Serial))] += delta
	case Running:
		c[tallyRunning+int(serialByte(job.Serial))] += delta
	case Dead:
		c[tallyDead] += delta
	}
}

func decodeTally(value []byte) (c tally) {
	for i := range c {
		if len(value) >= 8*(i+1) {
			c[i] = int(binary.BigEndian.Uint64(value[8*i:]))
		}
	}
	return c
}

func (c tally) encode() []byte {
	value := make([]byte, 0, 8*tallySize)
	for _, n := range c {
		value = binary.BigEndian.AppendUint64(value, uint64(n))
	}
	return value
}

func tallyOf(tx *state.Tx, sync string) tally {
	return decodeTally(tx.Table(tableCounts).Get(tallyKey(sync)))
}

func tallyKey(sync string) []byte { return state.Key(sync, "") }

// recount takes a job from one number of its sync to another; either may be nil.
func recount(tx *state.Tx, old, job *Job) error {
	sync := ""
	var c tally
	if old != nil {
		sync = old.Sync
		c.add(*old, -1)
	}
	if job != nil {
		sync = job.Sync
		c.add(*job, +1)
	}
	if c == (tally{}) {
		return nil
	}
	counts, key := tx.Table(tableCounts), tallyKey(sync)
	for i, n := range decodeTally(counts.Get(key)) {
		c[i] += n
	}
	if c == (tally{}) {
		return counts.Delete(key)
	}
	return counts.Put(key, c.encode())
}

// Summary returns the numbers of a sync, or of all together if sync is "". It looks at no job.
func Summary(tx *state.Tx, sync string) (Counts, error) {
	if sync != "" {
		counts := tallyOf(tx, sync).counts()
		prefix := append(state.Key(sync, ""), stateByte(Waiting))
		err := tx.Table(tableSync).Scan(prefix, nil, func(key, _ []byte) (bool, error) {
			counts.NextDue, _ = runAtOf(key[len(prefix):])
			return false, nil
		})
		return counts, err
	}
	var sum tally
	err := tx.Table(tableCounts).Scan(nil, nil, func(_, value []byte) (bool, error) {
		for i, n := range decodeTally(value) {
			sum[i] += n
		}
		return true, nil
	})
	counts := sum.counts()
	counts.NextDue, _ = NextDue(tx)
	return counts, err
}

func (c tally) counts() Counts {
	return Counts{
		Due:      c[tallyDue] + c[tallyDueSerial],
		Running:  c[tallyRunning] + c[tallyRunningSerial],
		Waiting:  c[tallyWaiting],
		Retrying: c[tallyRetrying],
		Dead:     c[tallyDead],
	}
}

// NextDue returns when the first waiting job becomes due, and whether there is one. Jobs that
// are due already do not count.
func NextDue(tx *state.Tx) (next time.Time, ok bool) {
	err := tx.Table(tableWait).Scan(nil, nil, func(key, _ []byte) (bool, error) {
		next, ok = runAtOf(key)
		return false, nil
	})
	return next, ok && err == nil
}

// runAtOf takes apart the end of a key of a waiting job: its time and its number. Claim repairs
// what is nothing like that.
func runAtOf(key []byte) (at time.Time, ok bool) {
	if len(key) != 8+8 {
		return time.Time{}, false
	}
	return state.KeyTime(key), true
}

// Syncs returns the syncs that have jobs, sorted. Rows that do not say whose they are count for the sync "".
func Syncs(tx *state.Tx) (syncs []string, err error) {
	err = tx.Table(tableCounts).Scan(nil, nil, func(key, _ []byte) (bool, error) {
		syncs = append(syncs, state.KeyStrings(key)[0])
		return true, nil
	})
	return syncs, err
}
