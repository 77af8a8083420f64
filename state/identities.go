package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// tableIdentities says under which path the baseline knows a file or folder, so that one that was renamed can be found by what it
// is. Only syncs that ask for it have rows, since there is about one for each row of the baseline:
//
//	sync 00                                    the sides that are indexed, and how far: see indexing
//	sync 00 kind identity path (shortened)     empty, or the path where it was shortened
//
// The kind tells files from folders and the sides from each other. The identity of a file is its time and its size, that of a
// folder is its ID: a file may be the same under another ID, and a folder has nothing else.
const tableIdentities = "identities"

// Sides is a set of the sides of a sync.
type Sides uint8

// The sides.
const (
	LocalSide Sides = 1 << iota
	RemoteSide
)

const (
	localFile byte = 'f'
	localDir  byte = 'd'
	farFile   byte = 'F'
	farDir    byte = 'D'
)

// indexing is how far the index of a sync is.
type indexing struct {
	sides Sides // 0: all rows have to go
	// next is where in the baseline it goes on, without the sync; what comes before it is indexed. Empty for the beginning.
	next []byte
	done bool
}

// indexing reads the row, once in a transaction.
func (tx *Tx) indexing(sync string) *indexing {
	if known, ok := tx.indexed[sync]; ok {
		return known
	}
	var state *indexing
	if value := tx.Table(tableIdentities).Get(Key(sync, "")); value != nil {
		state = decodeIndexing(value)
	}
	tx.indexed[sync] = state
	return state
}

// decodeIndexing takes what it cannot read for an index that has to go.
func decodeIndexing(value []byte) *indexing {
	if len(value) < 2 || Sides(value[0])&^(LocalSide|RemoteSide) != 0 || value[1] > 1 {
		return &indexing{}
	}
	return &indexing{sides: Sides(value[0]), done: value[1] == 1, next: bytes.Clone(value[2:])}
}

func (tx *Tx) putIndexing(sync string, state *indexing) error {
	tx.indexed[sync] = state
	if state == nil {
		return tx.Table(tableIdentities).Delete(Key(sync, ""))
	}
	value := append([]byte{byte(state.sides), 0}, state.next...)
	if state.done {
		value[1] = 1
	}
	return tx.Table(tableIdentities).Put(Key(sync, ""), value)
}

// identity returns where the index has what an entry is known by, without the path; nil if it is known by nothing.
func identity(sync string, side Sides, e entry.Entry) []byte {
	kinds := [...]byte{localFile, localDir}
	if side == RemoteSide {
		kinds = [...]byte{farFile, farDir}
	}
	key := Key(sync, "")
	switch {
	case e.Kind == entry.Dir && e.ID != 0:
		return binary.BigEndian.AppendUint64(append(key, kinds[1]), e.ID)
	case e.Kind == entry.File && e.Size >= 0 && !e.ModTime.IsZero() && e.Precision <= time.Second:
		// Files that were made together lie together: pages are filled better, and fewer change at a time.
		key = binary.BigEndian.AppendUint64(append(key, kinds[0]), uint64(e.ModTime.UnixNano()))
		return binary.AppendUvarint(key, uint64(e.Size))
	}
	return nil
}

// identities returns the keys of all rows of the index about a row of the baseline.
func (b Baseline) identities(sync string, sides Sides) [][]byte {
	var keys [][]byte
	for _, of := range [...]struct {
		side Sides
		e    entry.Entry
	}{{LocalSide, b.Local}, {RemoteSide, b.Remote}} {
		if key := identity(sync, of.side, of.e); sides&of.side != 0 && key != nil {
			keys = append(keys, appendEscaped(key, Shorten(b.Path)))
		}
	}
	return keys
}

// indexBaseline replaces what the index says about the row at key, of which old and row are the values; nil is none.
func indexBaseline(tx *Tx, sync, path string, key, old []byte, now *Baseline) error {
	state := tx.indexing(sync)
	if state == nil || state.sides == 0 {
		return nil
	}
	var gone, added [][]byte
	if old != nil {
		was := readBaseline(key, old, path)
		if was.Bad != "" {
			// Nobody can tell which rows of the index are about it.
			return tx.putIndexing(sync, &indexing{})
		}
		gone = was.identities(sync, state.sides)
	}
	if now != nil {
		added = now.identities(sync, state.sides)
	}
	t := tx.Table(tableIdentities)
	for _, key := range gone {
		if !contains(added, key) {
			if err := t.Delete(key); err != nil {
				return err
			}
		}
	}
	for _, key := range added {
		if contains(gone, key) && state.done {
			continue
		}
		if err := t.Put(key, shortenedPath(path)); err != nil {
			return err
		}
	}
	return nil
}

func contains(keys [][]byte, key []byte) bool {
	for _, other := range keys {
		if bytes.Equal(other, key) {
			return true
		}
	}
	return false
}

// shortenedPath is the value of a row: the path, if its key does not hold all of it.
func shortenedPath(path string) []byte {
	if len(path) <= longest {
		return nil
	}
	return []byte(path)
}

// Identified returns up to limit paths that are in the baseline with what e, as it is on one side, is known by: files with its
// size and time, or folders with its ID. It knows nothing of syncs, sides and rows that were not indexed, see IndexIdentities.
func Identified(tx *Tx, sync string, side Sides, e entry.Entry, limit int) ([]string, error) {
	prefix := identity(sync, side, e)
	if prefix == nil {
		return nil, nil
	}
	var paths []string
	err := tx.Table(tableIdentities).Scan(prefix, nil, func(key, value []byte) (bool, error) {
		path := string(value)
		if path == "" {
			path = KeyStrings(key[len(prefix):])[0]
		}
		paths = append(paths, path)
		return len(paths) < limit, nil
	})
	return paths, err
}

// IndexIdentities sees to it that the rows of a sync are indexed by what they say of these sides, and of no others; 0 is for
// syncs that need no index. It works off up to limit rows; done says that none are left. Meanwhile and from then on each change
// of the baseline keeps the index in step.
func IndexIdentities(tx *Tx, sync string, sides Sides, limit int) (done bool, err error) {
	state := tx.indexing(sync)
	if state == nil && sides == 0 {
		return true, nil
	}
	if state == nil {
		state = &indexing{sides: sides}
	}
	if state.sides != sides || sides == 0 {
		left, err := dropIdentities(tx, sync, limit)
		switch {
		case err != nil:
			return false, err
		case left:
			return false, tx.putIndexing(sync, &indexing{})
		case sides == 0:
			return true, tx.putIndexing(sync, nil)
		}
		return false, tx.putIndexing(sync, &indexing{sides: sides})
	}
	if state.done {
		return true, nil
	}
	next, err := indexRows(tx, sync, state, limit)
	if err != nil {
		return false, err
	}
	return next == nil, tx.putIndexing(sync, &indexing{sides: sides, next: next, done: next == nil})
}

// dropIdentities removes rows of a sync, up to limit, and says whether there may be others.
func dropIdentities(tx *Tx, sync string, limit int) (left bool, err error) {
	t := tx.Table(tableIdentities)
	var keys [][]byte
	prefix := Key(sync, "")
	err = t.Scan(prefix, append(bytes.Clone(prefix), 0), func(key, _ []byte) (bool, error) {
		keys = append(keys, bytes.Clone(key))
		return len(keys) < limit, nil
	})
	if err != nil {
		return false, err
	}
	for _, key := range keys {
		if err := t.Delete(key); err != nil {
			return false, err
		}
	}
	return len(keys) >= limit, nil
}

// indexRows indexes up to limit rows of the baseline from where state is, and returns where to go on; nil at the end.
func indexRows(tx *Tx, sync string, state *indexing, limit int) (next []byte, err error) {
	prefix := Key(sync, "")
	seen := 0
	index := tx.Table(tableIdentities)
	err = tx.Table(tableBaseline).Scan(prefix, append(bytes.Clone(prefix), state.next...), func(key, value []byte) (bool, error) {
		if seen++; seen > limit {
			next = bytes.Clone(key[len(prefix):])
			return false, nil
		}
		row := readBaseline(key, value, pathOf(key))
		for _, key := range row.identities(sync, state.sides) {
			if err := index.Put(key, shortenedPath(row.Path)); err != nil {
				return false, err
			}
		}
		return true, nil
	})
	return next, err
}

// pathOf returns the path that a key of the baseline tells, which is not all of it where a part is shortened.
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

func checkIdentity(key, value []byte) error {
	_, rest, found := bytes.Cut(key, []byte{0})
	switch {
	case !found:
		return badRow("its key names no sync")
	case len(rest) == 0:
		if decodeIndexing(value).sides == 0 && !bytes.Equal(value, []byte{0, 0}) {
			return badRow("it does not say what is indexed")
		}
		return nil
	case len(rest) < 10 || bytes.IndexByte([]byte{localFile, localDir, farFile, farDir}, rest[0]) < 0:
		return badRow("its key is not one of an identity")
	}
	return nil
}

// checkIdentities compares the index with the baseline, both ways.
func checkIdentities(tx *Tx, problem func(string)) error {
	t := tx.Table(tableIdentities)
	tell := func(key []byte, text string) { problem(t.failRow("read", key, errors.New(text)).Error()) }
	err := t.Scan(nil, nil, func(key, value []byte) (bool, error) {
		if checkIdentity(key, value) != nil || bytes.IndexByte(key, 0) == len(key)-1 {
			return true, nil // told before, or no identity
		}
		sync := firstPart(key)
		state := tx.indexing(sync)
		switch {
		case state == nil:
			tell(key, "the sync has no index")
		case state.sides == 0: // all of it will go
		case !isIdentified(tx, sync, state.sides, key, value):
			tell(key, "the baseline does not say so")
		}
		return true, nil
	})
	if err != nil {
		return err
	}
	return tx.Table(tableBaseline).Scan(nil, nil, func(key, value []byte) (bool, error) {
		sync := firstPart(key)
		state := tx.indexing(sync)
		row := readBaseline(key, value, pathOf(key))
		if state == nil || state.sides == 0 || row.Bad != "" || !state.done && bytes.Compare(key[len(Key(sync, "")):], state.next) >= 0 {
			return true, nil
		}
		for _, identity := range row.identities(sync, state.sides) {
			if t.Get(identity) == nil {
				tell(identity, fmt.Sprintf("it is missing, the baseline has %.100q", row.Path))
			}
		}
		return true, nil
	})
}

// isIdentified reports whether the baseline says what a row of the index says.
func isIdentified(tx *Tx, sync string, sides Sides, key, value []byte) bool {
	path := string(value)
	if path == "" {
		rest := key[len(Key(sync, "")):]
		start := 1 + 8
		if rest[0] == localFile || rest[0] == farFile {
			_, length := binary.Uvarint(rest[start:])
			start += max(length, 0)
		}
		path = KeyStrings(rest[start:])[0]
	}
	row, ok, err := GetBaseline(tx, sync, path)
	return err == nil && ok && (row.Bad != "" || contains(row.identities(sync, sides), key))
}
