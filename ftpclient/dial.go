package ftpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Dial connects to address ("host:port"), protects the connection as o.TLS says and logs
// in. ctx bounds the dialling only. Errors are *Error with Op "connect" (nobody there,
// greeting, TLS) or "login".
func Dial(ctx context.Context, address string, o Options) (*Conn, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, &Error{Op: "connect", Path: address, Err: err}
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &Error{Op: "connect", Path: address, Err: err}
	}
	greeted, err := greet(ctx, address, host, o)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		options:  o,
		address:  address,
		facts:    o.Facts,
		tls:      greeted.tls,
		leaf:     greeted.leaf,
		session:  greeted.session,
		endpoint: endpoints(greeted.nc, host, o.Proxy != nil),
		control:  control.New(greeted.nc, greeted.br, o.Logger),

		listingLimit: maxListing,
	}
	c.hearGreeting(greeted.greeting)
	if err := c.login(ctx, greeted.greeting.Code == 230); err != nil {
		c.control.Close()
		return nil, err
	}
	return c, nil
}

// Redial opens another connection to the same server, with the same options and with what
// has been learned so far. It leaves c as it is, dead or alive: after a final reply that was
// lost, the new one can tell what became of the transfer.
func (c *Conn) Redial(ctx context.Context) (*Conn, error) {
	o := c.options
	o.Facts = c.facts
	return Dial(ctx, c.address, o)
}

// ErrNotSent: the connection ended before the server can have got the command, so that it
// has not been carried out. Where an error of a lost connection is not ErrNotSent, that is open.
var ErrNotSent = control.ErrNotSent

// greeted is a connection that has said hello, and is protected if it is to be.
type greeted struct {
	nc       net.Conn
	br       *bufio.Reader
	tls      *tls.Config // for data connections; nil without TLS
	leaf     []byte      // certificate of the control connection
	session  *tlsSession // nil without TLS
	greeting control.Reply
}

func greet(ctx context.Context, address, host string, o Options) (g greeted, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, o.ConnectTimeout+o.ReplyTimeout, ErrTimeout)
	defer cancel()
	fail := func(err error) error {
		var e *Error
		if errors.As(err, &e) {
			return err
		}
		if cause := control.Ended(ctx); cause != nil {
			err = cause
		}
		return &Error{Op: "connect", Path: address, Err: err}
	}
	dial := o.DialContext
	if o.Proxy != nil {
		dial = proxyDialer(o.Proxy, o.DialContext)
	}
	nc, err := dialWithin(ctx, o.ConnectTimeout, dial, address)
	if err != nil {
		return g, fail(err)
	}
	// Closing is what ends blocked reads when ctx does.
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer func() {
		if !stop() && err == nil {
			err = control.Ended(ctx)
		}
		if err != nil {
			nc.Close()
			err = fail(err)
		}
	}()
	g.nc, g.br = nc, bufio.NewReader(nc)
	if o.TLS == TLSImplicit {
		if err := g.protect(ctx, host, o); err != nil {
			return g, err
		}
	}
	if g.greeting, err = readGreeting(g.br, o); err != nil {
		if errors.Is(context.Cause(ctx), ErrTimeout) && o.TLS != TLSImplicit {
			hint := errors.New(`no greeting; if the server speaks TLS from the first byte, use tls = "implicit"`)
			err = &Error{Op: "connect", Path: address, Err: fmt.Errorf("%w: %w", ErrTimeout, hint)}
		}
		return g, g.session.explain("connect", err)
	}
	if o.TLS == TLSExplicit {
		if err := g.authTLS(o); err != nil {
			return g, err
		}
		if err := g.protect(ctx, host, o); err != nil {
			return g, err
		}
	}
	return g, nil
}

// dialWithin gives dialling, proxies included, no more than timeout.
func dialWithin(ctx context.Context, timeout time.Duration, dial data.Dial, address string) (net.Conn, error) {
	dialling, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	return dial(dialling, "tcp", address)
}

// endpoints are the ends of the control connection. Behind a proxy nothing is known of the
// server but what was dialled; PASV works there for every address, as only its port counts.
func endpoints(nc net.Conn, host string, proxied bool) data.Endpoints {
	address := func(a net.Addr) netip.AddrPort {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.AddrPort()
		}
		return netip.AddrPort{}
	}
	if proxied {
		server, err := netip.ParseAddr(host)
		if err != nil {
			server = netip.IPv4Unspecified()
		}
		return data.Endpoints{Server: netip.AddrPortFrom(server, 0), Host: host}
	}
	return data.Endpoints{Local: address(nc.LocalAddr()), Server: address(nc.RemoteAddr()), Host: host}
}
