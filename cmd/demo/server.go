package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"
)

const (
	user     = "demo"
	password = "demo"
	// farewell is how long clients may take to leave before they are thrown out.
	farewell = 2 * time.Second
)

// server is an FTP server for one user on the loopback address. It is the library's driver, too.
type server struct {
	address  string
	listener net.Listener
	served   chan error
	disk     *disk

	mutex   sync.Mutex
	closed  bool
	clients map[uint32]ftpserver.ClientContext
}

// startServer serves the folder root until stop is called.
func startServer(root string) (*server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		address: listener.Addr().String(), listener: listener, served: make(chan error, 1),
		disk:    &disk{Fs: afero.NewBasePathFs(afero.NewOsFs(), root)},
		clients: map[uint32]ftpserver.ClientContext{},
	}
	library := ftpserver.NewFtpServer(s) // logs nothing by default
	if err := library.Listen(); err != nil {
		listener.Close()
		return nil, err
	}
	go func() { s.served <- library.Serve() }()
	return s, nil
}

// stop returns when nobody uses the folder any more.
func (s *server) stop() error {
	s.mutex.Lock()
	s.closed = true
	s.mutex.Unlock()
	s.release()
	s.listener.Close()
	err := <-s.served
	for deadline := time.Now().Add(farewell); !s.quiet(); time.Sleep(look) {
		if time.Now().Before(deadline) {
			continue
		}
		s.mutex.Lock()
		defer s.mutex.Unlock()
		for _, c := range s.clients {
			c.Close()
		}
		return err
	}
	return err
}

// quiet reports whether nobody is connected and no file is open for a transfer.
func (s *server) quiet() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return len(s.clients) == 0 && s.disk.open.Load() == 0
}

// GetSettings implements ftpserver.MainDriver.
func (s *server) GetSettings() (*ftpserver.Settings, error) {
	return &ftpserver.Settings{
		Listener: s.listener, PublicHost: "127.0.0.1", ActiveTransferPortNon20: true,
		DefaultTransferType: ftpserver.TransferTypeBinary,
	}, nil
}

// ClientConnected implements ftpserver.MainDriver.
func (s *server) ClientConnected(c ftpserver.ClientContext) (string, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.closed {
		return "closing", errors.New("closing")
	}
	s.clients[c.ID()] = c
	return "ftpferry demonstration", nil
}

// ClientDisconnected implements ftpserver.MainDriver.
func (s *server) ClientDisconnected(c ftpserver.ClientContext) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	delete(s.clients, c.ID())
}

// AuthUser implements ftpserver.MainDriver.
func (s *server) AuthUser(_ ftpserver.ClientContext, name, secret string) (ftpserver.ClientDriver, error) {
	if name != user || secret != password {
		return nil, errors.New("wrong user or password")
	}
	return s.disk, nil
}

// GetTLSConfig implements ftpserver.MainDriver.
func (s *server) GetTLSConfig() (*tls.Config, error) { return nil, errors.New("no TLS here") }

// WrapPassiveListener implements ftpserver.MainDriverExtensionPassiveWrapper. The library listens
// on all addresses; a demonstration has no business on any but the loopback one.
func (s *server) WrapPassiveListener(l net.Listener) (net.Listener, error) {
	everywhere, ok := l.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("a %T cannot be moved to the loopback address", l)
	}
	everywhere.Close()
	loopback, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	*everywhere = *loopback // in place: the library keeps this pointer for its deadlines
	return everywhere, nil
}

// disk is the server's folder. It can be told to stop in the middle of an upload.
type disk struct {
	afero.Fs
	open atomic.Int64 // files
	held atomic.Pointer[hold]
}

// hold stops uploads that have come so far.
type hold struct {
	after    int64 // bytes
	once     sync.Once
	reached  chan struct{}
	released chan struct{}
}

// holdAfter makes uploads wait that are larger than so many bytes. The channel is closed when one does.
func (s *server) holdAfter(bytes int64) <-chan struct{} {
	h := &hold{after: bytes, reached: make(chan struct{}), released: make(chan struct{})}
	s.disk.held.Store(h)
	return h.reached
}

// release ends what holdAfter began.
func (s *server) release() {
	if h := s.disk.held.Swap(nil); h != nil {
		close(h.released)
	}
}

// OpenFile implements afero.Fs. The library calls it for transfers.
func (d *disk) OpenFile(name string, flag int, mode os.FileMode) (afero.File, error) {
	f, err := d.Fs.OpenFile(name, flag, mode)
	if err != nil {
		return nil, err
	}
	d.open.Add(1)
	return &file{File: f, disk: d}, nil
}

type file struct {
	afero.File
	disk    *disk
	written int64
}

// Write implements io.Writer.
func (f *file) Write(p []byte) (int, error) {
	if h := f.disk.held.Load(); h != nil && f.written+int64(len(p)) > h.after {
		h.once.Do(func() { close(h.reached) })
		<-h.released
	}
	n, err := f.File.Write(p)
	f.written += int64(n)
	return n, err
}

// Close implements io.Closer.
func (f *file) Close() error {
	defer f.disk.open.Add(-1)
	return f.File.Close()
}
