package control

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/net/netutil"
)

// Web is what an agent shows over TCP, to monitors and browsers.
type Web struct {
	Service Service
	Metrics http.Handler
	// Ready returns nil when the agent has begun to work and notices changes, and else what it waits for.
	Ready func(context.Context) error
	// Token lets those in who know it. With "" everybody is let in who can connect, which is this machine alone: see ListenWeb.
	Token string
}

// mostWeb is how many connections there may be at a time; more wait.
const mostWeb = 64

// ListenWeb opens the address, which without a token has to be a loopback one.
func ListenWeb(ctx context.Context, address, token string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	at, isTCP := listener.Addr().(*net.TCPAddr)
	if token == "" && (!isTCP || !at.IP.IsLoopback()) { // a name may mean anything
		listener.Close()
		return nil, fmt.Errorf("other machines can reach %s, and there is no listen_token", listener.Addr())
	}
	return netutil.LimitListener(listener, mostWeb), nil
}

// routes is what those see who are let in: numbers, and the status page with what it asks for. Whatever changes something is asked for by another method than GET: guard sees to it that
// no foreign page can do that.
func (web Web) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", web.Metrics)
	mux.HandleFunc("GET /{$}", web.index())
	shared(mux, bounded{current(web.Service)})
	return mux
}

// handler is routes for those who are let in, and what is open to everybody.
func (web Web) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", web.authorized(web.routes()))
	pageParts(mux)
	mux.HandleFunc("GET /healthz", answerState(web.Service.Health))
	mux.HandleFunc("GET /readyz", answerState(web.Ready))
	if web.Token != "" {
		mux.HandleFunc("GET "+loginPath, func(w http.ResponseWriter, _ *http.Request) { showLogin(w, http.StatusOK) })
		mux.HandleFunc("POST "+loginPath, web.login)
		mux.HandleFunc("POST /logout", web.logout)
	}
	return web.guard(mux)
}

// answerState says in one word and by the status whether a check has found nothing wrong.
func answerState(check func(context.Context) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		io.WriteString(w, "ok\n")
	}
}

// RequestHeader is a header that whoever changes something has to send, whatever is in it, unless the token comes in a header, too:
// a page of another site cannot.
const RequestHeader = "Ftpferry-Request"

// guard refuses what other sites have a browser ask for, and keeps the answers from being used by them.
func (web Web) guard(next http.Handler) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
		} {
			w.Header().Set(name, value)
		}
		if web.Token == "" && !isLoopback(r.Host) { // else a name that somebody has made to mean this machine would do (DNS rebinding)
			http.Error(w, "this host is not served: ask for 127.0.0.1 or localhost, or set listen_token", http.StatusMisdirectedRequest)
			return
		}
		if err := sameOrigin.Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		isSafe := r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
		if !isSafe && r.URL.Path != loginPath && r.Header.Get(RequestHeader) == "" && !web.hasBearer(r) {
			http.Error(w, "the header "+RequestHeader+" is missing", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLoopback reports whether the Host of a request can mean nothing but this machine.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	address, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && address.IsLoopback()
}

// authorized lets those in who know the token, and shows browsers where to write it.
func (web Web) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case web.Token == "" || web.hasBearer(r) || web.hasCookie(r):
			next.ServeHTTP(w, r)
		case r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html"):
			redirect(w, strings.Repeat("../", strings.Count(r.URL.Path, "/")-1)+"login")
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="ftpferry"`)
			http.Error(w, "a token is needed: Authorization: Bearer TOKEN", http.StatusUnauthorized)
		}
	})
}

// hasBearer: RFC 6750 section 2.1.
func (web Web) hasBearer(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return web.Token != "" && strings.EqualFold(scheme, "Bearer") && isSame(strings.TrimSpace(token), web.Token)
}

const (
	loginPath  = "/login"
	cookieName = "ftpferry"
	// cookieLife is how long a browser remembers that its user knew the token, as long as that is the same.
	cookieLife = 30 * 24 * time.Hour
)

func (web Web) hasCookie(r *http.Request) bool {
	cookie, err := r.Cookie(cookieName)
	return web.Token != "" && err == nil && isSame(cookie.Value, web.cookie())
}

// cookie proves that somebody knew the token, without holding it: other services on the same host see it too.
func (web Web) cookie() string {
	sum := hmac.New(sha256.New, []byte(web.Token))
	sum.Write([]byte("cookie of ftpferry"))
	return hex.EncodeToString(sum.Sum(nil))
}

// isSame takes as long for each wrong answer, of whatever length.
func isSame(got, want string) bool {
	a, b := sha256.Sum256([]byte(got)), sha256.Sum256([]byte(want))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// mostLogin bounds what is read of a form, in bytes.
const mostLogin = 4 << 10

func (web Web) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, mostLogin)
	if !isSame(r.PostFormValue("token"), web.Token) {
		showLogin(w, http.StatusForbidden)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: web.cookie(), Path: "/", MaxAge: int(cookieLife.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode,
		Secure: r.Header.Get("X-Forwarded-Proto") == "https",
	})
	redirect(w, "./")
}

// logout has the browser forget that its user knew the token.
func (web Web) logout(w http.ResponseWriter, _ *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteStrictMode})
	w.WriteHeader(http.StatusNoContent)
}

// redirect leads to a place relative to the one that was asked for: in front of that there may be a part of the path that a proxy has
// taken away.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// serveUntil answers requests on listener until ctx is done, and then ends those under way.
func serveUntil(ctx context.Context, listener net.Listener, server *http.Server, logger *slog.Logger) error {
	server.ReadHeaderTimeout = 10 * time.Second
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	server.ErrorLog = slog.NewLogLogger(logger.Handler(), slog.LevelWarn)
	serving := make(chan error, 1)
	go func() { serving <- server.Serve(listener) }()
	select {
	case err := <-serving:
		return err
	case <-ctx.Done():
	}
	// The requests under way end with ctx, which is theirs too; they get a moment to say so.
	farewell, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	if err := server.Shutdown(farewell); err != nil {
		server.Close()
	}
	if err := <-serving; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
