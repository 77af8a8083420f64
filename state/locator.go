package state

import "encoding/json"

const tableLocator = "locator"

// GetLocatorMemory returns what whoever opens ports at the gateway has to know after a restart, nil if there is
// nothing. What it means is the locator's own business. The error for a row that cannot be read is ErrBadRow.
func GetLocatorMemory(tx *Tx) (json.RawMessage, error) {
	row, _, err := ReadRow[json.RawMessage](tx.Table(tableLocator), Key("memory"))
	return row, err
}

// PutLocatorMemory replaces it.
func PutLocatorMemory(tx *Tx, memory json.RawMessage) error {
	return WriteRow(tx.Table(tableLocator), Key("memory"), memory)
}
