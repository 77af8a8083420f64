package state

import (
	"encoding/json"
	"time"
)

const tableServers = "servers"

// Server is what was learned about a server, by its name in the configuration.
type Server struct {
	// Facts belong to the client: capabilities, quirks, data channels that worked.
	Facts json.RawMessage `json:"facts,omitempty"`
	// NotBefore is the next time to try a server that is paused; zero if it is not.
	NotBefore time.Time `json:"not_before,omitzero"`
	// Failures counts the failed attempts to reach the server since the last success.
	Failures  int    `json:"failures,omitempty"`
	LastError string `json:"last_error,omitempty"`
	// NoData: what failed last were data connections; that others work proves nothing.
	NoData bool `json:"no_data,omitempty"`
	// BlockedBy names what keeps the server paused until a person acts; "" if nothing does.
	BlockedBy string `json:"blocked_by,omitempty"`
}

// GetServer returns the row of a server, the zero Server if there is none. The error for one that cannot be read is ErrBadRow;
// whoever can learn it all anew may go on with the zero Server.
func GetServer(tx *Tx, name string) (Server, error) {
	row, _, err := ReadRow[Server](tx.Table(tableServers), Key(name))
	return row, err
}

// PutServer replaces the row of a server.
func PutServer(tx *Tx, name string, s Server) error {
	return WriteRow(tx.Table(tableServers), Key(name), s)
}
