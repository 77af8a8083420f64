package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/data"
)

const (
	// attemptDelay is how long an address has to itself before the next one is tried beside it (RFC 8305 section 5).
	attemptDelay = 250 * time.Millisecond
	// resolutionDelay is how long addresses of IPv4 wait for those of IPv6 (RFC 8305 section 3).
	resolutionDelay = 50 * time.Millisecond
	// maxAddresses bounds how many of a family are tried.
	maxAddresses = 8
)

// dualDialer connects to hosts that have several addresses: those that do not work, and families whose names are not
// resolved, cost a moment and not a time-out (RFC 8305). Package net tries the addresses of one family one after the
// other, and waits until both families are resolved.
type dualDialer struct {
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error) // network is "ip4" or "ip6"
	dial   data.Dial
}

func newDualDialer(timeout time.Duration, resolver *net.Resolver) *dualDialer {
	dialer := &net.Dialer{
		Timeout:         timeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4},
	}
	return &dualDialer{lookup: resolver.LookupNetIP, dial: dialer.DialContext}
}

// resolved are the addresses of one family.
type resolved struct {
	ipv6      bool
	addresses []netip.Addr
	err       error
}

// dialled is what came of one address.
type dialled struct {
	conn net.Conn
	err  error
}

// DialContext connects to the first address of host:port that answers. It returns when all that it has begun has ended.
func (d *dualDialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return d.dial(ctx, network, address) // whose error is better
	}
	if _, err := netip.ParseAddr(host); err == nil || host == "" {
		return d.dial(ctx, network, address)
	}
	running, cancel := context.WithCancel(ctx)
	r := race{dualDialer: d, network: network, port: port, names: make(chan resolved), ends: make(chan dialled), resolving: 2}
	for _, family := range []string{"ip6", "ip4"} {
		go func() {
			addresses, err := d.lookup(running, family, host)
			r.names <- resolved{family == "ip6", addresses, err}
		}()
	}
	winner := r.run(running)
	cancel()
	r.end(winner == nil)
	if winner == nil {
		return nil, r.reason(ctx)
	}
	return winner, nil
}

// race is one call of DialContext. Its fields belong to the caller's goroutine.
type race struct {
	*dualDialer
	network, port string
	names         chan resolved
	ends          chan dialled

	ipv6, ipv4         []netip.Addr // not tried yet
	lastIPv6           bool         // the family of the address tried last
	resolving, dialing int          // what has begun and not ended
	unresolved, failed error
}

// run returns nil when nobody is left to win, and when ctx is done.
func (r *race) run(ctx context.Context) net.Conn {
	var turn <-chan time.Time // when the next address may be tried
	for {
		if turn == nil && len(r.ipv6)+len(r.ipv4) > 0 {
			r.begin(ctx)
			turn = time.After(attemptDelay)
		}
		if r.resolving+r.dialing+len(r.ipv6)+len(r.ipv4) == 0 {
			return nil
		}
		select {
		case found := <-r.names:
			r.found(found)
			if len(r.ipv4) > 0 && r.resolving > 0 && turn == nil {
				turn = time.After(resolutionDelay)
			} else if r.dialing == 0 {
				turn = nil // what IPv4 has waited for
			}
		case end := <-r.ends:
			r.dialing--
			if end.err == nil {
				return end.conn
			}
			r.fail(end.err)
			turn = nil // the next one at once
		case <-turn:
			turn = nil
		case <-ctx.Done():
			return nil
		}
	}
}

// found takes over what a lookup has found.
func (r *race) found(found resolved) {
	r.resolving--
	if found.err != nil {
		// That a name has no address of one family is no news while the other has an error to tell.
		var old *net.DNSError
		if r.unresolved == nil || errors.As(r.unresolved, &old) && old.IsNotFound {
			r.unresolved = found.err
		}
		return
	}
	for _, address := range found.addresses[:min(len(found.addresses), maxAddresses)] {
		if found.ipv6 {
			r.ipv6 = append(r.ipv6, address)
		} else {
			r.ipv4 = append(r.ipv4, address.Unmap())
		}
	}
}

// begin tries the next address, of the other family than the last if there is one: IPv6 first.
func (r *race) begin(ctx context.Context) {
	from := &r.ipv6
	if len(r.ipv6) == 0 || r.lastIPv6 && len(r.ipv4) > 0 {
		from = &r.ipv4
	}
	r.lastIPv6 = from == &r.ipv6
	address := net.JoinHostPort((*from)[0].String(), r.port)
	*from = (*from)[1:]
	r.dialing++
	go func() {
		conn, err := r.dial(ctx, r.network, address)
		r.ends <- dialled{conn, err}
	}()
}

func (r *race) fail(err error) {
	if r.failed != nil {
		err = fmt.Errorf("%w; %w", r.failed, err)
	}
	r.failed = err
}

// reason is why there is no connection.
func (r *race) reason(ctx context.Context) error {
	err := r.unresolved
	switch {
	case r.failed != nil:
		return r.failed
	case ctx.Err() != nil:
		err = ctx.Err()
	case err == nil:
		err = errors.New("the name has no address")
	}
	return &net.OpError{Op: "dial", Net: r.network, Err: err}
}

// end waits for those that did not win, and takes in their reasons.
func (r *race) end(reasons bool) {
	for ; r.resolving > 0; r.resolving-- {
		<-r.names
	}
	for ; r.dialing > 0; r.dialing-- {
		end := <-r.ends
		if end.conn != nil {
			end.conn.Close()
		} else if reasons {
			r.fail(end.err)
		}
	}
}
