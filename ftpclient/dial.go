package ftpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

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
			return reply, replyError("connect", "", reply)
		}
	}
}

// authTLS asks for TLS. Bytes that came behind the reply in clear text were put there by
// somebody who wants them read as protected ones (CVE-2011-0411 and its kind).
func (g *greeted) authTLS(o Options) error {
	o.Logger.Debug("command", "line", "AUTH TLS")
	if _, err := g.nc.Write([]byte("AUTH TLS\r\n")); err != nil {
		return err
	}
	reply, err := control.ReadReply(g.br)
	if err != nil {
		return err
	}
	o.Logger.Debug("reply", "code", reply.Code, "text", reply.Text())
	if reply.Code == 421 {
		return replyError("connect", "", reply)
	}
	if !reply.Completed() && !reply.Intermediate() {
		e := replyError("connect", "", reply)
		e.Err = fmt.Errorf("%w: the server refuses AUTH TLS", ErrInsecure)
		return e
	}
	if g.br.Buffered() > 0 {
		return fmt.Errorf("%w: clear text behind the reply to AUTH TLS", ErrInsecure)
	}
	return nil
}

// protect puts TLS on the control connection and prepares the one for data connections.
func (g *greeted) protect(ctx context.Context, host string, o Options) error {
	config := o.TLSConfig.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		// Needed even where nobody verifies: it is the key under which the session is kept.
		config.ServerName = host
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	// One entry, so that the newest ticket of this control connection is the one used:
	// FileZilla Server sends a fresh one before each data connection.
	config.ClientSessionCache = sessionCache{tls.NewLRUClientSessionCache(1)}
	conn := tls.Client(g.nc, config)
	handshake, cancel := context.WithTimeoutCause(ctx, o.ConnectTimeout, ErrTimeout)
	defer cancel()
	if err := conn.HandshakeContext(handshake); err != nil {
		return explainTLS(err)
	}
	state := conn.ConnectionState()
	g.nc, g.br = conn, bufio.NewReader(conn)
	g.tls = config.Clone()
	if state.CurveID != 0 {
		// Saves the round trip of a HelloRetryRequest on each data connection.
		g.tls.CurvePreferences = []tls.CurveID{state.CurveID}
	}
	if len(state.PeerCertificates) > 0 {
		g.leaf = state.PeerCertificates[0].Raw
	}
	return nil
}

// sessionCache keeps the session when a handshake fails: crypto/tls would drop it, and a data
// connection whose handshake was cut short because the server refused the transfer would be
// the last one that could resume.
type sessionCache struct{ tls.ClientSessionCache }

// Put implements tls.ClientSessionCache.
func (c sessionCache) Put(key string, session *tls.ClientSessionState) {
	if session != nil {
		c.ClientSessionCache.Put(key, session)
	}
}

// explainTLS marks errors that are about trust; the others are those of the network.
func explainTLS(err error) error {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	var header tls.RecordHeaderError
	if errors.As(err, &header) {
		return fmt.Errorf("%w: the server answers the TLS handshake in clear text: %w", ErrInsecure, err)
	}
	return err
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

func (c *Conn) login(ctx context.Context, loggedIn bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*c.options.ReplyTimeout, ErrTimeout)
	defer cancel()
	if !loggedIn {
		if err := c.authenticate(ctx); err != nil {
			return err
		}
	}
	if err := c.readFeatures(ctx); err != nil {
		return err
	}
	if c.tls != nil {
		if err := c.protectData(ctx); err != nil {
			return err
		}
	}
	reply, err := c.do(ctx, "login", "", "PWD", "")
	if err != nil {
		return err
	}
	c.home = parsePWD(reply)
	reply, err = c.do(ctx, "login", "", "TYPE", "I")
	if err != nil {
		return err
	}
	if !reply.Completed() {
		return replyError("login", "", reply)
	}
	return nil
}

// authenticate sends USER and PASS. Servers may be content after USER (230, 232).
func (c *Conn) authenticate(ctx context.Context) error {
	reply, err := c.do(ctx, "login", "", "USER", c.options.User)
	if err != nil {
		return err
	}
	if reply.Code == 331 {
		reply, err = c.doSecret(ctx, "login", "PASS", c.options.Password)
		if err != nil {
			return err
		}
	}
	if !reply.Completed() {
		return replyError("login", "", reply)
	}
	return nil
}

// readFeatures asks FEAT after the login, because servers change the list with it, and
// switches names to UTF-8 where that has to be asked for.
func (c *Conn) readFeatures(ctx context.Context) error {
	reply, err := c.do(ctx, "login", "", "FEAT", "")
	if err != nil {
		return err
	}
	c.features = Features{}
	if reply.Completed() {
		c.features = parseFeatures(reply.Lines)
	}
	if c.features.Has("UTF8") {
		// Refusals are fine: two of the servers in use have UTF-8 on and refuse the command.
		if _, err := c.do(ctx, "login", "", "OPTS", "UTF8 ON"); err != nil {
			return err
		}
	}
	return nil
}

// protectData demands encrypted data connections (RFC 4217 sections 8 and 9).
func (c *Conn) protectData(ctx context.Context) error {
	if _, err := c.do(ctx, "login", "", "PBSZ", "0"); err != nil {
		return err
	}
	reply, err := c.do(ctx, "login", "", "PROT", "P")
	if err != nil {
		return err
	}
	if !reply.Completed() {
		e := replyError("login", "", reply)
		e.Err = fmt.Errorf("%w: the server refuses PROT P", ErrInsecure)
		return e
	}
	return nil
}

// parsePWD takes the folder out of 257 "folder" text. Quotes in the name are doubled by
// most servers and not by all, so an odd reading ends at the last quote of the line.
func parsePWD(reply control.Reply) string {
	text := reply.Last()
	open := strings.IndexByte(text, '"')
	if !reply.Completed() || open < 0 {
		return "/"
	}
	rest := text[open+1:]
	for i := 0; i < len(rest); i++ {
		if rest[i] != '"' {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '"' {
			i++
			continue
		}
		if i > 0 && (i+1 == len(rest) || rest[i+1] == ' ') {
			return strings.ReplaceAll(rest[:i], `""`, `"`)
		}
		break
	}
	if last := strings.LastIndexByte(rest, '"'); last > 0 {
		return rest[:last]
	}
	return "/"
}

// quitPatience is how long Close waits for the answer to QUIT: a courtesy, no more.
const quitPatience = time.Second
