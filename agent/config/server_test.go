package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// countingPin is 0, 1, 2 to 31.
func countingPin() (pin ftpclient.PinnedKey) {
	for i := range pin {
		pin[i] = byte(i)
	}
	return pin
}

func TestProxies(t *testing.T) {
	for text, want := range map[string]string{
		"socks5://proxy.example.com":      "socks5://proxy.example.com:1080",
		"SOCKS5H://10.0.0.1:9050/":        "socks5h://10.0.0.1:9050",
		"http://u:p%40%3A%2F@proxy:3128":  "http://u:p%40%3A%2F@proxy:3128",
		"socks5://[2001:db8::1]":          "socks5://[2001:db8::1]:1080",
		"socks5://[fe80::1%25eth0]:1081":  "socks5://[fe80::1%25eth0]:1081",
		"socks5://user@proxy.example.com": "socks5://user@proxy.example.com:1080",
	} {
		cfg := mustLoad(t, server+"proxy = { env = \"P\" }\n", map[string]string{"P": text})
		if got := cfg.Servers["acme"].ProxyURL(); got == nil || got.String() != want {
			t.Errorf("proxy %q is %v, want %s", text, got, want)
		}
	}
	if none := mustLoad(t, server+"proxy = \"\"\n", nil).Servers["acme"].ProxyURL(); none != nil {
		t.Errorf("no proxy is %v", none)
	}
	if broken := (&Server{Proxy: NewSecret(":")}).ProxyURL(); broken == nil {
		t.Error("a proxy that is not understood must not be passed by")
	}
}

// TestWrongProxiesShowNothing: whatever is wrong, no part of the proxy is in the message.
func TestWrongProxiesShowNothing(t *testing.T) {
	for text, want := range map[string]string{
		"hunter2":                                            "is not the URL of a proxy: ",
		"hunter2:1080":                                       "is not the URL of a proxy: ",
		"socks5:hunter2":                                     "is not the URL of a proxy: ",
		"socks5://u:hunter2#/x@h:1080":                       "is not the URL of a proxy: ",
		"socks5://u:hunter2%zz@h:1080":                       "is not the URL of a proxy: ",
		"socks5://u:12#hunter2@h":                            "has something after the port: ",
		"socks5://h:1080/hunter2":                            "has something after the port: ",
		"socks5://h:1080?hunter2":                            "has something after the port: ",
		"socks5://h:1080#":                                   "has something after the port: ",
		"socks4://hunter2@h:1080":                            "has a scheme that is not known: ",
		"https://u:hunter2@h:3128":                           "TLS to the proxy is not supported: ",
		"http://u:hunter2@h":                                 "has no port, ",
		"socks5://u:hunter2@h:0":                             "has a port that is not a number from 1 to 65535: ",
		"socks5://u:hunter2@h:70000":                         "has a port that is not a number from 1 to 65535: ",
		"socks5://u:hunter2@h_ü:1080":                        "has no host name or IP address: ",
		"socks5://u:hunter2@:1080":                           "has no host name or IP address: ",
		"socks5://u:hunter2%0d%0a@h":                         "has a control character in user or password",
		"socks5://hunter2@h\n":                               "is not the URL of a proxy: ",
		"socks5://hunter2" + strings.Repeat("x", 255) + "@h": "has a user or password of more than 255 bytes, which SOCKS cannot send",
	} {
		_, err := load(t, server+"proxy = { env = \"P\" }\n", map[string]string{"P": text})
		if err == nil || !strings.HasPrefix(err.Error(), "agent.toml:3:1: server.acme.proxy: "+want) || strings.Contains(err.Error(), "hunter2") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("proxy %q: %v, want %q", text, err, want)
		}
	}
}

// TestEncodingsCanHoldNames: what is accepted leaves ASCII alone and has no byte in any letter that means something else
// in a path or a command. What is refused has.
func TestEncodingsCanHoldNames(t *testing.T) {
	fit := func(name string) bool {
		found, err := htmlindex.Get(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		encoder := found.NewEncoder()
		for r := rune(' '); r < 0x10000; r++ {
			if !utf8.ValidRune(r) || r >= 0x7f && r < 0xa0 {
				continue
			}
			encoded, err := encoder.String(string(r))
			if err != nil {
				if r < 0x7f {
					return false
				}
				continue
			}
			if r < 0x7f && encoded != string(r) || r >= 0x7f && strings.ContainsAny(encoded, "\x00\r\n/") {
				return false
			}
		}
		return true
	}
	for _, name := range encodingNames {
		if !fit(name) {
			t.Errorf("%s is accepted and cannot hold names", name)
		}
		l := newLoader(nil)
		if got := l.encoding(key{"encoding"}, strings.ToUpper(name)); got != name || len(l.problems) > 0 {
			t.Errorf("encoding %s gives %q, %v", name, got, l.problems)
		}
	}
	for _, name := range []string{"utf-16be", "utf-16le", "iso-2022-jp"} { // the others of notForNames are no encodings
		if fit(name) || notForNames[name] == "" {
			t.Errorf("%s cannot hold names, or can and is refused", name)
		}
	}
}

func TestServerProblems(t *testing.T) {
	pin := `"` + strings.Repeat("00", 32) + `"`
	for _, c := range []struct{ sentence, text, want string }{
		{"encodings: unknown with what is near, or with examples; and those that cannot hold names",
			"[server.a]\naddress = \"h\"\nencoding = \"windows1252\"\n[server.b]\naddress = \"h\"\nencoding = \"ebcdic-of-1964\"\n[server.c]\naddress = \"h\"\nencoding = \"UTF-16\"\n" +
				"[server.d]\naddress = \"h\"\nencoding = \"iso-2022-jp\"\n[server.e]\naddress = \"h\"\nencoding = \"hz-gb-2312\"\n",
			`agent.toml:3: server.a.encoding: "windows1252" is not known (did you mean "windows-1250" or "windows-1251" or "windows-1252" or "windows-1253"?)
agent.toml:6: server.b.encoding: "ebcdic-of-1964" is not known: write "auto", "utf-8" or a name of the WHATWG encoding standard, such as "windows-1252", "shift_jis" or "koi8-r"
agent.toml:9: server.c.encoding: "utf-16" is of no use for file names: its letters contain NUL bytes, which FTP cannot send; write "auto", or ask who runs the server
agent.toml:12: server.d.encoding: "iso-2022-jp" is of no use for file names: its letters contain the byte of "/", which separates folders; write "auto", or ask who runs the server
agent.toml:15: server.e.encoding: "hz-gb-2312" is of no use for file names: it cannot be read at all; write "auto", or ask who runs the server`},
		{"hosts, zones, limits, accounts",
			server + "account = \"a\\r\\nb\"\nvirtual_host = \"http://h\"\nlist_time_zone = \"Lisbon\"\ncommand_limit = 255\ncompress = \"yes\"\n[server.b]\naddress = \"h\"\ncommand_limit = 4097\naccount = { env = \"UNSET\" }\n",
			`agent.toml:3: server.acme.account: the account contains a control character, such as a line break; FTP cannot send it
agent.toml:4: server.acme.virtual_host: "http://h" is not a host name: write the name alone, such as "ftp.example.com"
agent.toml:5: server.acme.list_time_zone: "Lisbon" is not known: write an IANA name such as "Europe/Lisbon" or "UTC"
agent.toml:6: server.acme.command_limit: 255 is out of range: 256 to 4096 bytes
agent.toml:7: server.acme.compress: must be true or false (without quotes), not a string
agent.toml:10: server.b.command_limit: 4097 is out of range: 256 to 4096 bytes
agent.toml:11: server.b.account: the environment variable "UNSET" is not set or empty`},
		{"nobody can connect from behind a proxy",
			server + "proxy = \"socks5://h\"\ndata.mode = \"active\"\ndata.active_ports = \"50000\"\ndata.external_ip = \"198.51.100.7\"\n" +
				"data.announced_ports = \"51000\"\ndata.data_peer = \"any\"\n",
			`agent.toml:4: server.acme.data.mode: with a proxy the server cannot connect to this machine: write "passive", or remove proxy
agent.toml:5: server.acme.data.active_ports: with a proxy the server cannot connect to this machine: remove active_ports, or proxy
agent.toml:6: server.acme.data.external_ip: with a proxy the server cannot connect to this machine: remove external_ip, or proxy
agent.toml:7: server.acme.data.announced_ports: with a proxy the server cannot connect to this machine: remove announced_ports, or proxy
agent.toml:8: server.acme.data.data_peer: with a proxy the server cannot connect to this machine: remove data_peer, or proxy`},
		{"an account or a proxy that is not TOML is not repeated",
			server + "proxy = \"http://u:se\\cret@h:1\"\n",
			`agent.toml:3: not valid TOML: the proxy stands in quotes; in "..." a backslash is written \\, in '...' it is itself`},
		{"pins", server + "tls_pin = [" + pin + ", \"sha256/x\"]\n[server.b]\naddress = \"h\"\ntls_verify = false\ntls_pin = " + pin + "\n",
			`agent.toml:3: server.acme.tls_pin: "sha256/x" is not the SHA-256 of a public key: write "sha256/" and 44 characters of base64, or 64 hexadecimal digits
agent.toml:6: server.b.tls_verify: false accepts any key and tls_pin only its own: remove one of them (a pin is enough, also for a certificate that is self-signed or carries another name)`},
		{"versions of TLS", server + "tls_min = \"1.1\"\n[server.b]\naddress = \"h\"\ntls_min = \"1.3\"\ntls_legacy = true\n[server.c]\naddress = \"h\"\ntls_min = \"1.3\"\ntls_max = \"1.2\"\n",
			`agent.toml:3: server.acme.tls_min: "1.1" is not known: write "1.2" or "1.3"
agent.toml:7: server.b.tls_legacy: true allows TLS 1.0 and tls_min = "1.3" does not: remove one of them
agent.toml:11: server.c.tls_max: "1.2" is below tls_min = "1.3": no version is left`},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := load(t, c.text, nil)
			expectProblems(t, err, c.want)
		})
	}
}

// clientKeyPair returns a certificate for the days given, from now, and its key, as PEM.
func clientKeyPair(t *testing.T, fromDay, toDay int) (certificate, privateKey string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.AddDate(0, 0, fromDay), NotAfter: now.AddDate(0, 0, toDay)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}))
}

func TestClientCertificates(t *testing.T) {
	t.Chdir(t.TempDir())
	certificate, private := clientKeyPair(t, -1, 1)
	old, oldKey := clientKeyPair(t, -9, -5)
	early, earlyKey := clientKeyPair(t, 5, 9)
	write(t, "cert.pem", certificate, 0o644)
	write(t, "key.pem", private, 0o600)
	write(t, "both.pem", private+certificate, 0o600)
	write(t, "open.pem", certificate+private, 0o640)
	write(t, "old.pem", old+oldKey, 0o600)
	write(t, "early.pem", early+earlyKey, 0o600)
	write(t, "locked.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", 0o600)
	write(t, "locked-rsa.pem", "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", 0o600)
	const oldDay, earlyDay = "OLD", "EARLY"
	passphrase := `holds a private key with a passphrase, which nobody is there to type: write it without one, by "openssl pkey -in OLD -out NEW"`
	for _, c := range []struct{ sentence, cert, key, problem, warning string }{
		{"none", "", "", "", ""},
		{"two files", "cert.pem", "key.pem", "", ""},
		{"both in one file", "both.pem", "", "", ""},
		{"a key that others can read", "open.pem", "", "", `tls_cert: group or others can read the private key: chmod 600 HERE/open.pem`},
		{"a certificate that others can read is no secret", "cert.pem", "open.pem", "", `tls_key: group or others can read the private key: chmod 600 HERE/open.pem`},
		{"expired", "old.pem", "", "", `tls_cert: the certificate in "HERE/old.pem" has expired on OLD, so the server is going to refuse it: get a new one`},
		{"not valid yet", "early.pem", "", "", `tls_cert: the certificate in "HERE/early.pem" is not valid before EARLY, so the server is going to refuse it: look at the clock of this machine too`},
		{"a key alone", "", "key.pem", `tls_key: is of no use alone: name the file of its certificate as tls_cert, or remove the line`, ""},
		{"a certificate alone", "cert.pem", "", `tls_cert: "HERE/cert.pem" holds no private key in PEM form ("-----BEGIN PRIVATE KEY-----"): put it there, or name the file of the key as tls_key`, ""},
		{"the two mixed up", "key.pem", "cert.pem", `tls_cert: "HERE/key.pem" holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")`, ""},
		{"the key of another", "cert.pem", "old.pem", `tls_key: the key in "HERE/old.pem" cannot be used with the certificate in "HERE/cert.pem" (private key does not match public key): the first certificate in the file must be that of the key`, ""},
		{"a key with a passphrase", "cert.pem", "locked.pem", `tls_key: "HERE/locked.pem" ` + passphrase, ""},
		{"a key with a passphrase in the old form", "cert.pem", "locked-rsa.pem", `tls_key: "HERE/locked-rsa.pem" ` + passphrase, ""},
		{"no such certificate", ".", "", `tls_cert: "HERE" cannot be read: not a regular file`, ""},
		{"no such key", "cert.pem", ".", `tls_key: "HERE" cannot be read: not a regular file`, ""},
		{"a path with a tilde", "~/cert.pem", "key.pem", `tls_cert: "~" is not expanded in "~/cert.pem": write the whole path (or "./~..." for a name that begins so)`, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			write(t, "agent.toml", server+"tls_cert = \""+c.cert+"\"\n"+"tls_key = \""+c.key+"\"\n", 0o600)
			line := "agent.toml:3: server.acme."
			if strings.HasPrefix(c.problem+c.warning, "tls_key") {
				line = "agent.toml:4: server.acme."
			}
			cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
			if c.problem != "" {
				expectProblems(t, err, line+c.problem)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := cfg.Servers["acme"].ClientCertificate.Reveal(); (got == nil) != (c.cert == "") || got != nil && (got.Leaf == nil || got.PrivateKey == nil) {
				t.Errorf("certificate is %v", got)
			}
			warnings := cfg.Warnings[:len(cfg.Warnings):len(cfg.Warnings)]
			if runtime.GOOS == "windows" && strings.Contains(c.warning, "can read") {
				return // file modes say nothing there
			}
			want := strings.NewReplacer(oldDay, time.Now().AddDate(0, 0, -5).UTC().Format("2006-01-02"), earlyDay, time.Now().AddDate(0, 0, 5).UTC().Format("2006-01-02")).Replace(c.warning)
			if want != "" {
				want = line + want
			}
			expectWarnings(t, warnings, want)
		})
	}
}

// expectWarnings compares all but the one that there is no sync.
func expectWarnings(t *testing.T, warnings []Problem, want string) {
	t.Helper()
	var about []Problem
	for _, warning := range warnings {
		if warning.Line > 0 {
			about = append(about, warning)
		}
	}
	expectProblems(t, &Error{about}, want)
}

func TestServerWarnings(t *testing.T) {
	pin := `"` + strings.Repeat("00", 32) + `"`
	for _, c := range []struct{ sentence, settings, want string }{
		{"old TLS is loud", "tls_legacy = true\n",
			"agent.toml:3: server.acme.tls_legacy: TLS 1.0 AND 1.1 AND BROKEN CIPHERS ARE ACCEPTED: who controls the network may be able to read the password and all files; have the server updated"},
		{"without TLS its keys mean nothing", "tls = \"none\"\ntls_ca = \"\"\ntls_server_name = \"h\"\ntls_verify = false\ntls_pin = []\ntls_cert = \"\"\ntls_key = \"\"\ntls_min = \"1.2\"\ntls_legacy = true\ntls_max = \"1.3\"\n",
			`agent.toml:4: server.acme.tls_ca: has no effect with tls = "none"
agent.toml:5: server.acme.tls_server_name: has no effect with tls = "none"
agent.toml:6: server.acme.tls_verify: has no effect with tls = "none"
agent.toml:7: server.acme.tls_pin: has no effect with tls = "none"
agent.toml:8: server.acme.tls_cert: has no effect with tls = "none"
agent.toml:9: server.acme.tls_key: has no effect with tls = "none"
agent.toml:10: server.acme.tls_min: has no effect with tls = "none"
agent.toml:11: server.acme.tls_legacy: has no effect with tls = "none"
agent.toml:12: server.acme.tls_max: has no effect with tls = "none"`},
		{"an account in clear is as bad as a password", "account = \"a\"\ntls = \"none\"\n",
			`agent.toml:4: server.acme.tls: the password and all files cross the network in clear: use "explicit" if the server can`},
		{"a pin is enough", "tls_pin = " + pin + "\n", ""},
		{"an authority is nothing beside a pin", "tls_pin = " + pin + "\ntls_ca = \"ca.pem\"\n",
			"agent.toml:4: server.acme.tls_ca: has no effect: with tls_pin the key of the server counts and not who signed its certificate"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			t.Chdir(t.TempDir())
			ca, _ := clientKeyPair(t, -1, 1)
			write(t, "ca.pem", ca, 0o644)
			write(t, "agent.toml", server+c.settings, 0o600)
			cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
			if err != nil {
				t.Fatal(err)
			}
			expectWarnings(t, cfg.Warnings, c.want)
		})
	}
}

func TestLegacyAllowsTheOldVersions(t *testing.T) {
	acme := mustLoad(t, server+"tls_legacy = true\n", nil).Servers["acme"]
	if acme.TLSMin != tls.VersionTLS10 || !acme.TLSLegacy {
		t.Errorf("from %x, legacy %v", acme.TLSMin, acme.TLSLegacy)
	}
}

// TestSecretsInAFileThatOthersCanRead: a proxy is a secret only if it has a user in it.
func TestSecretsInAFileThatOthersCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // file modes say nothing there
	}
	t.Chdir(t.TempDir())
	write(t, "secret", "socks5://u:p@h\n", 0o644)
	write(t, "agent.toml", "[server.a]\naddress = \"h\"\naccount = \"x\"\nproxy = \"socks5://h\"\n[server.b]\naddress = \"h\"\nproxy = \"socks5://u:p@h\"\n"+
		"[server.c]\naddress = \"h\"\nproxy = { file = \"secret\" }\naccount = \"\"\n", 0o640)
	cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
	if err != nil {
		t.Fatal(err)
	}
	expectWarnings(t, cfg.Warnings, `agent.toml:3: server.a.account: the account stands in a file that group or others can read: chmod 600 agent.toml
agent.toml:7: server.b.proxy: the proxy stands in a file that group or others can read: chmod 600 agent.toml
agent.toml:10: server.c.proxy: group or others can read the proxy file: chmod 600 HERE/secret`)
}
