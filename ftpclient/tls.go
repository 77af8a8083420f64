package ftpclient

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// Sentinels of TLS sessions. Servers use session resumption as the proof that a data
// connection comes from the client of the control connection: vsftpd, ProFTPD and FileZilla
// Server refuse others in their default configuration.
var (
	// ErrNotResumed: the server refused a data connection because its TLS session is not
	// that of the control connection, and this was so from the beginning: a matter of set-up.
	ErrNotResumed = errors.New("the server wants the TLS session of the control connection resumed on data connections, and it was not")
	// ErrTicketExpired: the same, where it has worked before or may have worked: the ticket
	// has run out or the server was restarted. One new control connection cures that; if the
	// first transfer on that is refused too, the error is ErrNotResumed.
	ErrTicketExpired = errors.New("the TLS session of the control connection cannot be resumed any more; a new connection can help")
)

// oldSession is an age at which servers may have dropped a TLS session: vsftpd and others
// keep sessions of TLS 1.2 for OpenSSL's 300 seconds.
const oldSession = 5 * time.Minute

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
	session := &tlsSession{began: time.Now()}
	config := session.config(host, o)
	answer := &recorder{Conn: g.nc}
	conn := tls.Client(answer, config)
	handshake, cancel := context.WithTimeoutCause(ctx, o.ConnectTimeout, ErrTimeout)
	defer cancel()
	if err := conn.HandshakeContext(handshake); err != nil {
		if cause := control.Ended(handshake); cause != nil {
			return cause
		}
		if refusal := answer.refusal(err); refusal != nil {
			return refusal
		}
		return explainOldTLS(session.explain("connect", explainTLS(err)), o)
	}
	answer.full = true
	state := conn.ConnectionState()
	session.version = state.Version
	warnOfTLS(o, config, state)
	g.nc, g.br = conn, bufio.NewReader(conn)
	g.session = session
	g.tls = config.Clone()
	if state.CurveID != 0 && state.Version == tls.VersionTLS13 {
		// Saves the round trip of a HelloRetryRequest on each data connection. TLS 1.2 has
		// none, and there the list has to name the curve of the certificate, too (RFC 8422
		// section 5.1.1).
		g.tls.CurvePreferences = []tls.CurveID{state.CurveID}
	}
	g.tls.VerifyConnection = func(state tls.ConnectionState) error {
		session.note(state.DidResume)
		if config.VerifyConnection != nil {
			return config.VerifyConnection(state)
		}
		return nil
	}
	if len(state.PeerCertificates) > 0 {
		g.leaf, g.certificateEnds = state.PeerCertificates[0].Raw, state.PeerCertificates[0].NotAfter.Unix()
	}
	return nil
}

// recorder keeps the beginning of what is read, as long as it is not full.
type recorder struct {
	net.Conn
	start []byte
	full  bool
}

func (r *recorder) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if !r.full {
		r.start = append(r.start, p[:n]...)
		r.full = len(r.start) >= control.MaxLine
	}
	return n, err
}

// refusal is what a server says in clear text instead of a handshake that failed with err: vsftpd
// tells so of one client too many, even where TLS starts with the first byte. nil if it is no
// refusal.
func (r *recorder) refusal(err error) error {
	var header tls.RecordHeaderError
	if !errors.As(err, &header) || header.RecordHeader[0] != '4' && header.RecordHeader[0] != '5' {
		return nil
	}
	reply, err := control.ReadReply(bufio.NewReader(io.MultiReader(bytes.NewReader(r.start), r.Conn)))
	if err != nil || reply.Code < 400 {
		return nil
	}
	return replyError("connect", "", "", reply)
}

// tlsSession is what is known about the TLS session of one control connection. It is safe
// for concurrent use. The nil value is that of a connection without TLS.
type tlsSession struct {
	began   time.Time
	version uint16 // of TLS, as agreed on

	mu      sync.Mutex
	asked   bool // the server asked for a client certificate, and there is none
	resumed int  // data connections that resumed the session
	last    bool // the last data connection did
}

// config is the TLS of the control connection and of its data connections.
func (s *tlsSession) config(host string, o Options) *tls.Config {
	config := o.TLSConfig.Clone()
	if config == nil {
		config = &tls.Config{}
	}
	if config.ServerName == "" {
		// Needed even where nobody verifies: it is the key under which the session is kept.
		config.ServerName, _, _ = strings.Cut(host, "%") // no zone of IPv6
	}
	if o.TLSConfig == nil || o.TLSConfig.ServerName == "" {
		if o.VirtualHost != "" {
			config.ServerName = o.VirtualHost
		}
	}
	oldest := uint16(tls.VersionTLS12)
	if o.LegacyTLS {
		oldest = tls.VersionTLS10
		if config.CipherSuites == nil {
			config.CipherSuites = legacyCipherSuites()
		}
	}
	config.MinVersion = max(config.MinVersion, oldest)
	if len(o.PinnedKeys) > 0 {
		pin(config, o.PinnedKeys)
	}
	if config.InsecureSkipVerify {
		resumeExpired(config)
	}
	if config.GetClientCertificate == nil && len(config.Certificates) == 0 {
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.asked = true
			return &tls.Certificate{}, nil
		}
	}
	// One entry, so that the newest ticket of this control connection is the one used:
	// FileZilla Server sends a fresh one before each data connection.
	config.ClientSessionCache = sessionCache{tls.NewLRUClientSessionCache(1)}
	return config
}

// resumeExpired lets sessions be resumed where the date of a certificate does not matter:
// crypto/tls offers none whose certificate has expired, verified or not, and servers that
// demand resumption would then refuse every data connection. The clock of the connection
// goes back once, before the session is made, so that the age of tickets stays right.
func resumeExpired(config *tls.Config) {
	now := config.Time
	if now == nil {
		now = time.Now
	}
	var back atomic.Int64 // a time.Duration
	config.Time = func() time.Time { return now().Add(-time.Duration(back.Load())) }
	next := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) > 0 {
			if over := config.Time().Sub(state.PeerCertificates[0].NotAfter); over >= 0 {
				back.Store(int64(over + 30*24*time.Hour))
			}
		}
		if next != nil {
			return next(state)
		}
		return nil
	}
}

// legacyCipherSuites are those that crypto/tls offers by default and the ones with RSA key
// exchange, CBC and 3DES, for appliances that know nothing else. RC4 stays out.
func legacyCipherSuites() []uint16 {
	var ids []uint16
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		if !strings.Contains(suite.Name, "RC4") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}

// warnOfTLS tells what an operator has to know about how well a connection is protected.
func warnOfTLS(o Options, config *tls.Config, state tls.ConnectionState) {
	suite := slog.String("cipher_suite", tls.CipherSuiteName(state.CipherSuite))
	version := slog.String("version", tls.VersionName(state.Version))
	if o.TLSConfig != nil && o.TLSConfig.InsecureSkipVerify && o.TLSConfig.VerifyConnection == nil &&
		o.TLSConfig.VerifyPeerCertificate == nil && len(o.PinnedKeys) == 0 {
		o.Logger.Warn("the server's certificate is not verified: anybody on the way can read and change everything", "server_name", config.ServerName)
	}
	if o.LegacyTLS {
		o.Logger.Warn("old versions and ciphers of TLS are allowed", "server_name", config.ServerName, version, suite)
	}
}

// note records the handshake of a data connection.
func (s *tlsSession) note(resumed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = resumed
	if resumed {
		s.resumed++
	}
}

// refusal is the error behind a reply for which notResumed is true. now decides whether the
// session is old.
func (s *tlsSession) refusal(now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	earlier := s.resumed
	if s.last { // that was the data connection which the server refused
		earlier--
	}
	switch {
	case earlier > 0 || now.Sub(s.began) > oldSession:
		return ErrTicketExpired
	case s.last && s.version == tls.VersionTLS13:
		return fmt.Errorf("%w, says the server although it was: it may expect another ticket than its newest; limit TLS to version 1.2", ErrNotResumed)
	case s.last:
		return fmt.Errorf("%w, says the server although it was; let it %s", ErrNotResumed, withoutReuse)
	case s.version == tls.VersionTLS13:
		return fmt.Errorf("%w: the server gave no session ticket that could be used; limit TLS to version 1.2, or let the server %s",
			ErrNotResumed, withoutReuse)
	}
	// crypto/tls has no session identifiers, which are the other way to resume in TLS 1.2.
	return fmt.Errorf("%w: this client resumes by session tickets, and the server gives none with TLS 1.2; let the server allow TLS 1.3, "+
		"give tickets (ProFTPD: TLSSessionTickets on), or %s", ErrNotResumed, withoutReuse)
}

// withoutReuse is the last resort: it lets anybody connect who guesses the port.
const withoutReuse = "do without (vsftpd: require_ssl_reuse=NO, ProFTPD: TLSOptions NoSessionReuseRequired)"

// notResumed reports whether a reply means that the server refuses a data connection for not
// resuming the TLS session of the control connection. protected says that TLS is in use,
// server is Facts.Server.
func notResumed(code int, text string, protected bool, server string) bool {
	if !protected || code < 400 {
		return false
	}
	if saysAny(text, "session reuse", "session re-use", "session resum", "not resumed", "session was not reused") {
		return true // vsftpd 522, FileZilla Server 425, Bitvise
	}
	// mod_tls tells it in the words of EPERM.
	return code == 425 && (server == "proftpd" || server == "") &&
		saysAny(text, "unable to build data connection: operation not permitted")
}

// explain adds to an error of the operation op that the server asked for a certificate which
// it did not get: with TLS 1.3 that shows only when the client next reads.
func (s *tlsSession) explain(op string, err error) error {
	if s == nil || err == nil || op != "connect" && op != "login" {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.asked {
		return err
	}
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" { // an alert
		return fmt.Errorf("%w: the server asks for a client certificate, and none is configured: %w", ErrCertificate, err)
	}
	return fmt.Errorf("%w (the server had asked for a client certificate, and none is configured)", err)
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
		return explainCertificate(verification)
	}
	var header tls.RecordHeaderError
	if errors.As(err, &header) {
		hint := ""
		if header.RecordHeader[0] >= '1' && header.RecordHeader[0] <= '5' {
			hint = ` (it begins with an FTP reply: use tls = "explicit")`
		}
		return fmt.Errorf("%w: the server answers the TLS handshake in clear text %q%s: %w", ErrInsecure, header.RecordHeader[:], hint, err)
	}
	return err
}

// explainOldTLS tells of a handshake that failed because both sides have nothing in common
// how to get there.
func explainOldTLS(err error, o Options) error {
	if o.LegacyTLS {
		return err
	}
	// crypto/tls has no types for these.
	if !saysAny(err.Error(), "unsupported protocol version", "protocol version not supported",
		"remote error: tls: handshake failure", "insufficient security level", "unsupported cipher suite", "unconfigured cipher suite") {
		return err
	}
	if errors.Is(err, ErrCertificate) {
		return err
	}
	return fmt.Errorf("%w: no version and cipher of TLS in common; if those of the server are old, the option LegacyTLS allows them: %w", ErrInsecure, err)
}
