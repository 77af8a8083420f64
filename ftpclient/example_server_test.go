package ftpclient_test

import (
	"crypto/tls"
	"errors"
	"log"
	"net"
	"sync"

	ftpserver "github.com/fclairamb/ftpserverlib"
	"github.com/spf13/afero"

	"github.com/ftpferry/ftpferry/ftpclient"
)

// exampleServer is a server in memory for the examples. Everybody may log in.
type exampleServer struct {
	afero.Fs
	listener net.Listener
	clients  sync.WaitGroup
	served   chan error
}

// startExample returns a server's address, options for it, and what ends it.
func startExample() (address string, o ftpclient.Options, stop func()) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	s := &exampleServer{Fs: afero.NewMemMapFs(), listener: listener, served: make(chan error, 1)}
	library := ftpserver.NewFtpServer(s)
	if err := library.Listen(); err != nil {
		log.Fatal(err)
	}
	go func() { s.served <- library.Serve() }()
	stop = func() {
		s.clients.Wait()
		listener.Close()
		<-s.served
	}
	return listener.Addr().String(), ftpclient.Options{User: "u", Password: "p", TLS: ftpclient.TLSNone}, stop
}

func (s *exampleServer) GetSettings() (*ftpserver.Settings, error) {
	return &ftpserver.Settings{Listener: s.listener, PublicHost: "127.0.0.1"}, nil
}

func (s *exampleServer) ClientConnected(ftpserver.ClientContext) (string, error) {
	s.clients.Add(1)
	return "example", nil
}

func (s *exampleServer) ClientDisconnected(ftpserver.ClientContext) { s.clients.Done() }

func (s *exampleServer) AuthUser(ftpserver.ClientContext, string, string) (ftpserver.ClientDriver, error) {
	return s, nil
}

func (s *exampleServer) GetTLSConfig() (*tls.Config, error) { return nil, errors.New("no TLS here") }

// WrapPassiveListener keeps data connections on the loopback address.
func (s *exampleServer) WrapPassiveListener(l net.Listener) (net.Listener, error) {
	l.Close()
	loopback, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	if everywhere, ok := l.(*net.TCPListener); ok {
		*everywhere = *loopback // the library keeps this pointer for its deadlines
		return everywhere, nil
	}
	return loopback, nil
}
