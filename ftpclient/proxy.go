package ftpclient

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/proxy"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

// proxyDialer returns a function that connects through the proxy, which is reached by dial.
// The connections are those that dial returns, so that TCP's own means (half-close, sendfile)
// stay at hand. Errors name the proxy and never hold its password.
func proxyDialer(through *url.URL, dial data.Dial) data.Dial {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialThrough(ctx, through, dial, network, address)
		if err != nil {
			return nil, fmt.Errorf("proxy %s://%s: %w", through.Scheme, through.Host, err)
		}
		return conn, nil
	}
}

func dialThrough(ctx context.Context, through *url.URL, dial data.Dial, network, address string) (net.Conn, error) {
	scheme := proxySchemes[through.Scheme] // checkProxy saw it
	port := cmp.Or(through.Port(), scheme.port)
	conn, err := dial(ctx, network, net.JoinHostPort(through.Hostname(), port))
	if err != nil {
		return nil, err
	}
	// Closing is what ends blocked reads when ctx does.
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	err = scheme.greet(ctx, conn, through.User, address)
	if !stop() && err == nil {
		err = control.Ended(ctx)
	}
	if err != nil {
		conn.Close()
		if cause := control.Ended(ctx); cause != nil {
			err = cause
		} else if errors.Is(err, os.ErrDeadlineExceeded) { // SOCKS5 hands the deadline of ctx on
			err = fmt.Errorf("%w: %w", ErrTimeout, err)
		}
		return nil, err
	}
	return conn, nil
}

// proxyScheme is how a proxy is talked to.
type proxyScheme struct {
	port string // where the URL names none
	// greet asks the proxy at the other end of conn to connect on to address.
	greet func(ctx context.Context, conn net.Conn, user *url.Userinfo, address string) error
}

var proxySchemes = map[string]proxyScheme{
	"socks5":  {"1080", greetSOCKS5},
	"socks5h": {"1080", greetSOCKS5},
	"http":    {"8080", greetHTTP},
}

func checkProxy(through *url.URL) error {
	if _, ok := proxySchemes[through.Scheme]; !ok {
		return fmt.Errorf("%w: there is no proxy scheme %q; want socks5, socks5h or http", ErrOptions, through.Scheme)
	}
	if through.Hostname() == "" {
		return fmt.Errorf("%w: the proxy %s://%s has no host; want SCHEME://HOST:PORT", ErrOptions, through.Scheme, through.Host)
	}
	return nil
}

// greetSOCKS5 speaks RFC 1928 and 1929. The proxy resolves the name.
func greetSOCKS5(ctx context.Context, conn net.Conn, user *url.Userinfo, address string) error {
	var auth *proxy.Auth
	if user != nil {
		password, _ := user.Password()
		auth = &proxy.Auth{User: user.Username(), Password: password}
	}
	dialer, err := proxy.SOCKS5("tcp", conn.RemoteAddr().String(), auth, nil)
	if err != nil {
		return err
	}
	// Its Dial would hide the TCP connection.
	over, ok := dialer.(interface {
		DialWithConn(ctx context.Context, conn net.Conn, network, address string) (net.Addr, error)
	})
	if !ok {
		return fmt.Errorf("%w: SOCKS5 over a given connection", ErrUnsupported)
	}
	if _, err := over.DialWithConn(ctx, conn, "tcp", address); err != nil {
		if user == nil && saysAny(err.Error(), "no acceptable authentication methods") {
			err = fmt.Errorf("%w; user and password for the proxy belong into its URL", err)
		}
		return err
	}
	return nil
}

// maxProxyHead bounds the header of a proxy's answer.
const maxProxyHead = 16 << 10

// greetHTTP asks by CONNECT (RFC 9110 section 9.3.6).
func greetHTTP(_ context.Context, conn net.Conn, user *url.Userinfo, address string) error {
	request := "CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n"
	if user != nil {
		password, _ := user.Password()
		login := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		request += "Proxy-Authorization: Basic " + login + "\r\n"
	}
	if _, err := conn.Write([]byte(request + "\r\n")); err != nil {
		return err
	}
	head, err := readProxyHead(conn)
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(head)), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("%w: no answer to CONNECT: %s", ErrProtocol, shorten(err.Error()))
	}
	response.Body.Close()
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	hint := ""
	switch response.StatusCode {
	case http.StatusProxyAuthRequired:
		hint = "; user and password for the proxy belong into its URL, and it must take Basic authentication"
	case http.StatusForbidden, http.StatusMethodNotAllowed:
		hint = "; it has to allow CONNECT to this port, and to those of the server's data connections"
	}
	return fmt.Errorf("CONNECT %s: %s%s", address, shorten(strings.TrimSpace(response.Status)), hint)
}

// readProxyHead reads up to the empty line, byte by byte: the server's greeting may stand
// right behind it and is not for us.
func readProxyHead(conn net.Conn) ([]byte, error) {
	var head []byte
	one := make([]byte, 1)
	for !bytes.HasSuffix(head, []byte("\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
		if len(head) == maxProxyHead {
			return nil, fmt.Errorf("%w: header of more than %d bytes", ErrProtocol, maxProxyHead)
		}
		if _, err := conn.Read(one); err != nil {
			return nil, err
		}
		head = append(head, one[0])
	}
	return head, nil
}
