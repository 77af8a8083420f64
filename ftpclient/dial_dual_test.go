package ftpclient

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// answer is what a name server or a host does after a while: nil words are addresses or a connection.
type answer struct {
	after     time.Duration
	addresses []string
	err       error
}

const never = 24 * time.Hour

func TestDiallingHostsWithSeveralAddresses(t *testing.T) {
	none := &net.DNSError{Err: "no such host", Name: "ftp.example", IsNotFound: true}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	for _, row := range []struct {
		sentence   string
		ipv6, ipv4 answer
		hosts      map[string]answer
		winner     string // or the error
		took       time.Duration
	}{
		{"IPv6 goes first", answer{addresses: []string{"2001:db8::1"}}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {after: 100 * time.Millisecond}, "192.0.2.1": {}}, "2001:db8::1", 100 * time.Millisecond},
		{"an address that is silent costs a quarter of a second", answer{addresses: []string{"2001:db8::1"}}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {after: never}, "192.0.2.1": {}}, "192.0.2.1", 250 * time.Millisecond},
		{"one that refuses costs nothing", answer{addresses: []string{"2001:db8::1"}}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {err: refused}, "192.0.2.1": {}}, "192.0.2.1", 0},
		{"the families take turns", answer{addresses: []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"}}, answer{addresses: []string{"192.0.2.1", "192.0.2.2"}},
			map[string]answer{"2001:db8::1": {after: never}, "2001:db8::2": {after: never}, "2001:db8::3": {after: never}, "192.0.2.1": {after: never}, "192.0.2.2": {}},
			"192.0.2.2", 750 * time.Millisecond},
		{"a slow one may still win", answer{addresses: []string{"2001:db8::1"}}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {after: 300 * time.Millisecond}, "192.0.2.1": {after: 100 * time.Millisecond}}, "2001:db8::1", 300 * time.Millisecond},
		{"names of IPv6 that come a little later are waited for", answer{after: 30 * time.Millisecond, addresses: []string{"2001:db8::1"}}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {}, "192.0.2.1": {}}, "2001:db8::1", 30 * time.Millisecond},
		{"those that do not come are not", answer{after: never}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"192.0.2.1": {}}, "192.0.2.1", 50 * time.Millisecond},
		{"nor those that do not exist", answer{after: 10 * time.Millisecond, err: none}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"192.0.2.1": {}}, "192.0.2.1", 10 * time.Millisecond},
		{"IPv6 waits for nobody", answer{addresses: []string{"2001:db8::1"}}, answer{after: never},
			map[string]answer{"2001:db8::1": {}}, "2001:db8::1", 0},
		{"IPv4 that is resolved late is tried at once", answer{addresses: []string{"2001:db8::1"}}, answer{after: time.Second, addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {after: never}, "192.0.2.1": {}}, "192.0.2.1", time.Second},
		{"all that failed is named", answer{addresses: []string{"2001:db8::1"}}, answer{addresses: []string{"192.0.2.1"}},
			map[string]answer{"2001:db8::1": {err: syscall.ENETUNREACH}, "192.0.2.1": {err: refused}}, "network is unreachable; dial tcp: connection refused", 0},
		{"a name that does not exist", answer{err: none}, answer{err: none}, nil, "dial tcp: lookup ftp.example: no such host", 0},
		{"a name server that fails is the better reason", answer{err: none}, answer{after: time.Second, err: &net.DNSError{Err: "server misbehaving", Name: "ftp.example"}},
			nil, "dial tcp: lookup ftp.example: server misbehaving", time.Second},
		{"no address without an error", answer{}, answer{}, nil, "dial tcp: the name has no address", 0},
		{"the caller's patience ends", answer{addresses: []string{"2001:db8::1"}}, answer{err: none},
			map[string]answer{"2001:db8::1": {after: never}}, "context deadline exceeded", 10 * time.Second},
		{"of many addresses some are tried", answer{addresses: strings.Fields(strings.Repeat("2001:db8::1 ", 100))}, answer{err: none},
			map[string]answer{"2001:db8::1": {err: errors.New("no")}}, "no" + strings.Repeat("; no", 7), 0},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				wait := func(ctx context.Context, a answer) error {
					select {
					case <-time.After(a.after):
						return a.err
					case <-ctx.Done():
						return ctx.Err()
					}
				}
				var open sync.WaitGroup
				d := &dualDialer{
					lookup: func(ctx context.Context, network, host string) (list []netip.Addr, err error) {
						from := map[string]answer{"ip6": row.ipv6, "ip4": row.ipv4}[network]
						err = wait(ctx, from)
						for _, text := range from.addresses {
							list = append(list, netip.MustParseAddr(text))
						}
						return list, err
					},
					dial: func(ctx context.Context, network, address string) (net.Conn, error) {
						if network != "tcp" || !strings.HasSuffix(address, ":21") {
							t.Errorf("dialled %s %s", network, address)
						}
						host, _, _ := net.SplitHostPort(address)
						if err := wait(ctx, row.hosts[host]); err != nil {
							return nil, err
						}
						here, there := net.Pipe()
						open.Go(func() { io.Copy(io.Discard, there) }) // until it is closed
						return named{here, host}, nil
					},
				}
				began := time.Now()
				conn, err := d.DialContext(ctx, "tcp", "ftp.example:21")
				switch {
				case err != nil && !strings.HasSuffix(err.Error(), row.winner):
					t.Errorf("error %q, want %q", err, row.winner)
				case err == nil && conn.(named).host != row.winner:
					t.Errorf("connected to %s, want %s", conn.(named).host, row.winner)
				}
				if took := time.Since(began); took != row.took {
					t.Errorf("took %s, want %s", took, row.took)
				}
				if conn != nil {
					conn.Close()
				}
				open.Wait() // hangs if a connection that lost stays open
			})
		})
	}
}

type named struct {
	net.Conn
	host string
}

// TestABrokenFamilyCostsAMoment measures, with a name server and hosts that swallow calls: a server whose address of IPv6
// or first address of IPv4 is dead, and the same for the name of a proxy.
func TestABrokenFamilyCostsAMoment(t *testing.T) {
	ftptest.Need(t, "deaf port")
	ftptest.Need(t, "IPv6")
	deafV6 := ftptest.DeafAddress(t, "[::1]:0")
	alive, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", deafV6))
	for tries := 0; err != nil && tries < 20; tries++ { // somebody else has that port
		deafV6 = ftptest.DeafAddress(t, "[::1]:0")
		alive, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", deafV6))
	}
	if err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := alive.Accept()
			if err != nil {
				return
			}
			defer conn.Close() // at the end of the test: nobody says anything
		}
	})
	defer accepting.Wait()
	defer alive.Close()
	if deaf := ftptest.DeafAddress(t, fmt.Sprintf("127.0.0.2:%d", deafV6)); deaf != deafV6 {
		t.Fatal(deaf)
	}
	const patience = 3 * time.Minute
	for _, row := range []struct {
		sentence string
		aaaa, a  []string // nil aaaa: no answer at all
	}{
		{"all is well", []string{}, []string{"127.0.0.1"}},
		{"the AAAA is a black hole", []string{"::1"}, []string{"127.0.0.1"}},
		{"so is an A", []string{"::1"}, []string{"127.0.0.2", "127.0.0.1"}},
		{"nobody answers for AAAA", nil, []string{"127.0.0.1"}},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			resolver := nameServer(t, row.aaaa, row.a)
			d := newDualDialer(patience, resolver)
			address := fmt.Sprintf("ftp.test.:%d", deafV6)
			began := time.Now()
			conn, err := d.DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			if took := time.Since(began); took > patience/2 { // by the table above it is a quarter of a second
				t.Errorf("took %s", took)
			}
			through := proxyDialer(&url.URL{Scheme: "http", Host: address}, d.DialContext)
			began = time.Now()
			brief, stop := context.WithTimeout(t.Context(), time.Second)
			defer stop()
			if _, err := through(brief, "tcp", "ftp.example.com:21"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the proxy says nothing, and the error is %v", err)
			}
			if took := time.Since(began); took < 900*time.Millisecond {
				t.Errorf("the proxy was not reached; it took %s", took)
			}
		})
	}
}

// nameServer answers for every name; a nil list is no answer at all.
func nameServer(t *testing.T, aaaa, a []string) *net.Resolver {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		packet := make([]byte, 4096)
		for {
			n, from, err := socket.ReadFrom(packet)
			if err != nil {
				return
			}
			var query dnsmessage.Message
			if query.Unpack(packet[:n]) != nil || len(query.Questions) != 1 {
				continue
			}
			question := query.Questions[0]
			reply := dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true, RecursionAvailable: true}, Questions: query.Questions}
			list := map[dnsmessage.Type][]string{dnsmessage.TypeAAAA: aaaa, dnsmessage.TypeA: a}[question.Type]
			if list == nil {
				continue
			}
			for _, text := range list {
				header := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 60}
				address := netip.MustParseAddr(text)
				if address.Is4() {
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AResource{A: address.As4()}})
				} else {
					reply.Answers = append(reply.Answers, dnsmessage.Resource{Header: header, Body: &dnsmessage.AAAAResource{AAAA: address.As16()}})
				}
			}
			if packed, err := reply.Pack(); err == nil {
				socket.WriteTo(packed, from)
			}
		}
	})
	// Package net goes on waiting for answers that nobody wants any more: closing ends that.
	var mu sync.Mutex
	var asking []net.Conn
	ended := false
	t.Cleanup(func() {
		socket.Close()
		serving.Wait()
		mu.Lock()
		defer mu.Unlock()
		ended = true
		for _, conn := range asking {
			conn.Close()
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		if ended {
			return nil, net.ErrClosed
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "udp", socket.LocalAddr().String())
		if err == nil {
			asking = append(asking, conn)
		}
		return conn, err
	}}
}
