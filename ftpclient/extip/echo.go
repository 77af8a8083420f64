package extip

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

const (
	echoPatience  = 8 * time.Second
	echoBodyLimit = 256
	echoRedirects = 3
)

// Echo is a web page that says from where it was asked, and nothing else. Safe for concurrent
// use.
type Echo struct {
	address string
	host    string
	local   netip.Addr
	tls     *tls.Config
}

// NewEcho returns the page at an https URL, as it is asked from the local address and by its IP
// version. Anybody on the way could write another address into a page by plain http, and would
// be sent the files; it is refused. secure may be nil. It does not contact the host.
func NewEcho(address string, local netip.Addr, secure *tls.Config) (*Echo, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("echo: %w", err)
	}
	if err := checkEchoURL(parsed); err != nil {
		return nil, fmt.Errorf("echo %s: %w", parsed.Redacted(), err)
	}
	return &Echo{address: address, host: parsed.Hostname(), local: local.Unmap(), tls: secure}, nil
}

func checkEchoURL(address *url.URL) error {
	if address.Scheme != "https" {
		return errors.New("want an https URL: on the way of any other, somebody could name an address of his own")
	}
	if address.Hostname() == "" {
		return errors.New("want an https URL; the host is missing")
	}
	return nil
}

// Name is SourceHTTP.
func (e *Echo) Name() string { return SourceHTTP }

// Lookup asks for the page, without any proxy: that one's address is of no use.
func (e *Echo) Lookup(ctx context.Context) (Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, echoPatience)
	defer cancel()
	body, err := e.get(ctx)
	if err != nil {
		return Finding{}, fmt.Errorf("echo: %w", err)
	}
	address, err := parseEcho(body)
	if err == nil && address.Is4() != e.local.Is4() {
		err = fmt.Errorf("it was asked from %s and says %s, which is of the other IP version", e.local, address)
	}
	if err != nil {
		return Finding{}, fmt.Errorf("echo %s: %w", e.host, err)
	}
	return Finding{Source: SourceHTTP, Address: address, Detail: "https://" + e.host, Lifetime: findingLifetime}, nil
}

// transport is for one request. It knows no proxy.
func (e *Echo) transport() *http.Transport {
	network := "tcp4"
	if e.local.Is6() {
		network = "tcp6"
	}
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(e.local, 0))}
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
		TLSClientConfig:        e.tls.Clone(),
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 1 << 16,
	}
}

func (e *Echo) get(ctx context.Context) ([]byte, error) {
	client := http.Client{
		Transport: e.transport(),
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if len(before) > echoRedirects {
				return fmt.Errorf("more than %d redirects", echoRedirects)
			}
			return checkEchoURL(next.URL)
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.address, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "text/plain")
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %q", e.host, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, echoBodyLimit+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", e.host, err)
	}
	return body, nil
}

// parseEcho takes a body that is one address, with white space around it.
func parseEcho(body []byte) (netip.Addr, error) {
	text := string(bytes.TrimSpace(body))
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" || len(body) > echoBodyLimit {
		const shown = 40
		return netip.Addr{}, fmt.Errorf("want a page that is one address and nothing else, have %.*q", shown, text)
	}
	return address.Unmap(), nil
}
