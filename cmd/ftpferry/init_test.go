package main

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestInit has a file written for each server, which is right, and works.
func TestInit(t *testing.T) {
	t.Parallel()
	for _, kind := range ftptest.RealServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, kind, ftptest.RealOptions{})
			folder := t.TempDir()
			env := func(name string) string {
				return map[string]string{"FERRY_PASSWORD": server.Password, "XDG_STATE_HOME": filepath.Join(folder, "state"), "HOME": folder}[name]
			}
			config, local := filepath.Join(folder, "agent.toml"), filepath.Join(folder, "local")
			if err := os.Mkdir(local, 0o777); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(local, "a.txt"), "hello")
			ferry := func(want int, arguments ...string) string {
				t.Helper()
				var out bytes.Buffer
				if code := run(arguments, env, &out, &out); code != want {
					t.Fatalf("%q: exit code %d, want %d: %s", arguments, code, want, &out)
				}
				return out.String()
			}
			told := []string{"init", "--yes", "--name", "acme", "--server-address", server.Addr, "--user", server.User, "--tls", "none",
				"--local", local, "--remote", path.Join(server.RemoteRoot, "in"), "--direction", "up", "--output", config}
			if out := ferry(64, told...); !strings.Contains(out, "--password-env") {
				t.Error(out)
			}
			told = append(told, "--password-env", "FERRY_PASSWORD")
			if out := ferry(0, told...); !strings.Contains(out, "plan") {
				t.Error(out)
			}
			text, err := os.ReadFile(config)
			if err != nil || bytes.Contains(text, []byte(server.Password)) || !bytes.Contains(text, []byte(`{ env = "FERRY_PASSWORD" }`)) {
				t.Fatalf("%v: %s", err, text)
			}
			if info, err := os.Stat(config); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info.Mode(), err)
			}
			if out := ferry(1, told...); !strings.Contains(out, "--force") {
				t.Error(out)
			}
			ferry(0, "-c", config, "check")
			ferry(0, "-c", config, "once", "--quiet")
			got, err := os.ReadFile(filepath.Join(server.Root, "in", "a.txt"))
			if err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestInitInEachDirection: the file is right, and says nothing about another one.
func TestInitInEachDirection(t *testing.T) {
	t.Parallel()
	for direction, wants := range map[string][]string{
		"up": {"\nwatch = true\n"}, "down": {"\npoll = \"5m\"\n"}, "both": {"\nwatch = true\n", "\npoll = \"5m\"\n"},
	} {
		folder := t.TempDir()
		write(t, filepath.Join(folder, "secret"), "secret")
		env := func(name string) string { return map[string]string{"HOME": folder, "XDG_STATE_HOME": folder}[name] }
		config := filepath.Join(folder, "agent.toml")
		ferry := func(want int, arguments ...string) string {
			t.Helper()
			var out bytes.Buffer
			if code := run(arguments, env, &out, &out); code != want {
				t.Errorf("%s: %q: exit code %d, want %d: %s", direction, arguments, code, want, &out)
			}
			return out.String()
		}
		told := []string{"init", "--yes", "--offline", "--server-address", "ftp.example.com", "--tls", "none", "--user", "kim", "--password-file", filepath.Join(folder, "secret"),
			"--local", filepath.Join(folder, "missing"), "--remote", "/in", "--direction", direction}
		if out := ferry(0, append(told, "--output", config)...); strings.Contains(out, ".ftpferry-init") || !strings.Contains(out, "warning: "+config+":") {
			t.Errorf("%s: warnings about another file: %s", direction, out)
		}
		ferry(0, "-c", config, "check")
		text, err := os.ReadFile(config)
		if err != nil {
			t.Error(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s: no %q in\n%s", direction, want, text)
			}
		}
		if out := ferry(1, append(told, "--output", filepath.Join(folder, "nowhere", "agent.toml"))...); !strings.Contains(out, filepath.Join("nowhere", "agent.toml")+" cannot be written") {
			t.Errorf("%s: %s", direction, out)
		}
	}
}

// TestWhatInitIsToldIsRelativeToTheCaller: the file may be in another folder.
func TestWhatInitIsToldIsRelativeToTheCaller(t *testing.T) {
	t.Parallel()
	b := beginning{address: "nas", local: "here", remote: "/", direction: "up", user: "kim", passwordFile: "secret", tlsCA: "ca.pem"}
	if err := b.complete(); err != nil || !filepath.IsAbs(b.local) || !filepath.IsAbs(b.passwordFile) || !filepath.IsAbs(b.tlsCA) {
		t.Errorf("%+v, %v", b, err)
	}
}

func TestInitAsksForWhatIsNotTold(t *testing.T) {
	t.Parallel()
	var questions bytes.Buffer
	b := beginning{direction: "down"}
	if err := b.ask(strings.NewReader("ftp.example.com:2121\nmirror\n\nhere\n\n"), &questions); err != nil {
		t.Fatal(err)
	}
	if err := b.complete(); err != nil {
		t.Fatal(err)
	}
	if b.server != "example" || b.user != "mirror" || b.passwordEnv != "EXAMPLE_PASSWORD" || !filepath.IsAbs(b.local) || b.remote != "/" || b.direction != "down" {
		t.Errorf("%+v", b)
	}
	if !strings.Contains(questions.String(), "[EXAMPLE_PASSWORD]: ") || strings.Contains(questions.String(), "Direction") {
		t.Errorf("%s", &questions)
	}
	if err := new(beginning).ask(strings.NewReader(""), &questions); err == nil {
		t.Error("nobody answers, and that is no error")
	}
}

func TestNamesOfServersInAFirstFile(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ address, want string }{
		{"ftp.example.com", "example"}, {"ftp.Example.com:21", "example"}, {"nas", "nas"}, {"127.0.0.1:2121", "server"}, {"[::1]:21", "server"}, {"my_nas.lan", "my-nas-lan"},
	} {
		if got := serverName(row.address); got != row.want {
			t.Errorf("%q: %q, want %q", row.address, got, row.want)
		}
	}
}
