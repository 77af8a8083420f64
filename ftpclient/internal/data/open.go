package data

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// Options are the parts of a data connection that an operator decides.
type Options struct {
	// Dial replaces the dialling of passive connections: it leads through a proxy, which is
	// told Endpoints.Host and not an address. nil means TCP from the address of the control
	// connection.
	Dial Dial
	// Patience bounds dialling out and waiting for the server's call, each.
	Patience time.Duration
	// TrustPASVAddress makes PASV use the address in the reply instead of the control
	// peer's: for server farms only (RFC 2577 section 3 names the danger).
	TrustPASVAddress bool
	// ActivePorts are the local ports to listen on; First 0 lets the system choose.
	ActivePorts PortRange
	// AnnouncedPorts are announced in place of ActivePorts, one for one, where a router forwards
	// other ports outside than inside; First 0 means the same ones. Both ranges are of one size.
	AnnouncedPorts PortRange
	// Peers may open data connections beside the control connection's peer, and be named in the
	// reply to PASV where that is trusted: for farms of servers. 0.0.0.0/0 and ::/0 let anybody
	// connect, but make no address in a reply better than it is.
	Peers []netip.Prefix
	// External is the address that an operator has configured, Detected the best one that was
	// found out: what Configured, and Forwarded, announce.
	External, Detected netip.Addr
	// View is this client's address as the server sees it, if it tells: what Punched announces,
	// and what the gateway's address has to be for Mapped.
	View netip.Addr
	// Mapper opens ports at the gateway, for Mapped; nil where nobody does.
	Mapper Mapper
}

// Mapper lends listeners that can be reached from outside (extip.Locator).
type Mapper interface {
	// Listen listens on the local address, on a port of the range; first 0 means any.
	Listen(ctx context.Context, local netip.Addr, first, last uint16) (*extip.Listener, error)
	// Void drops the mapping of an external port that nobody got through.
	Void(external netip.AddrPort)
}

// Dial connects to an address of the form host:port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// PortRange is an inclusive range of TCP ports.
type PortRange struct{ First, Last uint16 }

// Control sends a command on the control connection and returns its final reply.
type Control func(ctx context.Context, verb, argument string) (control.Reply, error)

// Endpoints are both ends of the control connection. Behind a proxy, Server is the address
// of the server if that is known and the unspecified one if not, and Local is of no use.
type Endpoints struct {
	Local, Server netip.AddrPort
	Host          string // as it was dialled
}

// Pending is a data connection on its way: prepared before the transfer command is sent and
// opened after it. Close gives it up; it may be called more than once and after Open.
type Pending interface {
	// Open returns the connection. In active mode it waits for the server.
	Open(ctx context.Context) (net.Conn, error)
	Close() error
	// Target is what was dialled or announced, for people.
	Target() string
	// Listened is the local address of an active way, "" for a passive one.
	Listened() string
}

// Prepare gets a data connection ready in the given way. In passive ways the connection is
// made here, before any transfer command. A *ReplyError is the server's refusal; other
// errors are those of the control connection (see Fatal) or of the network, or refuse what the
// server wants (ErrThirdHost and its like): StageOf tells. After a Silent one the control
// connection may be in the middle of a reply.
func Prepare(ctx context.Context, way Way, ends Endpoints, do Control, o Options) (Pending, error) {
	switch way.Command {
	case EPSV:
		return prepareEPSV(ctx, ends, do, o)
	case PASV:
		return preparePASV(ctx, ends, do, o)
	case EPRT, PORT:
		return prepareActive(ctx, way, ends, do, o)
	}
	return nil, fmt.Errorf("no such way: %v", way)
}

func command(ctx context.Context, do Control, verb, argument string) (control.Reply, error) {
	reply, err := do(ctx, verb, argument)
	if err != nil {
		return reply, controlError{err}
	}
	if !reply.Completed() {
		return reply, &ReplyError{reply}
	}
	return reply, nil
}

func prepareEPSV(ctx context.Context, ends Endpoints, do Control, o Options) (Pending, error) {
	reply, err := command(ctx, do, "EPSV", "")
	if err != nil {
		return nil, err
	}
	port, err := ParseEPSV(reply.Text())
	if err != nil {
		return nil, err
	}
	if port < firstUnprivileged {
		return nil, fmt.Errorf("%w: %d", ErrPrivilegedPort, port)
	}
	return dial(ctx, ends, netip.AddrPortFrom(ends.Server.Addr(), port), o)
}

// firstUnprivileged is the first port at which no well-known service waits for the commands
// that an upload could hold (RFC 2577 section 3).
const firstUnprivileged = 1024

func preparePASV(ctx context.Context, ends Endpoints, do Control, o Options) (Pending, error) {
	reply, err := command(ctx, do, "PASV", "")
	if err != nil {
		return nil, err
	}
	named, err := ParsePASV(reply.Text())
	if err != nil {
		return nil, err
	}
	if named.Port() < firstUnprivileged {
		return nil, fmt.Errorf("%w: %s", ErrPrivilegedPort, named)
	}
	peer := ends.Server.Addr()
	if named.Addr().IsUnspecified() || named.Addr() == peer.Unmap() {
		return dial(ctx, ends, netip.AddrPortFrom(peer, named.Port()), o)
	}
	if o.TrustPASVAddress {
		if !mayName(peer.Unmap(), named.Addr(), o.Peers) {
			return nil, fmt.Errorf("%w: %s, which %s has no business to name", ErrThirdHost, named, peer)
		}
		return dial(ctx, ends, named, o)
	}
	pending, err := dial(ctx, ends, netip.AddrPortFrom(peer, named.Port()), o)
	switch {
	case err == nil:
		return pending, nil
	case peer.IsUnspecified() || extip.Private(named.Addr()) && !extip.Private(peer):
		// No attack: a server behind NAT that does not know its address outside.
		return nil, fmt.Errorf("%w (the reply to PASV names %s)", err, named)
	}
	return nil, fmt.Errorf("%w; %w: %s", err, ErrThirdHost, named)
}

// mayName reports whether a server at peer may send this client to another address, where an
// operator trusts its replies to PASV: not to what only this machine or its network can reach
// and the server cannot.
func mayName(peer, named netip.Addr, peers []netip.Prefix) bool {
	for _, prefix := range peers {
		if prefix.Bits() > 0 && prefix.Contains(named) {
			return true
		}
	}
	switch {
	case named.IsLoopback():
		return peer.IsLoopback()
	case named.IsLinkLocalUnicast():
		return peer.IsLinkLocalUnicast()
	case !named.IsGlobalUnicast(): // multicast, broadcast
		return false
	}
	return !extip.Private(named) || extip.Private(peer)
}

type connected struct {
	net.Conn
	target string
}

func (c connected) Open(context.Context) (net.Conn, error) { return c.Conn, nil }
func (c connected) Target() string                         { return c.target }
func (c connected) Listened() string                       { return "" }

// dial connects from the address of the control connection: servers refuse data
// connections from elsewhere. A proxy gets the name of the server, since it alone knows
// which address it has connected to.
func dial(ctx context.Context, ends Endpoints, to netip.AddrPort, o Options) (Pending, error) {
	if o.Dial != nil {
		target := to.String()
		if to.Addr() == ends.Server.Addr() {
			target = net.JoinHostPort(ends.Host, strconv.Itoa(int(to.Port())))
		}
		if o.Patience > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, o.Patience)
			defer cancel()
		}
		conn, err := o.Dial(ctx, "tcp", target)
		if err != nil {
			return nil, dialError{err}
		}
		return connected{conn, target}, nil
	}
	dialer := net.Dialer{Timeout: o.Patience, ControlContext: latePort}
	conn, err := dialer.DialTCP(ctx, "tcp", netip.AddrPortFrom(ends.Local.Addr(), 0), to)
	if err != nil {
		return nil, dialError{err}
	}
	return connected{conn, to.String()}, nil
}
