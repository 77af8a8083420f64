package ftpclient

import "time"

// Facts is what was learned about a server by talking to it, as a value: hand the facts of
// the last connection in at Dial, read the new ones with Conn.Facts, keep them where you
// like. Wrong facts cost a round trip or two and nothing else.
type Facts struct {
	// Server is the kind of server, in lower case ("proftpd", "vsftpd", ...), "" when unknown.
	Server string `json:"server,omitempty"`

	// Data connections and transfers.

	// DataMode is the mode of the last data connection that worked, "" when unknown.
	DataMode string `json:"data_mode,omitempty"`
	// EPSVRefused: EPSV was answered with a 5yz.
	EPSVRefused bool `json:"epsv_refused,omitempty"`
	// CloseNotify: the server ends TLS on data connections properly, so that a listing that
	// ends without was cut.
	CloseNotify bool `json:"close_notify,omitempty"`
	// StoreRestart is how the server takes REST before STOR: "works" when a resumed upload
	// was proven to be right, "refused", or "broken" when one was wrong; "" when unknown.
	StoreRestart string `json:"store_restart,omitempty"`
	// Appending is the same for APPE.
	Appending string `json:"appending,omitempty"`
	// NoCompression: the server lists MODE Z and refuses it.
	NoCompression bool `json:"no_compression,omitempty"`
	// NoCompressedStore: a compressed upload failed where the server takes others.
	NoCompressedStore bool `json:"no_compressed_store,omitempty"`

	// Names, listings and times.

	// MLSDBroken: MLSD is in FEAT and does not work.
	MLSDBroken bool `json:"mlsd_broken,omitempty"`
	// ListAll: "" when unknown; "yes" when LIST -a lists hidden names too, "no" when this
	// server does not take it as an option.
	ListAll string `json:"list_all,omitempty"`
	// TimeSetter is the command that sets modification times: "MFMT", "MDTM", or "none".
	TimeSetter string `json:"time_setter,omitempty"`
	// NoDotNames: the server refuses to create names with a leading dot.
	NoDotNames bool `json:"no_dot_names,omitempty"`

	// Limits.

	// IdleLimit is after how many seconds of idleness the server hangs up, 0 when unknown.
	IdleLimit Seconds `json:"idle_limit,omitempty"`
}

// Seconds is a time in whole seconds.
type Seconds int64

// Duration returns the same time.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }
