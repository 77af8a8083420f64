package ftpclient_test

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// relay is a proxy for tests: it really connects on.
type relay struct {
	t        *testing.T
	listener net.Listener
	login    string // "user:password", "" for none
	greet    func(r *relay, conn net.Conn, reader *bufio.Reader) (onward net.Conn, err error)
	copy     func(to, from net.Conn, reader io.Reader, up bool) // reader is of from

	mu      sync.Mutex
	open    []net.Conn
	targets []string
	running sync.WaitGroup
}

func newRelay(t *testing.T, login string, greet func(*relay, net.Conn, *bufio.Reader) (net.Conn, error)) *relay {
	t.Helper()
	return newRelayThat(t, login, greet, func(to, _ net.Conn, reader io.Reader, _ bool) { io.Copy(to, reader) })
}

func newRelayThat(t *testing.T, login string, greet func(*relay, net.Conn, *bufio.Reader) (net.Conn, error),
	copies func(to, from net.Conn, reader io.Reader, up bool)) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, listener: l, login: login, greet: greet, copy: copies}
	r.running.Go(r.accept)
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		for _, conn := range r.open {
			conn.Close()
		}
		r.mu.Unlock()
		r.running.Wait()
	})
	return r
}

// url is how clients are told of the proxy.
func (r *relay) url(scheme, login string) *url.URL {
	u := &url.URL{Scheme: scheme, Host: r.listener.Addr().String()}
	if name, password, ok := strings.Cut(login, ":"); ok {
		u.User = url.UserPassword(name, password)
	}
	return u
}

func (r *relay) accept() {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.keep(conn)
		r.running.Go(func() { r.serve(conn) })
	}
}

func (r *relay) keep(conn net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.open = append(r.open, conn)
}

func (r *relay) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReader(conn)
	onward, err := r.greet(r, conn, reader)
	if err != nil {
		return // the client was told
	}
	defer onward.Close()
	var both sync.WaitGroup
	both.Go(func() {
		r.copy(onward, conn, reader, true)
		onward.(*net.TCPConn).CloseWrite()
	})
	both.Go(func() {
		r.copy(conn, onward, onward, false)
		conn.(*net.TCPConn).CloseWrite()
	})
	both.Wait()
}

// dial connects on to target and notes it.
func (r *relay) dial(target string) (net.Conn, error) {
	r.mu.Lock()
	r.targets = append(r.targets, target)
	r.mu.Unlock()
	conn, err := net.DialTimeout("tcp", target, 5*time.Second)
	if err == nil {
		r.keep(conn)
	}
	return conn, err
}

func (r *relay) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.targets)
}

// socks5 is the server's side of RFC 1928 and 1929.
func socks5(r *relay, conn net.Conn, reader *bufio.Reader) (net.Conn, error) {
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(reader, b) // zeros make no sense further on
		return b
	}
	methods := read(int(read(2)[1]))
	if r.login != "" {
		if !slices.Contains(methods, 2) {
			conn.Write([]byte{5, 0xff})
			return nil, errors.New("no login")
		}
		conn.Write([]byte{5, 2})
		user := string(read(int(read(2)[1])))
		password := string(read(int(read(1)[0])))
		if user+":"+password != r.login {
			conn.Write([]byte{1, 1})
			return nil, errors.New("wrong login")
		}
		conn.Write([]byte{1, 0})
	} else {
		conn.Write([]byte{5, 0})
	}
	var host string
	switch head := read(4); head[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	case 4:
		host = net.IP(read(16)).String()
	}
	port := read(2)
	onward, err := r.dial(net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1]))))
	if err != nil {
		conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return nil, err
	}
	conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
	return onward, nil
}

// connectHTTP is the server's side of CONNECT.
func connectHTTP(r *relay, conn net.Conn, reader *bufio.Reader) (net.Conn, error) {
	request, err := http.ReadRequest(reader)
	if err != nil {
		return nil, err
	}
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte(r.login)); r.login != "" && request.Header.Get("Proxy-Authorization") != want {
		io.WriteString(conn, "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 4\r\n\r\nno!\n")
		return nil, errors.New("wrong login")
	}
	if request.Method != http.MethodConnect || request.Host != request.RequestURI {
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
		return nil, errors.New("bad request")
	}
	onward, err := r.dial(request.RequestURI)
	if err != nil {
		io.WriteString(conn, "HTTP/1.1 502 Bad Gateway\r\n\r\n")
		return nil, err
	}
	// The greeting in the same segment as the answer, if it is there by then.
	answer := []byte("HTTP/1.1 200 Connection established\r\nVia: a test\r\n\r\n")
	onward.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	greeting := make([]byte, 1000)
	n, _ := onward.Read(greeting)
	onward.SetReadDeadline(time.Time{})
	_, err = conn.Write(append(answer, greeting[:n]...))
	return onward, err
}

var proxies = []struct {
	scheme, login string
	greet         func(*relay, net.Conn, *bufio.Reader) (net.Conn, error)
}{
	{"socks5", "", socks5},
	{"socks5h", "ferry:s3cret word", socks5},
	{"http", "", connectHTTP},
	{"http", "ferry:s3cret word", connectHTTP},
}

func TestRealServersBehindProxies(t *testing.T) {
	t.Parallel()
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := ftptest.Real(t, name, ftptest.RealOptions{})
			protected := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			for _, p := range proxies {
				for _, s := range securities {
					t.Run(fmt.Sprintf("%s %q, %s", p.scheme, p.login, s.name), func(t *testing.T) {
						server := plain
						if s.version != 0 {
							server = protected
						}
						throughProxy(t, newRelay(t, p.login, p.greet), p.scheme, server, s)
					})
				}
			}
		})
	}
}

func throughProxy(t *testing.T, r *relay, scheme string, server *ftptest.RealServer, s security) {
	_, port, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	want := string(content(3, 1<<20))
	for _, refused := range []bool{false, true} { // EPSV, PASV
		o := optionsFor(server, s)
		o.Proxy, o.Facts.EPSVRefused = r.url(scheme, r.login), refused
		conn := dial(t, t.Context(), net.JoinHostPort("localhost", port), o)
		file := conn.Absolute("through a proxy")
		result, err := put(t.Context(), conn, file, strings.NewReader(want))
		if err != nil || result.TLSResumed != resumes(server.Name, s) {
			t.Errorf("%+v, %v", result, err)
		}
		if got, _, err := get(t.Context(), conn, file); err != nil || got != want {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		conn.Close()
	}
	asked := r.asked()
	if len(asked) != 6 || slices.ContainsFunc(asked, func(target string) bool { return !strings.HasPrefix(target, "localhost:") }) {
		t.Errorf("the proxy was asked for %q, want six places on localhost", asked)
	}
}

func TestProxiesThatSayNo(t *testing.T) {
	t.Parallel()
	reply := func(text string) func(*relay, net.Conn, *bufio.Reader) (net.Conn, error) {
		return func(r *relay, conn net.Conn, reader *bufio.Reader) (net.Conn, error) {
			if _, err := http.ReadRequest(reader); err == nil {
				io.WriteString(conn, text)
			}
			return nil, errors.New("no")
		}
	}
	tests := []struct {
		name, scheme, login, given string
		greet                      func(*relay, net.Conn, *bufio.Reader) (net.Conn, error)
		says                       string
	}{
		{"SOCKS5 wants a login", "socks5", "a:b", "", socks5, "belong into its URL"},
		{"SOCKS5 refuses a login", "socks5", "a:b", "a:hush-hush", socks5, "authentication failed"},
		{"CONNECT wants a login", "http", "a:b", "", connectHTTP, "407"},
		{"CONNECT refuses a login", "http", "a:b", "a:hush-hush", connectHTTP, "407"},
		{"SOCKS5 cannot reach the server", "socks5", "", "", socks5, "refused"},
		{"CONNECT cannot reach the server", "http", "", "", connectHTTP, "502"},
		{"CONNECT is not allowed", "http", "", "", reply("HTTP/1.1 403 Forbidden\r\n\r\n"), "to this port"},
		{"the answer is none of HTTP", "http", "", "", reply("what?\r\n\r\n"), "no answer to CONNECT"},
		{"the answer has no end", "http", "", "", reply("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)), "header of more than"},
		{"the proxy hangs up", "http", "", "", reply(""), "EOF"},
		{"SOCKS5 speaks something else", "socks5", "", "", reply("HTTP/1.1 400 Bad Request\r\n\r\n"), "socks"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := newRelay(t, test.login, test.greet)
			o := testOptions()
			o.Proxy = r.url(test.scheme, test.given)
			_, err := ftpclient.Dial(t.Context(), net.JoinHostPort("127.0.0.1", strconv.Itoa(refusedPort(t))), o)
			outcome{class: ftpclient.ClassUnavailable}.check(t, err)
			for _, want := range []string{test.says, r.listener.Addr().String(), test.scheme} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "hush") {
				t.Errorf("%v holds the password", err)
			}
		})
	}
}

func TestWhatStandsBehindTheAnswerOfAProxyIsTheServers(t *testing.T) {
	for _, answer := range []string{"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", "HTTP/1.0 200 OK\n\n"} {
		address := listen(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				io.WriteString(conn, answer+"421 Too many users\r\n") // in one segment
			}
		})
		o := testOptions()
		o.Proxy = &url.URL{Scheme: "http", Host: address}
		_, err := ftpclient.Dial(t.Context(), "server.example:21", o)
		outcome{code: 421, class: ftpclient.ClassBusy}.check(t, err)
	}
}

func TestASilentProxyIsGivenUp(t *testing.T) {
	for _, scheme := range []string{"socks5", "http"} {
		r := newRelay(t, "", func(_ *relay, _ net.Conn, reader *bufio.Reader) (net.Conn, error) {
			_, err := io.Copy(io.Discard, reader)
			return nil, errors.Join(errors.New("silent"), err)
		})
		o := testOptions()
		o.Proxy, o.ConnectTimeout = r.url(scheme, ""), 50*time.Millisecond
		_, err := ftpclient.Dial(t.Context(), "server.example:21", o)
		outcome{is: ftpclient.ErrTimeout, class: ftpclient.ClassUnavailable}.check(t, err)
	}
}

func TestProxiesThatMakeNoSense(t *testing.T) {
	active := func(o *ftpclient.Options) { o.Data.Policy = ftpclient.DataActiveOnly }
	tests := []struct {
		name, url string
		change    func(*ftpclient.Options)
		says      string
	}{
		{"the scheme is not known", "https://user:hush@proxy.example:1", nil, "socks5, socks5h or http"},
		{"there is no host", "socks5://", nil, "no host"},
		{"active mode is impossible", "socks5://proxy.example", active, "through a proxy"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := testOptions()
			var err error
			if o.Proxy, err = url.Parse(test.url); err != nil {
				t.Fatal(err)
			}
			if test.change != nil {
				test.change(&o)
			}
			_, err = ftpclient.Dial(t.Context(), "server.example:21", o)
			outcome{is: ftpclient.ErrOptions, class: ftpclient.ClassSetup}.check(t, err)
			if !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hush") {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestADataConnectionThatTheProxyCannotMakeIsToldWithTheProxy(t *testing.T) {
	r := newRelay(t, "", connectHTTP)
	closed := refusedPort(t)
	conn, _ := connect(t, session("", talk("EPSV", fmt.Sprintf("229 ok (|||%d|)", closed), "PASV", fmt.Sprintf("227 ok (10,1,2,3,%d,%d)", closed>>8, closed&255))),
		func(o *ftpclient.Options) { o.Proxy = r.url("http", "") })
	_, _, err := get(t.Context(), conn, "/f")
	outcome{class: ftpclient.ClassSetup}.check(t, err)
	target := fmt.Sprintf("CONNECT 127.0.0.1:%d", closed)
	if strings.Count(err.Error(), target) != 2 || !strings.Contains(err.Error(), r.listener.Addr().String()) {
		t.Errorf("%v does not say %q for both modes", err, target)
	}
}
