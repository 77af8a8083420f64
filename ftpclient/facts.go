package ftpclient

import "time"

// What Facts.RenameOver says.
const (
	RenameReplaces = "replaces"
	RenameRefuses  = "refuses"
)

// Facts is what was learned about a server by talking to it, as a value: hand the facts of
// the last connection in at Dial, read the new ones with Conn.Facts (or Error.Facts of a
// Dial that failed), keep them where you like. Wrong facts cost a round trip or two and nothing else.
//
// The answer to FEAT is not among them: it comes anew with each login, since it changes with
// the login and with the server's version, and nothing tells that it has. Nor is the order in
// which a server answers ABOR: each abort finds that out by a marker.
type Facts struct {
	// Server is the kind of server, in lower case ("proftpd", "vsftpd", ...), "" when unknown.
	Server string `json:"server,omitempty"`

	// The login.

	// LeftOut are commands that the login can do without and that are not sent any more,
	// because two logins in a row broke off at them, separated by commas: some of FEAT, CLNT,
	// OPTS UTF8, OPTS MLST, LANG and SYST.
	LeftOut string `json:"left_out,omitempty"`
	// BrokeOff is the one of them at which the last login broke off, "" if it did not.
	BrokeOff string `json:"broke_off,omitempty"`
	// LoginAtOnce is "failed" when the last login in one write ended without an answer and the same one command by command did
	// not, which may be chance; "broke" when that was so twice, or when replies came in another order: then none is tried
	// any more. "" otherwise.
	LoginAtOnce string `json:"login_at_once,omitempty"`
	// LoginWishes are the commands that the last login sent because of the answer to FEAT, which the next one sends along
	// with it; "" when unknown.
	LoginWishes string `json:"login_wishes,omitempty"`

	// Data connections and transfers.

	// Channels are the ways of data connections that worked, from the networks that this client
	// was in last, the latest first.
	Channels Channels `json:"channels,omitzero"`
	// EPSVRefused: EPSV was answered with a 5yz.
	EPSVRefused bool `json:"epsv_refused,omitempty"`
	// Status is how the server takes STAT, which tells as whom it sees this client: "broke off"
	// when the connection ended over it the last time, "none" when it is not asked any more;
	// "" otherwise.
	Status string `json:"status,omitempty"`
	// NeedsPRET: the server has to hear what is going to be transferred before it opens a port
	// (drftpd, which picks a machine by that).
	NeedsPRET bool `json:"needs_pret,omitempty"`
	// CloseNotify: the server ends TLS on data connections properly, so that a listing that
	// ends without was cut.
	CloseNotify bool `json:"close_notify,omitempty"`
	// StoreRestart is how the server takes REST before STOR: "works" when a resumed upload
	// was proven to be right, "refused", or "broken" when one was wrong; "" when unknown.
	StoreRestart string `json:"store_restart,omitempty"`
	// Appending is the same for APPE.
	Appending string `json:"appending,omitempty"`
	// NoSegments: parts of one file that came over several connections did not fit together. Conn.LearnNoSegments notes it. It holds
	// for a day from SegmentsLearned on, in seconds of Unix time: see Conn.TakesSegments.
	NoSegments      bool  `json:"no_segments,omitempty"`
	SegmentsLearned int64 `json:"segments_learned,omitempty"`
	// RenameOver is what a rename does where a file has the new name: RenameReplaces or
	// RenameRefuses, "" when unknown. Conn.LearnRenameOver notes it.
	RenameOver string `json:"rename_over,omitempty"`
	// NoCompression: the server lists MODE Z and refuses it.
	NoCompression bool `json:"no_compression,omitempty"`
	// NoCompressedStore: a compressed upload failed where the server takes others.
	NoCompressedStore bool `json:"no_compressed_store,omitempty"`

	// Names, listings and times.

	// Encoding is how names are written, where Options.Encoding does not say it: "utf-8" or
	// "latin1"; "" as long as all names were ASCII. The first name beyond it decides for good, be it one
	// that the server told or one that it took: those go as they are, as in UTF-8.
	Encoding string `json:"encoding,omitempty"`
	// OddNames is what became of names that OddName objects to, by what is odd about them: "ends
	// with a blank=changed; ends with a dot=kept". Conn.KeepsName learns it.
	OddNames string `json:"odd_names,omitempty"`
	// CaseInsensitive: "yes" when names that differ in case only are the same, "no", or ""
	// when unknown. Conn.CaseInsensitive learns it.
	CaseInsensitive string `json:"case_insensitive,omitempty"`
	// NoDotNames: the server refuses to create names with a leading dot.
	NoDotNames bool `json:"no_dot_names,omitempty"`
	// MLSDBroken: MLSD is in FEAT and does not work.
	MLSDBroken bool `json:"mlsd_broken,omitempty"`
	// ListAll: "" when unknown; "yes" when LIST -a lists hidden names too, "no" when this
	// server does not take it as an option.
	ListAll string `json:"list_all,omitempty"`
	// ListZone is the zone of the times that LIST shows. It is learned again for later months,
	// because of summer time.
	ListZone ListZone `json:"list_zone,omitzero"`
	// MDTMZone is the zone of the times that MDTM tells.
	MDTMZone MDTMZone `json:"mdtm_zone,omitzero"`
	// SetterOffset is how far the times that TimeSetter takes are ahead of UTC, in seconds.
	SetterOffset int `json:"setter_offset,omitempty"`
	// TimeSetter is the command that sets modification times: "MFMT", "MFF", "SITE UTIME" (the
	// path first, then three times), "SITE UTIME 2" (the time, then the path), "MDTM", "none".
	TimeSetter string `json:"time_setter,omitempty"`
	// NoChmod: the server has no SITE CHMOD, or not for this login.
	NoChmod bool `json:"no_chmod,omitempty"`
	// Pipelining: "yes" when the server answers several commands in one write in order, "no"
	// when it was seen not to, "" when unknown.
	Pipelining string `json:"pipelining,omitempty"`
	// Ahead is what may be asked behind a transfer before that has ended: "yes"; "pair" when nothing, as the server was seen to answer
	// out of order; "no" when the port for the next data connection is better asked for alone, as one that was named among other
	// answers could not be reached and another one could (a firewall on the way reads along); "doubtful" between the two; "" when
	// the kind of server decides. AheadLearned is when that was learned, in seconds of Unix time.
	Ahead        string `json:"ahead,omitempty"`
	AheadLearned int64  `json:"ahead_learned,omitempty"`

	// CertificateEnds is when the certificate of the last TLS handshake expires, in seconds of Unix time; 0 without TLS.
	CertificateEnds int64 `json:"certificate_ends,omitempty"`

	// Limits.

	// IdleLimit is after how many seconds of idleness the server hangs up, 0 when unknown.
	IdleLimit Seconds `json:"idle_limit,omitempty"`
	// ConnectionLimit is how many connections at a time the server took when it refused one
	// more, 0 when it never did. LimitLearned is when that was, in seconds of Unix time.
	ConnectionLimit int   `json:"connection_limit,omitempty"`
	LimitLearned    int64 `json:"limit_learned,omitempty"`
}

// Channels has room for the networks that a machine moves between: two lines, a few places.
type Channels [4]Channel

// Channel is the way by which data connections with a server work from one network.
type Channel struct {
	// Network is the key of the network (see extip.Network), "" for an empty place.
	Network string `json:"network,omitempty"`
	// Way is what worked last, "passive EPSV" for example; "" when unknown.
	Way string `json:"way,omitempty"`
	// Since is when it was found, in seconds of Unix time: better ways are tried again a day later.
	Since int64 `json:"since,omitempty"`
	// View is this client's address as the server saw it then, "" if it does not tell. With
	// another one the network is another.
	View string `json:"view,omitempty"`
	// PlainHelper: without TLS, a NAT that reads along was what made it work, which it cannot with TLS.
	PlainHelper bool `json:"plain_helper,omitempty"`
}

// ListZone is how far the times in LIST are ahead of UTC, in seconds, as a file changed in
// Month ("2006-01") taught; without Month it is not known. One value, because half of it may
// not be merged with half of another.
type ListZone struct {
	Offset int    `json:"offset"`
	Month  string `json:"month"`
}

// MDTMZone is how far MDTM is ahead of UTC, in seconds: 0 but for servers that answer it in
// local time. It counts if Known.
type MDTMZone struct {
	Offset int  `json:"offset"`
	Known  bool `json:"known"`
}

// Seconds is a time in whole seconds.
type Seconds int64

// Duration returns the same time.
func (s Seconds) Duration() time.Duration { return time.Duration(s) * time.Second }
