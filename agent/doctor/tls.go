package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
)

// soon is how long before its end a certificate is worth a word.
const soon = 21 * 24 * time.Hour

// errSeen ends a handshake in which all was seen that was wanted.
var errSeen = errors.New("seen enough")

// lookAtTLS asks for each version on a connection of its own, which ends in the middle of the
// handshake: nothing of the login is sent.
func (e *examination) lookAtTLS(ctx context.Context) {
	report := &TLS{Mode: string(e.Server.TLS), Versions: []TLSVersion{}}
	mode := e.Client.TLS
	if mode == ftpclient.TLSNone {
		if e.conn != nil && !e.conn.Features().Has("AUTH") {
			return
		}
		mode = ftpclient.TLSExplicit
	}
	var newest *tls.ConnectionState
	versions := []uint16{tls.VersionTLS13, tls.VersionTLS12}
	for i := 0; i < len(versions); i++ {
		version := versions[i]
		state, err := e.lookAtVersion(ctx, mode, version)
		if ctx.Err() != nil {
			return
		}
		told := TLSVersion{Version: strings.TrimPrefix(tls.VersionName(version), "TLS "), Accepted: state != nil}
		if state != nil {
			told.Cipher = tls.CipherSuiteName(state.CipherSuite)
			if newest == nil {
				newest = state
			}
		} else {
			told.Error = clean(shortTLS(err))
		}
		report.Versions = append(report.Versions, told)
		if refusesTLS(err) {
			break
		}
		if version == tls.VersionTLS12 && (newest == nil || e.Server.TLSLegacy) {
			versions = append(versions, tls.VersionTLS11, tls.VersionTLS10)
		}
	}
	if newest != nil && len(newest.PeerCertificates) > 0 {
		report.Certificate = e.certificate(newest.PeerCertificates, time.Now())
	}
	report.Offered = e.Client.TLS == ftpclient.TLSNone && newest != nil
	if e.Client.TLS == ftpclient.TLSNone && newest == nil {
		return // it says nothing that anybody wants to know
	}
	e.report.TLS = report
}

// lookAtVersion shakes hands in one version, without looking at who is there.
func (e *examination) lookAtVersion(ctx context.Context, mode ftpclient.TLSMode, version uint16) (*tls.ConnectionState, error) {
	o := e.Client
	o.TLS, o.PinnedKeys, o.Logger = mode, nil, nil
	o.LegacyTLS = o.LegacyTLS || version < tls.VersionTLS12
	o.TLSConfig = o.TLSConfig.Clone()
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{}
	}
	var seen *tls.ConnectionState
	o.TLSConfig.MinVersion, o.TLSConfig.MaxVersion = version, version
	o.TLSConfig.InsecureSkipVerify = true
	o.TLSConfig.VerifyConnection = func(state tls.ConnectionState) error {
		seen = &state
		return errSeen
	}
	conn, err := ftpclient.Dial(ctx, e.Server.Address, o)
	if err == nil { // it cannot be: the handshake was refused
		conn.Close()
	}
	return seen, err
}

// refusesTLS: AUTH TLS itself was refused, or the answer is no TLS, so that no version has to be tried.
func refusesTLS(err error) bool {
	var failed *ftpclient.Error
	var clear tls.RecordHeaderError
	return errors.As(err, &failed) && failed.Code >= 400 || errors.As(err, &clear)
}

// isImplicit reports whether a server that did not greet was waiting for TLS.
func (e *examination) isImplicit(ctx context.Context, login error) bool {
	if !errors.Is(login, ftpclient.ErrTimeout) || e.report.Reach.Remote == "" || e.report.Reach.Greeting != "" || e.Client.TLS == ftpclient.TLSImplicit {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, addressTimeout)
	defer cancel()
	for _, version := range []uint16{tls.VersionTLS13, tls.VersionTLS12} {
		if state, _ := e.lookAtVersion(ctx, ftpclient.TLSImplicit, version); state != nil {
			return true
		}
	}
	return false
}

// shortTLS is an error without the address in front.
func shortTLS(err error) string {
	var failed *ftpclient.Error
	if !errors.As(err, &failed) {
		return fmt.Sprint(err)
	}
	if failed.Code != 0 {
		return fmt.Sprintf("%d %s", failed.Code, failed.Text)
	}
	var remote *net.OpError
	if errors.As(err, &remote) && remote.Op == "remote error" {
		return "refused: " + remote.Err.Error()
	}
	return fmt.Sprint(failed.Err)
}

// certificate describes the server's certificate, and whether it is good for this server now.
func (e *examination) certificate(chain []*x509.Certificate, now time.Time) *Certificate {
	leaf := chain[0]
	pin := ftpclient.KeyOf(leaf)
	c := &Certificate{
		Subject: clean(leaf.Subject.String()), Issuer: clean(leaf.Issuer.String()), Names: []string{}, Key: keyText(leaf),
		From: leaf.NotBefore.UTC(), Until: leaf.NotAfter.UTC(), Pin: pin.String(), Pinned: slices.Contains(e.Server.TLSPins, pin),
	}
	for _, name := range leaf.DNSNames {
		c.Names = append(c.Names, clean(name))
	}
	for _, address := range leaf.IPAddresses {
		c.Names = append(c.Names, address.String())
	}
	intermediates := x509.NewCertPool()
	for _, other := range chain[1:] {
		intermediates.AddCert(other)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: e.Server.RootCAs, Intermediates: intermediates, DNSName: serverName(e.Server), CurrentTime: now,
	})
	if c.Trusted = err == nil; !c.Trusted {
		c.Why = clean(strings.TrimPrefix(err.Error(), "x509: "))
	}
	switch left := leaf.NotAfter.Sub(now); {
	case left < 0:
		e.note("the server's certificate ended %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	case left < soon:
		e.note("the server's certificate ends in %d days, %s", left/(24*time.Hour), leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return c
}

// serverName is the name that the certificate has to be for.
func serverName(s *config.Server) string {
	host, _, _ := net.SplitHostPort(s.Address)
	switch {
	case s.TLSServerName != "":
		return s.TLSServerName
	case s.VirtualHost != "":
		return s.VirtualHost
	}
	return host
}

func keyText(c *x509.Certificate) string {
	switch key := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return c.PublicKeyAlgorithm.String()
}

// lookAtResumption finds out whether the server demands that data connections resume the TLS
// session, by one that does not, on a connection of its own: servers hang up over it.
func (e *examination) lookAtResumption(ctx context.Context) {
	if e.report.TLS == nil || e.Client.TLS == ftpclient.TLSNone || ctx.Err() != nil {
		return
	}
	e.Progress("whether the server demands resumed TLS sessions")
	if e.report.Channels != nil {
		for _, way := range e.report.Channels.Ways {
			if way.Works {
				e.report.TLS.Resumes = &way.Resumed
				break
			}
		}
	}
	err := e.listOver(ctx, func(c *tls.Config) { c.SessionTicketsDisabled = true })
	required := false
	switch {
	case ctx.Err() != nil:
		return
	case errors.Is(err, ftpclient.ErrNotResumed), errors.Is(err, ftpclient.ErrTicketExpired):
		required = true
		var failed *ftpclient.Error
		if errors.As(err, &failed) {
			e.report.TLS.RequiredReply = clean(fmt.Sprintf("%d %s", failed.Code, failed.Text))
		}
	case err != nil:
		return // it is not known
	}
	e.report.TLS.Required = &required
	if required && (e.report.TLS.Resumes == nil || !*e.report.TLS.Resumes) && e.Server.TLSMax > tls.VersionTLS12 && e.Server.TLSMin <= tls.VersionTLS12 {
		err := e.listOver(ctx, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
		works := err == nil
		e.report.TLS.Resumes12 = &works
	}
}

// listOver lists a folder on a connection of its own, with another configuration of TLS.
func (e *examination) listOver(ctx context.Context, change func(*tls.Config)) error {
	o := e.Client
	o.Logger = nil
	o.Facts = e.conn.Facts()
	o.TLSConfig = o.TLSConfig.Clone()
	if o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{}
	}
	change(o.TLSConfig)
	conn, err := ftpclient.Dial(ctx, e.Server.Address, o)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.List(ctx, e.folder())
	return err
}
