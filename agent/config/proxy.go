package config

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
)

const socksPort = "1080" // RFC 1928 section 3

// ProxyURL returns Proxy in its parts, the port always among them; nil for none. It holds the password: not for printing.
func (s *Server) ProxyURL() *url.URL {
	if s.Proxy.Reveal() == "" {
		return nil
	}
	parsed, err := url.Parse(s.Proxy.Reveal())
	if err != nil { // not from Load; nil would go past the proxy
		return &url.URL{}
	}
	return parsed
}

// proxy resolves and checks a proxy. No message shows any part of it: where user and password are not written as they
// should be, they may stand anywhere.
func (l *loader) proxy(at key, file rawSecret, who login) Secret {
	text, exposed := l.resolve(at, "proxy", file, who)
	if text == "" {
		return Secret{}
	}
	parsed, problem := parseProxy(text)
	if problem != "" {
		l.fail(at, "%s", problem)
		return Secret{}
	}
	if exposed != "" && parsed.User != nil {
		l.warn(at, "%s", exposed)
	}
	return NewSecret(parsed.String())
}

// parseProxy returns the URL of a proxy with its port, or what is wrong with it.
func parseProxy(text string) (*url.URL, string) {
	const forms = `write "socks5://HOST:PORT" or "http://HOST:PORT"; user and password go before HOST, with ":" between and "@" behind them, ` +
		`and with @ : / ? # and % in them written as %40 %3A %2F %3F %23 and %25`
	parsed, err := url.Parse(text)
	if err != nil || hasControl(text) || parsed.Host == "" || parsed.Opaque != "" {
		return nil, "is not the URL of a proxy: " + forms
	}
	switch scheme := parsed.Scheme; {
	case scheme == "https":
		return nil, `TLS to the proxy is not supported: "http" is the scheme of a proxy that knows CONNECT, also for servers with TLS`
	case scheme != "socks5" && scheme != "socks5h" && scheme != "http":
		return nil, "has a scheme that is not known: " + forms
	}
	if parsed.Path == "/" {
		parsed.Path = ""
	}
	if parsed.Path != "" || parsed.RawQuery != "" || parsed.ForceQuery || parsed.Fragment != "" || strings.HasSuffix(text, "#") {
		return nil, "has something after the port: " + forms
	}
	host, port := parsed.Hostname(), parsed.Port()
	if _, err := netip.ParseAddr(host); err != nil && !isHost(host) {
		return nil, "has no host name or IP address: " + forms
	}
	if port == "" && parsed.Scheme == "http" {
		return nil, `has no port, and there is no usual one: write it, such as "http://HOST:3128"`
	}
	if port == "" {
		port = socksPort
	}
	if _, ok := parsePort(port); !ok {
		return nil, "has a port that is not a number from 1 to 65535: " + forms
	}
	password, _ := parsed.User.Password()
	if hasControl(parsed.User.Username()) || hasControl(password) {
		return nil, "has a control character in user or password"
	}
	if parsed.Scheme != "http" && max(len(parsed.User.Username()), len(password)) > 255 { // RFC 1929 section 2
		return nil, "has a user or password of more than 255 bytes, which SOCKS cannot send"
	}
	parsed.Host = net.JoinHostPort(host, port)
	return parsed, ""
}
