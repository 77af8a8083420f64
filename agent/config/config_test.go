package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/robfig/cron/v3"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// environment gives variables from a map.
func environment(variables map[string]string) func(string) string {
	return func(name string) string { return variables[name] }
}

// load writes the text to agent.toml in a new folder, makes that the current one and loads it.
func load(t *testing.T, text string, variables map[string]string) (*Config, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	write(t, "agent.toml", text, 0o600)
	all := map[string]string{"STATE_DIRECTORY": filepath.Join(t.TempDir(), "state"), "ProgramData": t.TempDir()}
	for name, value := range variables {
		all[name] = value
	}
	return Load("agent.toml", environment(all))
}

func write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask says
		t.Fatal(err)
	}
}

func mustLoad(t *testing.T, text string, variables map[string]string) *Config {
	t.Helper()
	cfg, err := load(t, text, variables)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// minimal has only what is required; local is the folder of the file itself, which exists.
const minimal = `[server.acme]
address = "ftp.example.com"
[sync.web]
server = "acme"
local = "."
remote = "/htdocs"
direction = "up"
watch = true
`

func TestDefaults(t *testing.T) {
	cfg := mustLoad(t, minimal, map[string]string{"STATE_DIRECTORY": "/var/lib/x:/var/lib/y", "ProgramData": "/var/lib"})
	stateDir := "/var/lib/x"
	if runtime.GOOS == "windows" {
		stateDir = filepath.FromSlash("/var/lib/ftpferry")
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path:  "agent.toml",
		Files: []string{filepath.Join(here, "agent.toml")}, StateByDefault: true,
		Agent: Agent{
			StateDir: stateDir,
			Log:      Log{Level: slog.LevelInfo, Format: LogAuto},
			Reload:   ReloadSignal, ShutdownGrace: 30 * time.Second, AddressSources: AddressSources{Gateway: true},
			History: History{Keep: 90 * 24 * time.Hour, Rows: 1_000_000},
		},
		Servers: map[string]*Server{"acme": {
			Name: "acme", Address: "ftp.example.com:21", Addresses: []string{"ftp.example.com:21"}, User: "anonymous", TLS: TLSExplicit, TLSVerify: true, Connections: 4, Segments: 4,
			TLSMin: tls.VersionTLS12, TLSMax: tls.VersionTLS13, CommandLimit: 4096,
			Data:           Data{Mode: DataAuto, PASVAddress: PASVControl},
			ConnectTimeout: 15 * time.Second, ReplyTimeout: 30 * time.Second, StallTimeout: 60 * time.Second,
		}},
		Syncs: map[string]*Sync{"web": ofDefaults(Sync{Name: "web", Local: here, Remote: "/htdocs", Direction: Up, Watch: true, Enabled: true})},
	}
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(Config{}, "Seen"), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("a file with only what is required (-want +got):\n%s", diff)
	}
}

var sameZone = cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })

const everySetting = `[agent]
state_dir = "state"
log = { level = "debug", format = "json" }
shutdown_grace = "1m30s"
allow_network_state_dir = true
max_state_size = "4 GiB"
history = { keep = "7d12h", rows = 5000 }
address_sources = { gateway = false, stun = ["stun.example.com", "[2001:db8::1]:19302"], https = "https://ip.example.com/?a" }
[server.acme]
address = ["[2001:db8::1]", "backup.example.com:2121"]
bandwidth = "19:00,off 8:00,512KiB"
user = "mirror"
password = { env = "ACME" }
tls = "implicit"
tls_server_name = "ftp.example.com"
tls_pin = ["sha256/AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="]
tls_min = "1.3"
tls_max = "1.3"
connections = 64
segments = 2
account = { env = "ACCOUNT" }
virtual_host = "site.example.com"
encoding = " Shift_JIS"
list_time_zone = "Europe/Lisbon"
compress = true
command_limit = 512
data = { mode = "active", active_ports = "50000-50010", announced_ports = "51000 - 51010", external_ip = "198.51.100.7", pasv_address = "reply", data_peer = ["192.0.2.0/24", "::ffff:198.51.100.9"] }
connect_timeout = "1s"
reply_timeout = "2s"
stall_timeout = "3s"
[sync."web.site"]
server = "acme"
local = "site/../www"
remote = "in//x/../y/"
direction = "down"
schedule = "@every 90s"
time_zone = "Europe/Lisbon"
include = ["*.html"]
exclude = ["*.tmp", "/cache/", "a/**/b"]
delete = true
max_delete = 500
settle = "1ns"
marker = "sub/.mounted"
enabled = false
`

func TestEverySettingArrives(t *testing.T) {
	cfg := mustLoad(t, everySetting, map[string]string{"ACME": "s3cret", "ACCOUNT": "acc0unt"})
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	lisbon, err := time.LoadLocation("Europe/Lisbon")
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Path:  "agent.toml",
		Files: []string{filepath.Join(here, "agent.toml")},
		Agent: Agent{
			StateDir: filepath.Join(here, "state"), Log: Log{Level: slog.LevelDebug, Format: LogJSON},
			Reload: ReloadSignal, ShutdownGrace: 90 * time.Second, AllowNetworkStateDir: true,
			MaxStateSize: 4 << 30, History: History{Keep: 180 * time.Hour, Rows: 5000},
			AddressSources: AddressSources{STUN: []string{"stun.example.com:3478", "[2001:db8::1]:19302"}, HTTPS: []string{"https://ip.example.com/?a"}},
		},
		Servers: map[string]*Server{"acme": {
			Name: "acme", Address: "[2001:db8::1]:990", Addresses: []string{"[2001:db8::1]:990", "backup.example.com:2121"},
			Bandwidth: Timetable{{8 * time.Hour, 512 << 10}, {19 * time.Hour, 0}}, User: "mirror", Password: NewSecret("s3cret"), TLS: TLSImplicit,
			TLSServerName: "ftp.example.com", TLSVerify: true, Connections: 64, Segments: 2,
			TLSPins: []ftpclient.PinnedKey{countingPin()}, TLSMin: tls.VersionTLS13, TLSMax: tls.VersionTLS13, Account: NewSecret("acc0unt"), VirtualHost: "site.example.com",
			Encoding: "shift_jis", ListTimeZone: lisbon, Compress: true, CommandLimit: 512,
			Data: Data{Mode: DataActive, ActivePorts: PortRange{50000, 50010}, AnnouncedPorts: PortRange{51000, 51010},
				ExternalIP: netip.MustParseAddr("198.51.100.7"), PASVAddress: PASVReply,
				Peers: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.9/32")}},
			ConnectTimeout: time.Second, ReplyTimeout: 2 * time.Second, StallTimeout: 3 * time.Second,
		}},
		Syncs: map[string]*Sync{"web.site": ofDefaults(Sync{
			Name: "web.site", Local: filepath.Join(here, "www"), Remote: "in/y", Direction: Down,
			Schedules: []Schedule{{
				Name: "@every 90s", Spec: "@every 90s", Cron: cron.Every(90 * time.Second), Zone: lisbon,
				Do: DoSync, Missed: MissedOnce, Overlap: OverlapSkip,
			}},
			Include: []string{"*.html"}, Exclude: []string{"*.tmp", "/cache/", "a/**/b"},
			Delete: true, MaxDelete: MaxDelete{Count: 500}, Settle: 1, Marker: "sub/.mounted",
		})},
	}
	if diff := cmp.Diff(want, cfg, cmpopts.IgnoreFields(Config{}, "Seen"), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), sameZone); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]string{
		"ftp.example.com":      "ftp.example.com:21",
		"ftp.example.com:2121": "ftp.example.com:2121",
		"192.0.2.1":            "192.0.2.1:21",
		"[2001:db8::1]":        "[2001:db8::1]:21",
		"[2001:db8::1]:2121":   "[2001:db8::1]:2121",
		"[fe80::1%eth0]":       "[fe80::1%eth0]:21",
	} {
		if got, err := parseAddress(text, "21"); err != nil || got != want {
			t.Errorf("parseAddress(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestPasswordFileLosesItsLineBreakOnly(t *testing.T) {
	text := strings.Replace(minimal, "[sync.web]", "password = { file = \"secrets/acme\" }\n[sync.web]", 1)
	for content, want := range map[string]string{" pass word \n": " pass word ", "a\r\n": "a", "a": "a"} {
		t.Chdir(t.TempDir())
		if err := os.Mkdir("secrets", 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, "secrets/acme", content, 0o600)
		write(t, "agent.toml", text, 0o600)
		cfg, err := Load("agent.toml", environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Servers["acme"].Password.Reveal(); got != want {
			t.Errorf("password file %q gives %q, want %q", content, got, want)
		}
		if len(cfg.Warnings) != 0 {
			t.Errorf("warnings: %v", cfg.Warnings)
		}
	}
}

func TestPathsAreRelativeToTheFile(t *testing.T) {
	folder := t.TempDir()
	if err := os.MkdirAll(filepath.Join(folder, "conf"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "conf", "agent.toml"), strings.Replace(minimal, `"."`, `"../www"`, 1), 0o600)
	t.Chdir(folder)
	path := filepath.Join("conf", "agent.toml")
	cfg, err := Load(path, environment(map[string]string{"STATE_DIRECTORY": "/nowhere"}))
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(here, "www"); cfg.Syncs["web"].Local != want {
		t.Errorf("local = %q, want %q", cfg.Syncs["web"].Local, want)
	}
	if len(cfg.Warnings) != 1 || cfg.Warnings[0].File != path || cfg.Warnings[0].Line != 5 {
		t.Errorf("warnings = %v, want one at %s:5", cfg.Warnings, path)
	}
}

func TestUnreadableFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("folder", 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, "large", strings.Repeat("#", largestFile+1), 0o600)
	for path, want := range map[string]string{
		"folder": "folder: cannot be read: not a regular file",
		"large":  "large: cannot be read: larger than 1048576 bytes",
	} {
		_, err := Load(path, environment(nil))
		if problems, ok := errors.AsType[*Error](err); !ok || problems.Error() != want {
			t.Errorf("Load(%q) = %v, want %q", path, err, want)
		}
	}
	if _, err := Load("absent", environment(nil)); err == nil || !strings.HasPrefix(err.Error(), "absent: cannot be read: ") {
		t.Errorf("Load of an absent file = %v", err)
	}
}

func TestFind(t *testing.T) {
	home, xdg := t.TempDir(), t.TempDir()
	make := func(folder string) string {
		path := filepath.Join(folder, "ftpferry", "agent.toml")
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, path, "", 0o600)
		return path
	}
	inXDG := make(xdg)
	variables := map[string]string{"FTPFERRY_CONFIG": "named.toml", "XDG_CONFIG_HOME": xdg, "HOME": home, "AppData": xdg}
	expect := func(explicit, want, sentence string) {
		t.Helper()
		if got, err := Find(explicit, environment(variables)); err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", sentence, got, err, want)
		}
	}
	expect("given.toml", "given.toml", "-c wins, even if the file does not exist")
	expect("", "named.toml", "$FTPFERRY_CONFIG comes next")
	delete(variables, "FTPFERRY_CONFIG")
	expect("", inXDG, "then the personal folder")

	paths := func(system string, variables map[string]string) string {
		return filepath.ToSlash(strings.Join(searchPaths(system, environment(variables)), " "))
	}
	for sentence, c := range map[string]struct{ got, want string }{
		"without $XDG_CONFIG_HOME it is ~/.config":     {paths("linux", map[string]string{"HOME": "/h"}), "/h/.config/ftpferry/agent.toml /etc/ftpferry/agent.toml"},
		"a relative $XDG_CONFIG_HOME is ignored":       {paths("linux", map[string]string{"XDG_CONFIG_HOME": "x"}), "/etc/ftpferry/agent.toml"},
		"Windows has its own places":                   {paths("windows", map[string]string{"AppData": "/a", "ProgramData": "/p"}), "/a/ftpferry/agent.toml /p/ftpferry/agent.toml"},
		"Windows does without %AppData% in a service ": {paths("windows", map[string]string{"ProgramData": "/p"}), "/p/ftpferry/agent.toml"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %q, want %q", sentence, c.got, c.want)
		}
	}
}

func TestFindSaysWhereItLooked(t *testing.T) {
	empty := t.TempDir()
	variables := environment(map[string]string{"XDG_CONFIG_HOME": empty, "AppData": empty, "ProgramData": empty})
	path, err := Find("", variables)
	if err == nil {
		t.Fatalf("found %s, which this test wants to be absent", path)
	}
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Errorf("error is a %T", err)
	}
	for _, place := range searchPaths(runtime.GOOS, variables) {
		if !strings.Contains(err.Error(), place) {
			t.Errorf("%q does not name %s", err, place)
		}
	}
}

func TestDefaultStateDir(t *testing.T) {
	for _, c := range []struct {
		sentence  string
		system    string
		isRoot    bool
		variables map[string]string
		want      string
	}{
		{"systemd's word comes first", "linux", true, map[string]string{"STATE_DIRECTORY": "/s", "XDG_STATE_HOME": "/x"}, "/s"},
		{"of several state directories the first counts", "linux", true, map[string]string{"STATE_DIRECTORY": "/s:/t"}, "/s"},
		{"then $XDG_STATE_HOME", "linux", false, map[string]string{"XDG_STATE_HOME": "/x", "HOME": "/h"}, "/x/ftpferry"},
		{"a relative $XDG_STATE_HOME is ignored", "linux", true, map[string]string{"XDG_STATE_HOME": "x"}, "/var/lib/ftpferry"},
		{"a person has it at home", "darwin", false, map[string]string{"HOME": "/h"}, "/h/.local/state/ftpferry"},
		{"root has it in /var/lib", "linux", true, map[string]string{"HOME": "/root"}, "/var/lib/ftpferry"},
		{"Windows has %ProgramData%", "windows", false, map[string]string{"ProgramData": "/p", "STATE_DIRECTORY": "/s"}, "/p/ftpferry"},
	} {
		if runtime.GOOS == "windows" && c.system != "windows" {
			continue // a path such as /s is not absolute there
		}
		got, err := defaultStateDir(c.system, c.isRoot, environment(c.variables))
		if err != nil || filepath.ToSlash(got) != c.want {
			t.Errorf("%s: got %q, %v; want %q", c.sentence, got, err, c.want)
		}
	}
}

func TestMaxDelete(t *testing.T) {
	for _, c := range []struct {
		setting        any
		deletes, known int
		want           bool
	}{
		{"10%", 10, 100, true},
		{"10%", 11, 100, false},
		{"29%", 29, 100, true},
		{"0.5%", 50, 10_000, true},
		{"0%", 9, 5, true},
		{"0%", 10, 1000, false},
		{"100%", 1000, 1000, true},
		{int64(5), 5, 0, true},
		{int64(5), 6, 1_000_000, false},
		{int64(0), 0, 10, true},
		{int64(0), 1, 10, false},
	} {
		var limit MaxDelete
		if problem := limit.set(c.setting); problem != "" {
			t.Fatalf("%v: %s", c.setting, problem)
		}
		if got := limit.Allows(c.deletes, c.known); got != c.want {
			t.Errorf("max_delete = %v allows %d deletes of %d: %v, want %v", limit, c.deletes, c.known, got, c.want)
		}
	}
}
