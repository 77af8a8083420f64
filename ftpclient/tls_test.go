package ftpclient

import (
	"crypto/tls"
	"slices"
	"testing"
)

func TestTLSHasAServerName(t *testing.T) {
	tests := []struct{ name, host, virtual, given, want string }{
		{"the host", "ftp.example", "", "", "ftp.example"},
		{"an address", "192.0.2.1", "", "", "192.0.2.1"},
		{"an address with a zone", "fe80::1%eth0", "", "", "fe80::1"},
		{"the virtual host", "192.0.2.1", "ftp.example", "", "ftp.example"},
		{"the one that is given", "192.0.2.1", "ftp.example", "other.example", "other.example"},
	}
	for _, test := range tests {
		o := Options{VirtualHost: test.virtual}
		if test.given != "" {
			o.TLSConfig = &tls.Config{ServerName: test.given}
		}
		if got := new(tlsSession).config(test.host, o).ServerName; got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestWhatTLSAllows(t *testing.T) {
	tests := []struct {
		name    string
		options Options
		oldest  uint16
		suites  []uint16 // nil for those of crypto/tls
	}{
		{"by default", Options{}, tls.VersionTLS12, nil},
		{"an old version that is configured is not enough",
			Options{TLSConfig: &tls.Config{MinVersion: tls.VersionTLS10}}, tls.VersionTLS12, nil},
		{"a new version alone", Options{TLSConfig: &tls.Config{MinVersion: tls.VersionTLS13}}, tls.VersionTLS13, nil},
		{"old ones by name", Options{LegacyTLS: true}, tls.VersionTLS10, legacyCipherSuites()},
		{"old ones by name, of which some are chosen",
			Options{LegacyTLS: true, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS11, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}}},
			tls.VersionTLS11, []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA}},
	}
	for _, test := range tests {
		got := new(tlsSession).config("ftp.example", test.options)
		if got.MinVersion != test.oldest || !slices.Equal(got.CipherSuites, test.suites) {
			t.Errorf("%s: from %x, suites %x", test.name, got.MinVersion, got.CipherSuites)
		}
	}
	legacy := legacyCipherSuites()
	if !slices.Contains(legacy, tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA) || slices.Contains(legacy, tls.TLS_RSA_WITH_RC4_128_SHA) {
		t.Errorf("%x", legacy)
	}
}
