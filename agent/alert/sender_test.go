package alert

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/agent/config"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

func message() Message {
	return compose("ops", "gate", 7, noon, []Item{{Event: EventProblem, Problem: halt("web")}, {Event: EventRecovered, Problem: halt("shop"), Until: noon.Add(time.Minute)}}, 0)
}

func TestAWebhookGetsWhatIsDocumented(t *testing.T) {
	t.Parallel()
	var body []byte
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	way := newSender(&config.Alert{Webhook: &config.Webhook{URL: config.NewSecret(server.URL), Secret: config.NewSecret("s3cret")}})
	if answer, err := way.Send(t.Context(), message()); err != nil || answer != "204 No Content" {
		t.Fatal(answer, err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"format": 1.0, "id": "7", "when": "2026-11-23T12:00:00Z", "host": "gate", "channel": "ops", "open": 0.0,
		"summary": "sync web, server acme: halted (and 1 more)",
		"items": []any{
			map[string]any{"event": "problem", "key": "halted/web", "kind": "halted", "sync": "web", "server": "acme", "text": "halted", "since": "2026-11-23T12:00:00Z"},
			map[string]any{"event": "recovered", "key": "halted/shop", "kind": "halted", "sync": "shop", "server": "acme", "text": "halted", "since": "2026-11-23T12:00:00Z",
				"until": "2026-11-23T12:01:00Z"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	sum := hmac.New(sha256.New, []byte("s3cret"))
	sum.Write(body)
	if got := header.Get("Ftpferry-Signature"); got != "sha256="+hex.EncodeToString(sum.Sum(nil)) || header.Get("Ftpferry-Message") != "7" || header.Get("Content-Type") != "application/json" {
		t.Errorf("%v", header)
	}
}

// TestAWebhookThatDoesNotTakeIt gives an error that says why, without the URL, which may be a secret.
func TestAWebhookThatDoesNotTakeIt(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/s3cret/moved":
			http.Redirect(w, r, "/s3cret/fine", http.StatusFound)
		case "/s3cret/broken":
			http.Error(w, "no\r\nroom", http.StatusInsufficientStorage)
		case "/s3cret/never":
			<-over
		case "/s3cret/cut":
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	defer close(over)
	for sentence, row := range map[string]struct{ url, want string }{
		"a redirect":          {server.URL + "/s3cret/moved", "answered 302 Found: it is elsewhere"},
		"an error":            {server.URL + "/s3cret/broken", "answered 507 Insufficient Storage: no  room"},
		"no answer":           {server.URL + "/s3cret/never", "not done in time"},
		"a broken connection": {server.URL + "/s3cret/cut", "EOF"},
		"nobody there":        {"http://" + ftptest.RefusedAddress(t) + "/s3cret", "refused"},
	} {
		t.Run(sentence, func(t *testing.T) {
			ctx := t.Context()
			if row.want == errLate.Error()[:16] {
				late, cancel := context.WithTimeoutCause(ctx, 50*time.Millisecond, errLate)
				defer cancel()
				ctx = late
			}
			_, err := webhook{config.Webhook{URL: config.NewSecret(row.url)}}.Send(ctx, message())
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v, want %q", err, row.want)
			}
		})
	}
}

// TestACommand is this program again, by TestMain.
func TestACommand(t *testing.T) {
	t.Setenv("FERRY_PLANTED", "s3cret")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "got")
	answer, err := command{[]string{self, asCommand, "keep", file}}.Send(t.Context(), message())
	if err != nil || answer != "thank you" {
		t.Fatal(answer, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line, environment, _ := strings.Cut(string(text), "\n")
	var got Message
	if err := json.Unmarshal([]byte(line), &got); err != nil || got.Summary != message().Summary {
		t.Errorf("%v in %q", err, line)
	}
	if strings.Contains(environment, "s3cret") || !strings.Contains(environment, "FTPFERRY_ALERT=ops\n") {
		t.Errorf("environment: %s", environment)
	}
	if _, err := (command{[]string{self, asCommand, "fail"}}).Send(t.Context(), message()); err == nil || !strings.Contains(err.Error(), "exit status 3: not today") {
		t.Error(err)
	}
	if _, err := (command{[]string{filepath.Join(t.TempDir(), "absent")}}).Send(t.Context(), message()); err == nil {
		t.Error("a program that is not there has taken it")
	}
	late, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errLate)
	defer cancel()
	if _, err := (command{[]string{self, asCommand, "stay"}}).Send(late, message()); !errors.Is(err, errLate) {
		t.Error(err)
	}
}

const asCommand = "AS-COMMAND"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == asCommand {
		switch os.Args[2] {
		case "keep":
			text, err := io.ReadAll(os.Stdin)
			if err == nil {
				err = os.WriteFile(os.Args[3], append(text, strings.Join(os.Environ(), "\n")+"\n"...), 0o600)
			}
			fmt.Println("thank you")
			if err == nil {
				os.Exit(0)
			}
		case "fail":
			fmt.Println("not today")
			os.Exit(3)
		case "stay":
			time.Sleep(time.Hour)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// mailServer is a small SMTP server (RFC 5321) that keeps what it is told.
type mailServer struct {
	net.Listener
	tls    *tls.Config
	mu     sync.Mutex
	lines  []string // commands, and the lines of mails
	refuse string   // a command that is answered 550
}

func newMailServer(t *testing.T, implicit bool) (s *mailServer, e config.Email) {
	t.Helper()
	certificate, _, _, _, pool := ftptest.NewCertificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s = &mailServer{Listener: listener, tls: &tls.Config{Certificates: []tls.Certificate{certificate}}}
	e = config.Email{From: "ferry@example.com", To: []string{"ops@example.com", "Two <two@example.com>"}, TLS: config.EmailSTARTTLS, RootCAs: pool}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	e.Host = host
	if e.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	if implicit {
		e.TLS = config.EmailImplicit
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if implicit {
				conn = tls.Server(conn, s.tls)
			}
			serving.Go(func() { s.serve(conn) })
		}
	})
	return s, e
}

func (s *mailServer) serve(conn net.Conn) {
	defer func() { conn.Close() }()
	_, secured := conn.(*tls.Conn)
	reader := bufio.NewReader(conn)
	say := func(text string) { io.WriteString(conn, strings.ReplaceAll(text, "\n", "\r\n")+"\r\n") }
	say("220 here")
	for data := false; ; {
		line, err := reader.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		refused := s.refuse != "" && strings.HasPrefix(line, s.refuse)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		switch {
		case data && line == ".":
			data = false
			say("250 taken")
		case data:
		case refused:
			say("550 not wanted\x1b[2J")
		case verb == "EHLO" && secured:
			say("250-here\n250 AUTH PLAIN LOGIN")
		case verb == "EHLO":
			say("250-here\n250 STARTTLS")
		case verb == "STARTTLS":
			say("220 go on")
			secure := tls.Server(conn, s.tls)
			conn, reader, secured = secure, bufio.NewReader(secure), true
		case verb == "AUTH":
			say("235 welcome")
		case verb == "DATA":
			data = true
			say("354 go on")
		case verb == "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func (s *mailServer) heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func TestAnEmail(t *testing.T) {
	t.Parallel()
	for _, implicit := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS from the first byte ", implicit), func(t *testing.T) {
			t.Parallel()
			s, settings := newMailServer(t, implicit)
			settings.User, settings.Password = "ferry", config.NewSecret("s3cret")
			if answer, err := (email{settings}).Send(t.Context(), message()); err != nil || !strings.Contains(answer, "has taken it") {
				t.Fatal(answer, err)
			}
			heard := s.heard()
			for _, want := range []string{
				"MAIL FROM:<ferry@example.com>", "RCPT TO:<ops@example.com>", "RCPT TO:<two@example.com>", "Auto-Submitted: auto-generated",
				"Subject: ftpferry on gate: sync web, server acme: halted", "* sync web, server acme: halted", "* over, after 1m0s: sync shop",
				"AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00ferry\x00s3cret")),
			} {
				if !strings.Contains(heard, want) {
					t.Errorf("no %q in\n%s", want, heard)
				}
			}
			if wantsTLS := strings.Contains(heard, "STARTTLS"); wantsTLS == implicit {
				t.Errorf("STARTTLS: %v", wantsTLS)
			}
		})
	}
}

// TestAnEmailThatDoesNotGo says why, and is not sent in clear.
func TestAnEmailThatDoesNotGo(t *testing.T) {
	t.Parallel()
	for sentence, row := range map[string]struct {
		refuse, want string
		change       func(*config.Email)
	}{
		"an unknown receiver":                 {"RCPT TO:<ops", "not wanted", nil},
		"a wrong password":                    {"AUTH", "550", func(e *config.Email) { e.User, e.Password = "ferry", config.NewSecret("s3cret") }},
		"no STARTTLS":                         {"STARTTLS", "550", nil},
		"a certificate that is not trusted":   {"", "certificate", func(e *config.Email) { e.RootCAs = nil }},
		"a server that has gone to its grave": {"", "refused", func(e *config.Email) { e.Host, e.Port = refused(t) }},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			s, settings := newMailServer(t, false)
			s.refuse = row.refuse
			if row.change != nil {
				row.change(&settings)
			}
			_, err := email{settings}.Send(t.Context(), message())
			if err == nil || !strings.Contains(err.Error(), row.want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("%v, want %q", err, row.want)
			}
			if strings.Contains(s.heard(), "Subject:") {
				t.Errorf("it was sent:\n%s", s.heard())
			}
		})
	}
}

func refused(t *testing.T) (string, int) {
	host, port, err := net.SplitHostPort(ftptest.RefusedAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return host, number
}

// TestNoHeartbeatWhileSomethingIsWrong asks healthy before each beat.
func TestNoHeartbeatWhileSomethingIsWrong(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var mu sync.Mutex
	var events []string
	note := func(event string) {
		mu.Lock()
		defer mu.Unlock()
		if events = append(events, event); len(events) == 5 {
			stop()
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { note("beat") }))
	defer server.Close()
	asked := 0
	Beat(ctx, config.Heartbeat{URL: config.NewSecret(server.URL), Every: time.Minute / 1000}, func(context.Context) error {
		if asked++; asked <= 3 {
			note("wrong")
			return errors.New("halted")
		}
		return nil
	}, slog.New(slog.DiscardHandler))
	mu.Lock()
	defer mu.Unlock()
	if got := strings.Join(events[:5], " "); got != "wrong wrong wrong beat beat" {
		t.Error(got)
	}
}

// TestAServerThatRepeatsTheURL does not have its secrets told to everybody.
func TestAServerThatRepeatsTheURL(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "Cannot POST %s: no hook %q of %s:%s for key %s", r.URL.RequestURI(), r.PathValue("hook"), user, password, r.URL.Query().Get("key"))
	}))
	defer server.Close()
	at := strings.Replace(server.URL, "http://", "http://someone:passw0rd@", 1) + "/hooks/s3cret-t0ken?key=an%20%26other"
	_, err := newSender(&config.Alert{Webhook: &config.Webhook{URL: config.NewSecret(at)}}).Send(t.Context(), message())
	if err == nil || !strings.Contains(err.Error(), "404 Not Found: Cannot POST ***") {
		t.Fatal(err)
	}
	for _, secret := range []string{"someone", "passw0rd", "s3cret-t0ken", "an%20%26other", "an &other"} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%q is in %q", secret, err)
		}
	}
}
