// Package config turns agent.toml into a validated [Config]. It is strict: unknown keys, wrong types and settings that
// contradict each other are errors that name the file, the line, the key and the cure, all of them in one go.
package config

import (
	"crypto/x509"
	"io/fs"
	"log/slog"
	"net/netip"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// Config is a validated configuration. It is not changed after [Load] and may be read from several goroutines.
type Config struct {
	Path    string   // the path given to Load
	Files   []string // all that was read, absolute: Path and what it includes
	Folders []string // in which further files would be read, absolute
	// Seen is how each of Files and Folders was just before it was read, without those that were not there.
	Seen    map[string]fs.FileInfo
	Agent   Agent              // the process as a whole
	Servers map[string]*Server // by name
	Syncs   map[string]*Sync   // by name; every Sync.Server is a key of Servers
	Alerts  map[string]*Alert  // by name
	// WithoutSecrets: see [LoadWithoutSecrets]. It is not for connecting.
	WithoutSecrets bool
	StateByDefault bool      // state_dir is not set, and depends on who asks: see [DefaultStateDir]
	Warnings       []Problem // what is allowed but probably not meant, in the order of the files and their lines
}

// Agent holds the settings of the process as a whole.
type Agent struct {
	StateDir             string // absolute; need not exist
	Log                  Log
	Listen               string        // HOST:PORT of the status page, the metrics and the state of health; "": nowhere. Without a ListenToken it is a loopback address
	ListenToken          Secret        // what everybody has to know who asks there; empty: nothing
	Reload               Reload        // when the configuration is read again
	ShutdownGrace        time.Duration // how long running transfers may take to end after a stop signal, >= 0
	AllowNetworkStateDir bool          // accept a state directory on NFS or SMB
	MaxStateSize         int64         // bound of the state file in bytes; 0: none
	History              History
	AddressSources       AddressSources
	Heartbeat            Heartbeat
}

// History bounds the history, whichever bound is met first.
type History struct {
	Keep time.Duration // >= 1 h
	Rows int           // 1 to 100,000,000
}

// AddressSources say who may be asked for the address under which this machine is known outside, beside the FTP
// servers themselves.
type AddressSources struct {
	Gateway bool     // the default gateway, which may also be asked to open ports
	STUN    []string // HOST:PORT
	HTTPS   []string // https URLs whose answer is the caller's address and nothing else
}

// Reload says when the configuration is read again.
type Reload string

// ReloadSignal: when somebody asks. ReloadAuto: when one of its files has changed, too.
const (
	ReloadSignal Reload = "signal"
	ReloadAuto   Reload = "auto"
)

// Log says what is logged and how.
type Log struct {
	Level  slog.Level
	Format LogFormat
}

// LogFormat is the form of log lines.
type LogFormat string

// The log formats. LogAuto is text on a terminal and JSON elsewhere.
const (
	LogAuto LogFormat = "auto"
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Server is an FTP endpoint. Nothing in it shows a secret when it is printed, logged or encoded.
type Server struct {
	Name        string
	Address     string    // host:port, ready to dial; IPv6 in brackets; the first of Addresses
	Addresses   []string  // at least one; the others stand in when those before them do not answer
	Bandwidth   Timetable // of all connections together; nil: no limit
	User        string    // never empty, no control characters
	Password    Secret
	Account     Secret // for ACCT, when the server answers the login with 332; empty: none
	VirtualHost string // for HOST (RFC 7151) before the login; empty: none
	// Proxy is a URL, SCHEME://[USER:PASSWORD@]HOST:PORT with the scheme socks5, socks5h or http, which is why it is a
	// secret; empty: none. See [Server.ProxyURL]. With a proxy Data allows no active connections.
	Proxy Secret

	TLS           TLSMode
	TLSCA         string         // absolute path of a PEM file; empty: none
	RootCAs       *x509.CertPool // the system's authorities and those of TLSCA; nil: the system's alone
	TLSServerName string         // the name the certificate must carry; empty: the host of Address
	TLSVerify     bool           // true whenever there is a TLSPins
	// If there are TLSPins, the key of the server's certificate must be one of them, and that is all that is asked of the
	// certificate.
	TLSPins           []ftpclient.PinnedKey
	ClientCertificate KeyPair // with Leaf set; zero: none
	TLSMin            uint16  // a tls.VersionTLS..., 1.0 with TLSLegacy, else 1.2 or 1.3
	TLSMax            uint16  // 1.2 or 1.3, not below TLSMin
	TLSLegacy         bool    // allow the cipher suites that are no longer thought safe

	Connections    int    // 1 to 64
	Segments       int    // 1 to 16; connections that one download may use
	Encoding       string // of file names: what htmlindex.Get takes, "utf-8" included, in lower case; empty: found out
	Data           Data
	Compress       bool           // MODE Z where the server offers it
	CommandLimit   int            // 256 to 4096; bytes of one command line with its line end
	ListTimeZone   *time.Location // of the times in LIST; nil: found out
	ConnectTimeout time.Duration  // > 0; TCP connect and TLS handshake
	ReplyTimeout   time.Duration  // > 0; from a command to its reply
	StallTimeout   time.Duration  // > 0; a transfer without a single byte
}

// TLSMode says how the control connection is protected.
type TLSMode string

// The TLS modes: AUTH TLS after the greeting (RFC 4217), TLS from the first byte (port 990), or no TLS at all.
const (
	TLSExplicit TLSMode = "explicit"
	TLSImplicit TLSMode = "implicit"
	TLSNone     TLSMode = "none"
)

// Data says how data connections are made.
type Data struct {
	Mode           DataMode
	ActivePorts    PortRange  // zero: any free port
	AnnouncedPorts PortRange  // as many as ActivePorts; zero: the same ones
	ExternalIP     netip.Addr // not valid: found out when it is needed
	PASVAddress    PASVAddress
	// Peers are other machines than the server that take part in its data connections; nil: none, 0.0.0.0/0 and ::/0: any.
	Peers     []netip.Prefix
	HolePunch bool // only on Linux
}

// DataMode says who opens a data connection.
type DataMode string

// The data modes.
const (
	DataAuto    DataMode = "auto"
	DataPassive DataMode = "passive"
	DataActive  DataMode = "active"
)

// PASVAddress says which address a passive data connection goes to.
type PASVAddress string

// The passive addresses: that of the control connection, which no server can point elsewhere, or that of the 227 reply.
const (
	PASVControl PASVAddress = "control"
	PASVReply   PASVAddress = "reply"
)

// PortRange is an inclusive range of TCP ports. The zero value means any port.
type PortRange struct{ First, Last uint16 }

// Sync keeps one local and one remote folder in step.
type Sync struct {
	Name      string // its key in Config.Syncs
	Server    string // a key of Config.Servers
	Local     string // absolute and clean; need not exist
	Remote    string // cleaned by path.Clean; relative to the login folder unless it begins with a slash
	Direction Direction
	Watch     bool
	WatchPoll time.Duration // how often everything is looked at where Watch cannot rely on events; at least a second
	Schedules []Schedule
	Rescan    time.Duration // how often the whole local folder is looked at beside Watch, >= 1 min; 0: never
	Poll      time.Duration // how often the server is asked for what has changed there, >= 10 s; 0: never, as for Up
	Recheck   time.Duration // how long a pass takes the server's side to be as it was seen last; 0: it is looked at in every pass
	// RecheckAbove is up to how many paths in step the server is looked at in every pass all the same.
	RecheckAbove int
	Include      []string // valid patterns, at least one that is not negated by "!"
	Exclude      []string // valid patterns
	Delete       bool     // also with Trash
	MaxDelete    MaxDelete
	Settle       time.Duration // >= 0
	Ready        string        // how the file is called that says of another one that it is complete, see scan.NewReady; empty: there is none
	Marker       string        // local path (slashes) below Local that must exist; empty: none
	Enabled      bool

	// Family is the name in the file. It is Name, unless the file lists several servers for the sync: then there is one Sync
	// for each of them, called FAMILY@SERVER.
	Family string

	IgnoreFile      string // name of the files with patterns in folders; empty: none
	DefaultExcludes bool   // leave out what version control and editors keep beside files
	IgnoreCase      bool   // of patterns
	MinSize         int64  // bytes; 0: no limit
	MaxSize         int64
	MinAge          time.Duration // 0: no limit
	MaxAge          time.Duration

	OnForeignChange string // a Foreign...; of Up and Down
	Conflict        string // a Conflict...; of Both
	Links           string // a Links...
	Verify          string // a Verify...
	Moves           bool   // find out what was renamed; never with RemoteName, AfterUpload or AfterDownload

	Trash     string        // folder, relative to the root of either side; empty: what is deleted is gone
	TrashKeep time.Duration // 0: for ever
	// Hidden are folders, relative to the root of either side, that never take part, whatever the patterns say: the trash, also
	// while it is not in use, and where sources go after a transfer.
	Hidden []string

	Atomic                     bool         // uploads are written under a temporary name first
	TempPrefix, TempSuffix     string       // around that name; no slashes
	TempFolder                 string       // where it is, relative to the root on the server; empty: beside the target
	Mode                       fs.FileMode  // of uploaded files, permission bits; 0: as the server likes
	RemoteName                 NameTemplate // of uploaded files, without slashes; zero: their own
	AfterUpload, AfterDownload After
	Claim                      bool // rename a file on the server before it is fetched

	// Append are patterns of files that only ever grow. The last one that matches a path decides; with "!" the file is sent
	// whole. The first one has none.
	Append []string

	Transfers int      // at the same time, 0 to 64; 0: as many as the server allows
	Allowed   []Window // when transfers may run; none: always
	Hooks     Hooks
	Expects   []Expect // what has to have arrived, by when
}

// After says what becomes of a source that was transferred; zero: nothing.
type After struct {
	Delete bool
	Move   NameTemplate // a folder, relative to the root of its side, into which the file's path goes; zero: none
}

// Hooks are commands around each transfer, as programs with arguments; nil: none.
type Hooks struct {
	Before, After, OnError []string
	Shell                  bool          // each of them is one line for the system's shell
	Timeout                time.Duration // > 0
}

// What becomes of a file that somebody else changed at the target.
const (
	ForeignRestore  = "restore"
	ForeignKeep     = "keep"
	ForeignConflict = "conflict"
)

// Who wins when a path changed on both sides.
const (
	ConflictCopy   = "copy"
	ConflictNewer  = "newer"
	ConflictLocal  = "local"
	ConflictRemote = "remote"
	ConflictAsk    = "ask"
)

// What becomes of symbolic links.
const (
	LinksSkip     = "skip"
	LinksFollow   = "follow"
	LinksPreserve = "preserve"
)

// How it is made sure that all bytes arrived.
const (
	VerifySize   = "size"
	VerifyHash   = "hash"
	VerifyReread = "reread"
)

// Direction says where changes flow.
type Direction string

// The directions: local to remote, remote to local, and what has changed on either side to the other.
const (
	Up   Direction = "up"
	Down Direction = "down"
	Both Direction = "both"
)
