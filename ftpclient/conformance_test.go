package ftpclient_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// patience bounds one test against a real server: some are slow at the login when many come.
const patience = 5 * time.Minute

// security is one way to talk to a server.
type security struct {
	name     string
	version  uint16 // of TLS, 0 for none
	implicit bool   // TLS from the first byte
}

var securities = []security{{"plain", 0, false}, {"TLS 1.2", tls.VersionTLS12, false}, {"TLS 1.3", tls.VersionTLS13, false}}

var implicitTLS = security{"implicit TLS", tls.VersionTLS13, true}

func optionsFor(server *ftptest.RealServer, s security) ftpclient.Options {
	o := ftpclient.Options{
		User: server.User, Password: server.Password, TLS: ftpclient.TLSNone, FinalReplyTimeout: testPatience,
	}
	if s.version != 0 {
		o.TLS = ftpclient.TLSExplicit
		if s.implicit {
			o.TLS = ftpclient.TLSImplicit
		}
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

// profile is what servers do differently, and so what the client makes of it.
type profile struct {
	implicit   bool   // there is TLS from the first byte
	tickets13  bool   // sessions of TLS 1.3 can be resumed
	timeSetter string // what the client finds to set times by
	mlsd       bool   // there is MLSD; the client takes LIST elsewhere
	trailing   string // what is stored as the name "trail "
	raw        string // what is stored as a name that is not UTF-8
	abortEnds  bool   // an abort in the middle of data may end a session with TLS
	mixesUp    bool   // sessions get at each other's data connections (TestAServerThatForgetsADataConnection): see each alone
	busyOp     string // when one client too many is told so,
	busyCode   int    // and how
	// cutUpload is the verdict on an upload over TLS whose end is missing: 226 where nobody but VerifySize tells.
	cutUpload int
	// cutSilent: or none comes, depending on how fast the line closes, and the upload is ErrUnconfirmed.
	cutSilent bool
}

const rawName = "raw \xff\xfe name"

var profiles = map[string]profile{
	"vsftpd":    {implicit: true, tickets13: true, timeSetter: "MDTM", trailing: "trail ", raw: rawName, busyOp: "connect", busyCode: 421, cutUpload: 426},
	"proftpd":   {implicit: true, tickets13: true, timeSetter: "MFMT", mlsd: true, trailing: "trail ", raw: rawName, abortEnds: true, busyOp: "login", busyCode: 530, cutUpload: 226},
	"pure-ftpd": {timeSetter: "MFMT", mlsd: true, trailing: "trail_", raw: rawName, busyOp: "connect", busyCode: 421, cutUpload: 226},
	"pyftpdlib": {implicit: true, tickets13: true, timeSetter: "MFMT", mlsd: true, trailing: "trail ", mixesUp: true, busyOp: "connect", busyCode: 421, cutUpload: 226, cutSilent: true},
}

// resumes tells whether data connections take over the TLS session of the control connection.
func resumes(server string, s security) bool {
	return s.version != 0 && (s.version != tls.VersionTLS13 || profiles[server].tickets13)
}

// place is a connection to a real server with a folder of its own.
type place struct {
	conn     *ftpclient.Conn
	server   *ftptest.RealServer
	security security
	mode     ftpclient.Mode
	folder   string // on the server
	disk     string // the same on this disk
	options  ftpclient.Options
	small    *smallServer // of the same kind
}

// profile is that of the server.
func (p *place) profile() profile { return profiles[p.server.Name] }

// again is another connection, with changed options.
func (p *place) again(t *testing.T, change func(*ftpclient.Options)) *place {
	t.Helper()
	other := *p
	other.options.Facts = p.conn.Facts()
	change(&other.options)
	other.conn = dial(t, t.Context(), p.server.Addr, other.options)
	t.Cleanup(func() { other.conn.Close() })
	return &other
}

// redial replaces a connection that was given up. The caller closes the last one.
func (p *place) redial(t *testing.T) {
	t.Helper()
	conn, err := p.conn.Redial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.conn.Close()
	p.conn = conn
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

// smallServer takes one client at a time.
type smallServer struct {
	real *ftptest.RealServer
	turn sync.Mutex
}

// TestRealServersDoWhatTheClientPromises is the behaviour suite: each behaviour on each server in each way to talk to it.
func TestRealServersDoWhatTheClientPromises(t *testing.T) {
	ftptest.Leaks(t)
	for _, name := range ftptest.RealServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, kind := range []struct {
				options    ftptest.RealOptions
				securities []security
			}{
				{ftptest.RealOptions{}, securities[:1]},
				{ftptest.RealOptions{RequireTLS: true}, securities[1:]},
				{ftptest.RealOptions{RequireTLS: true, ImplicitTLS: true}, []security{implicitTLS}},
			} {
				if kind.options.ImplicitTLS && !profiles[name].implicit {
					t.Run(implicitTLS.name, func(t *testing.T) {
						t.Parallel()
						noImplicitTLS(t, ftptest.Real(t, name, ftptest.RealOptions{RequireTLS: true}))
					})
					continue
				}
				var server *ftptest.RealServer
				if !profiles[name].mixesUp {
					server = ftptest.Real(t, name, kind.options)
				}
				limited := kind.options
				limited.MaxClients = 1
				small := &smallServer{real: ftptest.Real(t, name, limited)}
				for _, s := range kind.securities {
					for _, mode := range []ftpclient.Mode{ftpclient.EPSV, ftpclient.PASV} {
						t.Run(fmt.Sprintf("%s, %s", s.name, mode), func(t *testing.T) {
							t.Parallel()
							server := server
							if profiles[name].mixesUp {
								server = ftptest.Real(t, name, kind.options)
							}
							conform(t, server, small, s, mode)
						})
					}
				}
			}
			t.Run("plain, PORT", func(t *testing.T) {
				t.Parallel()
				// A server of its own: see profile.mixesUp.
				conform(t, ftptest.Real(t, name, ftptest.RealOptions{}), nil, securities[0], ftpclient.PORT)
			})
		})
	}
}

// noImplicitTLS is what a server without it makes of the client: an error that tells the cure.
func noImplicitTLS(t *testing.T, server *ftptest.RealServer) {
	o := optionsFor(server, implicitTLS)
	_, err := ftpclient.Dial(t.Context(), server.Addr, o)
	var e *ftpclient.Error
	if !errors.As(err, &e) || e.Op != "connect" || ftpclient.Classify(err) != ftpclient.ClassSetup || !strings.Contains(err.Error(), "explicit") {
		t.Errorf("%v (%s) does not say what to do", err, ftpclient.Classify(err))
	}
}

func conform(t *testing.T, server *ftptest.RealServer, small *smallServer, s security, mode ftpclient.Mode) {
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
		conn: conn, server: server, security: s, mode: mode, options: o, small: small,
		folder: conn.Absolute(folder), disk: filepath.Join(server.Root, folder),
	}
	defer func() { p.conn.Close() }()
	if err := conn.MakeDir(ctx, p.folder); err != nil {
		t.Fatal(err)
	}
	for _, b := range behaviours {
		if b.passive && mode == ftpclient.PORT {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			b.check(t, p)
		})
		if t.Failed() {
			return
		}
	}
	if got := p.conn.Facts().Channels[0].Way; !strings.HasSuffix(got, " "+mode.String()) {
		t.Errorf("data mode %q, want %s", got, mode)
	}
}

// TestTwentyUploadsInARowArriveWhole is about the end of TLS 1.3 uploads and about session
// reuse: a client that closes its end with unread session tickets makes servers lose the end
// of files, and one that lets go of its session is refused.
func TestTwentyUploadsInARowArriveWhole(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
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
						if !bytes.Equal(stored, upload) {
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
