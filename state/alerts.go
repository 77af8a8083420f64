package state

import "encoding/json"

// GetAlertMemory returns what whoever tells people of trouble has to know after a restart, nil if there is nothing. What it means is
// its own business. The error for a row that cannot be read is ErrBadRow.
func GetAlertMemory(tx *Tx) (json.RawMessage, error) {
	// In the table of the locator, whose rows are read by nobody but their owner, so that older programs can read the file.
	row, _, err := ReadRow[json.RawMessage](tx.Table(tableLocator), Key("alerts"))
	return row, err
}

// PutAlertMemory replaces it.
func PutAlertMemory(tx *Tx, memory json.RawMessage) error {
	return WriteRow(tx.Table(tableLocator), Key("alerts"), memory)
}
