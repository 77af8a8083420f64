package ftpclient

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

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
		return replyError("connect", "", "AUTH", reply)
	}
	if !reply.Completed() && !reply.Intermediate() {
		e := replyError("connect", "", "AUTH", reply)
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
