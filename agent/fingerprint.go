package agent

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/state"
)

const (
	// fingerprintRounds makes a guess at the password in a stolen state file cost about 50 ms.
	fingerprintRounds = 200_000
	// mostRounds is what a row may ask for.
	mostRounds = 10 * fingerprintRounds
)

// newFingerprint is that of what decides whether a server takes the login. With fingerprintRounds it takes some 50 ms.
func newFingerprint(s *config.Server, rounds int) (state.Fingerprint, error) {
	f := state.Fingerprint{Salt: make([]byte, 16), Rounds: rounds}
	rand.Read(f.Salt) // never fails
	var err error
	f.Sum, err = sumOf(s, f)
	return f, err
}

// sumOf is the sum that belongs to salt and rounds of f.
func sumOf(s *config.Server, f state.Fingerprint) ([]byte, error) {
	return pbkdf2.Key(sha256.New, loginOf(s), f.Salt, f.Rounds, sha256.Size)
}

// sameConfig reports whether f is that of s.
func sameConfig(f state.Fingerprint, s *config.Server) bool {
	if f.Rounds < 1 || f.Rounds > mostRounds {
		return false
	}
	sum, err := sumOf(s, f)
	return err == nil && subtle.ConstantTimeCompare(sum, f.Sum) == 1
}

// loginOf is all that the answer to a login may depend on, secrets included.
func loginOf(s *config.Server) string {
	var certificate [][]byte
	if pair := s.ClientCertificate.Reveal(); pair != nil {
		certificate = pair.Certificate
	}
	others := ""
	if len(s.Addresses) > 1 {
		others = fmt.Sprintf("%q ", s.Addresses[1:])
	}
	return others + fmt.Sprintf("%q %q %q %q %q %q %q %q %q %t %x %x %d %d %t",
		s.Address, s.User, s.Password.Reveal(), s.Account.Reveal(), s.VirtualHost, s.Proxy.Reveal(),
		s.TLS, s.TLSCA, s.TLSServerName, s.TLSVerify, s.TLSPins, certificate, s.TLSMin, s.TLSMax, s.TLSLegacy)
}
