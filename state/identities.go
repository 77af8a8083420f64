package state

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// Side is one of the sides of a sync.
type Side uint8

// The sides.
const (
	LocalSide Side = iota
	RemoteSide
)

// identity is what the baseline knows a file or folder by whatever its path is: a file by its time and its size, a folder by its
// ID. A file may be the same under another ID, and a folder has nothing else.
type identity struct {
	kind   entry.Kind
	time   int64
	number uint64
}

// identityOf says what an entry is known by, if by anything.
func identityOf(e entry.Entry) (id identity, ok bool) {
	switch {
	case e.Kind == entry.Dir && e.ID != 0:
		return identity{kind: e.Kind, number: e.ID}, true
	case e.Kind == entry.File && e.Size >= 0 && !e.ModTime.IsZero() && e.Precision <= time.Second:
		return identity{kind: e.Kind, time: e.ModTime.UnixNano(), number: uint64(e.Size)}, true
	}
	return identity{}, false
}

// on is the entry of a row on one side.
func (b Baseline) on(side Side) entry.Entry {
	if side == RemoteSide {
		return b.Remote
	}
	return b.Local
}

const (
	// blockRows is how many rows of the baseline are one place to look, and readRows how many are read in one transaction.
	blockRows, readRows = 256, 20_000
	// fewAdded, and a share of what it held at first, is how many rows are added to an index before it is made anew.
	fewAdded, shareAdded = 4096, 32
	// mostRead is how many rows are read for the one with the same ID, where more than enough have the same size and time.
	mostRead = 4096
)

// identities are indexes of the baseline in memory. Scans seldom need them, and they can be made anew: in the file they would
// make it three times as large, and commits several times as slow, since no order of rows suits both a path and a time.
type identities struct {
	seed maphash.Seed
	mu   sync.Mutex
	of   map[sideOf]*index
}

type sideOf struct {
	sync string
	side Side
}

// index finds rows of one sync by what they say of one side. It takes 8 bytes for a row. What it says may be out of date, so
// who looks reads the rows.
type index struct {
	building sync.Mutex
	built    bool
	// blocks are the keys at which the runs of about blockRows rows begin that a place stands for.
	blocks [][]byte
	// rows are sorted: the hash of an identity, and in the lower half the place.
	rows []uint64
	// recent are rows of commits since, in the order of time.
	mu     sync.Mutex
	recent []recentRow
}

type recentRow struct {
	hash uint32
	key  []byte
}

// putRow is a row of the baseline that a transaction wrote.
type putRow struct {
	sync          string
	key           []byte
	local, remote identity
}

func newIdentities() *identities {
	return &identities{seed: maphash.MakeSeed(), of: map[sideOf]*index{}}
}

func (i *identities) hash(id identity) uint32 {
	return uint32(maphash.Comparable(i.seed, id) >> 32)
}

// index returns the index of one side, which may have to be built.
func (i *identities) index(of sideOf) *index {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.of[of] == nil {
		i.of[of] = &index{}
	}
	return i.of[of]
}

// add takes in what a commit has written. From the moment that an index is asked for none is missed: what its builder does not
// see is committed later.
func (i *identities) add(rows []putRow) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.of) == 0 {
		return
	}
	for _, row := range rows {
		for side, id := range [...]identity{LocalSide: row.local, RemoteSide: row.remote} {
			of := sideOf{row.sync, Side(side)}
			if index := i.of[of]; index != nil && id != (identity{}) && index.add(recentRow{i.hash(id), row.key}) {
				delete(i.of, of)
			}
		}
	}
}

// add reports whether it is time for a new index.
func (x *index) add(row recentRow) (old bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recent = append(x.recent, row)
	return x.built && len(x.recent) > fewAdded+len(x.rows)/shareAdded
}

// Identified returns up to limit paths that are in the baseline with what e, as it is on one side, is known by: files with its
// size and time, or folders with its ID. Those with the same ID come first; of very many files some may be missed. The first call
// for a side reads all rows of the sync.
func (db *DB) Identified(sync string, side Side, e entry.Entry, limit int) (paths []string, err error) {
	id, ok := identityOf(e)
	if !ok {
		return nil, nil
	}
	of := sideOf{sync, side}
	index := db.identities.index(of)
	if err := db.build(index, of); err != nil {
		return nil, err
	}
	runs := index.find(db.identities.hash(id), Key(sync, ""))
	if len(runs) == 0 {
		return nil, nil
	}
	found := candidates{limit: limit, id: e.ID}
	err = db.View(func(tx *Tx) error {
		for _, r := range runs {
			err := tx.Table(tableBaseline).Scan(Key(sync, ""), r.from, func(key, value []byte) (bool, error) {
				if r.to != nil && bytes.Compare(key, r.to) >= 0 || found.enough() {
					return false, nil
				}
				found.read++
				row := readBaseline(key, value, "")
				if has, ok := identityOf(row.on(side)); !ok || has != id {
					return true, nil
				}
				if row.Path == "" {
					row.Path = pathOf(key)
				}
				found.add(row.Path, row.on(side).ID)
				return true, nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return found.paths(), err
}

// candidates are paths that something may have had before.
type candidates struct {
	limit      int
	id         uint64
	same, like []string // with the ID id, and others
	read       int
}

func (c *candidates) add(path string, id uint64) {
	switch {
	case slices.Contains(c.same, path) || slices.Contains(c.like, path):
	case c.id != 0 && id == c.id:
		c.same = append(c.same, path)
	case len(c.like) < c.limit:
		c.like = append(c.like, path)
	}
}

// enough reports whether nothing is to be gained from further rows.
func (c *candidates) enough() bool {
	return len(c.same)+len(c.like) >= c.limit && (c.id == 0 || len(c.same) > 0 || c.read >= mostRead)
}

func (c *candidates) paths() []string {
	all := append(c.same, c.like...)
	return all[:min(len(all), c.limit)]
}

// run is a range of keys; to is nil for the last one of a sync.
type run struct{ from, to []byte }

// find returns where rows with this hash are, or were.
func (x *index) find(hash uint32, first []byte) (runs []run) {
	at, _ := slices.BinarySearch(x.rows, uint64(hash)<<32)
	for ; at < len(x.rows) && uint32(x.rows[at]>>32) == hash; at++ {
		block := int(uint32(x.rows[at]))
		r := run{from: x.blocks[block]}
		if block == 0 {
			r.from = first
		}
		if block+1 < len(x.blocks) {
			r.to = x.blocks[block+1]
		}
		runs = append(runs, r)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, row := range x.recent {
		if row.hash == hash {
			runs = append(runs, run{row.key, append(bytes.Clone(row.key), 0)})
		}
	}
	return runs
}

// build reads all rows of the sync, unless that is done. Others may write meanwhile.
func (db *DB) build(x *index, of sideOf) error {
	x.building.Lock()
	defer x.building.Unlock()
	if x.built {
		return nil
	}
	var rows []uint64
	var blocks [][]byte
	prefix := Key(of.sync, "")
	seen := 0
	for next, more := prefix, true; more; {
		more = false
		err := db.View(func(tx *Tx) error {
			if rows == nil {
				known, err := CountBaseline(tx, of.sync)
				if err != nil {
					return err
				}
				rows = make([]uint64, 0, max(known, 0))
			}
			return tx.Table(tableBaseline).Scan(prefix, next, func(key, value []byte) (bool, error) {
				if seen%readRows == 0 && seen > 0 && !bytes.Equal(key, next) {
					next, more = bytes.Clone(key), true
					return false, nil
				}
				if seen%blockRows == 0 {
					blocks = append(blocks, bytes.Clone(key))
				}
				seen++
				row := readBaseline(key, value, "")
				if id, ok := identityOf(row.on(of.side)); ok {
					rows = append(rows, uint64(db.identities.hash(id))<<32|uint64(len(blocks)-1))
				}
				return true, nil
			})
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(rows)
	x.rows, x.blocks = slices.Clip(slices.Compact(rows)), blocks
	x.mu.Lock()
	x.built = true
	x.mu.Unlock()
	return nil
}

// pathOf returns the path that a key of the baseline tells, where no part of it is shortened.
func pathOf(key []byte) string {
	parts := KeyStrings(key)
	if len(parts) < 3 {
		return ""
	}
	if parts[1] == "" {
		return parts[2]
	}
	return parts[1] + "/" + parts[2]
}

// putBaseline notes a row for the indexes.
func (tx *Tx) putBaseline(sync string, key []byte, b Baseline) {
	local, here := identityOf(b.Local)
	remote, there := identityOf(b.Remote)
	if here || there {
		tx.put = append(tx.put, putRow{sync, key, local, remote})
	}
}
