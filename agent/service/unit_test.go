package service

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestTheUnitOfPackages is the one in this program. UPDATE=1 writes it.
func TestTheUnitOfPackages(t *testing.T) {
	t.Parallel()
	want, err := PackagedUnit().Render()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", ".packaging", "ftpferry.service")
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("UPDATE=1 go test ./agent/service writes it anew; program (-) and file (+):\n%s", diff)
	}
}

func units() map[string]Unit {
	return map[string]Unit{
		"of packages": PackagedUnit(),
		"with a user of its own": {
			Program: "/usr/local/bin/ftpferry", Config: "/etc/ftpferry/agent.toml", Writable: []string{"/srv/a b", "/srv/100%"},
			Credentials: []string{"acme:/etc/ftpferry/credentials/acme"},
		},
		"of another user": {Program: "/opt/my $programs/ferry", Config: "/home/joe/agent.toml", User: "daemon", Writable: []string{"/home/joe"}},
		"of root":         {Program: "/usr/local/bin/ftpferry", Config: "/etc/ftpferry/agent.toml", User: "root", Writable: []string{"/"}},
	}
}

// TestSystemdTakesTheUnits as they are, and finds little that they leave open.
func TestSystemdTakesTheUnits(t *testing.T) {
	t.Parallel()
	ftptest.Need(t, "systemd-analyze")
	exposure := regexp.MustCompile(`Overall exposure level for ftpferry.service: ([0-9.]+)`)
	for name, u := range units() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			most := 1.5
			if u.User == "root" {
				most = 2.5
			}
			u.Program = "/bin/true" // which is there
			text, err := u.Render()
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "ftpferry.service")
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("verify: %v\n%s", err, out)
			}
			out, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--no-pager", path).CombinedOutput()
			found := exposure.FindSubmatch(out)
			if err != nil || found == nil {
				t.Fatalf("security: %v\n%s", err, out)
			}
			if level, err := strconv.ParseFloat(string(found[1]), 64); err != nil || level > most {
				t.Errorf("exposure %s, want at most %v\n%s", found[1], most, out)
			}
		})
	}
}

func TestWhatUnitsSay(t *testing.T) {
	t.Parallel()
	all := units()
	for _, row := range []struct{ unit, line string }{
		{"of packages", "ExecStart=/usr/bin/ftpferry -c /etc/ftpferry/agent.toml run"},
		{"of packages", "User=ftpferry"},
		{"of packages", "ReadWritePaths=-/srv"},
		{"of packages", "ProtectHome=yes"},
		{"with a user of its own", "DynamicUser=yes"},
		{"with a user of its own", `ReadWritePaths="-/srv/a b"`},
		{"with a user of its own", "ReadWritePaths=-/srv/100%%"},
		{"with a user of its own", "LoadCredential=acme:/etc/ftpferry/credentials/acme"},
		{"with a user of its own", "CapabilityBoundingSet="},
		{"of another user", `ExecStart="/opt/my $$programs/ferry" -c /home/joe/agent.toml run`},
		{"of another user", "ProtectHome=read-only"},
		{"of another user", "User=daemon"},
		{"of root", "SystemCallFilter=@chown"},
	} {
		text, err := all[row.unit].Render()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "\n"+row.line+"\n") {
			t.Errorf("the unit %s has no line %q:\n%s", row.unit, row.line, text)
		}
	}
	for _, path := range []string{"/srv/line\nUser=root", `/srv/"x"`, `/srv/x\`, "/srv/{{Path}}"} {
		if text, err := (Unit{Program: "/bin/true", Config: "/x", Writable: []string{path}}).Render(); err == nil {
			t.Errorf("%q went into a unit:\n%s", path, text)
		}
	}
}

func TestTheEnvironmentOfTheService(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	file := filepath.Join(folder, "environment")
	env, err := environmentOf(file, folder)
	if err != nil || env("STATE_DIRECTORY") != StateFolder {
		t.Errorf("without a file: %v", err)
	}
	text := "# comment\n; another\nACME=plain word\n QUOTED = \"a b\"\nSINGLE='x'\n\nno variable\nHASH=a#b\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if env, err = environmentOf(file, folder); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"ACME": "plain word", "QUOTED": "a b", "SINGLE": "x", "HASH": "a#b", "# comment": "", "HOME": "", "CREDENTIALS_DIRECTORY": folder} {
		if got := env(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	set := withSecrets(func(name string) string { return map[string]string{"SINGLE": "of the shell"}[name] }, file, folder)
	bare := withSecrets(func(string) string { return "" }, filepath.Join(folder, "none"), filepath.Join(folder, "none"))
	for name, want := range map[string]string{"ACME": "plain word", "SINGLE": "of the shell", "HOME": "", "STATE_DIRECTORY": "", "CREDENTIALS_DIRECTORY": folder} {
		if got := set(name); got != want {
			t.Errorf("for a command %s is %q, want %q", name, got, want)
		}
		if got := bare(name); got != "" {
			t.Errorf("without a service %s is %q", name, got)
		}
	}
	if lines, err := credentialLines(filepath.Join(folder, "none")); err != nil || lines != nil {
		t.Errorf("no folder: %q, %v", lines, err)
	}
	for _, name := range []string{".hidden", "acme"} {
		if err := os.WriteFile(filepath.Join(folder, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	lines, err := credentialLines(folder)
	want := []string{"acme:" + filepath.Join(folder, "acme"), "environment:" + file}
	if diff := cmp.Diff(want, lines); err != nil || diff != "" {
		t.Errorf("credentials: %v\n%s", err, diff)
	}
}
