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
	s := newOddServer(t, func(verb, _ string) string {
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
	s := newOddServer(t, nil)
	r := Examine(t.Context(), oddPatient(t, s))
	want := map[string]Verdict{
		"upload": Absent, // see below
	}
	_ = want
	t.Log(r.Text())
	if left := s.left(); len(left) > 0 {
		t.Errorf("left on the server: %q", left)
	}
	if strings.ContainsRune(r.Text(), '\x1b') {
		t.Error("the server commands the terminal")
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
