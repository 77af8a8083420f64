package doctor

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (write it anew with -update):\n%s", name, diff)
	}
}

// lines of a server that has everything set.
var everything = []string{
	`address = "ftp.example.com:2121"`, `user = "mirror"`, `password = "hidden"`, `account = "hidden too"`, `virtual_host = "www.example.com"`,
	`tls_server_name = "cert.example.com"`, `tls_pin = ["` + strings.Repeat("00", 32) + `", "` + strings.Repeat("ff", 32) + `"]`, `tls_max = "1.2"`,
	`tls_legacy = true`, `connections = 7`, `encoding = "windows-1252"`, `list_time_zone = "Europe/Lisbon"`, `compress = true`, `command_limit = 512`,
	`connect_timeout = "5s"`, `reply_timeout = "1m"`, `stall_timeout = "90s"`,
	`data = { mode = "active", active_ports = "50000-50010", announced_ports = "51000-51010", external_ip = "198.51.100.7", ` +
		`pasv_address = "reply", data_peer = ["203.0.113.7", "2001:db8::/64"] }`,
}

// reports are made up, each to show other parts of a report.
func reports(t *testing.T) map[string]Report {
	yes, no := true, false
	well := Report{
		Server: "acme", Address: "ftp.example.com:21", Outcome: Well, Took: Span(2340 * time.Millisecond),
		Reach: Reach{
			Host: "ftp.example.com", User: "mirror", LoggedIn: true, LoginTook: Span(81 * time.Millisecond), Home: "/", Kind: "proftpd",
			Greeting: "220 ProFTPD Server (ACME) [198.51.100.10]", RoundTrip: Span(12 * time.Millisecond),
			Local: "10.10.0.2:40112", Remote: "198.51.100.10:21", Listed: []string{"MDTM", "MFMT", "UTF8"},
			Addresses: []Address{
				{Address: "198.51.100.10", Tried: true, Connected: true, Took: Span(12 * time.Millisecond)},
				{Address: "2001:db8::10", Tried: true, Took: Span(5 * time.Second), Error: "no answer"},
			},
		},
		TLS: &TLS{
			Mode: "explicit", Resumes: &yes, Required: &yes, RequiredReply: "425 Unable to build data connection: Operation not permitted",
			Versions: []TLSVersion{
				{Version: "1.3", Accepted: true, Cipher: "TLS_AES_256_GCM_SHA384"},
				{Version: "1.2", Accepted: true, Cipher: "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"},
			},
			Certificate: &Certificate{
				Subject: "CN=ftp.example.com", Issuer: "CN=R11,O=Let's Encrypt,C=US", Names: []string{"ftp.example.com", "www.example.com"},
				Key: "RSA 2048 bits", From: time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC),
				Pin: "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", Trusted: true,
			},
		},
		Channels: &Channels{Folder: "/htdocs/ftpferry-probe-0a1b2c3d", Ways: []Way{
			{Way: "passive EPSV", Works: true, Took: Span(25 * time.Millisecond), Target: "198.51.100.10:60088", Resumed: true},
			{Way: "direct PORT", Took: Span(8 * time.Second), Target: "203.0.113.7:50000", Listened: "10.10.0.2:50000",
				Reason: "the server did not connect", Reply: "200 PORT command successful", Cure: "open the firewall of this machine"},
		}},
		Outside: &Outside{
			Local: "10.10.0.2", Server: "198.51.100.10", View: "203.0.113.7", From: "STAT", Address: "203.0.113.7", Best: "server",
			NAT: "two NATs", Ports: "kept", Mapper: "NAT-PMP", Network: "eth0 10.10.0.0/24 via 10.10.0.1",
			Sources: []Source{
				{Source: "server", Address: "203.0.113.7"}, {Source: "NAT-PMP", Address: "10.64.0.2", Detail: "10.10.0.1"},
				{Source: "STUN", Error: "no answer from stun.example.com:3478"},
			},
			Notes: []string{"the gateway (NAT-PMP) says 10.64.0.2, but the server sees us as 203.0.113.7: two NATs, ports opened at the gateway cannot be reached from outside"},
		},
		Scratch: &Scratch{Folder: "/htdocs/ftpferry-probe-0a1b2c3d", Made: true, Removed: true},
		Features: []Feature{
			{Key: "upload", Title: "upload", Verdict: Works, Detail: "60 kB, as long as it should be, in 54ms", Took: Span(80 * time.Millisecond)},
			{Key: "rename_over", Title: "rename over a file", Verdict: Absent, Detail: "550 Overwrite permission denied; it works once the old file is removed"},
			{Key: "append", Title: "append (APPE)", Verdict: Works},
			{Key: "encoding", Title: "names beyond ASCII", Verdict: Broken, Detail: `a name in UTF-8 is listed as another one: "?-?-?.txt"`},
			{Key: "idle_limit", Title: "idle time", Verdict: Unknown, Detail: "the server does not tell"},
			{Key: "hash", Title: "hash of files", Verdict: Unknown, Detail: notTried + "no data connection"},
			{Key: "case", Title: "case of names", Verdict: Unknown, Detail: notTried + "no data connection"},
			{Key: "connections", Title: "connections at a time", Verdict: Absent, Value: 2, Detail: "2; then: 421 There are too many connected users"},
		},
		Problems: []Problem{}, Notes: []string{"the server's certificate ends in 8 days, 2026-11-30"},
	}
	refused := Report{
		Server: "eu.acme", Address: "[2001:db8::10]:990", Outcome: NeedsPerson,
		Reach:    Reach{Host: "2001:db8::10", Proxy: "proxy.example.com:1080", User: "u", Greeting: "220 hello", Listed: []string{}},
		Features: []Feature{}, Notes: []string{},
		TLS: &TLS{
			Mode: "implicit", Required: &no,
			Versions: []TLSVersion{{Version: "1.3", Error: "refused: tls: protocol version not supported"}, {Version: "1.2", Error: "refused: EOF"},
				{Version: "1.1", Accepted: true, Cipher: "TLS_RSA_WITH_AES_128_CBC_SHA"}},
			Certificate: &Certificate{
				Subject: "CN=nas", Issuer: "CN=nas", Names: []string{}, Key: "RSA 1024 bits", Pin: "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
				From: time.Date(2010, 9, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2020, 9, 1, 0, 0, 0, 0, time.UTC),
				Why: "certificate has expired or is not yet valid: current time 2026-11-22T00:00:00Z is after 2020-09-01T00:00:00Z",
			},
		},
		Problems: []Problem{{NeedsPerson, "no data channel to 2001:db8::10 (we are 10.10.0.2)\n" +
			"  passive EPSV   dialled 198.51.100.10:60088, no answer in 8s -> server side: open its passive ports to this machine\n" +
			"  note: only passive ways are allowed here", "ask the operator"}},
	}
	well.Settings = recommend(&well, serverOf(t, `address = "ftp.example.com"`, `user = "mirror"`, `password = "hidden"`))
	well.TOML = snippet(serverOf(t, `address = "ftp.example.com"`, `user = "mirror"`, `password = "hidden"`), well.Settings)
	all := serverOf(t, everything...)
	refused.Settings = recommend(&refused, all)
	refused.TOML = snippet(all, refused.Settings)
	return map[string]Report{"well": well, "refused": refused}
}

func TestText(t *testing.T) {
	for name, report := range reports(t) {
		text := report.Text()
		golden(t, name+".txt", text)
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width && strings.Contains(strings.TrimSpace(line), " ") &&
				!strings.Contains(line, " = ") {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	for name, report := range reports(t) {
		text, err := json.MarshalIndent(report, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", string(text)+"\n")
	}
}

// load reads a snippet as agent.toml.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, func(string) string { return "" })
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// TestSnippetSaysWhatIsConfigured: pasted, the section means what the configuration does, but
// for the secrets.
func TestSnippetSaysWhatIsConfigured(t *testing.T) {
	for _, lines := range [][]string{everything, {`address = "127.0.0.1"`}, {`address = "h"`, `tls = "none"`, `data = { data_peer = "any" }`},
		{`address = "h"`, `tls_min = "1.3"`, `tls_verify = false`, `user = "a\"b\\c é"`, `encoding = "utf-8"`}} {
		want := serverOf(t, lines...)
		text := snippet(want, nil)
		if strings.Contains(text, "hidden") {
			t.Errorf("a secret is told:\n%s", text)
		}
		got := load(t, text).Servers["acme"]
		got.Password, got.Account, got.Proxy = want.Password, want.Account, want.Proxy
		same := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
		addresses := cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
		if diff := cmp.Diff(want, got, same, addresses, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
			t.Errorf("%s\n%s", diff, text)
		}
	}
}

func TestSnippetLoadsWithEverythingRecommended(t *testing.T) {
	yes, no := true, false
	r := &Report{
		TLS: &TLS{Offered: true, Resumes: &no, Required: &yes, Resumes12: &yes, Versions: []TLSVersion{{Version: "1.1", Accepted: true}},
			Certificate: &Certificate{Pin: "sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}},
		Channels: &Channels{Ways: []Way{{Way: "passive EPSV"}}},
		Outside:  &Outside{Local: "10.0.0.1", NAT: "NAT"},
		Features: []Feature{
			{Key: "encoding", Verdict: Broken}, {Key: "connections", Verdict: Absent, Value: 1},
			{Key: "long_paths", Verdict: Absent, Value: 512}, {Key: "compression", Verdict: Works},
		},
	}
	for _, mode := range []string{`tls = "none"`, `tls = "explicit"`} {
		s := serverOf(t, `address = "ftp.example.com"`, mode)
		settings := recommend(r, s)
		text := snippet(s, settings)
		cfg := load(t, text)
		if got := cfg.Servers["acme"]; got.Connections != 1 || got.CommandLimit != 512 {
			t.Errorf("not taken over:\n%s", text)
		}
		// What is left to a person loads, too, once the sign in front of it is gone.
		for line := range strings.Lines(text) {
			if key, isAsked := strings.CutPrefix(line, "#"); isAsked && !strings.HasPrefix(key, " ") {
				name, _, _ := strings.Cut(key, " = ")
				var rest strings.Builder
				for other := range strings.Lines(text) {
					if !strings.HasPrefix(other, name+" = ") {
						rest.WriteString(other)
					}
				}
				load(t, rest.String()+key)
			}
		}
		asked := 0
		for _, s := range settings {
			if s.Ask {
				asked++
			}
		}
		if asked < 5 {
			t.Errorf("%d settings left to a person:\n%s", asked, text)
		}
	}
	if text := snippet(&config.Server{Name: "eu.acme", Address: "h:21", User: "anonymous", TLS: config.TLSExplicit, TLSVerify: true,
		Connections: 4, CommandLimit: 4096, ConnectTimeout: 15 * time.Second, ReplyTimeout: 30 * time.Second, StallTimeout: time.Minute,
		Data: config.Data{Mode: config.DataAuto, PASVAddress: config.PASVControl}}, nil); text != "[server.\"eu.acme\"]\naddress = \"h:21\"\n" {
		t.Error(text)
	}
}

func TestCures(t *testing.T) {
	dialling := func(err error) error { return &ftpclient.Error{Op: "connect", Path: "ftp.example.com:21", Err: err} }
	tests := []struct {
		name string
		err  error
		kind Outcome
		cure string
	}{
		{"somebody is there and says nothing", &ftpclient.Error{Op: "login", Err: ftpclient.ErrTimeout}, Unavailable, "does not answer"},
		{"a name that does not exist", dialling(&net.DNSError{IsNotFound: true}), Unavailable, "ftp.example.com does not exist"},
		{"a name server that is silent", dialling(&net.DNSError{IsTimeout: true}), Unavailable, "cannot be looked up now"},
		{"nobody listens", dialling(syscall.ECONNREFUSED), Unavailable, "nobody listens on port 21"},
		{"nobody answers", dialling(ftpclient.ErrTimeout), Unavailable, "a firewall on the way"},
		{"the server is full", &ftpclient.Error{Op: "connect", Code: 421, Text: "Too many connections"}, Unavailable, "takes no more connections"},
		{"the server goes down", &ftpclient.Error{Op: "connect", Code: 421, Text: "shutting down"}, Unavailable, "sends this client away"},
		{"a wrong password", &ftpclient.Error{Op: "login", Command: "PASS", Code: 530, Text: "no"}, NeedsPerson, "check user and password"},
		{"no TLS", &ftpclient.Error{Op: "connect", Command: "AUTH", Code: 502, Err: ftpclient.ErrInsecure}, NeedsPerson, `tls = "implicit"`},
		{"another service", dialling(ftpclient.ErrProtocol), NeedsPerson, "something else than an FTP server"},
		{"a certificate", dialling(&ftpclient.CertificateError{Err: errors.New("its cure")}), NeedsPerson, ""},
		{"a connection that breaks", &ftpclient.Error{Op: "login", Err: io.EOF}, Unavailable, "try again later"},
	}
	for _, test := range tests {
		kind, cure := cureOf(test.err, "ftp.example.com:21", strings.HasPrefix(test.name, "somebody"))
		if kind != test.kind || !strings.Contains(cure, test.cure) || (cure == "") != (test.cure == "") {
			t.Errorf("%s: %s, %q", test.name, kind, cure)
		}
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"a\r\nb\x1b[2J\u202e\u2028\x00": "a / b?[2J???",
		"\xff\xfe":                      "?",
		strings.Repeat("x", 3000):       strings.Repeat("x", maxText) + "...",
	} {
		if got := clean(text); got != want {
			t.Errorf("%q", got)
		}
	}
	if got := cleanLines("a\n  b\x07c \n"); got != "a\n  b?c" {
		t.Errorf("%q", got)
	}
}

func TestWrap(t *testing.T) {
	tests := []struct {
		text string
		most int
		want string
	}{
		{"", 5, ""},
		{"one two three", 7, "one two|three"},
		{"one two three", 8, "one two|three"},
		{"abcdefghij kl", 5, "abcdefghij|kl"},
		{"a  b", 10, "a  b"},
		{"日本語 日本語", 3, "日本語|日本語"},
	}
	for _, test := range tests {
		if got := strings.Join(wrap(test.text, test.most), "|"); got != test.want {
			t.Errorf("wrap(%q, %d) = %q, want %q", test.text, test.most, got, test.want)
		}
	}
}

func TestWorst(t *testing.T) {
	if got := Worst(Worst(Well, Unavailable), Interrupted); got != Unavailable {
		t.Error(got)
	}
	if got := Worst(NeedsPerson, Unavailable); got != NeedsPerson {
		t.Error(got)
	}
}
