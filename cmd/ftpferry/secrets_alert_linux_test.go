package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// alertSecrets are those that people are told of trouble with, by environment variable.
var alertSecrets = map[string]string{
	"PLANTED_HOOK": "h00k-t0ken-k0nfidential", "PLANTED_SIGN": `s1gn "k0nfidential" %\&é`, "PLANTED_MAIL": `m4il "k0nfidential" %\&é`,
	"PLANTED_BEAT": "be4t-t0ken-k0nfidential", "PLANTED_LISTEN": "l1sten-t0ken-k0nfidential", "PLANTED_QUERY": "qu3ry-t0ken-k0nfidential",
}

const secretAlerts = `
[alert.hook]
webhook = { url = { env = "PLANTED_HOOK" }, secret = { env = "PLANTED_SIGN" } }
group = "0s"
after = "0s"
[alert.query]
webhook = { url = { env = "PLANTED_QUERY" } }
group = "0s"
after = "0s"
[alert.mail]
email = { server = %q, from = "a@example.com", to = ["b@example.com"], user = "u", password = { env = "PLANTED_MAIL" } }
group = "0s"
after = "0s"
[alert.program]
command = ["/bin/sh", "-c", "cat >>%[2]s/told; env >>%[2]s/told; cat /proc/$$/cmdline /proc/$PPID/cmdline >>%[2]s/told"]
group = "0s"
after = "0s"
`

// TestSecretsOfAlertsAreNowhere looks for the secrets of alerts, of the heartbeat and of the status page in all that a service, and those who
// ask it, say and write: also where the server that a URL leads to answers with that URL.
func TestSecretsOfAlertsAreNowhere(t *testing.T) {
	t.Parallel()
	server := ftptest.Real(t, "pyftpdlib", ftptest.RealOptions{Password: acceptedSecret})
	var asked sync.Map
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Method, true)
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "Cannot %s %s for %s", r.Method, r.URL.RequestURI(), r.URL.Query().Get("key"))
	}))
	t.Cleanup(echo.Close)
	s := newSecretStage(t, server, server.Password, 0)
	for name, secret := range alertSecrets {
		s.more = append(s.more, secret)
		s.variables[name] = secret
	}
	for name, path := range map[string]string{"PLANTED_HOOK": "/hook/", "PLANTED_BEAT": "/beat/", "PLANTED_QUERY": "/?key="} {
		s.variables[name] = echo.URL + path + alertSecrets[name]
	}
	config := filepath.Join(s.folder, "agent.toml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	port := ftptest.LeasePort(t)
	agentTable := fmt.Sprintf("[agent]\nlog = { level = \"debug\" }\nlisten = \"127.0.0.1:%d\"\nlisten_token = { env = \"PLANTED_LISTEN\" }\nheartbeat = { url = { env = \"PLANTED_BEAT\" }, every = \"10s\" }\n", port)
	write(t, config, strings.Replace(string(text), "[agent]\n", agentTable, 1)+fmt.Sprintf(secretAlerts, ftptest.RefusedAddress(t), s.folder))

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "-c", config, "run", "--trace", "acme", "--trace-file", filepath.Join(s.folder, "trace"))
	c.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	for name, value := range s.variables {
		c.Env = append(c.Env, name+"="+value)
	}
	service := launch(t, c)
	waitFor(t, "a heartbeat", func() bool {
		_, beaten := asked.Load(http.MethodGet)
		return beaten
	})
	server.Stop()
	write(t, filepath.Join(s.folder, "www", "b.txt"), "there is something to tell")
	waitFor(t, "all ways to be tried", func() bool {
		told, _ := os.ReadFile(filepath.Join(s.folder, "told"))
		_, posted := asked.Load(http.MethodPost)
		return posted && bytes.Contains(told, []byte("FTPFERRY_ALERT=program")) && strings.Count(service.out.String(), "alert not sent") >= 3
	})
	for _, arguments := range []string{"alert test", "alert test --json", "config show", "config show --json", "check", "check --json", "status", "status --json", "history --json", "reload"} {
		s.ferry(arguments)
	}
	for _, page := range []string{"/", "/metrics", "/login", "/v1/status"} {
		for _, header := range []string{"", "Bearer " + alertSecrets["PLANTED_LISTEN"], "Bearer wrong"} {
			s.mustNotHold(page, s.fetch(fmt.Sprintf("http://127.0.0.1:%d%s", port, page), header))
		}
	}
	arguments, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", service.Process.Pid))
	if err != nil {
		t.Error(err)
	}
	s.mustNotHold("the list of processes", arguments)
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	code, out := service.end(t)
	if code != 0 {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	s.mustNotHold("the log", []byte(out))
	s.lookAtFiles()
}

// fetch is the answer to a GET, with its header.
func (s *secretStage) fetch(page, authorization string) []byte {
	s.Helper()
	request, err := http.NewRequestWithContext(s.Context(), http.MethodGet, page, nil)
	if err != nil {
		s.Fatal(err)
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return append(fmt.Appendf(nil, "%v\n", response.Header), text...)
}
