package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// patience bounds one test against a real server: some are slow at the login when many come.
const patience = time.Minute

// security is one way to talk to a server.
type security struct {
	name    string
	version uint16 // of TLS, 0 for none
}

var securities = []security{{"plain", 0}, {"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

func optionsFor(server *ftptest.RealServer, s security) ftpclient.Options {
	o := ftpclient.Options{
		User: server.User, Password: server.Password, TLS: ftpclient.TLSNone, FinalReplyTimeout: 20 * time.Second,
	}
	if s.version != 0 {
		o.TLS = ftpclient.TLSExplicit
		o.TLSConfig = &tls.Config{RootCAs: server.CertPool, MinVersion: s.version, MaxVersion: s.version}
	}
	return o
}

func dial(t *testing.T, ctx context.Context, address string, o ftpclient.Options) *ftpclient.Conn {
	t.Helper()
	conn, err := ftpclient.Dial(ctx, address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// resumes tells whether data connections take over the TLS session of the control connection.
// Pure-FTPd sends no tickets with TLS 1.3.
func resumes(server string, s security) bool {
	return s.version != 0 && !(server == "pure-ftpd" && s.version == tls.VersionTLS13)
}

// place is a connection to a real server with a folder of its own.
type place struct {
	conn     *ftpclient.Conn
	server   *ftptest.RealServer
	security security
	mode     ftpclient.Mode
	folder   string // on the server
	disk     string // the same on this disk
}

func (p *place) remote(name string) string { return p.folder + "/" + name }

func (p *place) store(t *testing.T, name string, content []byte) ftpclient.Result {
	t.Helper()
	transfer, err := p.conn.Store(t.Context(), p.remote(name), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := transfer.ReadFrom(bytes.NewReader(content)); err != nil {
		t.Error(err)
	}
	result, err := transfer.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Bytes != int64(len(content)) {
		t.Errorf("store %s: %d bytes, want %d", name, result.Bytes, len(content))
	}
	return result
}

func (p *place) retrieve(t *testing.T, name string, offset int64) ([]byte, ftpclient.Result) {
	t.Helper()
	transfer, err := p.conn.Retrieve(t.Context(), p.remote(name), offset)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(transfer)
	if err != nil {
		t.Error(err)
	}
	result, err := transfer.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return content, result
}

// content is the same for the same seed.
func content(seed uint64, size int) []byte {
	b := make([]byte, size)
	source := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	source.Read(b)
	return b
}

func TestRealServersDoWhatTheClientPromises(t *testing.T) {
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plain := ftptest.Real(t, name, ftptest.RealOptions{})
			secure := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			for _, s := range securities {
				server := plain
				if s.version != 0 {
					server = secure
				}
				for _, mode := range []ftpclient.Mode{ftpclient.EPSV, ftpclient.PASV} {
					t.Run(fmt.Sprintf("%s, %s", s.name, mode), func(t *testing.T) {
						t.Parallel()
						conform(t, server, s, mode)
					})
				}
			}
			t.Run("plain, PORT", func(t *testing.T) {
				t.Parallel()
				// A server of its own: PORT in one session of pyftpdlib 1.5.7 makes it deaf to
				// data connections of others, whose file descriptors it closes a second time.
				conform(t, ftptest.Real(t, name, ftptest.RealOptions{}), securities[0], ftpclient.PORT)
			})
		})
	}
}

func conform(t *testing.T, server *ftptest.RealServer, s security, mode ftpclient.Mode) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	o := optionsFor(server, s)
	switch mode {
	case ftpclient.PASV:
		o.Facts.EPSVRefused = true
	case ftpclient.PORT:
		o.Data.Policy = ftpclient.DataActiveOnly
	}
	conn := dial(t, ctx, server.Addr, o)
	folder := fmt.Sprintf("%s %s", s.name, mode)
	p := &place{
		conn: conn, server: server, security: s, mode: mode,
		folder: conn.Absolute(folder), disk: filepath.Join(server.Root, folder),
	}
	if err := conn.MakeDir(ctx, p.folder); err != nil {
		t.Fatal(err)
	}
	for _, b := range behaviours {
		t.Run(b.name, func(t *testing.T) {
			b.check(t, p)
		})
		if t.Failed() {
			return
		}
	}
	if got := conn.Facts().DataMode; got != mode.String() {
		t.Errorf("data mode %q, want %s", got, mode)
	}
}

// TestTwentyUploadsInARowArriveWhole is about the end of TLS 1.3 uploads and about session
// reuse: a client that closes its end with unread session tickets makes servers lose the end
// of files, and one that lets go of its session is refused.
func TestTwentyUploadsInARowArriveWhole(t *testing.T) {
	const size = 4 << 20
	whole := content(20, size)
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true})
			for _, s := range securities[1:] {
				t.Run(s.name, func(t *testing.T) {
					ctx, cancel := context.WithTimeout(t.Context(), patience)
					defer cancel()
					conn := dial(t, ctx, server.Addr, optionsFor(server, s))
					p := &place{conn: conn, server: server, folder: conn.Absolute(s.name), disk: filepath.Join(server.Root, s.name)}
					if err := conn.MakeDir(ctx, p.folder); err != nil {
						t.Fatal(err)
					}
					for i := range 20 {
						upload := append([]byte{byte(i)}, whole[i:]...) // no two alike
						file := fmt.Sprintf("%02d.bin", i)
						result := p.store(t, file, upload)
						stored, err := os.ReadFile(filepath.Join(p.disk, file))
						if err != nil {
							t.Fatal(err)
						}
						if sha256.Sum256(stored) != sha256.Sum256(upload) {
							t.Fatalf("upload %d: %d bytes arrived of %d, or others", i, len(stored), len(upload))
						}
						if result.TLSResumed != resumes(name, s) {
							t.Errorf("upload %d: TLS session resumed: %v", i, result.TLSResumed)
						}
						if err := conn.Remove(ctx, p.remote(file)); err != nil {
							t.Fatal(err)
						}
					}
				})
			}
		})
	}
}
