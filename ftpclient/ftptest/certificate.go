package ftptest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// NewCertificate makes an authority and a server certificate for 127.0.0.1, ::1 and localhost, good from 1999 to 2099.
// The files are PEM, live until the end of the test, and hold the leaf, its key, and the authority. The pool trusts the
// authority alone.
func NewCertificate(t testing.TB) (cert tls.Certificate, certFile, keyFile, caFile string, pool *x509.CertPool) {
	t.Helper()
	authority := NewAuthority(t)
	cert = authority.Certificate(t, farAhead)
	keyDER, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", cert.Certificate[0])
	writePEM(t, keyFile, "PRIVATE KEY", keyDER)
	return cert, certFile, keyFile, authority.File, authority.Pool
}

// The clock of a synctest bubble starts in 2000.
var (
	longAgo  = time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC)
	farAhead = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
)

// Authority signs certificates of servers.
type Authority struct {
	File string         // PEM, until the end of the test
	Pool *x509.CertPool // that trusts it alone

	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority that is good from 1999 to 2099.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make an authority: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ftpferry test authority"},
		NotBefore: longAgo, NotAfter: farAhead,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("make an authority: %v", err)
	}
	a := &Authority{File: filepath.Join(t.TempDir(), "ca.pem"), Pool: x509.NewCertPool(), key: key}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatalf("make an authority: %v", err)
	}
	a.Pool.AddCert(a.certificate)
	writePEM(t, a.File, "CERTIFICATE", der)
	return a
}

// Certificate makes a certificate with a key of its own for 127.0.0.1, ::1 and localhost, good from 1999 to an end.
func (a *Authority) Certificate(t testing.TB, end time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: longAgo, NotAfter: end,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatalf("write a certificate: %v", err)
	}
}

// NewClientCertificate makes a certificate for a client. It is its own authority: caFile holds it as PEM until the end of
// the test, for [RealOptions.ClientCAFile].
func NewClientCertificate(t testing.TB) (cert tls.Certificate, caFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a client certificate: %v", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(3), Subject: pkix.Name{CommonName: "ftpferry test client"},
		NotBefore:   time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:    time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatalf("make a client certificate: %v", err)
	}
	caFile = filepath.Join(t.TempDir(), "client.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if err := os.WriteFile(caFile, text, 0o644); err != nil {
		t.Fatalf("make a client certificate: %v", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caFile
}
