package state

import (
	"bytes"
	"cmp"
	"strings"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/state/entry"
)

// tableConflicts holds notes of all kinds; conflicts were the first.
const tableConflicts = "conflicts"

// NoteKind says why nothing is done about a path.
type NoteKind string

// The kinds: a person has to decide; a rule leaves it alone; nobody could look at it; it is not complete yet; what the file holds is
// not the same on both sides, or could not be compared.
const (
	NoteConflict NoteKind = ""
	NoteSkipped  NoteKind = "skipped"
	NoteUnknown  NoteKind = "unknown"
	NoteHeld     NoteKind = "held"
	NoteDiffers  NoteKind = "differs"
	NoteUnread   NoteKind = "unread"
)

// OfVerify reports the kinds that only a comparison of contents finds, and clears.
func (k NoteKind) OfVerify() bool { return k == NoteDiffers || k == NoteUnread }

// Note is a path about which nothing is done.
type Note struct {
	Path string   `json:"path"` // as in Baseline; "" is the root
	Kind NoteKind `json:"kind,omitempty"`
	Text string   `json:"text"`
	// First and Last are when it was seen.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
	// Until, if not zero, is when the path is looked at again.
	Until time.Time `json:"until,omitzero"`
	// Local and Remote are what the sides were when somebody last looked at them for the sake of a note; nil: nobody has, or an
	// older version wrote the row.
	Local  *Look `json:"local,omitempty"`
	Remote *Look `json:"remote,omitempty"`
	// Compared: a conflict about two files that were compared as Local and Remote have them, and nothing proves that they hold the same.
	Compared bool `json:"compared,omitempty"`
}

// Look is what one side of a path was, and when that was seen. It is for people: of the target of a link, bytes that are not UTF-8
// are lost.
type Look struct {
	entry.Entry
	When time.Time `json:"when,omitzero"`
}

type noteRow struct {
	Path Text `json:"path"`
	Note
}

// decodeNote has an error, which is ErrBadRow, for a row that belongs elsewhere too.
func decodeNote(key, value []byte) (Note, error) {
	row, err := decodeJSON[noteRow](value)
	if err == nil && !endsIn(key, Shorten(string(row.Path))) {
		err = badRow("it is about another path, %.100q", string(row.Path))
	}
	row.Note.Path = string(row.Path)
	return row.Note, err
}

func checkNote(key, value []byte) error {
	_, err := decodeNote(key, value)
	return err
}

// PutNote writes down what was seen at now (n.First and n.Last are ignored), and reports whether it is news: unknown before, or
// of another kind. A side that n has no look at keeps the one that is noted.
func PutNote(tx *Tx, sync string, n Note, now time.Time) (news bool, err error) {
	t, key := tx.Table(tableConflicts), noteKey(sync, n.Path)
	now = now.UTC()
	noted, err := decodeNote(key, t.Get(key))
	looks := noted
	if err != nil || noted.Text != n.Text || noted.Kind != n.Kind { // none, or none that can be read, which is as good
		noted, news = Note{Kind: n.Kind, Text: n.Text, First: now}, true
		tx.noteChanged(sync)
	}
	noted.Last, noted.Until, noted.Local, noted.Remote = now, n.Until, cmp.Or(n.Local, looks.Local), cmp.Or(n.Remote, looks.Remote)
	noted.Compared = n.Compared
	return news, WriteRow(t, key, noteRow{Path: Text(n.Path), Note: noted})
}

// GetNote returns what is noted of a path, and whether anything is. A row that cannot be read is nothing.
func GetNote(tx *Tx, sync, path string) (Note, bool) {
	key := noteKey(sync, path)
	n, err := decodeNote(key, tx.Table(tableConflicts).Get(key))
	n.Path = path
	return n, err == nil
}

// EachNote calls fn with the notes of a sync in the order of their paths, until it returns false or an error. Rows that cannot be
// read are left out.
func EachNote(tx *Tx, sync string, fn func(Note) (bool, error)) error {
	return tx.Table(tableConflicts).Scan(Key(sync, ""), nil, func(key, value []byte) (bool, error) {
		n, err := decodeNote(key, value)
		if err != nil {
			return true, nil
		}
		return fn(n)
	})
}

// DropNote forgets what is noted of a path, if anything is.
func DropNote(tx *Tx, sync, path string) error {
	t, key := tx.Table(tableConflicts), noteKey(sync, path)
	if t.Get(key) == nil {
		return nil
	}
	tx.noteChanged(sync)
	return t.Delete(key)
}

// DropNotesIn is DropNotes for a path and all below it.
func DropNotesIn(tx *Tx, sync, path string, since time.Time, drop func(Note) bool) error {
	if path == "" {
		return DropNotes(tx, sync, since, drop)
	}
	if n, ok := GetNote(tx, sync, path); ok && n.Last.Before(since) && drop(n) {
		if err := DropNote(tx, sync, path); err != nil {
			return err
		}
	}
	below := path + "/"
	prefix := Key(sync, below[:min(len(below), longest)]) // of longer paths the rest is a hash
	return dropNotes(tx, sync, prefix, since, func(n Note) bool { return strings.HasPrefix(n.Path, below) && drop(n) })
}

// DropNotes forgets the notes of a sync that were not seen since a time, those that drop wants; nil means all of them, the zero
// time that it does not matter when they were seen.
func DropNotes(tx *Tx, sync string, since time.Time, drop func(Note) bool) error {
	return dropNotes(tx, sync, Key(sync, ""), since, drop)
}

func dropNotes(tx *Tx, sync string, prefix []byte, since time.Time, drop func(Note) bool) error {
	t := tx.Table(tableConflicts)
	var gone [][]byte
	err := t.Scan(prefix, nil, func(key, value []byte) (bool, error) {
		noted, err := decodeNote(key, value)
		if err != nil || (since.IsZero() || noted.Last.Before(since)) && (drop == nil || drop(noted)) {
			gone = append(gone, bytes.Clone(key))
		}
		return true, nil
	})
	if len(gone) > 0 {
		tx.noteChanged(sync)
	}
	for _, key := range gone {
		if err == nil {
			err = t.Delete(key)
		}
	}
	return err
}

// noteChanges has, for each sync, the newest transaction that has changed its notes, or is about to, since the file was opened.
type noteChanges struct {
	mu sync.Mutex // guards
	in map[string]int
}

func (tx *Tx) noteChanged(sync string) {
	tx.notes.mu.Lock()
	defer tx.notes.mu.Unlock()
	if tx.notes.in == nil {
		tx.notes.in = map[string]int{}
	}
	tx.notes.in[sync] = tx.engine.ID()
}

// NotesVersion returns a number > 0 that stays the same as long as the notes of a sync do, apart from Last, Until and the looks, and the
// file stays open. It is 0 when nobody can tell: in a transaction that writes, and as long as one is under way that changes them.
func NotesVersion(tx *Tx, sync string) int {
	tx.notes.mu.Lock()
	defer tx.notes.mu.Unlock()
	changed := tx.notes.in[sync]
	if tx.writable || changed > tx.engine.ID() {
		return 0
	}
	return changed + 1
}

func noteKey(sync, path string) []byte { return Key(sync, Shorten(path)) }
