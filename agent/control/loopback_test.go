package control

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
)

// opened is the door of an agent that serves a state folder.
func opened(t *testing.T) (dir string, d door) {
	t.Helper()
	dir = t.TempDir()
	serve(t, loopback, dir, fake{})
	text, err := os.ReadFile(doorPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return dir, d
}

func TestWhoMayAskOnLoopback(t *testing.T) {
	t.Parallel()
	_, d := opened(t)
	_, other := opened(t)
	for _, row := range []struct {
		sentence, host, authorization string
		want                          int
	}{
		{"who knows the token", d.Address.String(), "Bearer " + d.Token, http.StatusOK},
		{"not who does not", d.Address.String(), "", http.StatusUnauthorized},
		{"nor by another scheme", d.Address.String(), "Basic " + d.Token, http.StatusUnauthorized},
		{"nor with the token of another agent", d.Address.String(), "Bearer " + other.Token, http.StatusUnauthorized},
		{"nor with a part of it", d.Address.String(), "Bearer " + d.Token[:10], http.StatusUnauthorized},
		{"nor with what the agent answers", d.Address.String(), "Bearer " + d.Answer, http.StatusUnauthorized},
		{"nor by a name that somebody has made to mean this machine", "evil.example", "Bearer " + d.Token, http.StatusMisdirectedRequest},
		{"nor by the name of this machine with which a page could ask", "localhost", "Bearer " + d.Token, http.StatusMisdirectedRequest},
	} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+d.Address.String()+"/v1/ping", strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = row.host
		if row.authorization != "" {
			request.Header.Set("Authorization", row.authorization)
		}
		transport := &http.Transport{DisableKeepAlives: true}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		isAnswered := response.Header.Get(answerHeader) == d.Answer
		if err != nil || response.StatusCode != row.want || isAnswered != (row.want == http.StatusOK) {
			t.Errorf("%s: %s, answered for: %t, %v", row.sentence, response.Status, isAnswered, err)
		}
		if strings.Contains(string(body), d.Token) || strings.Contains(string(body), d.Answer) {
			t.Errorf("%s: there is a secret in %s", row.sentence, body)
		}
	}
}

func TestTheDoorIsNobodyElses(t *testing.T) {
	t.Parallel()
	dir, d := opened(t)
	if !d.Address.Addr().IsLoopback() || len(d.Token) != 2*secretBytes || len(d.Answer) != 2*secretBytes || d.Token == d.Answer {
		t.Errorf("%+v", d)
	}
	info, err := os.Stat(doorPath(dir))
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v; want 0600", info.Mode(), err)
	}
	_, other := opened(t)
	if other.Token == d.Token || other.Answer == d.Answer {
		t.Error("two agents have the same secret")
	}
}

func TestTheDoorGoesWithTheAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	listener, err := loopback.listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(doorPath(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is left: %v", err)
	}
}

// TestADoorLeftBehind by an agent that was killed leads nowhere, whoever has its port now.
func TestADoorLeftBehind(t *testing.T) {
	t.Parallel()
	for sentence, now := range map[string]http.HandlerFunc{
		"a server that takes everything": func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") },
		"a server that knows nothing":    http.NotFound,
		"one that gives back what it got": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(answerHeader, r.Header.Get("Authorization"))
		},
	} {
		dir := t.TempDir()
		server := httptest.NewServer(now)
		t.Cleanup(server.Close)
		d := door{server.Listener.Addr().(*net.TCPAddr).AddrPort(), newSecret(), newSecret()}
		if err := d.write(doorPath(dir)); err != nil {
			t.Fatal(err)
		}
		if _, err := dial(t.Context(), loopback, dir); !errors.Is(err, ErrNotRunning) || !errors.Is(err, errStale) {
			t.Errorf("%s: %v, want errStale", sentence, err)
		}
		serve(t, loopback, dir, fake{})
		if _, err := dial(t.Context(), loopback, dir); err != nil {
			t.Errorf("the next agent after %s: %v", sentence, err)
		}
	}
}

func TestADoorThatIsNone(t *testing.T) {
	t.Parallel()
	secret := newSecret()
	for sentence, text := range map[string]string{
		"half a file":           `{"address":"127.0.0.1:8`,
		"nothing":               ``,
		"no secrets":            `{"address":"127.0.0.1:80"}`,
		"no secret of an agent": `{"address":"127.0.0.1:80","token":"` + secret + `"}`,
		"another machine":       `{"address":"192.0.2.1:80","token":"` + secret + `","answer":"` + secret + `"}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(doorPath(dir), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := dial(t.Context(), loopback, dir)
		if !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), doorPath(dir)) {
			t.Errorf("%s: %v, want ErrNotRunning and the file", sentence, err)
		}
	}
}
