package config

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

const server = "[server.acme]\naddress = \"h\"\n"

func sync(name, settings string) string {
	return "[sync." + name + "]\nserver = \"acme\"\n" + settings
}

const up = "local = \".\"\nremote = \"r\"\ndirection = \"up\"\nwatch = true\n"

// problemTable: a file and exactly what Load says about it.
var problemTable = []struct{ sentence, text, want string }{
	{"a typing mistake is named with what is near, and what is missing by it is not named again",
		server + sync("web", "local = \".\"\nremot = \"r\"\ndirection = \"up\"\n"),
		`agent.toml:6: sync.web: unknown key "remot" (did you mean "remote"?)`},
	{"a key like no other gets the list",
		"[agent.log]\ncolour = true\n",
		`agent.toml:2: agent.log: unknown key "colour" (known here: format, level)`},
	{"an unknown table",
		"[servers.acme]\naddress = \"h\"\n",
		`agent.toml:1: unknown key "servers" (did you mean "server"?)`},
	{"case counts",
		server + "User = \"x\"\n",
		`agent.toml:3: server.acme: unknown key "User" (did you mean "user"?)`},
	{"an unknown key in an inline table over two lines",
		server + "data = { mode = \"auto\",\n  active_port = \"1\" }\n",
		`agent.toml:4: server.acme.data: unknown key "active_port" (did you mean "active_ports"?)`},
	{"a dotted unknown key",
		server + "data.modus = \"auto\"\n",
		`agent.toml:3: server.acme.data: unknown key "modus" (did you mean "mode"?)`},
	{"a name with a dot and without quotes",
		server + "[sync.my.site]\nserver = \"acme\"\n" + up,
		`agent.toml:3: sync.my: direction is required, such as direction = "up"
agent.toml:3: sync.my: local is required, such as local = "/srv/www"
agent.toml:3: sync.my: remote is required, such as remote = "/htdocs"
agent.toml:3: sync.my: server is required, such as server = "NAME of a [server.NAME]"
agent.toml:3: sync.my: unknown key "site" (a name with a dot stands in quotes: [sync."my.site"])`},
	{"several problems at once, by line",
		"[agent]\nlisten = \"8021\"\nshutdown_grace = 5\n[server.acme]\nuser = 1\nconnections = 65\n",
		`agent.toml:2: agent.listen: "8021" is not HOST:PORT: write "127.0.0.1:8021", or "[::1]:8021"
agent.toml:3: agent.shutdown_grace: 5 has no unit: write "5s" if seconds are meant
agent.toml:4: server.acme: address is required, such as address = "ftp.example.com"
agent.toml:5: server.acme.user: must be a string in quotes, not a whole number
agent.toml:6: server.acme.connections: 65 is out of range: 1 to 64`},
	{"a syntax error has a line",
		"[agent]\nlisten = 127.0.0.1\n",
		`agent.toml:2: not valid TOML: Invalid float value: "127.0.0.1"`},
	{"a key twice",
		server + "user = \"a\"\nuser = \"b\"\n",
		`agent.toml:4: server.acme.user: defined a second time (first on line 3)`},
	{"a table twice",
		server + server,
		`agent.toml:3: server.acme: defined a second time (first on line 1)`},
	{"a password twice",
		server + "password = \"a\"\npassword = \"b\"\n",
		`agent.toml:4: server.acme.password: defined a second time (first on line 3)`},
	{"a value that replaces part of itself",
		server + "password.env = \"A\"\npassword = \"b\"\n",
		`agent.toml:3: server.acme.password: the environment variable "A" is not set or empty
agent.toml:4: server.acme.password: defined a second time (first on line 3)`},
	{"a password without quotes is not repeated",
		server + "password = truesecret\n",
		`agent.toml:3: not valid TOML: the password stands in quotes; in "..." a backslash is written \\, in '...' it is itself`},
	{"a password with a backslash is not repeated",
		server + "password = \"se\\cret\"\n",
		`agent.toml:3: not valid TOML: the password stands in quotes; in "..." a backslash is written \\, in '...' it is itself`},
	{"a list of tables",
		"[[server]]\naddress = \"h\"\n[[server]]\naddress = \"i\"\n",
		`agent.toml:1: server: must be a table, not a list of tables`},
	{"a table that is a word",
		"[server]\nacme = \"h\"\n",
		`agent.toml:2: server.acme: must be a table, not a string`},
	{"names are plain",
		"[server.\"a b\"]\naddress = \"h\"\n[server.-x]\naddress = \"h\"\n[server.\"\"]\naddress = \"h\"\n",
		`agent.toml:1: server."a b": a name consists of the letters a to z and A to Z, digits, '-', '_' and '.'
agent.toml:3: server.-x: a name begins with a letter, a digit or '_' (otherwise commands would take it for an option or a folder)
agent.toml:5: server."": a name must not be empty`},
	{"names are short",
		"[server." + strings.Repeat("a", 65) + "]\naddress = \"h\"\n",
		"agent.toml:1: server." + strings.Repeat("a", 65) + ": the name has 65 bytes; at most 64 are allowed"},
	{"wrong types",
		"[agent]\nallow_network_state_dir = \"yes\"\nlog = \"info\"\n[server.acme]\naddress = [1]\nconnections = 4.0\npassword = 5\n" +
			sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"up\"\nschedule = [1]\ninclude = \"*\"\nexclude = [\"a\", 2]\nmax_delete = true\nsettle = 1979-05-27\n"),
		`agent.toml:2: agent.allow_network_state_dir: must be true or false (without quotes), not a string
agent.toml:3: agent.log: must be a table, not a string
agent.toml:5: server.acme.address: must be a string or a list of strings, not a list with a whole number
agent.toml:6: server.acme.connections: must be a whole number (without quotes), not a number with a fraction
agent.toml:7: server.acme.password: must be a string in quotes or a table, not a whole number
agent.toml:13: sync.web.schedule: must be a cron line such as "0 3 * * *", a table such as { cron = "0 3 * * *", do = "verify" }, or a list of such, not a list with a whole number
agent.toml:14: sync.web.include: must be a list of strings, such as ["*.tmp", "cache/"], not a string
agent.toml:15: sync.web.exclude: must be a list of strings, such as ["*.tmp", "cache/"], not a list with a whole number
agent.toml:16: sync.web.max_delete: must be a percentage such as "10%" or a whole number of files such as 500, not true or false
agent.toml:17: sync.web.settle: must be a number with a unit in quotes, such as "5s", "1m30s", "24h" or "90d", not a date or time`},
	{"words that are not among those allowed",
		"[agent]\nlog = { level = \"loud\", format = \"xml\" }\n" + server + "tls = \"yes\"\ndata = { mode = \"both\", pasv_address = \"x\" }\n" +
			sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"left\"\nwatch = true\n"),
		`agent.toml:2: agent.log.format: "xml" is not known: write "auto", "text" or "json"
agent.toml:2: agent.log.level: "loud" is not known: write "debug", "info", "warn" or "error"
agent.toml:5: server.acme.tls: "yes" is not known: write "explicit", "implicit" or "none"
agent.toml:6: server.acme.data.mode: "both" is not known: write "auto", "passive" or "active"
agent.toml:6: server.acme.data.pasv_address: "x" is not known: write "control" or "reply"
agent.toml:11: sync.web.direction: "left" is not known: write "up", "down" or "both"`},
	{"addresses",
		"[server.a]\naddress = \"ftp://u:secret@h/\"\n[server.b]\naddress = \"2001:db8::1\"\n[server.c]\naddress = \"h:0\"\n" +
			"[server.d]\naddress = \"h h\"\n[server.e]\naddress = \"[h]\"\n[server.f]\naddress = \"a:b:c\"\n[server.g]\naddress = \"sftp://h\"\n[server.h]\naddress = \"ftps://h/\"\n",
		`agent.toml:2: server.a.address: must not be a URL: write the host alone; user, password and folder have keys of their own
agent.toml:4: server.b.address: "2001:db8::1": an IPv6 address stands in brackets: "[2001:db8::1]"
agent.toml:6: server.c.address: the port of "h:0" must be a number from 1 to 65535
agent.toml:8: server.d.address: "h h" is not a host name or IP address (a name with other letters is written as xn--...)
agent.toml:10: server.e.address: "[h]": brackets are for IPv6 addresses
agent.toml:12: server.f.address: "a:b:c" is not HOST or HOST:PORT (an IPv6 address stands in brackets)
agent.toml:14: server.g.address: must not be a URL: SFTP is another protocol, which ftpferry does not speak
agent.toml:16: server.h.address: must not be a URL: write the host alone, such as "h"`},
	{"the rest of a server",
		server + "user = \"a\\r\\nDELE x\"\nconnections = 0\nreply_timeout = \"0s\"\nstall_timeout = \"-1s\"\nconnect_timeout = \"5\"\n" +
			"tls_server_name = \"a/b\"\ndata = { active_ports = \"9-8\", external_ip = \"0.0.0.0\" }\n",
		`agent.toml:3: server.acme.user: "a\r\nDELE x" contains a control character
agent.toml:4: server.acme.connections: 0 is out of range: 1 to 64
agent.toml:5: server.acme.reply_timeout: must be more than zero
agent.toml:6: server.acme.stall_timeout: -1s is negative
agent.toml:7: server.acme.connect_timeout: "5" is not a duration: write a number with a unit in quotes, such as "5s", "1m30s", "24h" or "90d"
agent.toml:8: server.acme.tls_server_name: "a/b" is not a host name
agent.toml:9: server.acme.data.active_ports: "9-8" is not a range of ports: write "50000-50010", or one port, each 1024 to 65535 and the smaller first
agent.toml:9: server.acme.data.external_ip: "0.0.0.0" is not an IP address that a server could connect to: write one such as "198.51.100.7", or "auto"`},
	{"passwords",
		"[server.a]\naddress = \"h\"\npassword = { env = \"UNSET\" }\n[server.b]\naddress = \"h\"\npassword = { file = \"~/x\" }\n" +
			"[server.c]\naddress = \"h\"\npassword = { credential = \"x\" }\n[server.d]\naddress = \"h\"\npassword = { command = [\"no-such-program\"] }\n" +
			"[server.e]\naddress = \"h\"\npassword.netrc = true\n[server.f]\naddress = \"h\"\npassword = {}\n" +
			"[server.g]\naddress = \"h\"\npassword = { env = \"A\", file = \"b\" }\n[server.h]\naddress = \"h\"\npassword = \"a\\nb\"\n" +
			"[server.i]\naddress = \"h\"\npassword = { evn = \"A\" }\n",
		`agent.toml:3: server.a.password: the environment variable "UNSET" is not set or empty
agent.toml:6: server.b.password.file: "~" is not expanded in "~/x": write the whole path (or "./~..." for a name that begins so)
agent.toml:9: server.c.password: $CREDENTIALS_DIRECTORY is not set, so there is no credential "x": it is there in a unit of systemd with LoadCredential=x:PATH or LoadCredentialEncrypted=, while that runs
agent.toml:12: server.d.password: the program "no-such-program" of command cannot be run: executable file not found in $PATH
agent.toml:15: server.e.password: "." cannot be read: not a regular file
agent.toml:18: server.f.password: the table says nowhere to look: write { file = "path" }, or one of env, credential, command, netrc and keyring
agent.toml:21: server.g.password: has both env and file: keep one of them
agent.toml:24: server.h.password: the password contains a control character, such as a line break; FTP cannot send it
agent.toml:27: server.i.password: unknown key "evn" (did you mean "env"?)`},
	{"a sync needs its four",
		server + "[sync.web]\n",
		`agent.toml:3: sync.web: direction is required, such as direction = "up"
agent.toml:3: sync.web: local is required, such as local = "/srv/www"
agent.toml:3: sync.web: remote is required, such as remote = "/htdocs"
agent.toml:3: sync.web: server is required, such as server = "NAME of a [server.NAME]"`},
	{"a server that is not there, and one that is nearly there",
		server + "[sync.a]\nserver = \"amce\"\n" + up + "[sync.b]\nserver = \"other\"\n" + up,
		`agent.toml:4: sync.a.server: there is no [server.amce] (did you mean "acme"?)
agent.toml:10: sync.b.server: there is no [server.other] (known: acme)`},
	{"a server cannot be watched", server + sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"down\"\nwatch = true\n"),
		`agent.toml:8: sync.web.watch: an FTP server does not announce changes: with direction = "down" use poll = "5m", or schedule, such as "@every 10m"`},
	{"looks come too often", server + sync("web", "local = \".\"\nremote = \"r\"\ndirection = \"both\"\nwatch = true\nrescan = \"59s\"\npoll = \"9s\"\n"),
		`agent.toml:9: sync.web.rescan: 59s is too often for a look at the whole folder: write "1m" or more, such as "1h", or "0s" for never
agent.toml:10: sync.web.poll: 9s is too often for a server to be asked: write "10s" or more, such as "5m", or "" for never`},
	{"looks at nothing", server + sync("web", up+"rescan = \"-1h\"\npoll = \"5m\"\n"),
		`agent.toml:9: sync.web.rescan: -1h0m0s is negative
agent.toml:10: sync.web.poll: is for direction = "down" and "both": with "up" nothing comes from the server. Remove the line`},
	{"paths are not expanded", server + sync("web", "local = \"~/www\"\nremote = \"/a\\r\\nb\"\ndirection = \"up\"\nwatch = true\n") +
		"[agent]\nstate_dir = \"$HOME/x\"\n",
		`agent.toml:5: sync.web.local: "~" is not expanded in "~/www": write the whole path (or "./~..." for a name that begins so)
agent.toml:6: sync.web.remote: "/a\r\nb" contains a control character
agent.toml:10: agent.state_dir: variables are not expanded in "$HOME/x": write the whole path (or "./$..." for a name that begins so)`},
	{"local is a folder", server + sync("web", "local = \"agent.toml\"\nremote = \"r\"\ndirection = \"up\"\nwatch = true\n"),
		`agent.toml:5: sync.web.local: "HERE/agent.toml" is not a folder`},
	{"patterns", server + sync("web", up+"include = [\"!x\"]\nexclude = [\"\", \"/\", \"!a\", \"[a\", \"../b\", \"a//b\", \"a\\nb\"]\n"),
		`agent.toml:9: sync.web.include: selects nothing: remove the line, or write ["**"] for all files
agent.toml:10: sync.web.exclude: the pattern "" does not work: it names nothing: there has to be a name around each slash
agent.toml:10: sync.web.exclude: the pattern "../b" does not work: it can never match: no path holds ".."
agent.toml:10: sync.web.exclude: the pattern "/" does not work: it names nothing: there has to be a name around each slash
agent.toml:10: sync.web.exclude: the pattern "[a" does not work: a "[" has no "]": write "\[" for the character itself
agent.toml:10: sync.web.exclude: the pattern "a//b" does not work: it names nothing: there has to be a name around each slash
agent.toml:10: sync.web.exclude: the pattern "a\nb" contains a control character`},
	{"the rest of a sync", server + sync("web", up+"time_zone = \"Lisbon\"\nsettle = \"-5s\"\nmarker = \"../x\"\nmax_delete = \"101%\"\n"),
		`agent.toml:9: sync.web.time_zone: "Lisbon" is not known: write an IANA name such as "Europe/Lisbon" or "UTC"
agent.toml:10: sync.web.settle: -5s is negative
agent.toml:11: sync.web.marker: "../x" is not below the local folder: write a file name relative to it, such as ".mounted"
agent.toml:12: sync.web.max_delete: "101%" is out of range: a percentage is between 0% and 100%`},
	{"max_delete as a word", server + sync("a", up+"max_delete = \"10\"\n") + sync("b", up+"max_delete = -1\nenabled = false\n") + sync("c", up+"max_delete = \"NaN%\"\nenabled = false\n"),
		`agent.toml:9: sync.a.max_delete: "10" is neither: write a percentage such as "10%" or a whole number of files such as 500, the number without quotes
agent.toml:16: sync.b.max_delete: -1 is out of range: write a percentage such as "10%" or a whole number of files such as 500
agent.toml:24: sync.c.max_delete: "NaN%" is out of range: a percentage is between 0% and 100%`},
}

func TestProblems(t *testing.T) {
	for _, c := range problemTable {
		t.Run(c.sentence, func(t *testing.T) {
			_, err := load(t, c.text, map[string]string{"NETRC": "."})
			expectProblems(t, err, c.want)
		})
	}
}

var withColumn = regexp.MustCompile(`(?m)^([a-z/.]+:\d+):\d+: `)

func withoutColumns(problems string) string { return withColumn.ReplaceAllString(problems, "$1: ") }

// inOrder sorts lines, since those about the same line of a file come in the order of the columns.
func inOrder(text string) string {
	lines := strings.Split(text, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func expectProblems(t *testing.T, err error, want string) {
	t.Helper()
	problems, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error is %v, want %s", err, want)
	}
	here, workingErr := os.Getwd()
	if workingErr != nil {
		t.Fatal(workingErr)
	}
	got := strings.ReplaceAll(filepath.ToSlash(problems.Error()), filepath.ToSlash(here), "HERE")
	if !withColumn.MatchString(want) { // most tables are about lines
		got, want = inOrder(withoutColumns(got)), inOrder(want)
	}
	if runtime.GOOS == "windows" {
		want = filepath.ToSlash(want)
	}
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestUnreadableSecrets(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "empty", "\n", 0o600)
	write(t, "nocert", "hello", 0o600)
	write(t, "agent.toml", server+"password = { file = \"empty\" }\ntls_ca = \"nocert\"\n[server.b]\naddress = \"h\"\npassword = { file = \".\" }\ntls_ca = \".\"\n", 0o600)
	_, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
	expectProblems(t, err, `agent.toml:3: server.acme.password: the password file "HERE/empty" is empty
agent.toml:4: server.acme.tls_ca: "HERE/nocert" holds no certificate in PEM form ("-----BEGIN CERTIFICATE-----")
agent.toml:7: server.b.password: the password file "HERE" cannot be read: not a regular file
agent.toml:8: server.b.tls_ca: "HERE" cannot be read: not a regular file`)
}

func TestExtraAuthority(t *testing.T) {
	t.Chdir(t.TempDir())
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	write(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), 0o644)
	write(t, "agent.toml", server+"tls_ca = \"ca.pem\"\n", 0o644)
	cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
	if err != nil {
		t.Fatal(err)
	}
	acme := cfg.Servers["acme"]
	if !filepath.IsAbs(acme.TLSCA) {
		t.Errorf("tls_ca is %q, want an absolute path", acme.TLSCA)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: acme.RootCAs}); err != nil {
		t.Errorf("the extra authority is not trusted: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // file modes say nothing there
	}
	t.Chdir(t.TempDir())
	write(t, "secret", "x", 0o640)
	write(t, "agent.toml", `[server.a]
address = "h"
password = "x"
tls = "none"
[server.b]
address = "h"
user = "b"
password = { file = "secret" }
tls_verify = false
[sync.up]
server = "a"
local = "absent"
remote = "x"
direction = "up"
[sync.down]
server = "b"
local = "absent too"
remote = "y"
direction = "down"
schedule = "@daily"
`, 0o640)
	cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
	if err != nil {
		t.Fatal(err)
	}
	expectProblems(t, &Error{cfg.Warnings}, `agent.toml:3: server.a.password: the password stands in a file that group or others can read: chmod 600 agent.toml
agent.toml:4: server.a.tls: the password and all files cross the network in clear: use "explicit" if the server can
agent.toml:8: server.b.password: group or others can read the password file: chmod 600 HERE/secret
agent.toml:9: server.b.tls_verify: ANYONE ON THE NETWORK CAN POSE AS THIS SERVER and read the password and all files: use tls_ca or tls_pin for a private certificate
agent.toml:10: sync.up: has neither watch nor schedule: it runs only by "ftpferry once up"
agent.toml:12: sync.up.local: "HERE/absent" cannot be read (no such file or directory): the sync halts until it appears`)
}

func TestEmptyFileIsAWarning(t *testing.T) {
	cfg := mustLoad(t, "", nil)
	if len(cfg.Warnings) != 1 || cfg.Warnings[0].String() != "agent.toml: there is no [sync.NAME]: nothing to do" {
		t.Errorf("warnings = %v", cfg.Warnings)
	}
}
