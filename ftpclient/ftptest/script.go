package ftptest

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Step is one thing the server of a [Script] does. Its fields are carried out in the order in which they stand here, and
// a zero field does nothing.
type Step struct {
	Call    func()          // for the test: the step is reached
	Hold    <-chan struct{} // wait until it is closed
	Delay   time.Duration   // wait this long
	Expect  string          // wait for this line on the control connection; "*" at its end stands for any rest
	Passive bool            // listen for data connections; without Send and Raw, tell where in a fitting 227 or 229
	Send    string          // lines to send, CRLF put in; {port}, {pasv}, {bytes} become the place of the passive listener
	Raw     string          // bytes to send as they are
	Clear   string          // bytes to send below TLS
	Pace    time.Duration   // when not zero, Send and Raw go byte by byte with this pause after each
	Flood   string          // bytes to send again and again, Pace apart, until the client is gone; then comes the next client
	TLS     *TLS            // shake hands on the control connection
	Data    *Data           // what happens on the data connection
	End     End             // what becomes of the control connection; after Close and Reset the next step awaits another one
}

// Data is what a step does on the data connection, field by field. It goes on with the connection of the step before
// unless that was ended. A new one comes from the passive listener, or is dialled to the address of the last PORT or EPRT.
type Data struct {
	From    string        // dial from this local address
	TLS     *TLS          // shake hands, as the server
	Send    string        // bytes to send
	Flood   string        // bytes to send again and again, Pace apart, until the client is gone
	Receive int           // how many bytes to read; All for those until the end, however that comes
	Want    string        // what Receive has to have read
	Pace    time.Duration // pause after each byte sent, and after each [PaceBlock] bytes read
	End     End
}

// All reads until the end of the data.
const All = -1

// PaceBlock is how many bytes are read between two pauses.
const PaceBlock = 4096

// TLS is how a connection is secured.
type TLS struct {
	// Config needs a certificate, such as that of [NewCertificate]. Sessions can be resumed between connections that use
	// the same pointer.
	Config        *tls.Config
	LateTickets   bool // send the TLS 1.3 session ticket after the client's part of the handshake, as OpenSSL does
	MustResume    bool // a client that does not resume a session fails the test
	NoCloseNotify bool // end the connection below TLS alone, as if it had been cut
}

// End is what becomes of a connection at the end of a step.
type End int

// The ways to end a connection. A pipe knows no difference between Close and Reset, and no HalfClose.
const (
	Keep      End = iota // stays open
	HalfClose            // no more is sent; reading goes on
	Close                // in order
	Reset                // with RST
	CutRecord            // in the middle of a TLS record, without close_notify
)

// Script is an FTP server that does what its steps say and nothing else. What a client does differently fails the test,
// with the step, and ends its connections; so does a client that neither sends data nor ends them for a minute, except in
// pipe mode. After the last step the client may do nothing but close.
type Script struct {
	Addr string // of the control connection; in pipe mode for [Script.Dial] alone

	t        testing.TB
	steps    []Step
	network  network
	control  net.Listener
	through  chan struct{} // closed after the last step, or the failure
	finished chan struct{} // closed when the script's goroutine is gone
	limit    time.Duration // for Wait; 0 for none
	silence  time.Duration // of a client from which data are read; 0 for any

	mutex    sync.Mutex
	stop     chan struct{} // closed when the test is over
	open     []io.Closer
	received []byte
}

// NewScript starts a server for steps on a loopback port.
func NewScript(t testing.TB, steps ...Step) *Script {
	t.Helper()
	return newScript(t, tcpNetwork{}, 5*time.Minute, time.Minute, steps)
}

// NewPipeScript starts a server for steps that is reached by [Script.Dial] alone, over [net.Pipe], so that it can be
// used in a bubble of testing/synctest. It cannot dial data connections.
func NewPipeScript(t testing.TB, steps ...Step) *Script {
	t.Helper()
	return newScript(t, &pipeNetwork{listeners: map[string]*pipeListener{}}, 0, 0, steps)
}

func newScript(t testing.TB, network network, limit, silence time.Duration, steps []Step) *Script {
	t.Helper()
	control, err := network.listen()
	if err != nil {
		t.Fatalf("script: %v", err)
	}
	s := &Script{
		Addr: control.Addr().String(), t: t, steps: steps, network: network, control: control, limit: limit, silence: silence,
		through: make(chan struct{}), finished: make(chan struct{}), stop: make(chan struct{}),
	}
	s.track(control)
	go s.run()
	t.Cleanup(func() {
		s.mutex.Lock()
		close(s.stop)
		for _, closer := range s.open {
			closer.Close() // most are closed already
		}
		s.mutex.Unlock()
		<-s.finished
	})
	return s
}

// Dial connects to the server's control connection or to one of its data listeners. It can stand in for
// [net.Dialer.DialContext].
func (s *Script) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return s.network.dial(ctx, network, address)
}

// Wait returns when all steps are done, or one failed. Without pipes it fails the test after five minutes.
func (s *Script) Wait() {
	s.t.Helper()
	var late <-chan time.Time
	if s.limit > 0 {
		late = time.After(s.limit)
	}
	select {
	case <-s.through:
	case <-late:
		s.t.Errorf("script: not through in %s", s.limit)
	}
}

// Received returns all that was read from data connections until now.
func (s *Script) Received() string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return string(s.received)
}

func (s *Script) addReceived(data []byte) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.received = append(s.received, data...)
}

// track has closer closed when the test is over, at once if it is.
func (s *Script) track(closer io.Closer) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.open = append(s.open, closer)
	select {
	case <-s.stop:
		closer.Close()
	default:
	}
}

func (s *Script) run() {
	defer close(s.finished)
	p := &player{script: s}
	defer p.end()
	if p.playAll() {
		close(s.through)
		p.awaitClose()
	} else {
		close(s.through)
	}
}
