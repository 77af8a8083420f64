package state

import (
	"bytes"
	"time"
)

const tableConflicts = "conflicts"

// Conflict is a path on which a person has to decide.
type Conflict struct {
	Path string `json:"path"` // as in Baseline
	Text string `json:"text"`
	// First and Last are when it was seen.
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

type conflictRow struct {
	Path Text `json:"path"`
	Conflict
}

// decodeConflict has an error, which is ErrBadRow, for a row that belongs elsewhere too.
func decodeConflict(key, value []byte) (Conflict, error) {
	row, err := decodeJSON[conflictRow](value)
	if err == nil && !endsIn(key, Shorten(string(row.Path))) {
		err = badRow("it is about another path, %.100q", string(row.Path))
	}
	row.Conflict.Path = string(row.Path)
	return row.Conflict, err
}

func checkConflict(key, value []byte) error {
	_, err := decodeConflict(key, value)
	return err
}

// NoteConflict writes down a conflict that was seen at now, and reports whether it is news: unknown before, or of another kind.
func NoteConflict(tx *Tx, sync, path, text string, now time.Time) (news bool, err error) {
	t, key := tx.Table(tableConflicts), conflictKey(sync, path)
	now = now.UTC()
	noted, err := decodeConflict(key, t.Get(key))
	if err != nil || noted.Text != text { // none, or none that can be read, which is as good
		noted, news = Conflict{Text: text, First: now}, true
	}
	noted.Last = now
	return news, WriteRow(t, key, conflictRow{Path: Text(path), Conflict: noted})
}

// ForgetConflict removes the conflict on a path, if there is one.
func ForgetConflict(tx *Tx, sync, path string) error {
	t, key := tx.Table(tableConflicts), conflictKey(sync, path)
	if t.Get(key) == nil {
		return nil
	}
	return t.Delete(key)
}

// ForgetConflicts removes the conflicts of a sync that were not seen since a time; the zero time means all of them.
func ForgetConflicts(tx *Tx, sync string, since time.Time) error {
	t := tx.Table(tableConflicts)
	var gone [][]byte
	err := t.Scan(Key(sync, ""), nil, func(key, value []byte) (bool, error) {
		noted, err := decodeConflict(key, value)
		if err != nil || since.IsZero() || noted.Last.Before(since) {
			gone = append(gone, bytes.Clone(key))
		}
		return true, nil
	})
	for _, key := range gone {
		if err == nil {
			err = t.Delete(key)
		}
	}
	return err
}

func conflictKey(sync, path string) []byte { return Key(sync, Shorten(path)) }
