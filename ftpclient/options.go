package ftpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"time"

	"golang.org/x/time/rate"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// TLSMode says when TLS starts.
type TLSMode uint8

const (
	// TLSExplicit upgrades the control connection by AUTH TLS before the login (RFC 4217).
	// A server that refuses is an error: there is no silent way back to clear text.
	TLSExplicit TLSMode = iota
	// TLSImplicit speaks TLS from the first byte, usually on port 990.
	TLSImplicit
	// TLSNone sends everything, the password included, in clear text.
	TLSNone
)

// Mode is the command that gets a data connection.
type Mode = data.Mode

// The modes, named after their commands.
const (
	EPSV = data.EPSV
	PASV = data.PASV
	EPRT = data.EPRT
	PORT = data.PORT
)

// DataPolicy restricts the modes that may be tried.
type DataPolicy = data.Policy

// The policies of data connections.
const (
	DataAuto        = data.Auto
	DataPassiveOnly = data.PassiveOnly
	DataActiveOnly  = data.ActiveOnly
)

// DataWay is a method together with the command that asks for it; DataMethod says how the
// connection gets through what lies between, DataStage how far an attempt got.
type (
	DataWay     = data.Way
	DataMethod  = data.Method
	DataStage   = data.Stage
	DataAttempt = data.Attempt
)

// PortRange is an inclusive range of TCP ports.
type PortRange = data.PortRange

// DataOptions say how data connections may be made. The zero value finds out by itself, asking
// nobody but the server.
type DataOptions struct {
	Policy DataPolicy
	// ActivePorts are the local ports to listen on in active mode; First 0 lets the system choose.
	ActivePorts PortRange
	// AnnouncedPorts are announced instead, one for one, where a router forwards other ports
	// outside than it does inside. The ranges must be of one size. First 0 means ActivePorts.
	AnnouncedPorts PortRange
	// ExternalAddress is announced in active mode; the zero Addr means that it is found out.
	ExternalAddress netip.Addr
	// TrustPASVAddress connects to the address in the server's PASV reply instead of the
	// address of the control connection. Only for server farms: a hostile server can use it
	// to make this client connect anywhere (RFC 2577 section 3).
	TrustPASVAddress bool
	// Peers may connect in active mode beside the server itself: for farms whose data come from
	// other machines. 0.0.0.0/0 and ::/0 are everybody.
	Peers []netip.Prefix
	// HolePunch allows, on Linux and as the last resort, to open a NAT by an outgoing packet that
	// does not reach the server.
	HolePunch bool
	// Locator knows this machine's external address and opens ports at the gateway. Its owner
	// runs it; many connections share one. nil means that only the server is asked.
	Locator *extip.Locator
}

// Options are what Dial needs to know. The zero value logs in anonymously over explicit TLS.
type Options struct {
	// Login.

	// User and Password are the login; with User "" it is anonymous. Neither may hold CR, LF
	// or NUL.
	User, Password string
	// Account is told to servers that ask for one at the login (ACCT). A refusal with code
	// 332 means that it is missing.
	Account string
	// VirtualHost names the server that is meant, where several share an address (HOST, RFC
	// 7151), and becomes the ServerName of TLS if that is not set. "" sends nothing.
	VirtualHost string
	// ClientName is told to servers that list CLNT; some switch to UTF-8 by it ("ftpferry").
	ClientName string

	// TLS.

	TLS TLSMode
	// TLSConfig is cloned. ServerName defaults to VirtualHost, then to the host dialled,
	// MinVersion to TLS 1.2. RootCAs and Certificates come from LoadCAFile and
	// LoadClientCertificate, if not from elsewhere. ClientSessionCache is always replaced by
	// one of this connection's own: servers demand that data connections resume the session
	// of *their* control connection.
	TLSConfig *tls.Config
	// PinnedKeys are the keys of which the server must have one. A pinned key is enough by
	// itself: authority, name and dates of the certificate are not looked at, so that
	// self-signed ones can be used, and a certificate of an authority in good standing with
	// another key is refused. The CertificateError of a server that is not trusted holds the
	// pin. Empty means that the certificate is verified as TLSConfig says.
	PinnedKeys []PinnedKey
	// LegacyTLS allows TLS 1.0 and 1.1, key exchange by RSA, and ciphers with CBC and 3DES,
	// for appliances that know nothing else. All of them have known weaknesses; each
	// connection logs a warning. TLSConfig.MinVersion and CipherSuites still restrict it.
	LegacyTLS bool

	// Network.

	// Proxy is where control and data connections go through: socks5://, socks5h:// (the
	// same: the proxy resolves names) or http:// (CONNECT), with user and password if it
	// asks for them; the default ports are 1080 and 8080. Data connections go to the host
	// that was dialled and the port that the server tells; active mode is impossible.
	// nil means none; the environment is not looked at.
	Proxy *url.URL
	// DialContext replaces the dialling of control connections, and with Proxy of all
	// connections to the proxy. nil means TCP to the address that answers first, of IPv6 and IPv4
	// (RFC 8305), with keep-alive probes after 15 s of silence,
	// every 5 s, and an end after 4 without an answer: NATs and firewalls forget idle
	// connections, and during a long transfer nothing else moves on the control connection.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// Data connections.

	Data DataOptions

	// Names, listings and times.

	// Encoding is how the server writes names, by its htmlindex name ("windows-1251",
	// "shift_jis"), or "latin1" for ISO 8859-1. "" finds out: UTF-8 where the server says so,
	// else what the first listed name beyond ASCII is, UTF-8 or latin1.
	Encoding string
	// ListLocation is the zone of the times that LIST shows. nil finds out, see Facts.ListZone.Offset.
	ListLocation *time.Location

	// Transfers.

	// Compress asks for compressed data connections (MODE Z) where the server offers them:
	// for slow lines, and for text. Files that are compressed already, going by their
	// extension, and transfers from an offset go as they are.
	Compress bool
	// UploadRate and DownloadRate limit this connection, in bytes a second on the data
	// connection; 0 means no limit.
	UploadRate, DownloadRate int64
	// UploadLimiter and DownloadLimiter do so for all connections that share them. The burst
	// of a limiter is the largest piece that moves at once; nil means no limit.
	UploadLimiter, DownloadLimiter *rate.Limiter

	// Limits.

	// CommandLimit is the longest command line sent, in bytes with its line end (4096, from
	// 64 to 4096). Servers in use cut longer lines, close the connection over them, or do not
	// answer; old ones take no more than 1024 or 512.
	CommandLimit int

	// What is known.

	// Facts is what an earlier connection learned about this server.
	Facts Facts

	// Time-outs; 0 means the default in parentheses.

	// ConnectTimeout bounds TCP connects and TLS handshakes (15 s). Ways of data connections that others may follow
	// get less; above 15 s, for slow lines, they get more in proportion.
	ConnectTimeout    time.Duration
	ReplyTimeout      time.Duration // reply to a command (30 s)
	StallTimeout      time.Duration // no byte moves on a data connection (60 s)
	FinalReplyTimeout time.Duration // reply after the end of a transfer (60 s)

	// NoopDuringTransfer is how often NOOP is sent while a transfer runs, for firewalls that
	// forget idle control connections and do not count TCP's own keep-alive. 0 is never: some
	// servers answer at once, some after the transfer, some with an error, and a few get out of
	// step over it.
	NoopDuringTransfer time.Duration

	// Logger gets each command and reply at debug level, secrets masked. nil means none.
	Logger *slog.Logger
}

func (o Options) withDefaults() Options {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orDefault(&o.ConnectTimeout, data.UsualLimit)
	orDefault(&o.ReplyTimeout, 30*time.Second)
	orDefault(&o.StallTimeout, 60*time.Second)
	orDefault(&o.FinalReplyTimeout, 60*time.Second)
	if o.User == "" {
		o.User, o.Password = "anonymous", "anonymous@"
	}
	if o.ClientName == "" {
		o.ClientName = "ftpferry"
	}
	if o.CommandLimit == 0 {
		o.CommandLimit = control.MaxCommand
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DialContext == nil {
		o.DialContext = newDualDialer(o.ConnectTimeout, net.DefaultResolver).DialContext
	}
	if o.Proxy != nil && o.Data.Policy == DataAuto {
		o.Data.Policy = DataPassiveOnly
	}
	return o
}

// ErrOptions: the options of Dial cannot work; nothing was sent.
var ErrOptions = errors.New("options that cannot work")

// check tells what is wrong with options, and what to do about it.
func (o Options) check() error {
	switch {
	case o.CommandLimit < minCommandLimit || o.CommandLimit > control.MaxCommand:
		return fmt.Errorf("%w: CommandLimit is %d; want %d to %d bytes", ErrOptions, o.CommandLimit, minCommandLimit, control.MaxCommand)
	case o.TLS == TLSNone && len(o.PinnedKeys) > 0:
		return fmt.Errorf("%w: PinnedKeys need TLS, which is switched off", ErrOptions)
	case o.Proxy != nil && o.Data.Policy == DataActiveOnly:
		return fmt.Errorf("%w: no server can connect to this client through a proxy; active mode and Proxy exclude each other", ErrOptions)
	}
	if err := o.Data.check(); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if _, err := newCodec(o.Encoding); err != nil {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if o.Proxy != nil {
		return checkProxy(o.Proxy)
	}
	return nil
}

// check tells what is wrong with port ranges.
func (o DataOptions) check() error {
	last := func(r PortRange) uint16 { return max(r.First, r.Last) }
	for _, r := range []PortRange{o.ActivePorts, o.AnnouncedPorts} {
		if r.Last != 0 && r.Last < r.First || r.First == 0 && r.Last != 0 {
			return fmt.Errorf("%d-%d is no range of ports", r.First, r.Last)
		}
	}
	active, announced := o.ActivePorts, o.AnnouncedPorts
	if announced.First > 0 && (active.First == 0 || last(announced)-announced.First != last(active)-active.First) {
		return fmt.Errorf("AnnouncedPorts are %d-%d for the ActivePorts %d-%d; want as many, one for one",
			announced.First, last(announced), active.First, last(active))
	}
	return nil
}

// minCommandLimit leaves room for the commands of a login and for short names.
const minCommandLimit = 64

// dataOptions is what opening a data connection needs, of this session too.
func (c *Conn) dataOptions(patience time.Duration) data.Options {
	o := c.options
	var dial data.Dial
	if o.Proxy != nil {
		dial = proxyDialer(o.Proxy, o.DialContext)
	}
	options := data.Options{
		Dial:             dial,
		Patience:         patience,
		TrustPASVAddress: o.Data.TrustPASVAddress,
		ActivePorts:      o.Data.ActivePorts,
		AnnouncedPorts:   o.Data.AnnouncedPorts,
		Peers:            o.Data.Peers,
		External:         o.Data.ExternalAddress,
		View:             c.outlook.View,
		Detected:         c.outlook.detected(),
	}
	if o.Data.Locator != nil {
		options.Mapper = o.Data.Locator
	}
	return options
}
