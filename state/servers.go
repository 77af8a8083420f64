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
	// BlockedBy names what most likely only a person can mend; "" if there is nothing such.
	BlockedBy string `json:"blocked_by,omitempty"`
	// BlockedConfig is the configuration with which the server refused the login. With that one it
	// is not tried again unless a person asks; zero: it is tried again now and then.
	BlockedConfig Fingerprint `json:"blocked_config,omitzero"`
	// Hold is about what is sent to this server.
	Hold Hold `json:"hold,omitzero"`
	// Told is what the history says of it.
	Told Told `json:"told,omitzero"`
}

// Told is the last thing that the history has about whether something works; the zero Told: nothing.
type Told struct {
	Result string `json:"result,omitempty"`
	// Since is when that began.
	Since time.Time `json:"since,omitzero"`
}

// Unpaused is s without its pause or block.
func (s Server) Unpaused() Server { return Server{Facts: s.Facts, Hold: s.Hold, Told: s.Told} }

// Blocked reports whether the server must not be tried as time goes by.
func (s Server) Blocked() bool { return s.BlockedBy != "" && !s.BlockedConfig.IsZero() }

// Fingerprint tells whether something with secrets in it is the same as before, and nothing else:
// it is a slow hash with a salt of its own.
type Fingerprint struct {
	Salt   []byte `json:"salt,omitempty"`
	Sum    []byte `json:"sum,omitempty"`
	Rounds int    `json:"rounds,omitempty"`
}

// IsZero reports that there is none.
func (f Fingerprint) IsZero() bool { return len(f.Sum) == 0 }

// Hold keeps transfers from going where there is no room: the disk is full, or a quota. The zero
// Hold is none.
type Hold struct {
	// Reason is for people; "" if transfers go where they should.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Until is when one transfer is tried. The others wait for what comes of it.
	Until time.Time `json:"until,omitzero"`
	// Open: one got through and the others may go, but none as big as Size, that of Job, which
	// found no room.
	Open bool   `json:"open,omitempty"`
	Size int64  `json:"size,omitempty"`
	Job  uint64 `json:"job,omitempty"`
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
