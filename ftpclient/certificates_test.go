package ftpclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// selfSigned makes a certificate for 127.0.0.1 that signs itself; change makes it a bad one.
func selfSigned(t *testing.T, change func(*x509.Certificate)) (tls.Certificate, *x509.Certificate) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if change != nil {
		change(template)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048) // for key exchange by RSA
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certificate
}

// trusting returns a pool with one certificate in it.
func trusting(certificate *x509.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return pool
}

func TestCertificatesThatAreNotAccepted(t *testing.T) {
	good, leaf := selfSigned(t, nil)
	expired, expiredLeaf := selfSigned(t, func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2002, 3, 4, 0, 0, 0, 0, time.UTC)
	})
	other, otherLeaf := selfSigned(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses = []string{"elsewhere.example"}, nil
	})
	tests := []struct {
		name        string
		certificate tls.Certificate
		leaf        *x509.Certificate
		change      func(*ftpclient.Options)
		says        string
	}{
		{name: "nobody knows its authority", certificate: good, leaf: leaf, says: "CA file"},
		{name: "it has expired", certificate: expired, leaf: expiredLeaf, says: "good from 2001-01-01 to 2002-03-04",
			change: func(o *ftpclient.Options) { o.TLSConfig = &tls.Config{RootCAs: trusting(expiredLeaf)} }},
		{name: "it has another name", certificate: other, leaf: otherLeaf, says: "server name",
			change: func(o *ftpclient.Options) { o.TLSConfig = &tls.Config{RootCAs: trusting(otherLeaf)} }},
		{name: "another key is pinned, though its authority is trusted", certificate: good, leaf: leaf, says: "pin",
			change: func(o *ftpclient.Options) {
				o.TLSConfig = &tls.Config{RootCAs: trusting(leaf)}
				o.PinnedKeys = []ftpclient.PinnedKey{ftpclient.KeyOf(expiredLeaf), ftpclient.KeyOf(otherLeaf)}
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			address := listen(t, func(conn net.Conn) {
				tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{test.certificate}}).Handshake()
			})
			o := testOptions()
			o.TLS = ftpclient.TLSImplicit
			if test.change != nil {
				test.change(&o)
			}
			_, err := ftpclient.Dial(t.Context(), address, o)
			outcome{is: ftpclient.ErrCertificate, class: ftpclient.ClassSetup}.check(t, err)
			key := ftpclient.KeyOf(test.leaf)
			if !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), key.String()) {
				t.Errorf("%v does not say %q and %s", err, test.says, key)
			}
			var refused *ftpclient.CertificateError
			if !errors.As(err, &refused) || refused.Key != key || !refused.Certificate.Equal(test.leaf) {
				t.Errorf("%#v", refused)
			}
		})
	}
}

func TestAPinnedKeyIsEnough(t *testing.T) {
	expired, leaf := selfSigned(t, func(c *x509.Certificate) {
		c.DNSNames, c.IPAddresses, c.NotAfter = []string{"elsewhere.example"}, nil, c.NotBefore.Add(time.Minute)
	})
	for _, v := range versions {
		t.Run(v.name, func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{expired}, MinVersion: v.version, MaxVersion: v.version}
			data := &ftptest.Data{TLS: &ftptest.TLS{Config: config, MustResume: true}, Send: "hello", End: ftptest.Close}
			transfer := steps{passive, {Expect: "RETR /f", Send: "150 go", Data: data}, {Send: "226 done"}}
			for _, change := range []func(*ftpclient.Options){
				func(o *ftpclient.Options) {
					o.TLS, o.PinnedKeys = ftpclient.TLSExplicit, []ftpclient.PinnedKey{{}, ftpclient.KeyOf(leaf)}
				},
				secure, // where nothing is verified, an expired certificate must not get in the way either
			} {
				conn, _ := connect(t, secureSession(&ftptest.TLS{Config: config}, transfer.then(transfer...)), change)
				for range 2 {
					if content, _, err := get(t.Context(), conn, "/f"); err != nil || content != "hello" {
						t.Errorf("%q, %v", content, err)
					}
				}
			}
		})
	}
}

func TestRealServersArePinned(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			for _, s := range securities[1:] {
				o := optionsFor(server, s)
				o.TLSConfig.RootCAs = nil
				_, err := ftpclient.Dial(t.Context(), server.Addr, o)
				var refused *ftpclient.CertificateError
				if !errors.As(err, &refused) {
					t.Fatal(err)
				}
				o.PinnedKeys = []ftpclient.PinnedKey{refused.Key}
				conn := dial(t, t.Context(), server.Addr, o)
				result, err := put(t.Context(), conn, conn.Absolute("f"), strings.NewReader("hello"))
				if err != nil || result.TLSResumed != resumes(name, s) {
					t.Errorf("%s: %+v, %v", s.name, result, err)
				}
			}
		})
	}
}

func TestOldTLSIsForThoseWhoAskForIt(t *testing.T) {
	certificate, leaf := selfSigned(t, nil)
	tests := []struct {
		name   string
		server *tls.Config
	}{
		{"TLS 1.0 only", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}},
		{"TLS 1.1 only", &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}},
		{"key exchange by RSA only", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_CBC_SHA}}},
		{"3DES only", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.server.Certificates = []tls.Certificate{certificate}
			o := testOptions()
			o.TLS, o.TLSConfig = ftpclient.TLSImplicit, &tls.Config{RootCAs: trusting(leaf)}
			address := listen(t, func(conn net.Conn) { tls.Server(conn, test.server).Handshake() })
			_, err := ftpclient.Dial(t.Context(), address, o)
			outcome{is: ftpclient.ErrInsecure, class: ftpclient.ClassSetup}.check(t, err)
			if !strings.Contains(err.Error(), "LegacyTLS") {
				t.Errorf("%v does not tell the cure", err)
			}

			var log strings.Builder
			o.LegacyTLS, o.Logger = true, slog.New(slog.NewTextHandler(&log, nil))
			script := append(steps{{TLS: &ftptest.TLS{Config: test.server}}, {Send: "220 ready"}}, secureSession(nil, nil)[2:]...)
			dial(t, t.Context(), ftptest.NewScript(t, script...).Addr, o)
			if !strings.Contains(log.String(), "level=WARN") {
				t.Errorf("no warning: %q", log.String())
			}
		})
	}
}

func TestAServerThatIsNotVerifiedIsWarnedOf(t *testing.T) {
	var log strings.Builder
	connect(t, secureSession(&ftptest.TLS{Config: certified(t, tls.VersionTLS13)}, nil), secure, func(o *ftpclient.Options) {
		o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	if !strings.Contains(log.String(), "level=WARN") {
		t.Errorf("no warning: %q", log.String())
	}
}

func TestAServerMayWantAClientCertificate(t *testing.T) {
	certificate, certFile, keyFile, _, authority := ftptest.NewCertificate(t)
	for _, v := range versions {
		for _, mode := range []ftpclient.TLSMode{ftpclient.TLSExplicit, ftpclient.TLSImplicit} {
			name := v.name + map[ftpclient.TLSMode]string{ftpclient.TLSExplicit: ", explicit", ftpclient.TLSImplicit: ", implicit"}[mode]
			t.Run(name, func(t *testing.T) {
				config := &tls.Config{
					Certificates: []tls.Certificate{certificate}, MinVersion: v.version, MaxVersion: v.version,
					ClientAuth: tls.RequireAnyClientCert,
				}
				o := testOptions()
				o.TLS, o.TLSConfig = mode, &tls.Config{RootCAs: authority}
				address := listen(t, func(conn net.Conn) {
					if mode == ftpclient.TLSExplicit {
						io.WriteString(conn, "220 ready\r\n")
						io.ReadFull(conn, make([]byte, len("AUTH TLS\r\n")))
						io.WriteString(conn, "234 go on\r\n")
					}
					tls.Server(conn, config).Handshake()
					conn.(*net.TCPConn).CloseWrite()
					io.Copy(io.Discard, conn)
				})
				_, err := ftpclient.Dial(t.Context(), address, o)
				outcome{is: ftpclient.ErrCertificate, class: ftpclient.ClassSetup}.check(t, err)
				if !strings.Contains(err.Error(), "client certificate") {
					t.Errorf("%v does not tell the cause", err)
				}

				own, err := ftpclient.LoadClientCertificate(certFile, keyFile)
				if err != nil {
					t.Fatal(err)
				}
				o.TLSConfig.Certificates = []tls.Certificate{own}
				script := secureSession(&ftptest.TLS{Config: config}, nil)
				if mode == ftpclient.TLSImplicit {
					script = append(steps{{TLS: &ftptest.TLS{Config: config}}, {Send: "220 ready"}}, script[2:]...)
				}
				dial(t, t.Context(), ftptest.NewScript(t, script...).Addr, o)
			})
		}
	}
}

func TestTheControlConnectionEndsWithCloseNotify(t *testing.T) {
	config := certified(t, tls.VersionTLS13)
	ended := make(chan error, 1)
	address := listen(t, func(conn net.Conn) {
		secured := tls.Server(conn, config)
		io.WriteString(secured, "220 ready\r\n")
		_, err := secured.Read(make([]byte, 100))
		if err == nil {
			io.WriteString(secured, "500 what?\r\n")
			_, err = io.ReadAll(secured) // io.ErrUnexpectedEOF for an end below TLS
		}
		ended <- err
	})
	o := testOptions()
	secure(&o)
	o.TLS = ftpclient.TLSImplicit
	_, err := ftpclient.Dial(t.Context(), address, o)
	var refused *ftpclient.Error
	if !errors.As(err, &refused) || refused.Code != 500 {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("the server saw %v", err)
	}
}

func TestPinnedKeysHaveTwoForms(t *testing.T) {
	_, leaf := selfSigned(t, nil)
	key := ftpclient.KeyOf(leaf)
	hexadecimal := strings.ToUpper(hexOf(key))
	for _, text := range []string{key.String(), "sha256//" + strings.TrimPrefix(key.String(), "sha256/"), hexOf(key), "SHA256:" + hexadecimal, " " + withColons(hexadecimal)} {
		if got, err := ftpclient.ParsePinnedKey(text); err != nil || got != key {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "sha256/", "sha256/AAAA", "sha1/" + hexadecimal, hexadecimal[2:], key.String() + "A", "zz"} {
		if got, err := ftpclient.ParsePinnedKey(text); err == nil || !strings.Contains(err.Error(), "64 hexadecimal") {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	// Base64 may begin with the sign that curl's form has one more of.
	slash := ftpclient.PinnedKey{0xff, 0xff}
	for _, text := range []string{slash.String(), "sha256//" + strings.TrimPrefix(slash.String(), "sha256/")} {
		if got, err := ftpclient.ParsePinnedKey(text); err != nil || got != slash {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	text, err := json.Marshal(key)
	var again ftpclient.PinnedKey
	if err != nil || json.Unmarshal(text, &again) != nil || again != key {
		t.Errorf("%s: %v, %v", text, again, err)
	}
}

func hexOf(key ftpclient.PinnedKey) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range key {
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

func withColons(digits string) string {
	var pairs []string
	for i := 0; i < len(digits); i += 2 {
		pairs = append(pairs, digits[i:i+2])
	}
	return strings.Join(pairs, ":")
}

func TestCertificateFilesAreLoadedOrExplained(t *testing.T) {
	_, certFile, keyFile, caFile, _ := ftptest.NewCertificate(t)
	_, _, otherKey, _, _ := ftptest.NewCertificate(t)
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	block, _ := pem.Decode([]byte(read(caFile)))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	both := write("both.pem", read(keyFile)+read(certFile))
	if pool, err := ftpclient.LoadCAFile(caFile); err != nil || pool == nil {
		t.Errorf("CA file: %v", err)
	}
	for _, files := range [][2]string{{certFile, keyFile}, {both, ""}} {
		if own, err := ftpclient.LoadClientCertificate(files[0], files[1]); err != nil || len(own.Certificate) != 1 {
			t.Errorf("%q: %v", files, err)
		}
	}
	for path, says := range map[string]string{
		filepath.Join(t.TempDir(), "none"):   "no such file",
		write("empty.pem", ""):               "-----BEGIN",
		write("ca.der", string(block.Bytes)): "DER",
		write("broken.pem", read(caFile)+strings.Replace(read(certFile), "MII", "MAA", 1)): "certificate 2",
		keyFile: "no certificate",
	} {
		_, err := ftpclient.LoadCAFile(path)
		if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), path) {
			t.Errorf("CA file: %v does not say %q and %s", err, says, path)
		}
	}
	encrypted := write("encrypted.pem", string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: sec1})))
	old := write("old.pem", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: sec1})))
	for _, test := range []struct{ certificate, key, says string }{
		{certFile, encrypted, "decrypt"},
		{certFile, old, "decrypt"},
		{certFile, otherKey, "private key does not match"},
		{certFile, "", "no private key"},
		{keyFile, keyFile, "no certificate"},
		{certFile, "none", "no such file"},
		{"none", keyFile, "no such file"},
		{write("c.der", string(block.Bytes)), keyFile, "DER"},
	} {
		_, err := ftpclient.LoadClientCertificate(test.certificate, test.key)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s, %s: %v does not say %q", test.certificate, test.key, err, test.says)
		}
	}
}

// TestDataConnectionsThatResumeNothing: TLS 1.2 uses the list of curves for the key of the
// certificate as well, so that the curve of the key exchange alone would not do.
func TestDataConnectionsThatResumeNothing(t *testing.T) {
	for _, name := range []string{"pure-ftpd", "pyftpdlib"} { // the others demand it
		server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
		for _, s := range securities[1:] {
			o := optionsFor(server, s)
			o.TLSConfig.SessionTicketsDisabled = true
			conn := dial(t, t.Context(), server.Addr, o)
			result, err := put(t.Context(), conn, conn.Absolute("f"), strings.NewReader("hello"))
			if err != nil || result.TLSResumed {
				t.Errorf("%s, %s: %+v, %v", name, s.name, result, err)
			}
		}
	}
}
