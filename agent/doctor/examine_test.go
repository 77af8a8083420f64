package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// serverOf is the server of a configuration with these lines in its section.
func serverOf(t *testing.T, lines ...string) *config.Server {
	t.Helper()
	file := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(file, []byte("[server.acme]\n"+strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(file, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	return cfg.Servers["acme"]
}

// patientOf is what the agent would make of a server, without importing it.
func patientOf(s *config.Server) Patient {
	return Patient{Server: s, Folders: []string{""}, Client: ftpclient.Options{
		User: s.User, Password: s.Password.Reveal(), PinnedKeys: s.TLSPins, CommandLimit: s.CommandLimit,
		TLS:       map[config.TLSMode]ftpclient.TLSMode{config.TLSImplicit: ftpclient.TLSImplicit, config.TLSNone: ftpclient.TLSNone}[s.TLS],
		TLSConfig: &tls.Config{RootCAs: s.RootCAs, MaxVersion: s.TLSMax},
		Logger:    slog.New(slog.DiscardHandler),
	}}
}

func realPatient(t *testing.T, s *ftptest.RealServer, lines ...string) Patient {
	t.Helper()
	lines = append(lines, fmt.Sprintf("address = %q\nuser = %q", s.Addr, s.User))
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "password") }) {
		lines = append(lines, fmt.Sprintf("password = %q", s.Password))
	}
	if s.CAFile == "" {
		lines = append(lines, `tls = "none"`)
	}
	return patientOf(serverOf(t, lines...))
}

func verdicts(r Report) map[string]Verdict {
	found := map[string]Verdict{}
	for _, f := range r.Features {
		found[f.Key] = f.Verdict
	}
	return found
}

// onlyPrecious fails the test if the folder holds anything else than the one file that was there.
func onlyPrecious(t *testing.T, root string) {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 1 || entries[0].Name() != "precious.txt" {
		t.Errorf("left on the server: %v, %v", entries, err)
	}
}

func precious(t *testing.T, root string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, "precious.txt"), []byte("keep me"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// absentAt is what the servers of the tests do not do.
var absentAt = map[string][]string{
	"vsftpd":    {"hash", "compression"},
	"proftpd":   {},
	"pure-ftpd": {"hash", "compression", "odd_names"},
	"pyftpdlib": {"hash", "compression", "long_paths"},
}

func TestRealServers(t *testing.T) {
	for _, name := range ftptest.RealServers {
		for _, secured := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s TLS %v", name, secured), func(t *testing.T) {
				t.Parallel()
				o := ftptest.RealOptions{TLS: secured, RequireTLS: secured}
				if ftptest.Offers(name, "Modules") {
					o.Modules = []string{"deflate", "digest"}
				}
				s := ftptest.Real(t, name, o)
				precious(t, s.Root)
				var lines []string
				if secured {
					lines = append(lines, fmt.Sprintf("tls_ca = %q", s.CAFile))
				}
				r := Examine(t.Context(), realPatient(t, s, lines...))
				if r.Outcome != Well || len(r.Problems) > 0 {
					t.Errorf("outcome %s: %v", r.Outcome, r.Problems)
				}
				if r.Reach.Kind != name || r.Reach.Home != "/" || !r.Reach.LoggedIn || !strings.HasPrefix(r.Reach.Greeting, "220 ") {
					t.Errorf("reachability: %+v", r.Reach)
				}
				for key, verdict := range verdicts(r) {
					want := Works
					switch {
					case slices.Contains(absentAt[name], key):
						want = Absent
					case key == "idle_limit" && name != "pure-ftpd":
						want = Unknown
					}
					if verdict != want {
						f, _ := r.feature(key)
						t.Errorf("%s: %s (%s), want %s", key, verdict, f.Detail, want)
					}
				}
				if len(r.Features) != len(probes) {
					t.Errorf("%d features of %d probes", len(r.Features), len(probes))
				}
				for _, way := range r.Channels.Ways {
					if !way.Works {
						t.Errorf("%s: %s", way.Way, way.Reason)
					}
				}
				if secured {
					checkSecured(t, name, r.TLS)
				} else if r.TLS != nil {
					t.Errorf("TLS of a server without: %+v", r.TLS)
				}
				if !r.Scratch.Made || !r.Scratch.Removed || !ftpclient.IsProbe(filepath.Base(r.Scratch.Folder)) {
					t.Errorf("scratch folder: %+v", r.Scratch)
				}
				onlyPrecious(t, s.Root)
			})
		}
	}
}

func checkSecured(t *testing.T, name string, report *TLS) {
	t.Helper()
	if !report.accepts("1.3") || !report.accepts("1.2") || len(report.Versions) != 2 {
		t.Errorf("versions: %+v", report.Versions)
	}
	c := report.Certificate
	if c == nil || !c.Trusted || c.Pinned || !slices.Contains(c.Names, "localhost") || c.Subject != "CN=localhost" {
		t.Errorf("certificate: %+v", c)
	}
	demands := name == "vsftpd" || name == "proftpd"
	if report.Required == nil || *report.Required != demands {
		t.Errorf("demands resumption: %v, want %v", report.Required, demands)
	}
	resumes := name != "pure-ftpd" // it has no tickets with TLS 1.3
	if report.Resumes == nil || *report.Resumes != resumes {
		t.Errorf("resumes: %v, want %v", report.Resumes, resumes)
	}
}

func TestCertificateNotTrusted(t *testing.T) {
	s := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{TLS: true, RequireTLS: true})
	r := Examine(t.Context(), realPatient(t, s))
	if r.Outcome != NeedsPerson || r.TLS == nil || r.TLS.Certificate.Trusted || r.TLS.Certificate.Why == "" {
		t.Fatalf("%s", r.Text())
	}
	if r.Reach.LoggedIn || len(r.Features) > 0 {
		t.Errorf("logged in all the same")
	}
	// With the pin that it proposes, all is well.
	if len(r.Settings) != 1 || r.Settings[0].Key != "tls_pin" || !r.Settings[0].Ask {
		t.Fatalf("settings: %+v", r.Settings)
	}
	r = Examine(t.Context(), realPatient(t, s, "tls_pin = "+r.Settings[0].Value))
	if r.Outcome != Well || !r.TLS.Certificate.Pinned || len(r.Settings) > 1 {
		t.Errorf("with the pin:\n%s", r.Text())
	}
}

func TestPasswordIsTriedOnce(t *testing.T) {
	s := newOddServer(t, 0, func(verb, _ string) string {
		if verb == "PASS" {
			return "530 Login incorrect"
		}
		return ""
	})
	r := Examine(t.Context(), patientOf(serverOf(t, `tls = "none"`, fmt.Sprintf("address = %q", s.address), `user = "u"`, `password = "p"`)))
	if r.Outcome != NeedsPerson || s.count("PASS") != 1 {
		t.Errorf("%d times PASS\n%s", s.count("PASS"), r.Text())
	}
	if len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Cure, "user and password") {
		t.Errorf("problems: %+v", r.Problems)
	}
}

func oddPatient(t *testing.T, s *oddServer, lines ...string) Patient {
	t.Helper()
	return patientOf(serverOf(t, append(lines, `tls = "none"`, fmt.Sprintf("address = %q", s.address))...))
}

func TestServerThatRefusesEverythingOptional(t *testing.T) {
	s := newOddServer(t, 0, nil)
	p := oddPatient(t, s)
	p.Writes = true
	r := Examine(t.Context(), p)
	want := map[string]Verdict{
		"upload": Works, "download": Works, "listing": Works, "case": Works, "many_questions": Works, "encoding": Works,
		"dot_names": Works, "odd_names": Works, "long_paths": Works, "connections": Works, "idle_limit": Unknown,
		"clock": Absent, "set_time": Absent, "rename_over": Absent, "resume_upload": Absent, "append": Absent,
		"resume_download": Absent, "hash": Absent, "compression": Absent, "chmod": Absent,
	}
	if diff := cmp.Diff(want, verdicts(r)); diff != "" {
		t.Error(diff)
	}
	if r.Outcome != Well {
		t.Errorf("%s: %+v", r.Outcome, r.Problems)
	}
	if left := s.left(); len(left) > 0 {
		t.Errorf("left on the server: %q", left)
	}
	if strings.ContainsRune(r.Text(), '\x1b') {
		t.Error("the server commands the terminal")
	}
	if most := p.Server.Connections + beyond; s.most > most {
		t.Errorf("%d connections at a time, no more than %d are polite", s.most, most)
	}
}

// TestOddities are servers with one thing wrong: what the doctor makes of it, and that nothing is left.
func TestOddities(t *testing.T) {
	answer := func(verbs, reply string) func(verb, argument string) string {
		return func(verb, _ string) string {
			if slices.Contains(strings.Fields(verbs), verb) {
				return reply
			}
			return ""
		}
	}
	tests := []struct {
		name    string
		hook    func(verb, argument string) string
		limit   int
		lines   []string
		outcome Outcome
		problem string // in one of them
		feature string
		verdict Verdict
		detail  string
		setting string // the only one
		left    bool
	}{
		{name: "a server that never says yes to a data command has no data channel",
			hook: answer("PASV EPSV PORT EPRT", "500 no"), outcome: NeedsPerson, problem: "no data channel to 127.0.0.1",
			feature: "upload", verdict: Unknown, detail: "not tried: no data connection"},
		{name: "what a way failed of is told in short", hook: func(verb, _ string) string {
			if verb == "PASV" {
				return "227 (127,0,0,1,255,255)"
			}
			return ""
		}, outcome: NeedsPerson, problem: "connection refused", feature: "upload", verdict: Unknown},
		{name: "files that cannot be renamed are a problem for uploads", hook: answer("RNFR", "550 not for you"),
			outcome: NeedsPerson, problem: "cannot be replaced", feature: "rename_over", verdict: Broken, detail: "at all: 550 not for you"},
		{name: "a server that hangs up over APPE is examined to the end", hook: answer("APPE", "hang up"), outcome: Well,
			feature: "append", verdict: Broken, detail: "the connection ended over it"},
		{name: "no folder can be made", hook: answer("MKD", "550 Permission denied"), outcome: NeedsPerson, problem: "no folder can be made",
			feature: "upload", verdict: Unknown, detail: "not tried: no folder"},
		{name: "uploads are refused", hook: answer("STOR", "550 Permission denied"), outcome: NeedsPerson, problem: "uploads do not work",
			feature: "upload", verdict: Broken, detail: "550 Permission denied"},
		{name: "what needs a file is not tried where none can be uploaded", hook: answer("STOR", "550 Permission denied"), outcome: NeedsPerson,
			problem: "uploads do not work", feature: "resume_upload", verdict: Unknown, detail: "not tried: no file can be uploaded"},
		{name: "a full disk says nothing about features", hook: answer("STOR", "552 Disk quota exceeded"), outcome: NeedsPerson,
			problem: "no room for more files", feature: "upload", verdict: Unknown, detail: "no room to try it: 552"},
		{name: "a disk that is full in the middle is a problem, too", hook: func(verb, argument string) string {
			if verb == "STOR" && strings.HasSuffix(argument, dotName) {
				return "452 no space left"
			}
			return ""
		}, outcome: NeedsPerson, problem: "no room for more files", feature: "dot_names", verdict: Unknown, detail: "no room to try it: 452"},
		{name: "where no second connection is taken, long lines are not tried", limit: 1, outcome: Well, feature: "long_paths",
			verdict: Unknown, detail: "not tried: no second connection", setting: "connections = 1"},
		{name: "what cannot be removed is told", hook: answer("DELE", "550 Permission denied"), outcome: NeedsPerson,
			problem: "could not be removed", feature: "upload", verdict: Works, left: true},
		{name: "two connections are all that the server takes", limit: 2, outcome: Well, feature: "connections",
			verdict: Absent, detail: "2; then: 421 Too many connections", setting: "connections = 2"},
		{name: "as many as configured are enough", limit: 2, lines: []string{"connections = 2"}, outcome: Well,
			feature: "connections", verdict: Works, detail: "2; then"},
		{name: "long lines end the connection", outcome: Well, feature: "long_paths", verdict: Absent, setting: "command_limit = 1024",
			detail: "1024 bytes are answered", hook: func(_, argument string) string {
				if len(argument) > 1100 {
					return "hang up"
				}
				return ""
			}},
		{name: "a folder that is not empty is not touched", outcome: Well, feature: "upload", verdict: Unknown, detail: "not empty",
			hook: func(verb, argument string) string {
				switch {
				case verb == "CWD":
					return "250 you only think so"
				case verb == "MKD", verb == "RMD":
					return "250 yes"
				case verb == "DELE" || verb == "STOR":
					panic(verb + " " + argument)
				}
				return ""
			}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newOddServer(t, test.limit, test.hook)
			p := oddPatient(t, s, test.lines...)
			p.Writes = true
			r := Examine(t.Context(), p)
			told := slices.ContainsFunc(r.Problems, func(p Problem) bool { return strings.Contains(p.What, test.problem) })
			if r.Outcome != test.outcome || told != (test.problem != "") {
				t.Errorf("outcome %s, problems %+v", r.Outcome, r.Problems)
			}
			if f, _ := r.feature(test.feature); f.Verdict != test.verdict || !strings.Contains(f.Detail, test.detail) {
				t.Errorf("%+v", f)
			}
			var settings []string
			for _, s := range r.Settings {
				settings = append(settings, s.Key+" = "+s.Value)
			}
			if got := strings.Join(settings, "; "); got != test.setting {
				t.Errorf("settings %s, want %s", got, test.setting)
			}
			if left := s.left(); len(left) > 0 != test.left {
				t.Errorf("left on the server: %q", left)
			}
		})
	}
}

// TestRealOddities are real servers in other configurations.
func TestRealOddities(t *testing.T) {
	tests := []struct {
		server           string
		options          ftptest.RealOptions
		feature          string
		verdict          Verdict
		detail, settings string
	}{
		{"proftpd", ftptest.RealOptions{NoRestart: true}, "resume_upload", Absent, "451 ", ""},
		{"proftpd", ftptest.RealOptions{NoDotNames: true}, "dot_names", Absent, "without the dot", ""},
		{"pure-ftpd", ftptest.RealOptions{NoDotNames: true}, "dot_names", Absent, "without the dot", ""},
		{"proftpd", ftptest.RealOptions{Deny: []string{"MFMT", "MFF", "SITE_UTIME"}}, "set_time", Absent, "", ""},
		{"proftpd", ftptest.RealOptions{MaxClients: 3}, "connections", Absent, "3; then: 530 ", "connections = 3"},
		{"vsftpd", ftptest.RealOptions{MaxClients: 2}, "connections", Absent, "2; then: 421 ", "connections = 2"},
		{"pyftpdlib", ftptest.RealOptions{Deny: []string{"MLSD", "MLST"}}, "listing", Works, "LIST in the form of unix", "command_limit = 2048"},
		{"vsftpd", ftptest.RealOptions{TimeZone: "EST5", LocalTime: true}, "clock", Works, "5h behind UTC", ""},
	}
	for _, test := range tests {
		t.Run(test.server+" "+test.feature+" "+test.detail, func(t *testing.T) {
			t.Parallel()
			s := ftptest.Real(t, test.server, test.options)
			precious(t, s.Root)
			r := Examine(t.Context(), realPatient(t, s))
			if f, _ := r.feature(test.feature); f.Verdict != test.verdict || !strings.Contains(f.Detail, test.detail) {
				t.Errorf("%+v", f)
			}
			var settings []string
			for _, s := range r.Settings {
				settings = append(settings, s.Key+" = "+s.Value)
			}
			if got := strings.Join(settings, "; "); got != test.settings || r.Outcome != Well {
				t.Errorf("%s: %v; settings %q", r.Outcome, r.Problems, got)
			}
			onlyPrecious(t, s.Root)
		})
	}
}

// TestReadOnlyServer is one from which syncs only go down: that nothing can be written is no problem.
func TestReadOnlyServer(t *testing.T) {
	s := ftptest.Real(t, "proftpd", ftptest.RealOptions{TLS: true, RequireTLS: true})
	precious(t, s.Root)
	if err := os.Chmod(s.Root, 0o555); err != nil {
		t.Fatal(err)
	}
	r := Examine(t.Context(), realPatient(t, s, fmt.Sprintf("tls_ca = %q", s.CAFile)))
	if r.Outcome != Well || r.Scratch.Made || !strings.Contains(r.Scratch.Error, "Permission denied") {
		t.Errorf("%s\n%s", r.Outcome, r.Text())
	}
	// What needs no folder was tried.
	if r.TLS.Required == nil || !*r.TLS.Required || len(r.Channels.Ways) == 0 || verdicts(r)["connections"] != Works {
		t.Errorf("%s", r.Text())
	}
}

func TestNobodyThere(t *testing.T) {
	r := Examine(t.Context(), patientOf(serverOf(t, `tls = "none"`, `address = "127.0.0.1:1"`)))
	if r.Outcome != Unavailable || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Cure, "nobody listens on port 1") {
		t.Errorf("%+v", r.Problems)
	}
	if a := r.Reach.Addresses; len(a) != 1 || a[0].Connected || a[0].Error != "connection refused" {
		t.Errorf("%+v", a)
	}
}

// TestWrongTLS: the doctor finds out which one it is.
func TestWrongTLS(t *testing.T) {
	tests := []struct {
		name    string
		options ftptest.RealOptions
		lines   []string
		cure    string
	}{
		{"implicit, and written is explicit", ftptest.RealOptions{ImplicitTLS: true}, []string{`tls = "explicit"`}, `tls = "implicit"`},
		{"implicit, and written is none", ftptest.RealOptions{ImplicitTLS: true}, []string{`tls = "none"`}, `tls = "implicit"`},
		{"explicit, and written is implicit", ftptest.RealOptions{TLS: true}, []string{`tls = "implicit"`}, `use tls = "explicit"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := realPatient(t, ftptest.Real(t, "vsftpd", test.options), test.lines...)
			p.Client.ReplyTimeout = 4 * time.Second // what says nothing at all is waited for
			r := Examine(t.Context(), p)
			if r.Outcome != NeedsPerson || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].What+r.Problems[0].Cure, test.cure) {
				t.Errorf("%s: %+v", r.Outcome, r.Problems)
			}
			if r.TLS != nil && len(r.TLS.Versions) > 1 {
				t.Errorf("an answer without TLS is one for all versions: %+v", r.TLS.Versions)
			}
		})
	}
}

// TestBesideAnAgent: the connections that it needs are not used up, and nothing is concluded from those that it uses.
func TestBesideAnAgent(t *testing.T) {
	s := newOddServer(t, 2, nil)
	p := oddPatient(t, s)
	p.Beside = true
	r := Examine(t.Context(), p)
	if f, _ := r.feature("connections"); f.Verdict != Unknown || len(r.Settings) > 0 || s.most > 2 {
		t.Errorf("%+v, settings %+v, %d connections", f, r.Settings, s.most)
	}
}

// TestProxyThatIsDown is not taken for a server that is down.
func TestProxyThatIsDown(t *testing.T) {
	p := patientOf(serverOf(t, `tls = "none"`, `address = "127.0.0.1:2"`, `proxy = "socks5://127.0.0.1:1"`))
	p.Client.Proxy = p.Server.ProxyURL()
	r := Examine(t.Context(), p)
	if r.Outcome != Unavailable || len(r.Problems) != 1 || !strings.Contains(r.Problems[0].Cure, "the proxy cannot be reached") {
		t.Errorf("%+v", r.Problems)
	}
}

// TestFolderThatTakesNothing is told, although another one does.
func TestFolderThatTakesNothing(t *testing.T) {
	for reply, told := range map[string]bool{"550 Permission denied": true, "550 No such file or directory": false} {
		s := newOddServer(t, 0, func(verb, argument string) string {
			if verb == "MKD" && strings.HasPrefix(argument, "/up/") {
				return reply
			}
			return ""
		})
		p := oddPatient(t, s)
		p.Folders = []string{"/up", ""}
		r := Examine(t.Context(), p)
		noted := slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, "no folder can be made in /up") })
		if r.Outcome != Well || noted != told {
			t.Errorf("%s: %s, %q", reply, r.Outcome, r.Notes)
		}
	}
}

func TestInterrupted(t *testing.T) {
	for _, at := range []string{"data connections", "upload", "rename over a file", "odd names", "connections at a time"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			s := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{})
			precious(t, s.Root)
			p := realPatient(t, s)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.Progress = func(what string) {
				if what == at {
					cancel()
				}
			}
			r := Examine(ctx, p)
			if r.Outcome != Interrupted || !r.Scratch.Removed {
				t.Errorf("%s", r.Text())
			}
			onlyPrecious(t, s.Root)
		})
	}
}
