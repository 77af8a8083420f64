package extip

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestEchoURLsThatAreRefused(t *testing.T) {
	for address, text := range map[string]string{
		"http://ip.example/":            "want an https URL",
		"ip.example":                    "want an https URL",
		"ftp://ip.example/":             "want an https URL",
		"":                              "want an https URL",
		"https:///ip":                   "the host is missing",
		"https://ip.example:port/":      "port",
		"http://me:secret@ip.example/":  "want an https URL",
		"file:///etc/passwd":            "want an https URL",
		"HTTPS-not://ip.example/\x7fip": "invalid control character",
	} {
		_, err := NewEcho(address, loopback, nil)
		if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want %q", address, err, text)
		}
	}
	if _, err := NewEcho("https://ip.example/", loopback, nil); err != nil {
		t.Error(err)
	}
}

// page answers each path with what a test says.
type page map[string]http.HandlerFunc

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p[r.URL.Path](w, r) }

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
}

func TestEcho(t *testing.T) {
	plain := httptest.NewServer(page{"/": text("203.0.113.66")})
	defer plain.Close()
	pages := page{
		"/good":     text("203.0.113.7"),
		"/blank":    text(" \r\n203.0.113.7\t\n"),
		"/mapped":   text("::ffff:203.0.113.7\n"),
		"/caller":   func(w http.ResponseWriter, r *http.Request) { w.Write([]byte(strings.Split(r.RemoteAddr, ":")[0])) },
		"/moved":    redirect("/good"),
		"/two":      text("203.0.113.7 203.0.113.8"),
		"/words":    text("Current IP Address: 203.0.113.7"),
		"/html":     text("<html><body>203.0.113.7</body></html>"),
		"/port":     text("203.0.113.7:1234"),
		"/zeros":    text("203.0.113.007"),
		"/empty":    text(""),
		"/zone":     text("fe80::1%eth0"),
		"/six":      text("2001:db8::7"),
		"/long":     text(strings.Repeat(" ", 300) + "203.0.113.7"),
		"/huge":     text("203.0.113.7" + strings.Repeat("\n", 1<<20)),
		"/teapot":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) },
		"/to-plain": redirect(plain.URL),
		"/to-file":  redirect("file:///etc/passwd"),
		"/circle":   redirect("/circle"),
	}
	server := httptest.NewTLSServer(pages)
	defer server.Close()
	secure := server.Client().Transport.(*http.Transport).TLSClientConfig
	for path, test := range map[string]struct{ want, text string }{
		"/good":     {want: "203.0.113.7"},
		"/blank":    {want: "203.0.113.7"},
		"/mapped":   {want: "203.0.113.7"},
		"/caller":   {want: "127.0.0.1"},
		"/moved":    {want: "203.0.113.7"},
		"/two":      {text: `have "203.0.113.7 203.0.113.8"`},
		"/words":    {text: "one address and nothing else"},
		"/html":     {text: "one address and nothing else"},
		"/port":     {text: "one address and nothing else"},
		"/zeros":    {text: "one address and nothing else"},
		"/empty":    {text: `have ""`},
		"/zone":     {text: "one address and nothing else"},
		"/six":      {text: "other IP version"},
		"/long":     {text: "one address and nothing else"},
		"/huge":     {text: "one address and nothing else"},
		"/teapot":   {text: "418"},
		"/to-plain": {text: "want an https URL"},
		"/to-file":  {text: "want an https URL"},
		"/circle":   {text: "more than 3 redirects"},
	} {
		source, err := NewEcho(server.URL+path, loopback, secure)
		if err != nil {
			t.Fatal(err)
		}
		finding, err := source.Lookup(t.Context())
		if test.want == "" {
			if err == nil || !strings.Contains(err.Error(), test.text) || finding != (Finding{}) {
				t.Errorf("%s: have %+v, %v, want %q", path, finding, err, test.text)
			}
			continue
		}
		want := Finding{Source: SourceHTTP, Address: netip.MustParseAddr(test.want), Detail: "https://127.0.0.1", Lifetime: 10 * time.Minute}
		if err != nil || finding != want {
			t.Errorf("%s: have %+v, %v, want %+v", path, finding, err, want)
		}
	}
}

func TestEchoOfAnUnknownCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(text("203.0.113.7"))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the failed handshake
	server.StartTLS()
	defer server.Close()
	source, err := NewEcho(server.URL, loopback, nil)
	if err != nil {
		t.Fatal(err)
	}
	var unknown *tls.CertificateVerificationError
	if _, err := source.Lookup(t.Context()); !errors.As(err, &unknown) {
		t.Error(err)
	}
}

func TestEchoPassesByTheProxyOfTheEnvironment(t *testing.T) {
	source, err := NewEcho("https://ip.example/", loopback, nil)
	if err != nil {
		t.Fatal(err)
	}
	if source.transport().Proxy != nil { // one of the environment is never used for loopback, so that this is all to see
		t.Error("there is a proxy")
	}
}

func TestTheEndOfTheContextEndsAnEcho(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}))
	defer server.Close()
	source, err := NewEcho(server.URL, loopback, server.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Lookup(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzEcho(f *testing.F) {
	for _, body := range []string{"203.0.113.7\n", " 2001:db8::1 ", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.4 5.6.7.8"} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		address, err := parseEcho(body)
		if (err == nil) != address.IsValid() || err == nil && (address.Zone() != "" || address.Is4In6() || len(body) > echoBodyLimit) {
			t.Fatalf("have %v, %v", address, err)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Fatalf("an error of %d bytes", len(err.Error()))
		}
	})
}
