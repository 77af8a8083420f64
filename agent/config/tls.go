package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// tlsKeys are all that mean nothing without TLS.
var tlsKeys = []string{"tls_ca", "tls_server_name", "tls_verify", "tls_pin", "tls_cert", "tls_key", "tls_min", "tls_max", "tls_legacy"}

// tls sets and checks all that concerns TLS but the mode.
func (l *loader) tls(at key, file *rawServer, server *Server) {
	server.TLSCA = l.path(at.child("tls_ca"), file.TLSCA)
	server.RootCAs = l.authorities(at.child("tls_ca"), server.TLSCA)
	server.TLSServerName = file.TLSServerName
	server.TLSVerify = file.TLSVerify
	server.TLSPins = l.pins(at.child("tls_pin"), file.TLSPin)
	if certificate := l.clientCertificate(at, file); certificate != nil {
		server.ClientCertificate = NewKeyPair(certificate)
	}
	server.TLSMin = l.tlsMin(at, file)
	server.TLSMax = tls.VersionTLS13
	if file.TLSMax == "1.2" {
		server.TLSMax = tls.VersionTLS12
	}
	if server.TLSMax < server.TLSMin {
		l.fail(at.child("tls_max"), `"1.2" is below tls_min = "1.3": no version is left`)
	}
	server.TLSLegacy = file.TLSLegacy
	if file.TLSServerName != "" && !isHost(file.TLSServerName) {
		l.fail(at.child("tls_server_name"), "%q is not a host name", file.TLSServerName)
	}
	if len(file.TLSPin) > 0 && !file.TLSVerify {
		l.fail(at.child("tls_verify"), "false accepts any key and tls_pin only its own: remove one of them "+
			"(a pin is enough, also for a certificate that is self-signed or carries another name)")
	}
	if server.TLS == TLSNone {
		if server.Password.Reveal() != "" || server.Account.Reveal() != "" {
			l.warn(at.child("tls"), `the password and all files cross the network in clear: use "explicit" if the server can`)
		}
		for _, name := range tlsKeys {
			if l.stands(at.child(name)) {
				l.warn(at.child(name), `has no effect with tls = "none"`)
			}
		}
		return
	}
	if !server.TLSVerify {
		l.warn(at.child("tls_verify"),
			"ANYONE ON THE NETWORK CAN POSE AS THIS SERVER and read the password and all files: use tls_ca or tls_pin for a private certificate")
	}
	if server.TLSLegacy {
		l.warn(at.child("tls_legacy"),
			"TLS 1.0 AND 1.1 AND BROKEN CIPHERS ARE ACCEPTED: who controls the network may be able to read the password and all files; have the server updated")
	}
	if len(file.TLSPin) > 0 && server.TLSCA != "" {
		l.warn(at.child("tls_ca"), "has no effect: with tls_pin the key of the server counts and not who signed its certificate")
	}
}

func (l *loader) tlsMin(at key, file *rawServer) uint16 {
	if file.TLSMin == "1.3" {
		if file.TLSLegacy {
			l.fail(at.child("tls_legacy"), `true allows TLS 1.0 and tls_min = "1.3" does not: remove one of them`)
		}
		return tls.VersionTLS13
	}
	if file.TLSLegacy {
		return tls.VersionTLS10
	}
	return tls.VersionTLS12
}

// authorities reads the extra certificates of tls_ca.
func (l *loader) authorities(at key, path string) *x509.CertPool {
	if path == "" {
		return nil
	}
	content, _, err := readSmall(path)
	if err != nil {
		l.fail(at, "%q cannot be read: %s", path, reason(err))
		return nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // no system store: the given authorities are all there is
	}
	if !pool.AppendCertsFromPEM(content) {
		l.fail(at, `%q holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")`, path)
	}
	return pool
}

func (l *loader) pins(at key, texts []string) (pins []ftpclient.PinnedKey) {
	for _, text := range texts {
		pin, err := ftpclient.ParsePinnedKey(text)
		if err != nil {
			l.fail(at, `%q is not the SHA-256 of a public key: write "sha256/" and 44 characters of base64, or 64 hexadecimal digits`, text)
		}
		pins = append(pins, pin)
	}
	return pins
}

// clientCertificate reads tls_cert and tls_key; nil for none.
func (l *loader) clientCertificate(at key, file *rawServer) *tls.Certificate {
	atCert, atKey := at.child("tls_cert"), at.child("tls_key")
	if file.TLSCert == "" {
		if file.TLSKey != "" {
			l.fail(atKey, "is of no use alone: name the file of its certificate as tls_cert, or remove the line")
		}
		return nil
	}
	certPath, keyPath := l.path(atCert, file.TLSCert), l.path(atKey, file.TLSKey)
	if certPath == "" || keyPath == "" && file.TLSKey != "" {
		return nil
	}
	certificates, isShared, err := readSmall(certPath)
	if err != nil {
		l.fail(atCert, "%q cannot be read: %s", certPath, reason(err))
		return nil
	}
	if findBlock(certificates, "CERTIFICATE") == nil {
		l.fail(atCert, `%q holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")`, certPath)
		return nil
	}
	privateKey := certificates
	if keyPath == "" {
		atKey, keyPath = atCert, certPath
	} else if privateKey, isShared, err = readSmall(keyPath); err != nil {
		l.fail(atKey, "%q cannot be read: %s", keyPath, reason(err))
		return nil
	}
	if problem := keyProblem(privateKey); problem != "" {
		if keyPath == certPath {
			problem += ", or name the file of the key as tls_key"
		}
		l.fail(atKey, "%q %s", keyPath, problem)
		return nil
	}
	if isShared {
		l.warn(atKey, "group or others can read the private key: chmod 600 %s", keyPath)
	}
	pair, err := tls.X509KeyPair(certificates, privateKey)
	if err != nil {
		l.fail(atKey, "the key in %q cannot be used with the certificate in %q (%s): the first certificate in the file must be that of the key",
			keyPath, certPath, strings.TrimPrefix(err.Error(), "tls: "))
		return nil
	}
	l.checkPeriod(atCert, certPath, pair.Leaf)
	return &pair
}

// checkPeriod warns of a certificate that servers are going to refuse today.
func (l *loader) checkPeriod(at key, path string, leaf *x509.Certificate) {
	const day = "2006-01-02"
	switch now := time.Now(); {
	case now.After(leaf.NotAfter):
		l.warn(at, "the certificate in %q has expired on %s, so the server is going to refuse it: get a new one", path, leaf.NotAfter.Format(day))
	case now.Before(leaf.NotBefore):
		l.warn(at, "the certificate in %q is not valid before %s, so the server is going to refuse it: look at the clock of this machine too",
			path, leaf.NotBefore.Format(day))
	}
}

// keyProblem returns what is wrong with a file that should hold a private key, or "".
func keyProblem(content []byte) string {
	const cure = `holds no private key in PEM form ("-----BEGIN PRIVATE KEY-----"): put it there`
	block := findBlock(content, "PRIVATE KEY")
	switch {
	case block == nil:
		return cure
	case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
		return `holds a private key with a passphrase, which nobody is there to type: write it without one, by "openssl pkey -in OLD -out NEW"`
	}
	return ""
}

// findBlock returns the first PEM block whose type ends so, or nil.
func findBlock(content []byte, suffix string) *pem.Block {
	for {
		block, rest := pem.Decode(content)
		if block == nil || strings.HasSuffix(block.Type, suffix) {
			return block
		}
		content = rest
	}
}
