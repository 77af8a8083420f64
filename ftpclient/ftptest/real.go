package ftptest

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RealServers are the names that [Real] knows.
var RealServers = []string{"vsftpd", "proftpd", "pure-ftpd", "pyftpdlib"}

// startLimit is how long a server may take until its first greeting, and greetLimit how long an attempt at one may take.
const (
	startLimit = 2 * time.Minute
	greetLimit = 30 * time.Second
)

// RealServer is an FTP server in a process of its own, for one test. Its methods must not be called at the same time.
type RealServer struct {
	Name       string
	Addr       string         // host and port of the control connection
	User       string         // the only login
	Password   string         //
	Root       string         // where the login lands, as a path on this disk
	RemoteRoot string         // the same folder as a path for the client
	CAFile     string         // PEM of the authority behind the server's certificate; "" without TLS
	CertPool   *x509.CertPool // the same authority; nil without TLS

	t     testing.TB
	setup setup
	stdin io.Closer     // the server ends with it
	kill  func() error  //
	ended chan struct{} // closed when the process is gone; nil when stopped
}

// Real starts a server and returns when it greets. It ends with the test, and prints its log if the test failed. The
// server reads and writes files as a user that has the rights of the test's own user but is not root, so that file
// modes count. The test is skipped, or fails, as [Need] says if the server or the rights to run it are missing.
func Real(t testing.TB, name string, o RealOptions) *RealServer {
	t.Helper()
	recipe, ok := recipes[name]
	if !ok {
		t.Fatalf("ftptest.Real: no server %q; there are %s", name, strings.Join(RealServers, ", "))
	}
	Need(t, name)
	for _, need := range recipe.needs {
		Need(t, need)
	}
	if err := o.check(name); err != nil {
		t.Fatalf("ftptest.Real: %v", err)
	}
	o.TLS = o.TLS || o.RequireTLS || o.ImplicitTLS || o.ClientCAFile != ""
	if o.Root == "" {
		o.Root = t.TempDir()
	}
	secret := cmp.Or(o.Password, password)
	s := &RealServer{
		Name: name, User: user, Password: secret, Root: o.Root, RemoteRoot: "/", t: t,
		setup: setup{RealOptions: o, Dir: t.TempDir(), User: user, Password: secret},
	}
	if s.setup.Address == "" {
		s.setup.Address = "127.0.0.1"
	}
	if s.setup.Port == 0 && o.Host != nil {
		s.setup.Port = 21
	}
	if s.setup.MaxClients == 0 {
		s.setup.MaxClients = 1000
	}
	if s.setup.IdleTimeout == 0 {
		s.setup.IdleTimeout = 15 * time.Minute
	}
	if o.TLS {
		_, s.setup.CertFile, s.setup.KeyFile, s.CAFile, s.CertPool = NewCertificate(t)
	}
	t.Cleanup(func() {
		s.Stop()
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, s.Log())
		}
	})
	s.Start()
	return s
}

// Start starts the server again after [RealServer.Stop], with the same address and folder.
func (s *RealServer) Start() {
	s.t.Helper()
	if s.ended != nil {
		s.t.Fatalf("ftptest: %s runs already", s.Name)
	}
	// A free port can be taken by somebody else before the server binds it.
	free := s.setup.Port == 0
	var err error
	for range 3 {
		if free {
			s.setup.Port = LeasePort(s.t)
		}
		s.Addr = net.JoinHostPort(s.setup.Address, strconv.Itoa(s.setup.Port))
		if err = s.launch(); err == nil {
			return
		}
		s.Stop()
		if !free {
			break
		}
	}
	s.t.Fatalf("start %s on %s: %v\n%s", s.Name, s.Addr, err, s.Log())
}

// Stop kills the server with all its sessions, at once and without a farewell. It may be called again.
func (s *RealServer) Stop() {
	if s.ended == nil {
		return
	}
	s.kill() // an error means that it is gone already
	<-s.ended
	s.stdin.Close()
	s.ended = nil
}

// Log returns what the server has written to its output and its log files, over all its starts.
func (s *RealServer) Log() string {
	var text strings.Builder
	files, _ := filepath.Glob(filepath.Join(s.setup.Dir, "*.log")) // the pattern is well formed
	slices.Sort(files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			content = []byte(err.Error())
		}
		if len(content) > 0 {
			fmt.Fprintf(&text, "== %s\n%s\n", filepath.Base(file), content)
		}
	}
	return text.String()
}

// launch writes the configuration, starts the process, and returns when the server greets.
func (s *RealServer) launch() error {
	command, err := recipes[s.Name].prepare(s.setup)
	if err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join(s.setup.Dir, "output.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	if err := s.setup.addEnvironment(command); err != nil {
		return err
	}
	if s.stdin, err = command.StdinPipe(); err != nil {
		return err
	}
	start := command.Start
	if host := s.setup.Host; host != nil {
		start = func() error { return host.Start(command) }
	}
	if err := start(); err != nil {
		return err
	}
	s.kill = command.Process.Kill
	ended := make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		command.Wait() // how a server ends is no concern of the test
	}()
	return s.awaitGreeting()
}

func (s *RealServer) awaitGreeting() error {
	var err error
	greet := s.greet
	if host := s.setup.Host; host != nil {
		greet = func() error { return host.Do(s.greet) }
	}
	for deadline := time.Now().Add(startLimit); time.Now().Before(deadline); {
		if err = greet(); err == nil {
			select {
			case <-s.ended:
				return errors.New("the server ended, and another one greets in its place")
			default:
				return nil
			}
		}
		select {
		case <-s.ended:
			return errors.New("the server ended before its greeting")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("no greeting in %s: %w", startLimit, err)
}

// greet connects once and leaves in order.
func (s *RealServer) greet() error {
	conn, err := net.DialTimeout("tcp", s.Addr, greetLimit)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(greetLimit)); err != nil {
		return err
	}
	if s.setup.ImplicitTLS && s.setup.ClientCAFile != "" {
		return nil // it greets nobody without a certificate
	}
	if s.setup.ImplicitTLS {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.CertPool, ServerName: "localhost"})
	}
	reader := bufio.NewReader(conn)
	line, err := reader.ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "220") {
		return fmt.Errorf("greeting %q", line)
	}
	if _, err := io.WriteString(conn, "QUIT\r\n"); err != nil {
		return err
	}
	io.Copy(io.Discard, reader) // until the server has closed its side, however it does that
	return nil
}
