package ftptest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
)

// network is where a script listens.
type network interface {
	listen() (net.Listener, error)
	dial(ctx context.Context, network, address string) (net.Conn, error)
	dialFrom(local, address string) (net.Conn, error) // for active data connections; local is an IP or ""
}

type tcpNetwork struct{}

func (tcpNetwork) listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

func (tcpNetwork) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, address)
}

func (tcpNetwork) dialFrom(local, address string) (net.Conn, error) {
	var dialer net.Dialer
	if local != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(local)}
	}
	return dialer.Dial("tcp", address)
}

// pipeNetwork joins both ends by [net.Pipe].
type pipeNetwork struct {
	mutex     sync.Mutex
	listeners map[string]*pipeListener
	opened    int
}

func (n *pipeNetwork) listen() (net.Listener, error) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	address := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 50000 + n.opened%15000} // RFC 5737: documentation
	n.opened++
	listener := &pipeListener{address: address, waiting: make(chan net.Conn, 8), closed: make(chan struct{})}
	n.listeners[address.String()] = listener
	return listener, nil
}

func (n *pipeNetwork) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mutex.Lock()
	listener := n.listeners[address]
	n.mutex.Unlock()
	if listener == nil {
		return nil, fmt.Errorf("dial %s: connection refused", address)
	}
	client, server := net.Pipe()
	select {
	case <-listener.closed:
		return nil, fmt.Errorf("dial %s: connection refused", address)
	case <-ctx.Done():
		return nil, ctx.Err()
	case listener.waiting <- addressedConn{server, listener.address}:
		return addressedConn{client, listener.address}, nil
	}
}

func (*pipeNetwork) dialFrom(string, string) (net.Conn, error) {
	return nil, errors.New("pipes have no active data connections")
}

// pipeListener is a [net.Listener] that holds connections until they are accepted, as TCP does.
type pipeListener struct {
	address *net.TCPAddr
	waiting chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	case conn := <-l.waiting:
		return conn, nil
	}
}

func (l *pipeListener) Addr() net.Addr { return l.address }

// Close also closes the connections that nobody has accepted.
func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	for {
		select {
		case conn := <-l.waiting:
			conn.Close()
		default:
			return nil
		}
	}
}

// addressedConn gives a pipe the addresses that clients look at.
type addressedConn struct {
	net.Conn
	address net.Addr
}

func (c addressedConn) LocalAddr() net.Addr  { return c.address }
func (c addressedConn) RemoteAddr() net.Addr { return c.address }

// lateTickets holds back the last TLS record of the server's part of the handshake until the client has answered. With
// crypto/tls that record is the session ticket, and without the delay clients would receive it together with the rest.
// A client that then writes only, and never reads the ticket, ends its connection with a reset.
type lateTickets struct {
	net.Conn
	done bool
	held []byte
}

func (l *lateTickets) Write(p []byte) (int, error) {
	var records, last int
	for at := 0; !l.done && at+5 <= len(p); at += 5 + int(binary.BigEndian.Uint16(p[at+3:])) {
		records, last = records+1, at
	}
	if records < 4 { // fewer ask the client to begin again (RFC 8446 section 4.1.4)
		return l.Conn.Write(p)
	}
	l.done, l.held = true, bytes.Clone(p[last:])
	n, err := l.Conn.Write(p[:last])
	return n + len(l.held), err
}

func (l *lateTickets) Read(p []byte) (int, error) {
	n, err := l.Conn.Read(p)
	if n > 0 && l.held != nil {
		held := l.held
		l.held = nil
		if _, err := l.Conn.Write(held); err != nil {
			return n, err
		}
	}
	return n, err
}
