package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// Secrets that a shell, a URL, JSON and TOML all have to write in another way.
const (
	acceptedSecret = `pl4nted "k0nfidential" %\&é`
	refusedSecret  = `wr0ng "k0nfidential" %\&é`
)

// secretPlaces are how a configuration comes by a secret, with HERE for the folder of the test, and the environment for that.
var secretPlaces = []struct{ name, form, variable, value string }{
	{"env", `{ env = "FERRY_PLANTED" }`, "FERRY_PLANTED", "SECRET"},
	{"file", `{ file = "planted/secret" }`, "", ""},
	{"credential", `{ credential = "secret" }`, "CREDENTIALS_DIRECTORY", "HERE/planted"},
	{"command", `{ command = ["cat", "HERE/planted/secret"] }`, "", ""},
	{"netrc", `{ netrc = true }`, "NETRC", "HERE/planted/netrc"},
	{"literal", "", "", ""},
}

const secretConfiguration = `[agent]
state_dir = "state"
[server.acme]
address = %q
user = %q
password = %s
tls = "none"
[sync.s]
server = "acme"
local = "www"
remote = %q
direction = "up"
watch = true
settle = "0s"
hooks = { after = ["/bin/sh", "-c", "env; cat /proc/$$/cmdline /proc/$PPID/cmdline; env >%s/hook; exit 1"] }
`

// secretCommands are all that print what they find out.
var secretCommands = []string{
	"config show", "config show --json", "check", "check --json", "check --online --trace acme", "check --online --json",
	"plan --trace acme", "plan --json", "status", "status --json", "queue", "queue --json", "history", "history --json",
	"explain s a.txt", "explain s a.txt --json", "check --state --json",
}

type secretStage struct {
	*testing.T
	folder, secret string
	variables      map[string]string
	more           []string // secrets beside that one
}

// mustNotHold looks for the secret in all forms in which it might be found somewhere.
func (s *secretStage) mustNotHold(what string, content []byte) {
	s.Helper()
	for _, secret := range append([]string{s.secret}, s.more...) {
		inJSON, err := json.Marshal(secret)
		if err != nil {
			s.Fatal(err)
		}
		for _, form := range []string{secret, strings.Trim(string(inJSON), `"`), strings.Trim(fmt.Sprintf("%q", secret), `"`), url.QueryEscape(secret),
			url.PathEscape(secret), hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if i := bytes.Index(content, []byte(form)); i >= 0 {
				s.Errorf("%s holds the secret %q: ...%q...", what, secret, content[max(0, i-60):min(len(content), i+len(form)+20)])
				break
			}
		}
	}
}

// ferry runs a command, whatever comes of it.
func (s *secretStage) ferry(arguments string) {
	s.Helper()
	var out bytes.Buffer
	env := func(name string) string { return s.variables[name] }
	run(append([]string{"-c", filepath.Join(s.folder, "agent.toml")}, strings.Fields(arguments)...), env, &out, &out)
	s.mustNotHold(arguments, out.Bytes())
}

// lookAtFiles is about everything that was written, but for the places where the secret belongs.
func (s *secretStage) lookAtFiles() {
	s.Helper()
	err := filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == "planted":
			return fs.SkipDir
		case entry.Type().IsRegular() && entry.Name() != "agent.toml":
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			s.mustNotHold(path, content)
		}
		return nil
	})
	if err != nil {
		s.Error(err)
	}
}

func newSecretStage(t *testing.T, server *ftptest.RealServer, secret string, place int) *secretStage {
	s := &secretStage{T: t, folder: t.TempDir(), secret: secret, variables: map[string]string{}}
	p := secretPlaces[place]
	form := strings.ReplaceAll(p.form, "HERE", s.folder)
	if form == "" {
		form = tomlString(secret)
	}
	if p.variable != "" {
		s.variables[p.variable] = strings.NewReplacer("HERE", s.folder, "SECRET", secret).Replace(p.value)
	}
	remote := fmt.Sprintf("%s-%d", p.name, len(secret))
	for name, text := range map[string]string{
		"planted/secret": secret + "\n",
		"planted/netrc":  "machine 127.0.0.1 login " + server.User + " password " + tomlString(secret) + "\n",
		"agent.toml":     fmt.Sprintf(secretConfiguration, server.Addr, server.User, form, remote, s.folder),
		"www/a.txt":      "hello",
	} {
		path := filepath.Join(s.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func tomlString(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// TestASecretIsNowhere looks for a password in all that the program prints, logs, writes, answers and hands to its children.
func TestASecretIsNowhere(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // its programs and /proc are there alone
	}
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{Password: acceptedSecret})
	for i, place := range secretPlaces {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel()
			s := newSecretStage(t, server, server.Password, i)
			s.ferry("once --verbose --trace acme")
			hook, err := os.ReadFile(filepath.Join(s.folder, "hook"))
			if err != nil || !bytes.Contains(hook, []byte("FTPFERRY_SYNC=s")) {
				t.Errorf("nothing was sent: the hook saw %q (%v)", hook, err)
			}
			s.ferry("status --json")
			s.lookAtFiles()
		})
		if place.name != "env" && place.name != "literal" { // what is refused is so wherever it comes from
			continue
		}
		t.Run(place.name+", refused", func(t *testing.T) {
			t.Parallel()
			s := newSecretStage(t, server, refusedSecret, i)
			s.ferry("once --json --verbose --trace acme")
			for _, arguments := range []string{"status", "history --json", "config show", "check --online --json"} {
				s.ferry(arguments)
			}
			s.lookAtFiles()
		})
	}
}

// TestAServiceShowsNoSecret is the same with a service, which has the secret in its environment, and those who ask it.
func TestAServiceShowsNoSecret(t *testing.T) {
	if runtime.GOOS != "linux" {
		return
	}
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{Password: acceptedSecret})
	s := newSecretStage(t, server, server.Password, 0)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	service := exec.Command(program, "-c", filepath.Join(s.folder, "agent.toml"), "run", "--trace", "acme", "--trace-file", filepath.Join(s.folder, "trace"))
	service.Env = append(os.Environ(), asProgram+"=1", "FERRY_PLANTED="+s.secret)
	var out bytes.Buffer
	service.Stdout, service.Stderr = &out, &out
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- service.Wait() }()
	for isThere := false; !isThere; time.Sleep(20 * time.Millisecond) {
		_, err := os.Stat(filepath.Join(s.folder, "hook"))
		isThere = err == nil
		select {
		case err := <-ended:
			t.Fatalf("the service has ended: %v\n%s", err, out.String())
		default:
		}
	}
	delete(s.variables, "FERRY_PLANTED") // who asks the service needs no secret
	for _, arguments := range secretCommands {
		s.ferry(arguments)
	}
	s.ferry("once --json")
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", service.Process.Pid))
	if err != nil {
		t.Error(err)
	}
	s.mustNotHold("the list of processes", arguments)
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	s.mustNotHold("the log", out.Bytes())
	s.lookAtFiles()
}
