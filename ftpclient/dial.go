package ftpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Dial connects to address ("host:port"), protects the connection as o.TLS says and logs
// in. ctx bounds the dialling only. Errors are *Error with Op "connect" (nobody there,
// greeting, TLS) or "login".
func Dial(ctx context.Context, address string, o Options) (*Conn, error) {
	o = o.withDefaults()
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, &Error{Op: "connect", Path: address, Err: err}
	}
	if _, err := newCodec(o.Encoding); err != nil {
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
		endpoint: endpoints(greeted.nc),
		control:  control.New(greeted.nc, greeted.br, o.Logger),

		listingLimit: maxListing,
	}
	if err := c.login(ctx, greeted.loggedIn); err != nil {
		c.control.Close()
		return nil, err
	}
	return c, nil
}

// greeted is a connection that has said hello, and is protected if it is to be.
type greeted struct {
	nc       net.Conn
	br       *bufio.Reader
	tls      *tls.Config // for data connections; nil without TLS
	leaf     []byte      // certificate of the control connection
	loggedIn bool        // the greeting was 230
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
	nc, err := o.DialContext(ctx, "tcp", address)
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
	reply, err := readGreeting(g.br, o)
	if err != nil {
		if errors.Is(context.Cause(ctx), ErrTimeout) && o.TLS != TLSImplicit {
			hint := errors.New(`no greeting; if the server speaks TLS from the first byte, use tls = "implicit"`)
			err = &Error{Op: "connect", Path: address, Err: fmt.Errorf("%w: %w", ErrTimeout, hint)}
		}
		return g, err
	}
	g.loggedIn = reply.Code == 230
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

// readGreeting reads 220 or 230, after any 120 ("ready in n minutes").
func readGreeting(br *bufio.Reader, o Options) (control.Reply, error) {
	for {
		reply, err := control.ReadReply(br)
		if err != nil {
			return reply, err
		}
		o.Logger.Debug("reply", "code", reply.Code, "text", reply.Text())
		switch {
		case reply.Preliminary():
		case reply.Completed():
			return reply, nil
		default:
			return reply, replyError("connect", "", "", reply)
		}
	}
}

func endpoints(nc net.Conn) data.Endpoints {
	address := func(a net.Addr) netip.AddrPort {
		if tcp, ok := a.(*net.TCPAddr); ok {
			return tcp.AddrPort()
		}
		return netip.AddrPort{}
	}
	return data.Endpoints{Local: address(nc.LocalAddr()), Server: address(nc.RemoteAddr())}
}
