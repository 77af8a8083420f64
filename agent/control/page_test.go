package control

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// request asks a web that needs no token, as its own page does.
func request(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8021"
	r.Header.Set(RequestHeader, "page")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	newWeb("").handler().ServeHTTP(w, r)
	return w
}

// TestThePageIsWhole: each file is there, with its type, is kept by browsers as long as it is the same, and asks for nothing that is
// not there, or elsewhere.
func TestThePageIsWhole(t *testing.T) {
	t.Parallel()
	types := map[string]string{"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
	entries, err := fs.ReadDir(pageFiles, "page")
	if err != nil || len(entries) < 5 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	links := regexp.MustCompile(`(?:href|src)="([^"#]*)"|from '\./([^']+)'`)
	for _, entry := range entries {
		path := "/page/" + entry.Name()
		switch entry.Name() {
		case "login.html":
			continue // see TestABrowserLogsIn
		case "index.html":
			path = "/"
		}
		got := request("GET", path, "")
		_, end, _ := strings.Cut(entry.Name(), ".")
		tag := got.Header().Get("ETag")
		if got.Code != 200 || got.Header().Get("Content-Type") != types[end] || tag == "" || got.Header().Get("Cache-Control") != "no-cache" || got.Body.Len() == 0 {
			t.Errorf("%s: %d, %v", path, got.Code, got.Header())
		}
		if got.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.HasPrefix(got.Header().Get("Content-Security-Policy"), "default-src 'self'; ") {
			t.Errorf("%s: %v", path, got.Header())
		}
		if again := request("GET", path, "", "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() > 0 {
			t.Errorf("%s, of which the browser has it all: %d", path, again.Code)
		}
		for _, link := range links.FindAllStringSubmatch(got.Body.String(), -1) {
			to := "/" + link[1]
			if link[2] != "" {
				to = "/page/" + link[2]
			}
			if to == "/metrics" {
				continue
			}
			if there := request("GET", to, ""); there.Code != 200 {
				t.Errorf("%s leads to %s: %d", path, to, there.Code)
			}
		}
		text := got.Body.String()
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "style=", "onclick=\"", "<style", "javascript:", "//cdn"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", path, bad)
			}
		}
		if strings.Contains(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), "://") {
			t.Errorf("%s names another host", path)
		}
	}
}

// TestWhatThePageMayAskFor is what it shows and does, and no more.
func TestWhatThePageMayAskFor(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		sentence, method, path, body string
		want                         int
		holds                        string
	}{
		{"how it stands", "POST", "/v1/status", `{"Syncs":["web"]}`, 200, `"sync":"web"`},
		{"only with a word of its own", "GET", "/v1/status", "", 405, ""},
		{"jobs", "POST", "/v1/jobs", `{"Limit":2}`, 200, `"last":true`},
		{"another try", "POST", "/v1/jobs/retry", `{"ids":[7]}`, 200, `"jobs":1`},
		{"a drop", "POST", "/v1/jobs/drop", `{"ids":[7]}`, 200, `"unknown":[7]`},
		{"history", "POST", "/v1/history", `{"Limit":2}`, 200, `"last":true`},
		{"an explanation", "POST", "/v1/explain", `{"Sync":"web","Path":{"base64":"/w=="}}`, 200, `{"base64":"/w=="}`},
		{"a pause", "POST", "/v1/pause", `{"syncs":["web"],"by":"me"}`, 200, `"web"`},
		{"going on", "POST", "/v1/resume", `{"syncs":["web"]}`, 200, `"web"`},
		{"an approval, with the words of who refuses it", "POST", "/v1/approve", `{"syncs":["web"]}`, 422, "there is no sync web"},
		{"nonsense", "POST", "/v1/jobs", `{"Limit":`, 400, "wrong request"},
		{"too much", "POST", "/v1/jobs", `{"Path":"` + strings.Repeat("x", maxBody) + `"}`, 400, "too large"},
		{"no copy of the state", "POST", "/v1/snapshot", `{}`, 404, ""},
		{"no other configuration", "POST", "/v1/reload", `{}`, 404, ""},
		{"no passes", "POST", "/v1/pass", `{}`, 404, ""},
		{"no profiles", "GET", "/debug/pprof/heap", "", 404, ""},
		{"nothing beside its files", "GET", "/page/", "", 404, ""},
		{"nothing outside of them", "GET", "/page/..%2fserver.go", "", 404, ""},
		{"the login is no part of it", "GET", "/page/login.html", "", 404, ""},
	} {
		got := request(row.method, row.path, row.body)
		if got.Code != row.want || !strings.Contains(got.Body.String(), row.holds) {
			t.Errorf("%s: %d, want %d: %s", row.sentence, got.Code, row.want, got.Body)
		}
	}
}

// TestThePageGetsSoManyRowsAndNoMore, whatever it asks for.
func TestThePageGetsSoManyRowsAndNoMore(t *testing.T) {
	t.Parallel()
	for path, body := range map[string]string{"/v1/jobs": `{"Limit":100000}`, "/v1/history": `{"Limit":100000}`} {
		if rows := bytes.Count(request("POST", path, body).Body.Bytes(), []byte(`{"row":`)); rows != mostRows {
			t.Errorf("%s: %d rows, want %d", path, rows, mostRows)
		}
	}
	for asked, want := range map[int]int{0: mostNotes, 7: 7, mostNotes + 1: mostNotes} {
		body, _ := json.Marshal(StatusFilter{Syncs: []string{"web"}, Notes: asked})
		var o Overview
		if err := json.Unmarshal(request("POST", "/v1/status", string(body)).Body.Bytes(), &o); err != nil || o.Syncs[0].Conflicts != want {
			t.Errorf("%d notes are %d, want %d (%v)", asked, o.Syncs[0].Conflicts, want, err)
		}
	}
}

// TestNothingIsShownWithoutTheToken but what the login needs.
func TestNothingIsShownWithoutTheToken(t *testing.T) {
	t.Parallel()
	ask := func(method, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, path, strings.NewReader("{}"))
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		newWeb(webToken).handler().ServeHTTP(w, r)
		return w
	}
	cookie := []string{"Cookie", cookieName + "=" + newWeb(webToken).cookie()}
	ours := append([]string{RequestHeader, "page"}, cookie...)
	for _, path := range []string{"/v1/status", "/v1/jobs", "/v1/jobs/retry", "/v1/jobs/drop", "/v1/history", "/v1/explain", "/v1/approve", "/v1/pause", "/v1/resume"} {
		if got := ask("POST", path, RequestHeader, "page"); got.Code != http.StatusUnauthorized {
			t.Errorf("%s without a token: %d", path, got.Code)
		}
		if got := ask("POST", path, cookie...); got.Code != http.StatusForbidden {
			t.Errorf("%s from a form of another site: %d", path, got.Code)
		}
		if got := ask("POST", path, append([]string{"Sec-Fetch-Site", "cross-site"}, ours...)...); got.Code != http.StatusForbidden {
			t.Errorf("%s from a script of another site: %d", path, got.Code)
		}
	}
	if got := ask("GET", "/v1/events"); got.Code != http.StatusUnauthorized {
		t.Errorf("events without a token: %d", got.Code)
	}
	if got := ask("GET", "/page/style.css"); got.Code != http.StatusOK {
		t.Errorf("the style of the login: %d", got.Code)
	}
	for path, want := range map[string]string{"/": "login", "/v1/events": "../login"} { // there may be a path in front of it
		if got := ask("GET", path, "Accept", "text/html"); got.Header().Get("Location") != want {
			t.Errorf("%s leads to %q, want %q", path, got.Header().Get("Location"), want)
		}
	}
	if got := ask("GET", "/", cookie...); !strings.Contains(got.Body.String(), `id="logout">`) {
		t.Error("nobody can log out")
	}
	if got := request("GET", "/", ""); !strings.Contains(got.Body.String(), `id="logout" hidden>`) {
		t.Error("one can log out where nobody logs in")
	}
	if got := ask("POST", "/logout", ours...).Result(); got.StatusCode != http.StatusNoContent || len(got.Cookies()) != 1 || got.Cookies()[0].MaxAge >= 0 || got.Cookies()[0].Value != "" {
		t.Errorf("logging out: %d, %v", got.StatusCode, got.Cookies())
	}
}

// TestEventsOutliveTheLimitsOfOtherAnswers, which are there for who takes his time to ask or to read.
func TestEventsOutliveTheLimitsOfOtherAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &slowReader{deadlines: map[string]time.Time{}}
		ended := make(chan struct{})
		time.AfterFunc(10*time.Minute, func() { close(ended) })
		writeEvents(w, make(chan Event), ended)
		if !w.deadlines["read"].IsZero() || w.deadlines["write"].Before(time.Now()) {
			t.Errorf("after ten minutes: %v", w.deadlines)
		}
	})
}

// slowReader notes the deadlines of a connection.
type slowReader struct{ deadlines map[string]time.Time }

func (slowReader) Header() http.Header                   { return http.Header{} }
func (slowReader) WriteHeader(int)                       {}
func (slowReader) Write(p []byte) (int, error)           { return io.Discard.Write(p) }
func (slowReader) Flush()                                {}
func (s slowReader) SetReadDeadline(at time.Time) error  { s.deadlines["read"] = at; return nil }
func (s slowReader) SetWriteDeadline(at time.Time) error { s.deadlines["write"] = at; return nil }
