package state

import (
	"errors"
	"time"
)

// serverPause is in the table of the locator, as the memory of the alerts is, so that older programs can read the file.
func serverPause(server string) []byte { return Key("pause of server " + server) }

// GetServerPause returns a person's word that nothing new is to be begun with a server, the zero Pause if there is none. One that cannot be
// read holds: nobody knows until when.
func GetServerPause(tx *Tx, server string) (Pause, error) {
	p, _, err := ReadRow[Pause](tx.Table(tableLocator), serverPause(server))
	if errors.Is(err, ErrBadRow) {
		return Pause{Since: time.Unix(0, 0).UTC(), Reason: "what the state file says about this pause cannot be read"}, nil
	}
	return p, err
}

// PutServerPause replaces it; the zero Pause removes it.
func PutServerPause(tx *Tx, server string, p Pause) error {
	if p == (Pause{}) {
		return tx.Table(tableLocator).Delete(serverPause(server))
	}
	return WriteRow(tx.Table(tableLocator), serverPause(server), p)
}
