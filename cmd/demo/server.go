package main

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"
)

const user, password = "demo", "demo"

// server is an FTP server for one user on the loopback address, the library's driver, and the
// folder that it serves.
type server struct {
	afero.Fs
	address  string
	listener net.Listener
	served   chan error

	clients, transfers atomic.Int64 // under way
	limit              atomic.Int64 // uploads stand still when they get larger than so many bytes; 0: none does
	stuck              atomic.Bool  // one does
}

// startServer serves the folder root until stop is called.
func startServer(root string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		Fs:      afero.NewBasePathFs(afero.NewOsFs(), root),
		address: listener.Addr().String(), listener: listener, served: make(chan error, 1),
	}
	library := ftpserver.NewFtpServer(s) // logs nothing by default
	if err := library.Listen(); err != nil {
		listener.Close()
		return nil, err
	}
	go func() { s.served <- library.Serve() }()
	return s, nil
}

// stop waits for clients that are about to leave, so that no file is open any more.
func (s *server) stop() {
	s.limit.Store(0)
	s.listener.Close()
	<-s.served
	for patience := time.Now().Add(time.Second); !s.isUnused() && time.Now().Before(patience); {
		time.Sleep(time.Millisecond)
	}
}

func (s *server) isUnused() bool { return s.clients.Load() == 0 && s.isAtRest() }

// isAtRest reports whether no file is being read or written.
func (s *server) isAtRest() bool { return s.transfers.Load() == 0 }

// GetSettings and the methods up to GetTLSConfig implement ftpserver.MainDriver.
func (s *server) GetSettings() (*ftpserver.Settings, error) {
	return &ftpserver.Settings{Listener: s.listener, PublicHost: "127.0.0.1", ActiveTransferPortNon20: true}, nil
}

// ClientConnected counts, and returns the greeting.
func (s *server) ClientConnected(ftpserver.ClientContext) (string, error) {
	s.clients.Add(1)
	return "ftpferry demonstration", nil
}

// ClientDisconnected counts.
func (s *server) ClientDisconnected(ftpserver.ClientContext) { s.clients.Add(-1) }

// AuthUser lets the one user in.
func (s *server) AuthUser(_ ftpserver.ClientContext, name, secret string) (ftpserver.ClientDriver, error) {
	if name != user || secret != password {
		return nil, errors.New("wrong user or password")
	}
	return s, nil
}

// GetTLSConfig refuses: nothing leaves this machine.
func (s *server) GetTLSConfig() (*tls.Config, error) { return nil, errors.New("no TLS here") }

// WrapPassiveListener implements ftpserver.MainDriverExtensionPassiveWrapper: the library listens
// on all addresses, and a demonstration has no business on any but the loopback one.
func (s *server) WrapPassiveListener(l net.Listener) (net.Listener, error) {
	l.Close()
	loopback, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	if everywhere, ok := l.(*net.TCPListener); ok {
		*everywhere = *loopback // in place: the library keeps this pointer for its deadlines
		return everywhere, nil
	}
	return loopback, nil
}

// OpenFile implements afero.Fs. The library calls it for transfers.
func (s *server) OpenFile(name string, flag int, mode os.FileMode) (afero.File, error) {
	f, err := s.Fs.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	s.transfers.Add(1)
	return &transfer{File: f, server: s}, nil
}

// transfer is an open file that knows how far it got.
type transfer struct {
	afero.File
	server  *server
	written int64
}

// Write implements io.Writer.
func (t *transfer) Write(p []byte) (int, error) {
	for limit := t.server.limit.Load(); limit > 0 && t.written+int64(len(p)) > limit; limit = t.server.limit.Load() {
		t.server.stuck.Store(true)
		time.Sleep(time.Millisecond)
	}
	n, err := t.File.Write(p)
	t.written += int64(n)
	return n, err
}

// Close implements io.Closer.
func (t *transfer) Close() error {
	defer t.server.transfers.Add(-1)
	return t.File.Close()
}
