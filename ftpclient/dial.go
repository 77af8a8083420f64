package ftpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// Dial connects to address ("host:port"), protects the connection as o.TLS says and logs
// in. ctx bounds the dialling only; beside it, each step has a time-out of its own (see
// Options). Errors are *Error with Op "connect" (nobody there,
// greeting, TLS) or "login".
func Dial(ctx context.Context, address string, o Options) (*Conn, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, &Error{Op: "connect", Path: address, Err: err}
	}
	c, err := dialOnce(ctx, address, o)
	if !errors.Is(err, errNotAtOnce) || ctx.Err() != nil {
		return c, err
	}
	o.Logger.Info("login failed in one write, once more command by command", "address", address, "error", err)
	learned := loginFailed
	if o.Facts.LoginAtOnce == loginFailed || errors.Is(err, ErrDesync) {
		learned = loginBroke
	}
	o.Facts.LoginAtOnce = loginBroke
	c, second := dialOnce(ctx, address, o)
	if second == nil {
		c.facts.LoginAtOnce = learned
	} else if e, ok := errors.AsType[*Error](second); ok && e.Facts != nil {
		e.Facts.LoginAtOnce = "" // it may not have been that
	}
	return c, second
}

func dialOnce(ctx context.Context, address string, o Options) (*Conn, error) {
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
		opened:   time.Now(),
		facts:    o.Facts,
		tls:      greeted.tls,
		leaf:     greeted.leaf,
		session:  greeted.session,
		endpoint: endpoints(greeted.nc, host, o.Proxy != nil),
		control:  control.New(greeted.nc, greeted.br, wireLogger(o.Logger, greeted.nc)),

		listingLimit: maxListing,
	}
	c.hearGreeting(greeted.greeting)
	c.facts.CertificateEnds = greeted.certificateEnds
	began := time.Now()
	if err := c.login(ctx, greeted.greeting.Code == 230); err != nil {
		c.control.Close()
		return nil, c.loginFailed(ctx, err)
	}
	c.loginTook, c.connectTook = time.Since(began), greeted.connectTook
	return c, nil
}

// wireLogger tells the connections to a server apart, by the address at this end.
func wireLogger(logger *slog.Logger, nc net.Conn) *slog.Logger {
	return logger.With("local", nc.LocalAddr().String())
}

// loginFailed learns from a login that failed, and hands on what was learned.
func (c *Conn) loginFailed(ctx context.Context, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Code == 0 && ctx.Err() == nil && !errors.Is(err, ErrUnsendable) && !errors.Is(err, errNotAtOnce) {
		c.wishes.brokeOff(&c.facts)
	}
	facts := c.facts
	e.Facts = &facts
	return err
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
	// certificateEnds is Facts.CertificateEnds.
	certificateEnds int64
	connectTook     time.Duration // until TCP stood
}

func greet(ctx context.Context, address, host string, o Options) (g greeted, err error) {
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
	began := time.Now()
	nc, err := dialWithin(ctx, o.ConnectTimeout, dial, address)
	if err != nil {
		return g, fail(err)
	}
	defer func() {
		if err != nil {
			nc.Close()
			err = fail(err)
		}
	}()
	g.connectTook = time.Since(began)
	o.Logger = wireLogger(o.Logger, nc)
	g.nc, g.br = nc, bufio.NewReader(nc)
	if o.TLS == TLSImplicit {
		if err := g.protect(ctx, host, o); err != nil {
			return g, err
		}
	}
	err = within(ctx, o.ReplyTimeout, nc, func() (err error) {
		g.greeting, err = readGreeting(g.br, o)
		return err
	})
	if err != nil {
		switch {
		case g.greeting.Preliminary():
			err = fmt.Errorf("%w; all that the server said was %q", err, g.greeting.String())
		case errors.Is(err, ErrTimeout) && o.TLS != TLSImplicit:
			err = fmt.Errorf(`%w: no greeting; if the server speaks TLS from the first byte, use tls = "implicit"`, err)
		}
		return g, g.session.explain("connect", err)
	}
	if o.TLS == TLSExplicit {
		if err := within(ctx, o.ReplyTimeout, nc, func() error { return g.authTLS(o) }); err != nil {
			return g, err
		}
		if err := g.protect(ctx, host, o); err != nil {
			return g, err
		}
	}
	return g, nil
}

// within gives talk over nc no more than patience. Closing is what ends blocked reads.
func within(ctx context.Context, patience time.Duration, nc net.Conn, talk func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, ErrTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	err := talk()
	if !stop() {
		return control.Ended(ctx)
	}
	return err
}

// dialWithin gives dialling, proxies included, no more than timeout.
func dialWithin(ctx context.Context, timeout time.Duration, dial data.Dial, address string) (net.Conn, error) {
	dialling, cancel := context.WithTimeoutCause(ctx, timeout, ErrTimeout)
	defer cancel()
	conn, err := dial(dialling, "tcp", address)
	if deadline, ok := dialling.Deadline(); err != nil && ok && !time.Now().Before(deadline) {
		// Sockets notice a deadline before contexts do, and callers ask their context.
		<-dialling.Done()
		err = fmt.Errorf("%w: %w", control.Ended(dialling), err)
	}
	return conn, err
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
