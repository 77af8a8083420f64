package control

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

const webToken = "0123456789abcdef"

func newWeb(token string) Web {
	return Web{
		Service: fake{}, Token: token, Ready: func(context.Context) error { return errors.New("starting") },
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "numbers") }),
	}
}

func TestWhoMayAskOverTCP(t *testing.T) {
	t.Parallel()
	bearer, form := []string{"Authorization", "Bearer " + webToken}, []string{"Content-Type", "application/x-www-form-urlencoded"}
	cookie := []string{"Cookie", cookieName + "=" + newWeb(webToken).cookie()}
	for _, row := range []struct {
		sentence, token, method, host, path string
		header                              []string // names and values
		want                                int
	}{
		{"this machine needs no token", "", "GET", "127.0.0.1:8021", "/metrics", nil, 200},
		{"by IPv6", "", "GET", "[::1]:8021", "/metrics", nil, 200},
		{"by name", "", "GET", "localhost", "/metrics", nil, 200},
		{"a name that somebody has made to mean this machine", "", "GET", "evil.example:8021", "/metrics", nil, 421},
		{"also for a sign of life", "", "GET", "evil.example:8021", "/healthz", nil, 421},
		{"a name that begins like this machine", "", "GET", "127.0.0.1.evil.example", "/metrics", nil, 421},
		{"no name at all", "", "GET", "", "/metrics", nil, 421},
		{"it is alive", "", "GET", "localhost", "/healthz", nil, 200},
		{"and not ready yet", "", "GET", "localhost", "/readyz", nil, 503},
		{"the status page", "", "GET", "localhost", "/", nil, 200},
		{"what is not there", "", "GET", "localhost", "/v1/nothing", nil, 404},
		{"profiles are not for everybody", "", "GET", "localhost", "/debug/pprof/heap", nil, 404},
		{"without a token nobody logs in", "", "GET", "localhost", "/login", nil, 404},
		{"with a token any name will do", webToken, "GET", "ferry.example", "/metrics", bearer, 200},
		{"the scheme has no case", webToken, "GET", "ferry.example", "/metrics", []string{"Authorization", "bearer " + webToken}, 200},
		{"but not without it", webToken, "GET", "127.0.0.1", "/metrics", nil, 401},
		{"nor with another one", webToken, "GET", "127.0.0.1", "/metrics", []string{"Authorization", "Bearer " + webToken + "0"}, 401},
		{"nor with a part of it", webToken, "GET", "127.0.0.1", "/metrics", []string{"Authorization", "Bearer"}, 401},
		{"nor in an address", webToken, "GET", "127.0.0.1", "/metrics?token=" + webToken, nil, 401},
		{"everybody may see whether it is alive", webToken, "GET", "ferry.example", "/healthz", nil, 200},
		{"a browser is led to where it is asked for", webToken, "GET", "ferry.example", "/", []string{"Accept", "text/html,*/*"}, 303},
		{"and has a cookie then", webToken, "GET", "ferry.example", "/", cookie, 200},
		{"the cookie is not the token", webToken, "GET", "ferry.example", "/", []string{"Cookie", cookieName + "=" + webToken}, 401},
		{"a wrong token at the login", webToken, "POST", "ferry.example", "/login", form, 403},
		{"a change with the token in a header", webToken, "POST", "ferry.example", "/metrics", bearer, 405},
		{"a change with a cookie alone", webToken, "POST", "ferry.example", "/metrics", cookie, 403},
		{"a change with the header of a page of ours", webToken, "POST", "ferry.example", "/metrics", append([]string{RequestHeader, "1"}, cookie...), 405},
		{"a change without any header", "", "POST", "localhost", "/metrics", nil, 403},
		{"a change that says that it is meant", "", "POST", "localhost", "/metrics", []string{RequestHeader, "1"}, 405},
		{"a change from another site", "", "POST", "localhost", "/metrics", []string{RequestHeader, "1", "Origin", "https://evil.example"}, 403},
		{"as a new browser tells of it", "", "DELETE", "localhost", "/metrics", []string{RequestHeader, "1", "Sec-Fetch-Site", "cross-site"}, 403},
		{"a change from our own page", "", "POST", "localhost:1", "/metrics", []string{RequestHeader, "1", "Origin", "http://localhost:1"}, 405},
		{"a login from another site", webToken, "POST", "ferry.example", "/login", []string{"Sec-Fetch-Site", "cross-site"}, 403},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			r := httptest.NewRequest(row.method, row.path, nil)
			r.Host = row.host
			for i := 0; i < len(row.header); i += 2 {
				r.Header.Set(row.header[i], row.header[i+1])
			}
			w := httptest.NewRecorder()
			newWeb(row.token).handler().ServeHTTP(w, r)
			if w.Code != row.want {
				t.Errorf("%d, want %d: %s", w.Code, row.want, w.Body)
			}
			if got := w.Body.String(); strings.Contains(got, webToken) || (got == "numbers") != (row.want == 200 && row.path == "/metrics") {
				t.Errorf("%q", got)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("%v", w.Header())
			}
		})
	}
}

// TestABrowserLogsIn with the token, over TCP, and is known by its cookie from then on.
func TestABrowserLogsIn(t *testing.T) {
	t.Parallel()
	listener, err := ListenWeb(t.Context(), "127.0.0.1:0", webToken)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	var server WebServer
	server.Show(newWeb(webToken))
	go func() { ended <- server.Serve(ctx, listener, slog.New(slog.DiscardHandler)) }()
	transport := &http.Transport{}
	var got *http.Cookie
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	at := "http://" + listener.Addr().String()
	answer, err := client.PostForm(at+"/login", url.Values{"token": {webToken}})
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if cookies := answer.Cookies(); answer.StatusCode != http.StatusSeeOther || len(cookies) != 1 {
		t.Fatalf("%s, %v", answer.Status, cookies)
	} else if got = cookies[0]; !got.HttpOnly || got.SameSite != http.SameSiteStrictMode || strings.Contains(got.Value, webToken) {
		t.Errorf("%+v", got)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.AddCookie(got)
	if answer, err = client.Do(request); err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	answer.Body.Close()
	if err != nil || string(body) != "numbers" {
		t.Errorf("%s: %q, %v", answer.Status, body, err)
	}
	transport.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestOthersAreNotServedWithoutAToken, whatever the configuration was taken for.
func TestOthersAreNotServedWithoutAToken(t *testing.T) {
	t.Parallel()
	if listener, err := ListenWeb(t.Context(), "0.0.0.0:0", ""); err == nil {
		listener.Close()
		t.Error("others are served without a token")
	} else if !strings.Contains(err.Error(), "there is no listen_token") {
		t.Error(err)
	}
	listener, err := ListenWeb(t.Context(), "0.0.0.0:0", webToken)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

// TestProfilesComeToTheClient, for the agent's user.
func TestProfilesComeToTheClient(t *testing.T) {
	t.Parallel()
	overEachWay(t, func(t *testing.T, by way) {
		dir := t.TempDir()
		serve(t, by, dir, fake{})
		transport, err := by.transport(dir)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			"": "goroutine", "goroutine?debug=1": "TestProfilesComeToTheClient", "heap": "", "cmdline": "control", "symbol": "num_symbols",
		} {
			answer, err := (&http.Client{Transport: transport}).Get("http://agent/debug/pprof/" + path)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != http.StatusOK || len(body) == 0 || !strings.Contains(string(body), want) {
				t.Errorf("%s: %s, %v, %d bytes", path, answer.Status, err, len(body))
			}
		}
	})
}
