package config

import (
	"net"
	"net/netip"
	"strings"
)

// leastToken is how many characters a token has at least. One that is made at random is not guessed then, however often
// somebody tries.
const leastToken = 16

// tokenUser is whose token a keyring is asked for, if nobody says.
const tokenUser = "ftpferry"

// listen checks where the status is shown. Without a token that may only be where nobody but this machine gets to.
func (l *loader) listen(at key, text string, hasToken bool) string {
	if text == "" {
		return ""
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		l.fail(at, `%q is not HOST:PORT: write "127.0.0.1:8021", or "[::1]:8021"`, text)
		return ""
	}
	address, err := netip.ParseAddr(host)
	isAddress := err == nil
	switch _, isPort := parsePort(port); {
	case !isPort:
		l.fail(at, "the port of %q must be a number from 1 to 65535", text)
	case host != "" && !isAddress && !isHost(host):
		l.fail(at, "%q is not a host name or IP address", host)
	case hasToken, strings.EqualFold(host, "localhost"), isAddress && address.IsLoopback():
		return text
	default:
		l.fail(at, `other machines can reach %q: write "127.0.0.1:%s", or set listen_token`, text, port)
	}
	return ""
}

// listenToken resolves what everybody has to know who asks for the status. It stands in headers (RFC 6750 section 2.1).
func (l *loader) listenToken(at key, file rawSecret, listens bool) Secret {
	token, exposed := l.resolve(at, "token", file, login{user: tokenUser})
	if exposed != "" && token != "" {
		l.warn(at, "%s", exposed)
	}
	const cure = `make one with "openssl rand -hex 24"`
	switch {
	case !file.isEmpty() && !listens:
		l.warn(at, "means nothing without listen")
	case token == "":
	case strings.ContainsFunc(strings.TrimRight(token, "="), isForeignToTokens):
		l.fail(at, "the token has other characters than letters, digits and -._~+/: "+cure)
	case len(token) < leastToken:
		l.fail(at, "the token has fewer than %d characters, so that it can be guessed: "+cure, leastToken)
	}
	return NewSecret(token)
}

func isForeignToTokens(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-._~+/", r)
}
