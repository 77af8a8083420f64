package state

import (
	"github.com/ftpferry/ftpferry/state/entry"
	"github.com/ftpferry/ftpferry/state/fields"
)

const tableIntents = "intents"

// maxIntents bounds the intents of one path; the oldest go first.
const maxIntents = 8

// Intent is what a transfer was about to put at the target of a path: the look of its source.
// It is written before the transfer begins and removed with the next baseline, so that
// the result of a transfer that was cut off before its commit can be told from somebody
// else's change.
type Intent struct {
	Source entry.Entry
	// Down: from the server to here. Of a sync in one direction it may be false in any case, as older versions did not
	// write it down.
	Down bool
}

// The fields of the row of a path: up and down are entries, as often as there are intents. A number never gets another meaning.
const (
	fieldUp = iota + 1
	fieldDown
)

// intentsJSON is the form of older versions.
type intentsJSON struct {
	Sources []struct {
		entry.Entry
		Down bool `json:"down,omitempty"`
	} `json:"sources"`
}

// AddIntent notes that a transfer is about to begin.
func AddIntent(tx *Tx, sync, path string, intent Intent) error {
	t, key := tx.Table(tableIntents), baselineKey(sync, path)
	intents := readIntents(key, t.Get(key))
	for _, known := range intents {
		if known.Down == intent.Down && entry.Equal(known.Source, intent.Source) {
			return nil
		}
	}
	intents = append(intents, intent)
	row := NewRow()
	for _, i := range intents[max(0, len(intents)-maxIntents):] {
		field := byte(fieldUp)
		if i.Down {
			field = fieldDown
		}
		row = fields.Record(row, field, i.Source.Append)
	}
	return t.PutSealed(key, row)
}

// Intents returns the transfers of a path that were begun and did not lead to
// a baseline yet. A row that cannot be read is none: then what such a transfer has left counts as somebody else's change.
func Intents(tx *Tx, sync, path string) []Intent {
	key := baselineKey(sync, path)
	return readIntents(key, tx.Table(tableIntents).Get(key))
}

func readIntents(key, value []byte) []Intent {
	if value == nil {
		return nil
	}
	intents, err := decodeIntents(key, value)
	if err != nil {
		return nil
	}
	return intents
}

// decodeIntents has no other errors than ErrBadRow.
func decodeIntents(key, value []byte) (intents []Intent, err error) {
	if !IsSealed(value) {
		row, err := decodeJSON[intentsJSON](value)
		for _, known := range row.Sources {
			intents = append(intents, Intent{known.Entry, known.Down})
		}
		return intents, err
	}
	record, err := openSealed(key, value)
	if err != nil {
		return nil, err
	}
	r := fields.Read(record)
	for r.Next() {
		if r.Field != fieldUp && r.Field != fieldDown {
			r.Bad()
		}
		source, err := entry.Read(r.Text())
		if err != nil {
			r.Bad()
		}
		intents = append(intents, Intent{source, r.Field == fieldDown})
	}
	if r.Err() != nil {
		return nil, badSealed(r.Err())
	}
	return intents, nil
}

func checkIntents(key, value []byte) error {
	if err := checkParts(key, 3); err != nil {
		return err
	}
	_, err := decodeIntents(key, value)
	return err
}

// clearIntents is part of every change to the baseline of a path.
func clearIntents(tx *Tx, key []byte) error { return tx.Table(tableIntents).Delete(key) }
