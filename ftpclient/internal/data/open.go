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
	// Patience bounds dialling out and waiting for the server's call.
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
	// reply to PASV where that is trusted: for farms of servers.
	Peers []netip.Prefix
	// External is the address that an operator has configured, Detected the one that was found
	// out: what Configured, and Forwarded and Punched, announce.
	External, Detected netip.Addr
	// Mapper opens ports at the gateway, for Mapped; nil where nobody does.
	Mapper Mapper
}

// Mapper lends listeners that can be reached from outside (extip.Locator).
type Mapper interface {
	Listen(ctx context.Context, local netip.Addr, first, last uint16) (*extip.Listener, error)
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
// server wants (ErrThirdHost and its like).
func Prepare(ctx context.Context, way Way, ends Endpoints, do Control, o Options) (Pending, error) {
	switch way.Command {
	case EPSV:
		return prepareEPSV(ctx, ends, do, o)
	case PASV:
		return preparePASV(ctx, ends, do, o)
	case EPRT, PORT:
		return prepareActive(ctx, way.Command, ends, do, o)
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
	return dial(ctx, ends, netip.AddrPortFrom(ends.Server.Addr(), port), o)
}

func preparePASV(ctx context.Context, ends Endpoints, do Control, o Options) (Pending, error) {
	reply, err := command(ctx, do, "PASV", "")
	if err != nil {
		return nil, err
	}
	address, err := ParsePASV(reply.Text())
	if err != nil {
		return nil, err
	}
	if !o.TrustPASVAddress || address.Addr().IsUnspecified() {
		address = netip.AddrPortFrom(ends.Server.Addr(), address.Port())
	}
	return dial(ctx, ends, address, o)
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
	dialer := net.Dialer{
		Timeout:   o.Patience,
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(ends.Local.Addr(), 0)),
	}
	conn, err := dialer.DialContext(ctx, "tcp", to.String())
	if err != nil {
		return nil, dialError{err}
	}
	return connected{conn, to.String()}, nil
}

type listening struct {
	listener *net.TCPListener
	from     netip.Addr
	timeout  time.Duration
	target   string
}

func prepareActive(ctx context.Context, mode Mode, ends Endpoints, do Control, o Options) (Pending, error) {
	if o.Dial != nil {
		return nil, fmt.Errorf("%s is impossible: no server can connect to this client through a proxy", mode)
	}
	listener, err := listen(ends.Local.Addr(), o.ActivePorts)
	if err != nil {
		return nil, err
	}
	port := uint16(listener.Addr().(*net.TCPAddr).Port)
	announced := netip.AddrPortFrom(ends.Local.Addr().Unmap(), port)
	if o.External.IsValid() {
		announced = netip.AddrPortFrom(o.External.Unmap(), port)
	}
	argument := formatEPRT(announced)
	if mode == PORT {
		if !announced.Addr().Is4() {
			listener.Close()
			return nil, fmt.Errorf("PORT cannot announce %s: it knows IPv4 only", announced.Addr())
		}
		argument = formatPORT(announced)
	}
	if _, err := command(ctx, do, mode.String(), argument); err != nil {
		listener.Close()
		return nil, err
	}
	return &listening{listener, ends.Server.Addr().Unmap(), o.Patience, announced.String()}, nil
}

// listen takes the first free port of the range.
func listen(address netip.Addr, ports PortRange) (*net.TCPListener, error) {
	var first error
	for port := int(ports.First); port <= int(max(ports.First, ports.Last)); port++ {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, uint16(port))))
		if err == nil {
			return l, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, fmt.Errorf("no free port in %d-%d: %w", ports.First, ports.Last, first)
}

func (l *listening) Target() string   { return l.target }
func (l *listening) Listened() string { return l.listener.Addr().String() }
func (l *listening) Close() error     { return l.listener.Close() }

// Open takes the server's call. Callers from any other address are turned away and the
// wait goes on (RFC 2577 section 3: a stranger could steal or plant a file).
func (l *listening) Open(ctx context.Context) (net.Conn, error) {
	defer l.listener.Close()
	stop := context.AfterFunc(ctx, func() { l.listener.Close() })
	defer stop()
	if err := l.listener.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		return nil, err
	}
	for {
		conn, err := l.listener.AcceptTCP()
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close()
			}
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("server did not connect to %s: %w", l.target, err)
		}
		if conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap() == l.from {
			return conn, nil
		}
		conn.Close()
	}
}
