package state

import (
	"errors"

	"github.com/ftpferry/ftpferry/state/entry"
)

const tableIntents = "intents"

// maxIntents bounds the intents of one path; the oldest go first.
const maxIntents = 8

// intentRow says what a transfer was about to put at the target of a path: the look of its
// source. It is written before the transfer begins and removed with the next baseline, so that
// the result of a transfer that was cut off before its commit can be told from somebody
// else's change.
type intentRow struct {
	Sources []entry.Entry `json:"sources"`
}

// AddIntent notes that a transfer of source is about to begin.
func AddIntent(tx *Tx, sync, path string, source entry.Entry) error {
	t := tx.Table(tableIntents)
	sources, err := Intents(tx, sync, path)
	if err != nil {
		return err
	}
	for _, known := range sources {
		if entry.Equal(known, source) {
			return nil
		}
	}
	sources = append(sources, source)
	sources = sources[max(0, len(sources)-maxIntents):]
	return WriteRow(t, baselineKey(sync, path), intentRow{Sources: sources})
}

// Intents returns the sources of the transfers of a path that were begun and did not lead to
// a baseline yet. A row that cannot be read is none: then what such a transfer has left counts as somebody else's change.
func Intents(tx *Tx, sync, path string) ([]entry.Entry, error) {
	row, _, err := ReadRow[intentRow](tx.Table(tableIntents), baselineKey(sync, path))
	if errors.Is(err, ErrBadRow) {
		return nil, nil
	}
	return row.Sources, err
}

// clearIntents is part of every change to the baseline of a path.
func clearIntents(tx *Tx, sync, path string) error {
	return tx.Table(tableIntents).Delete(baselineKey(sync, path))
}
