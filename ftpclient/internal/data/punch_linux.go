package data

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CanPunch reports whether Punched works on this system.
const CanPunch = true

const (
	// serverDataPort is where servers call from that keep to RFC 959 section 3.2; a NAT lets in
	// nobody else by a hole that was made for it.
	serverDataPort = 20
	// Calls get past the NATs and not as far as the server, which would answer with a reset.
	firstReach, lastReach = 2, 5
	// callAgain is the pause between a call that failed and the next one.
	callAgain = 300 * time.Millisecond
)

// punchPorts are for Punched where no ports are configured: the system's own choice of one would
// be lost with the first call that fails.
var punchPorts = PortRange{49152, 65535}

// punching is a listener that shares its port with a call to the server's data port. The call
// makes the NAT expect the server, whose own call then completes it (a simultaneous open, RFC
// 9293 section 3.5) or finds the listener.
type punching struct {
	*listening
	caller *caller
}

func listenPunching(ctx context.Context, l *listening, ends Endpoints, o Options) (Pending, netip.AddrPort, error) {
	server, local := netip.AddrPortFrom(l.from, serverDataPort), ends.Local.Addr().Unmap()
	if !o.View.IsValid() || !l.from.Is4() || !local.Is4() {
		return nil, netip.AddrPort{}, errors.New("hole punching needs IPv4, and a server that tells which address it sees")
	}
	ports := o.ActivePorts
	if ports.First == 0 {
		ports = punchPorts
	}
	count := int(max(ports.First, ports.Last)) - int(ports.First) + 1
	var failure error
	for i, start := 0, rand.IntN(count); i < count; i++ {
		port := ports.First + uint16((start+i)%count)
		caller, listener, err := share(ctx, netip.AddrPortFrom(local, port), server)
		if err != nil {
			failure = err
			continue
		}
		// NATs that do not keep the port are lost on this method.
		announced := netip.AddrPortFrom(o.View.Unmap(), port)
		l.listener, l.target = listener, announced.String()
		return &punching{l, caller}, announced, nil
	}
	return nil, netip.AddrPort{}, fmt.Errorf("no free port in %d-%d: %w", ports.First, ports.Last, failure)
}

// share calls the server from the local port, and listens on it. Two sockets may share a port
// if neither listens yet when it is bound. An earlier connection with the same ends may still
// linger; then the call fails.
func share(ctx context.Context, local, server netip.AddrPort) (*caller, *net.TCPListener, error) {
	caller, err := newCaller(local, server)
	if err != nil {
		return nil, nil, err
	}
	listener, err := listen(ctx, local.Addr(), PortRange{First: local.Port()})
	if err != nil {
		caller.close()
		return nil, nil, err
	}
	if err := caller.call(firstReach); err != nil {
		listener.Close()
		caller.close()
		return nil, nil, fmt.Errorf("calling %s: %w", server, err)
	}
	return caller, listener, nil
}

func (p *punching) Close() error {
	return errors.Join(p.listening.Close(), p.caller.close())
}

// Open returns the connection that is there first, by the listener or by the call.
func (p *punching) Open(ctx context.Context) (net.Conn, error) {
	defer p.Close()
	type outcome struct {
		conn net.Conn
		err  error
	}
	deadline := time.Now().Add(p.timeout)
	racing, stop := context.WithCancel(ctx)
	defer stop()
	accepted, called := make(chan outcome, 1), make(chan outcome, 1)
	go func() {
		conn, err := p.accept(racing, deadline)
		accepted <- outcome{conn, err}
	}()
	go func() {
		conn, err := p.caller.wait(racing, deadline)
		called <- outcome{conn, err}
	}()
	var winner, loser, listened outcome
	select {
	case listened = <-accepted:
		if listened.err == nil {
			stop()
		}
		winner, loser = listened, <-called
	case winner = <-called:
		if winner.err == nil {
			stop()
		}
		listened = <-accepted
		loser = listened
	}
	if winner.err != nil {
		winner, loser = loser, winner
	}
	switch {
	case winner.err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case winner.err != nil:
		return nil, listened.err // of the two, the one that says what is missing
	case loser.err == nil:
		loser.conn.Close()
	}
	return winner.conn, nil
}

// caller is a socket that calls the server's data port again and again.
type caller struct {
	file   *os.File
	raw    syscall.RawConn
	server unix.SockaddrInet4
}

func newCaller(local, server netip.AddrPort) (*caller, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	err = os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, &unix.SockaddrInet4{Addr: local.Addr().As4(), Port: int(local.Port())}))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "call from "+local.String())
	raw, err := file.SyscallConn()
	if err != nil {
		file.Close()
		return nil, err
	}
	return &caller{file, raw, unix.SockaddrInet4{Addr: server.Addr().As4(), Port: int(server.Port())}}, nil
}

func (c *caller) close() error {
	if err := c.file.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}

// call sends a SYN that passes reach routers at the most. What the kernel repeats after a second
// goes all the way, and so does the answer to a SYN of the server, which is the point.
func (c *caller) call(reach int) error {
	var err error
	failed := c.raw.Control(func(fd uintptr) {
		const usual = -1
		if err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, reach); err != nil {
			return
		}
		if err = unix.Connect(int(fd), &c.server); err == unix.EINPROGRESS {
			err = nil
		}
		if restored := unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, usual); err == nil {
			err = restored
		}
	})
	return errors.Join(failed, os.NewSyscallError("connect", err))
}

// States of a socket, as the kernel numbers them in TCP_INFO.
const (
	tcpEstablished = 1
	tcpClose       = 7
	tcpCloseWait   = 8
)

// wait waits until a call is completed, and repeats it when it fails. What errors the socket
// reports is of no interest: routers that drop a call say so.
func (c *caller) wait(ctx context.Context, deadline time.Time) (net.Conn, error) {
	defer c.close()
	if err := c.file.SetWriteDeadline(deadline); err != nil {
		return nil, err
	}
	interrupt := context.AfterFunc(ctx, func() { c.close() })
	defer interrupt()
	for reach := firstReach; ; reach++ {
		var state uint8
		var err error
		failed := c.raw.Write(func(fd uintptr) bool {
			var info *unix.TCPInfo
			if info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err != nil {
				return true
			}
			state = info.State
			return state == tcpEstablished || state == tcpCloseWait || state == tcpClose
		})
		if err := errors.Join(failed, err); err != nil {
			return nil, err
		}
		if state != tcpClose {
			return net.FileConn(c.file)
		}
		select {
		case <-time.After(callAgain):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if reach == lastReach {
			reach = firstReach
		}
		// It may fail because the server has just got through to the listener.
		c.call(reach)
		if !time.Now().Before(deadline) {
			return nil, os.ErrDeadlineExceeded
		}
	}
}
