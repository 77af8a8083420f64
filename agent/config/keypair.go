package config

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
)

// KeyPair is a certificate with its private key, or none. Like a [Secret] it shows nothing of itself; only
// [KeyPair.Reveal] gives the certificate. The zero KeyPair is none.
type KeyPair struct {
	// Behind two pointers, because for some verbs package fmt follows one, also in unexported fields of other structs.
	certificate **tls.Certificate
}

// NewKeyPair wraps certificate.
func NewKeyPair(certificate *tls.Certificate) KeyPair { return KeyPair{&certificate} }

// Reveal returns the certificate with its key, nil for none.
func (k KeyPair) Reveal() *tls.Certificate {
	if k.certificate == nil {
		return nil
	}
	return *k.certificate
}

// Equal reports whether both are the same certificate in memory, or none.
func (k KeyPair) Equal(other KeyPair) bool { return k.Reveal() == other.Reveal() }

// String redacts.
func (k KeyPair) String() string {
	if k.Reveal() == nil {
		return ""
	}
	return redacted
}

// GoString redacts.
func (k KeyPair) GoString() string { return k.String() }

// Format redacts for every verb.
func (k KeyPair) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, k.String()) }

// MarshalText redacts, for every encoder.
func (k KeyPair) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// LogValue redacts.
func (k KeyPair) LogValue() slog.Value { return slog.StringValue(k.String()) }
