package state

import (
	"bytes"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// appendOnly lists the tables whose keys only grow; their pages are filled to the brim instead
// of half, which halves the file.
var appendOnly = map[string]bool{"queue/jobs": true, tableHistory: true, tableStaged: true}

const appendOnlyFill = 0.9

// hot lists the tables of a few rows that change with almost every row of others. What is written to them stays in memory until
// the end of the transaction: each of the numbers is written once, and not once for each of hundreds of jobs.
var hot = map[string]bool{tableCounts: true, "queue/counts": true}

// deleteChunk bounds the keys that DeletePrefix holds in memory.
const deleteChunk = 4096

// Tx is one transaction, valid inside the function it is passed to and for one goroutine.
type Tx struct {
	path     string
	writable bool
	engine   *bolt.Tx
	tables   map[string]*openTable
	// put are the rows of the baseline that were written, for who indexes them.
	put []putRow
	// notes is told of notes that change.
	notes *noteChanges
	// inEngine is set while the engine runs, so that its panics can be told from those of
	// the caller.
	inEngine bool
	// giveBack is told how much of the memory map was touched; touched is what it was not told yet, told what it was.
	giveBack      func(tx *bolt.Tx, touched int64)
	touched, told int64
}

type openTable struct {
	bucket *bolt.Bucket // nil: the table does not exist
	// cursor finds single rows; it is used over and over, as a new one takes four pieces of memory.
	cursor *bolt.Cursor
	// hot and appended: see the tables of that name.
	hot, appended bool
	scans         int // scans under way
	// newest is the newest of the keys that noteNew was told of, added their number and ordered that of those above their
	// predecessor.
	newest         []byte
	added, ordered int
	// late are the rows of a hot table that are not written yet, by key; nil for those that are removed.
	late map[string][]byte
}

// flush writes what is late.
func (tx *Tx) flush() error {
	for name, table := range tx.tables {
		if err := tx.Table(name).flush(table); err != nil {
			return err
		}
	}
	return nil
}

func (t Table) flush(table *openTable) error {
	late := table.late
	table.late = nil
	for key, value := range late {
		op := "write to"
		if value == nil {
			op = "delete from"
		}
		err := t.change(op, func(table *openTable) error {
			t.tx.touch(1, 0)
			if value == nil {
				return table.delete([]byte(key))
			}
			if err := t.create(table); err != nil {
				return err
			}
			return table.bucket.Put([]byte(key), value)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// touch counts what reading makes resident: a place in the table, where the system maps pages around the one that is
// wanted, and the rows from there on.
func (tx *Tx) touch(places, bytes int) {
	tx.touched += int64(places)*placeCost + int64(bytes)
	if tx.touched >= smallFile {
		tx.end()
	}
}

// end hands on what was counted. The transaction must still be open.
func (tx *Tx) end() {
	if size := tx.engine.Size(); size <= smallFile {
		tx.touched = min(tx.touched, size-tx.told) // the same places were touched over and over
	}
	tx.giveBack(tx.engine, tx.touched)
	tx.told, tx.touched = tx.told+tx.touched, 0
}

// isDamage tells a panic that is due to a damaged file from a bug of the caller. A fault with an
// address is a read of a value that lies behind the end of a file cut short.
func (tx *Tx) isDamage(p any) bool {
	_, fault := p.(interface{ Addr() uintptr })
	return tx.inEngine || fault
}

// Table returns the ordered table with that name. Tables need no declaration: one that was never
// written is empty.
func (tx *Tx) Table(name string) Table { return Table{tx: tx, name: name} }

// Table is an ordered map from keys (1 to 32,768 bytes) to values. Slices that come from it are
// read-only and valid inside the transaction.
type Table struct {
	tx   *Tx
	name string
}

// open finds the table. Only the engine runs in here, so the caller sets inEngine around it.
func (t Table) open() *openTable {
	table, ok := t.tx.tables[t.name]
	if !ok {
		table = &openTable{hot: hot[t.name], appended: appendOnly[t.name]}
		table.use(t.tx.engine.Bucket([]byte(t.name)))
		t.tx.tables[t.name] = table
	}
	return table
}

// create makes the table if it does not exist.
func (t Table) create(table *openTable) error {
	if table.bucket != nil {
		return nil
	}
	bucket, err := t.tx.engine.CreateBucket([]byte(t.name))
	if err == nil {
		table.use(bucket)
	}
	return err
}

func (o *openTable) use(bucket *bolt.Bucket) {
	if bucket == nil {
		return
	}
	o.bucket, o.cursor = bucket, bucket.Cursor()
	if o.appended {
		bucket.FillPercent = appendOnlyFill // the engine forgets it
	}
}

// find puts the cursor at key, and reports whether there is such a row. The table must exist.
func (o *openTable) find(key []byte) (value []byte, found bool) {
	at, value := o.cursor.Seek(key) // from the root, whatever was written since
	return value, at != nil && bytes.Equal(at, key)
}

func (o *openTable) delete(key []byte) error {
	if o.bucket == nil {
		return nil
	}
	if _, found := o.find(key); !found {
		return nil
	}
	return o.cursor.Delete()
}

func (t Table) fail(op string, err error) error {
	return &Error{Op: fmt.Sprintf("%s table %q", op, t.name), Path: t.tx.path, Err: err}
}

// Get returns the value of key, or nil if there is none. An empty value is not nil.
func (t Table) Get(key []byte) []byte {
	var value []byte
	t.tx.inEngine = true
	table := t.open()
	if late, ok := table.late[string(key)]; ok {
		t.tx.inEngine = false
		return late
	}
	if table.bucket != nil {
		if there, found := table.find(key); found {
			value = there
		}
	}
	t.tx.inEngine = false
	t.tx.touch(1, len(value))
	return value
}

// Put sets the value of key. Neither slice may be changed before the transaction is over.
func (t Table) Put(key, value []byte) error {
	switch {
	case len(key) == 0:
		return t.fail("write to", errors.New("the key is empty"))
	case len(key) > bolt.MaxKeySize:
		return t.fail("write to", fmt.Errorf("the key has %d bytes, the most is %d", len(key), bolt.MaxKeySize))
	}
	if value == nil {
		value = []byte{} // so that Get can tell it from a missing key
	}
	return t.change("write to", func(table *openTable) error {
		if table.hot {
			table.writeLate(key, value)
			return nil
		}
		t.tx.touch(1, 0)
		if err := t.create(table); err != nil {
			return err
		}
		return table.bucket.Put(key, value)
	})
}

// Delete removes key, which need not exist.
func (t Table) Delete(key []byte) error {
	return t.change("delete from", func(table *openTable) error {
		if table.hot {
			table.writeLate(key, nil)
			return nil
		}
		t.tx.touch(1, 0)
		return table.delete(key)
	})
}

// DeletePrefix removes every key that starts with prefix and returns how many there were. An
// empty prefix empties the table; numbers from NextID go on where they were.
func (t Table) DeletePrefix(prefix []byte) (int, error) {
	removed := 0
	for from := prefix; ; {
		// Collect, then delete: a cursor of the engine skips keys when they go away
		// under it in a transaction that has already written to their page.
		var keys [][]byte
		err := t.Scan(prefix, from, func(key, _ []byte) (bool, error) {
			keys = append(keys, bytes.Clone(key))
			return len(keys) < deleteChunk, nil
		})
		if err != nil || len(keys) == 0 {
			return removed, err
		}
		for _, key := range keys {
			if err := t.Delete(key); err != nil {
				return removed, err
			}
			removed++
		}
		// Not from the start: in a damaged tree a key may be seen by a scan and not be found to be deleted.
		from = append(keys[len(keys)-1], 0)
	}
}

// change runs do on the table, whose bucket need not be there, and refuses what would go wrong silently.
func (t Table) change(op string, do func(*openTable) error) error {
	if !t.tx.writable {
		return t.fail(op, ErrReadOnly)
	}
	t.tx.inEngine = true
	table := t.open()
	var err error
	if table.scans > 0 {
		err = errors.New("a scan of the same table is under way; collect first, then write")
	} else {
		err = do(table)
	}
	t.tx.inEngine = false
	if err != nil {
		return t.fail(op, err)
	}
	return nil
}

// writeLate is for a row of a hot table, with a nil value to remove it.
func (o *openTable) writeLate(key, value []byte) {
	if o.late == nil {
		o.late = map[string][]byte{}
	}
	o.late[string(key)] = value
}

// Scan calls fn in ascending order for every key that starts with prefix and is not below from,
// until fn returns false or an error, which is returned as it is. Both bounds may be nil. fn may
// write to other tables but not to this one.
func (t Table) Scan(prefix, from []byte, fn func(key, value []byte) (more bool, err error)) error {
	start := prefix
	if bytes.Compare(from, prefix) > 0 {
		start = from
	}
	return t.walk(prefix, func(c *bolt.Cursor) ([]byte, []byte) {
		if len(start) == 0 {
			return c.First()
		}
		return c.Seek(start)
	}, (*bolt.Cursor).Next, -1, fn)
}

// ScanBack is Scan in descending order, from the last key that starts with prefix.
func (t Table) ScanBack(prefix []byte, fn func(key, value []byte) (more bool, err error)) error {
	return t.walk(prefix, func(c *bolt.Cursor) ([]byte, []byte) {
		if end := Successor(prefix); end != nil {
			if key, _ := c.Seek(end); key != nil {
				return c.Prev()
			}
		}
		return c.Last()
	}, (*bolt.Cursor).Prev, +1, fn)
}

// scanBefore is ScanBack over all keys below before; nil means all keys.
func (t Table) scanBefore(before []byte, fn func(key, value []byte) (more bool, err error)) error {
	return t.walk(nil, func(c *bolt.Cursor) ([]byte, []byte) {
		if before != nil {
			if key, _ := c.Seek(before); key != nil {
				return c.Prev()
			}
		}
		return c.Last()
	}, (*bolt.Cursor).Prev, +1, fn)
}

// Last returns the last key that starts with prefix and its value, or nil.
func (t Table) Last(prefix []byte) (key, value []byte) {
	_ = t.ScanBack(prefix, func(k, v []byte) (bool, error) { // this fn has no errors
		key, value = k, v
		return false, nil
	})
	return key, value
}

// walk calls fn for the rows from first on. order is what bytes.Compare says of one key and the next.
func (t Table) walk(prefix []byte, first, next func(*bolt.Cursor) ([]byte, []byte), order int, fn func(key, value []byte) (bool, error)) error {
	t.tx.inEngine = true
	table, err := t.open(), error(nil)
	if len(table.late) > 0 {
		err = t.flush(table) // out of the engine
		t.tx.inEngine = true
	}
	if err != nil || table.bucket == nil {
		t.tx.inEngine = false
		return err
	}
	cursor := table.bucket.Cursor()
	table.scans++
	defer func() { table.scans-- }()
	key, value := first(cursor)
	t.tx.inEngine = false
	t.tx.touch(1, 0)
	for key != nil && bytes.HasPrefix(key, prefix) {
		size := len(key) + len(value)
		more, err := fn(key, value)
		t.tx.touch(0, 2*size) // pages may be half empty
		if err != nil || !more {
			return err
		}
		t.tx.inEngine = true
		last := key
		if key, value = next(cursor); key != nil && bytes.Compare(last, key) != order {
			// Damage that the engine does not see: it would go round in circles.
			panic("keys out of order")
		}
		t.tx.inEngine = false
	}
	return nil
}

// NextID returns the next number of this table, from 1. A number is taken only once the
// transaction has committed, so it must not leave the transaction before.
func (t Table) NextID() (uint64, error) {
	var id uint64
	err := t.change("number a row of", func(table *openTable) (err error) {
		if err = t.create(table); err == nil {
			id, err = table.bucket.NextSequence()
		}
		return err
	})
	return id, err
}

// LastID returns the number that NextID gave last, 0 if it never gave any.
func (t Table) LastID() uint64 {
	var id uint64
	t.tx.inEngine = true
	if table := t.open(); table.bucket != nil {
		id = table.bucket.Sequence()
	}
	t.tx.inEngine = false
	return id
}

// orderedFrom is the number of new keys from which their order tells how the next ones will come.
const orderedFrom = 8

// noteNew says that key was added by this transaction. Where new keys come in order, as a scan finds them, pages are filled to
// the brim: a million rows take 128 MB instead of 226. Where they do not, full pages would be split over and over, and the
// file grow by half.
func (t Table) noteNew(key []byte) {
	table := t.tx.tables[t.name]
	table.added++
	if bytes.Compare(key, table.newest) > 0 {
		table.ordered++
	}
	table.newest = key
	table.bucket.FillPercent = bolt.DefaultFillPercent
	if table.added >= orderedFrom && table.ordered*10 >= table.added*9 {
		table.bucket.FillPercent = appendOnlyFill
	}
}
