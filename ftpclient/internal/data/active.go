package data

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
)

// replyMargin is how much longer than for the connection one waits for the reply to PORT or
// EPRT: pyftpdlib connects before it replies.
const replyMargin = 5 * time.Second

// prepareActive listens before it tells the server where, so that a server that connects
// before it replies finds somebody.
func prepareActive(ctx context.Context, way Way, ends Endpoints, do Control, o Options) (Pending, error) {
	if o.Dial != nil {
		return nil, unusable{fmt.Errorf("%s is impossible: no server can connect to this client through a proxy", way.Command)}
	}
	pending, announced, err := listenFor(ctx, way.Method, ends, o)
	if err != nil {
		return nil, unusable{err}
	}
	if announced.Addr().Is4() != ends.Server.Addr().Unmap().Is4() {
		err = unusable{fmt.Errorf("%s cannot be announced to %s: one is IPv4 and the other IPv6", announced.Addr(), ends.Server.Addr())}
	} else {
		err = announce(ctx, do, way.Command, announced, o.Patience)
	}
	if err != nil {
		pending.Close()
		return nil, err
	}
	return pending, nil
}

// announce sends PORT or EPRT. A server that gets no connection and replies only after that has
// not been able to connect.
func announce(ctx context.Context, do Control, mode Mode, address netip.AddrPort, patience time.Duration) error {
	argument := formatEPRT(address)
	if mode == PORT {
		if !address.Addr().Is4() {
			return unusable{fmt.Errorf("PORT cannot announce %s: it knows IPv4 only", address.Addr())}
		}
		argument = formatPORT(address)
	}
	waiting := ctx
	if patience > 0 {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeoutCause(ctx, patience+replyMargin, ErrNotCalled)
		defer cancel()
	}
	_, err := command(waiting, do, mode.String(), argument)
	if Fatal(err) && waiting.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w, nor reply to %s %s within %v", ErrNotCalled, mode, argument, patience+replyMargin)
	}
	return err
}

// listenFor listens as a method wants it, and tells what to announce.
func listenFor(ctx context.Context, method Method, ends Endpoints, o Options) (Pending, netip.AddrPort, error) {
	local := ends.Local.Addr().Unmap()
	l := &listening{from: ends.Server.Addr().Unmap(), peers: o.Peers, timeout: o.Patience}
	var announced netip.AddrPort
	switch method {
	case Mapped:
		mapped, external, err := listenMapped(ctx, local, o)
		if err != nil {
			return nil, announced, err
		}
		announced = external
		l.listener, l.silent = mapped, func() { o.Mapper.Void(mapped.Mapping.External) }
	case Punched:
		return listenPunching(ctx, l, ends, o)
	default:
		listener, err := listenWithin(ctx, o.Patience, local, o.ActivePorts)
		if err != nil {
			return nil, announced, err
		}
		port := portOf(listener)
		announced = netip.AddrPortFrom(local, port)
		switch method {
		case Configured:
			announced = netip.AddrPortFrom(o.External.Unmap(), o.outside(port))
		case Forwarded:
			announced = netip.AddrPortFrom(o.Detected.Unmap(), o.outside(port))
		}
		l.listener = listener
	}
	l.target = announced.String()
	if !announced.Addr().IsValid() {
		l.Close()
		return nil, announced, errors.New("there is no external address to announce")
	}
	return l, announced, nil
}

// outside is the port that a router forwards to a local one.
func (o Options) outside(port uint16) uint16 {
	if o.AnnouncedPorts.First == 0 {
		return port
	}
	return o.AnnouncedPorts.First + (port - o.ActivePorts.First)
}

// listenMapped borrows a listener from the gateway, if what it says can be true, and tells what to announce.
func listenMapped(ctx context.Context, local netip.Addr, o Options) (*extip.Listener, netip.AddrPort, error) {
	if o.Mapper == nil {
		return nil, netip.AddrPort{}, errors.New("nobody is there to open a port at the gateway")
	}
	for {
		listener, err := o.Mapper.Listen(ctx, local, o.ActivePorts.First, o.ActivePorts.Last)
		if err != nil {
			return nil, netip.AddrPort{}, err
		}
		mapping := listener.Mapping
		external, err := mapping.Announce(o.View, o.Detected)
		if err == nil {
			return listener, external, nil
		}
		o.Mapper.Void(mapping.External) // so that it is not lent again
		listener.Close()
		// The gateway may have got another address since it said so, as many do every day.
		if time.Since(mapping.Granted) <= freshMapping {
			return nil, netip.AddrPort{}, err
		}
	}
}

// freshMapping is how long the address that a gateway names is taken for the one that it has.
const freshMapping = 5 * time.Second

func portOf(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

// listen takes a free port of the range, at random, so that no stranger can wait for it.
func listen(ctx context.Context, address netip.Addr, ports PortRange) (*net.TCPListener, error) {
	count := int(max(ports.First, ports.Last)) - int(ports.First) + 1
	var first error
	for i, start := 0, rand.IntN(count); i < count; i++ {
		port := ports.First + uint16((start+i)%count)
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", netip.AddrPortFrom(address, port).String())
		if err == nil {
			return l.(*net.TCPListener), nil
		}
		if first == nil {
			first = err
		}
	}
	if inUse(first) {
		first = fmt.Errorf("%w: %w", ErrPortsBusy, first)
	}
	return nil, fmt.Errorf("no free port in %d-%d: %w", ports.First, max(ports.First, ports.Last), first)
}

// listenWithin waits for a port of the range to come free, if all are in use: other connections of
// this client need one each, but only until the server has called.
func listenWithin(ctx context.Context, patience time.Duration, address netip.Addr, ports PortRange) (*net.TCPListener, error) {
	deadline := time.Now().Add(patience)
	for {
		listener, err := listen(ctx, address, ports)
		if !errors.Is(err, ErrPortsBusy) || !time.Now().Before(deadline) {
			return listener, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// busyPause is the time between two looks for a free port: about what a call of the server takes.
const busyPause = 50 * time.Millisecond

// listening waits for one call of the server. Calls that come before Open is called wait, too.
type listening struct {
	listener interface {
		net.Listener
		AcceptTCP() (*net.TCPConn, error)
		SetDeadline(time.Time) error
	}
	from    netip.Addr
	peers   []netip.Prefix
	timeout time.Duration
	target  string
	silent  func() // is told that the server did not call; may be nil
	once    sync.Once
	closed  error
}

func (l *listening) Target() string   { return l.target }
func (l *listening) Listened() string { return l.listener.Addr().String() }

func (l *listening) Close() error {
	l.once.Do(func() { l.closed = l.listener.Close() })
	return l.closed
}

// Open takes the server's call and stops to listen. Callers from any other address are turned
// away and the wait goes on (RFC 2577 section 3: a stranger could steal or plant a file).
func (l *listening) Open(ctx context.Context) (net.Conn, error) {
	conn, err := l.accept(ctx, time.Now().Add(l.timeout))
	l.Close()
	if errors.Is(err, ErrNotCalled) && l.silent != nil {
		l.silent()
	}
	return conn, err
}

func (l *listening) accept(ctx context.Context, deadline time.Time) (net.Conn, error) {
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	if err := l.listener.SetDeadline(deadline); err != nil {
		return nil, err
	}
	var strangers []string
	for {
		conn, err := l.listener.AcceptTCP()
		if ctx.Err() != nil {
			if conn != nil {
				conn.Close()
			}
			return nil, context.Cause(ctx)
		}
		if err != nil {
			return nil, l.explain(err, strangers)
		}
		caller := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		if l.welcomes(caller) {
			return conn, nil
		}
		conn.Close()
		if name := caller.String(); len(strangers) < maxStrangers && !slices.Contains(strangers, name) {
			strangers = append(strangers, name)
		}
	}
}

// maxStrangers bounds how many are named: anybody may call.
const maxStrangers = 4

func (l *listening) welcomes(caller netip.Addr) bool {
	return caller == l.from || slices.ContainsFunc(l.peers, func(p netip.Prefix) bool { return p.Contains(caller.WithZone("")) })
}

func (l *listening) explain(err error, strangers []string) error {
	switch {
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("waiting for the server at %s: %w", l.target, err)
	case len(strangers) > 0:
		return fmt.Errorf("%w to %s: %w; %w: %s", ErrNotCalled, l.target, err, ErrStranger, strings.Join(strangers, ", "))
	}
	return fmt.Errorf("%w to %s: %w", ErrNotCalled, l.target, err)
}
