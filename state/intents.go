package state

import (
	"errors"

	"github.com/ftpferry/ftpferry/state/entry"
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

// intentJSON is the form of an Intent in the state file.
type intentJSON struct {
	entry.Entry
	Down bool `json:"down,omitempty"`
}

type intentRow struct {
	Sources []intentJSON `json:"sources"`
}

// AddIntent notes that a transfer is about to begin.
func AddIntent(tx *Tx, sync, path string, intent Intent) error {
	t := tx.Table(tableIntents)
	row, err := readIntents(tx, sync, path)
	if err != nil {
		return err
	}
	for _, known := range row.Sources {
		if known.Down == intent.Down && entry.Equal(known.Entry, intent.Source) {
			return nil
		}
	}
	row.Sources = append(row.Sources, intentJSON{intent.Source, intent.Down})
	row.Sources = row.Sources[max(0, len(row.Sources)-maxIntents):]
	return WriteRow(t, baselineKey(sync, path), row)
}

// Intents returns the transfers of a path that were begun and did not lead to
// a baseline yet. A row that cannot be read is none: then what such a transfer has left counts as somebody else's change.
func Intents(tx *Tx, sync, path string) ([]Intent, error) {
	row, err := readIntents(tx, sync, path)
	if err != nil || len(row.Sources) == 0 {
		return nil, err
	}
	intents := make([]Intent, 0, len(row.Sources))
	for _, known := range row.Sources {
		intents = append(intents, Intent{known.Entry, known.Down})
	}
	return intents, nil
}

func readIntents(tx *Tx, sync, path string) (intentRow, error) {
	row, _, err := ReadRow[intentRow](tx.Table(tableIntents), baselineKey(sync, path))
	if errors.Is(err, ErrBadRow) {
		return intentRow{}, nil
	}
	return row, err
}

// clearIntents is part of every change to the baseline of a path.
func clearIntents(tx *Tx, sync, path string) error {
	return tx.Table(tableIntents).Delete(baselineKey(sync, path))
}
