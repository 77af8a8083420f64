package ftpclient

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"golang.org/x/time/rate"

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

// Mode is the way a data connection is made.
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

// PortRange is an inclusive range of TCP ports.
type PortRange = data.PortRange

// DataOptions say how data connections may be made.
type DataOptions struct {
	Policy DataPolicy
	// ActivePorts are the local ports to listen on in active mode. Setting them tells
	// DataAuto that the server can reach this client there.
	ActivePorts PortRange
	// ExternalAddress is announced in active mode; the zero Addr means the local address
	// of the control connection.
	ExternalAddress netip.Addr
	// TrustPASVAddress connects to the address in the server's PASV reply instead of the
	// address of the control connection. Only for server farms: a hostile server can use it
	// to make this client connect anywhere (RFC 2577 section 3).
	TrustPASVAddress bool
}

// Options are what Dial needs to know. The zero value logs in anonymously over explicit TLS.
type Options struct {
	User, Password string

	TLS TLSMode
	// TLSConfig is cloned. ServerName defaults to the host dialled, MinVersion to TLS 1.2.
	// ClientSessionCache is always replaced by one of this connection's own: servers demand
	// that data connections resume the session of *their* control connection.
	TLSConfig *tls.Config

	Data DataOptions

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

	// Facts is what an earlier connection learned about this server.
	Facts Facts

	// Time-outs; 0 means the default in parentheses.
	ConnectTimeout    time.Duration // TCP connect and TLS handshake (15 s)
	ReplyTimeout      time.Duration // reply to a command (30 s)
	StallTimeout      time.Duration // no byte moves on a data connection (60 s)
	FinalReplyTimeout time.Duration // reply after the end of a transfer (60 s)

	// Logger gets each command and reply at debug level, secrets masked. nil means none.
	Logger *slog.Logger
	// DialContext replaces the dialling of the control connection, for tests.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	orDefault := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	orDefault(&o.ConnectTimeout, 15*time.Second)
	orDefault(&o.ReplyTimeout, 30*time.Second)
	orDefault(&o.StallTimeout, 60*time.Second)
	orDefault(&o.FinalReplyTimeout, 60*time.Second)
	if o.User == "" {
		o.User, o.Password = "anonymous", "anonymous@"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.DialContext == nil {
		dialer := &net.Dialer{
			Timeout: o.ConnectTimeout,
			// NATs and firewalls forget idle connections; during a long transfer nothing
			// else moves on the control connection.
			KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
		}
		o.DialContext = dialer.DialContext
	}
	return o
}

func (o Options) dataOptions() data.Options {
	return data.Options{
		ConnectTimeout:   o.ConnectTimeout,
		TrustPASVAddress: o.Data.TrustPASVAddress,
		ActivePorts:      o.Data.ActivePorts,
		ExternalAddress:  o.Data.ExternalAddress,
	}
}
