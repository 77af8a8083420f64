package control

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// loopback is the way for systems whose sockets have no rights: a port of this machine alone, and secrets in a file that says
// which one. Whoever may read the file may ask.
var loopback = way{"loopback", listenLoopback, loopbackTransport}

// door is what the file in the state folder holds.
type door struct {
	Address netip.AddrPort `json:"address"`
	// Token is what the commands know, and Answer the agent: another program may have the port of an agent that was killed.
	Token  string `json:"token"`
	Answer string `json:"answer"`
}

// answerHeader is the header of all answers of the agent to those who know the token.
const answerHeader = "Ftpferry-Answer"

func doorPath(stateDir string) string { return filepath.Join(stateDir, "control.json") }

// secretBytes is the length of the secrets, in bytes.
const secretBytes = 32

func newSecret() string {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails
	return hex.EncodeToString(secret)
}

func listenLoopback(stateDir string) (*Listener, error) {
	path := doorPath(stateDir)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("control file: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("control port: %w", err)
	}
	d := door{listener.Addr().(*net.TCPAddr).AddrPort(), newSecret(), newSecret()}
	if err := d.write(path); err != nil {
		listener.Close()
		return nil, fmt.Errorf("control file: %w", err)
	}
	return &Listener{doorListener{listener, path}, d.guard}, nil
}

// write makes the file, which nobody else may read from its beginning on.
func (d door) write(path string) error {
	text, err := json.Marshal(d)
	if err != nil {
		return err
	}
	file, err := createPrivate(path)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// doorListener takes its file away at the end.
type doorListener struct {
	net.Listener
	path string
}

// Close implements net.Listener.
func (l doorListener) Close() error { return errors.Join(os.Remove(l.path), l.Listener.Close()) }

// guard refuses those who do not know the token, and pages for which somebody has made a name mean this machine (DNS rebinding).
func (d door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case r.Host != d.Address.String():
			refuseAs(w, http.StatusMisdirectedRequest, "this host is not served")
		case !isBearer || !isSame(token, d.Token):
			refuseAs(w, http.StatusUnauthorized, "the token of "+filepath.Base(doorPath(""))+" is needed")
		default:
			w.Header().Set(answerHeader, d.Answer)
			next.ServeHTTP(w, r)
		}
	})
}

// errStale: the agent that wrote the file is gone.
var errStale = errors.New("what is left of an agent that was killed")

func loopbackTransport(stateDir string) (http.RoundTripper, error) {
	path := doorPath(stateDir)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if trusted, err := isTrusted(path, stateDir); err != nil || !trusted {
		return nil, errors.Join(fmt.Errorf("%s: somebody else has made it", path), err)
	}
	var d door
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !d.Address.Addr().IsLoopback() || len(d.Token) < secretBytes || len(d.Answer) < secretBytes {
		return nil, fmt.Errorf("%s: not written by an agent", path)
	}
	dialer := net.Dialer{Timeout: dialPatience}
	return doorTransport{d, &http.Transport{
		DisableKeepAlives: true, // and no Proxy: the token is for this machine
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", d.Address.String())
		},
	}}, nil
}

// doorTransport carries requests to the agent that wrote the door, and to nobody else.
type doorTransport struct {
	door
	to http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t doorTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Host = t.Address.String()
	request.Header.Set("Authorization", "Bearer "+t.Token)
	response, err := t.to.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if !isSame(response.Header.Get(answerHeader), t.Answer) {
		response.Body.Close()
		return nil, fmt.Errorf("%s is not the agent's: %w", t.Address, errStale)
	}
	return response, nil
}
