package ftpclient

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// PinnedKey is the SHA-256 of a certificate's public key (of its SubjectPublicKeyInfo, RFC
// 7469 section 2.4). It outlives renewals of the certificate that keep the key.
type PinnedKey [sha256.Size]byte

// KeyOf returns the pin of a certificate.
func KeyOf(certificate *x509.Certificate) PinnedKey {
	return sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
}

// ParsePinnedKey reads "sha256/" and 44 characters of base64, as String writes and curl takes
// it, or 64 hexadecimal digits, with or without colons and "sha256:" in front.
func ParsePinnedKey(text string) (PinnedKey, error) {
	var key PinnedKey
	var decoded []byte
	var err error
	trimmed := strings.TrimSpace(text)
	if b64, ok := cutPrefixFold(trimmed, "sha256/"); ok {
		if len(b64) == base64.StdEncoding.EncodedLen(len(key))+1 {
			b64 = strings.TrimPrefix(b64, "/") // curl's form; the slash may also be the first of the key itself
		}
		decoded, err = base64.StdEncoding.DecodeString(b64)
	} else {
		digits, _ := cutPrefixFold(trimmed, "sha256:")
		decoded, err = hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	}
	if err != nil || len(decoded) != len(key) {
		return key, fmt.Errorf("pinned key %q: want sha256/ and the base64 of 32 bytes, or 64 hexadecimal digits", text)
	}
	copy(key[:], decoded)
	return key, nil
}

func cutPrefixFold(text string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if len(text) >= len(p) && strings.EqualFold(text[:len(p)], p) {
			return text[len(p):], true
		}
	}
	return text, false
}

// String returns the pin in the form "sha256/BASE64".
func (k PinnedKey) String() string { return "sha256/" + base64.StdEncoding.EncodeToString(k[:]) }

// MarshalText implements encoding.TextMarshaler.
func (k PinnedKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *PinnedKey) UnmarshalText(text []byte) (err error) {
	*k, err = ParsePinnedKey(string(text))
	return err
}

// CertificateError is the certificate of a server that was not accepted; it is
// ErrCertificate. It holds what is needed to trust the server from now on, once somebody who
// knows the server has compared the key.
type CertificateError struct {
	Certificate *x509.Certificate // of the server
	Key         PinnedKey         // its pin
	Err         error             // why it was not accepted
}

func (e *CertificateError) Error() string { return fmt.Sprintf("%s: %s", ErrCertificate, e.Err) }

// Unwrap returns ErrCertificate and the cause.
func (e *CertificateError) Unwrap() []error { return []error{ErrCertificate, e.Err} }

// pin makes config accept servers with one of keys and no others. The key is proven by the
// handshake, so nothing else has to be verified; keys of the authorities in the chain are not
// looked at, since an unverified chain proves nothing.
func pin(config *tls.Config, keys []PinnedKey) {
	config.InsecureSkipVerify = true
	next := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return fmt.Errorf("%w: the server shows none", ErrCertificate)
		}
		leaf := state.PeerCertificates[0]
		if key := KeyOf(leaf); !slices.Contains(keys, key) {
			return &CertificateError{Certificate: leaf, Key: key, Err: fmt.Errorf(
				"the server has the key %s, which is not pinned; pin it if the server has got a new key and you trust it", key)}
		}
		if next != nil {
			return next(state)
		}
		return nil
	}
}

// explainCertificate names the cure of a certificate that was not accepted.
func explainCertificate(err *tls.CertificateVerificationError) error {
	if len(err.UnverifiedCertificates) == 0 {
		return fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	leaf := err.UnverifiedCertificates[0]
	e := &CertificateError{Certificate: leaf, Key: KeyOf(leaf)}
	cure := "renew the server's certificate"
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		cure = "trust its authority by a CA file"
	case errors.As(err, &name):
		cure = "set the server name to one that the certificate is for"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		cure = fmt.Sprintf("it is good from %s to %s: check the clock of this machine, or renew the server's certificate",
			leaf.NotBefore.UTC().Format("2006-01-02"), leaf.NotAfter.UTC().Format("2006-01-02"))
	}
	e.Err = fmt.Errorf("%w; %s, or pin the key %s if you know it to be the server's", err.Err, cure, e.Key)
	return e
}

// LoadCAFile reads the certificates of authorities from a PEM file, for
// tls.Config.RootCAs: they are then trusted instead of those of the system.
func LoadCAFile(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("CA file: %w", err)
	}
	pool, found := x509.NewCertPool(), 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("CA file %s: certificate %d cannot be read: %w", path, found+1, err)
		}
		pool.AddCert(certificate)
		found++
	}
	if found == 0 {
		return nil, fmt.Errorf("CA file %s: no certificate in it; %s", path, wantPEM(text))
	}
	return pool, nil
}

// LoadClientCertificate reads a certificate, with those of its authorities behind it, and its
// key from PEM files, for tls.Config.Certificates. With keyFile "" both are in certFile.
func LoadClientCertificate(certFile, keyFile string) (tls.Certificate, error) {
	if keyFile == "" {
		keyFile = certFile
	}
	certificate, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("key of the client certificate: %w", err)
	}
	switch {
	case !bytes.Contains(certificate, []byte("-----BEGIN CERTIFICATE")):
		return tls.Certificate{}, fmt.Errorf("client certificate %s: no certificate in it; %s", certFile, wantPEM(certificate))
	case bytes.Contains(key, []byte("-----BEGIN ENCRYPTED PRIVATE KEY")) || bytes.Contains(key, []byte("Proc-Type: 4,ENCRYPTED")):
		return tls.Certificate{}, fmt.Errorf("key of the client certificate %s: it is encrypted; decrypt it (openssl pkey -in %s) into a file that only this user can read", keyFile, keyFile)
	case !bytes.Contains(key, []byte("PRIVATE KEY-----")):
		return tls.Certificate{}, fmt.Errorf("key of the client certificate %s: no private key in it; %s", keyFile, wantPEM(key))
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("client certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// wantPEM tells the owner of a file without PEM what to do.
func wantPEM(text []byte) string {
	if len(text) > 0 && text[0] == 0x30 { // the beginning of everything in DER
		return "it seems to be in DER form, which openssl x509 -inform der converts into PEM"
	}
	return "want PEM: text with -----BEGIN lines"
}
