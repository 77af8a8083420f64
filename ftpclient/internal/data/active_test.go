package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

// router lends listeners on loopback, and says of them what mapping says.
type router struct {
	mapping extip.Mapping
	older   []extip.Mapping // lent before it
	err     error
	lent    *net.TCPListener
	voided  []netip.AddrPort
}

func (r *router) Listen(ctx context.Context, local netip.Addr, first, last uint16) (*extip.Listener, error) {
	if r.err != nil {
		return nil, r.err
	}
	l, err := listen(ctx, local, PortRange{first, last})
	r.lent = l
	mapping := r.mapping
	mapping.Granted = time.Now()
	if len(r.older) > 0 {
		mapping, r.older = r.older[0], r.older[1:]
	}
	return &extip.Listener{TCPListener: l, Mapping: mapping}, err
}

func (r *router) Void(external netip.AddrPort) { r.voided = append(r.voided, external) }

// listens reports whether anybody listens on what was lent.
func (r *router) listens() bool {
	conn, err := net.Dial("tcp", r.lent.Addr().String())
	if err == nil {
		conn.Close()
	}
	return err == nil
}

var granted = extip.Mapping{Gateway: netip.MustParseAddr("10.10.0.1"), External: netip.MustParseAddrPort("203.0.113.2:51002")}

// freePorts returns a range of which at least one port is free.
func freePorts(t *testing.T) PortRange {
	t.Helper()
	l := listenOn(t, "127.0.0.1")
	first := portOf(l)
	l.Close()
	if first > 65000 {
		t.Fatalf("port %d leaves no room", first)
	}
	return PortRange{first, first + 20}
}

func TestActiveWaysAnnounce(t *testing.T) {
	ports := freePorts(t)
	forwarded := PortRange{21000, 21020}
	tests := []struct {
		name    string
		way     Way
		options Options
		want    string           // of what is announced, without the port
		outside func(int) uint16 // the announced port
	}{
		{"the own address, and the port listened on, whatever a router forwards", Way{Direct, PORT},
			Options{ActivePorts: ports, AnnouncedPorts: forwarded, External: natAddress, Detected: otherAddress}, "PORT 127,0,0,1", nil},
		{"the own address to a NAT that reads along", Way{Helper, PORT},
			Options{ActivePorts: ports, AnnouncedPorts: forwarded, Detected: otherAddress}, "PORT 127,0,0,1", nil},
		{"the configured address", Way{Configured, PORT}, Options{External: natAddress, Detected: otherAddress}, "PORT 203,0,113,2", nil},
		{"the configured address and the port that a router forwards", Way{Configured, EPRT},
			Options{External: natAddress, ActivePorts: ports, AnnouncedPorts: forwarded}, "EPRT |1|203.0.113.2",
			func(port int) uint16 { return forwarded.First + uint16(port) - ports.First }},
		{"the detected address and the port that a router forwards", Way{Forwarded, PORT},
			Options{Detected: otherAddress, ActivePorts: ports, AnnouncedPorts: forwarded}, "PORT 203,0,113,3",
			func(port int) uint16 { return forwarded.First + uint16(port) - ports.First }},
		{"the address and port that a router granted", Way{Mapped, PORT},
			Options{Mapper: &router{mapping: granted}, View: natAddress, ActivePorts: ports, AnnouncedPorts: forwarded}, "PORT 203,0,113,2",
			func(int) uint16 { return 51002 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			do, sent := answering(200, "ok")
			pending, err := Prepare(t.Context(), test.way, ends, do, test.options)
			if err != nil {
				t.Fatal(err)
			}
			defer pending.Close()
			listened := netip.MustParseAddrPort(pending.Listened())
			target := netip.MustParseAddrPort(pending.Target())
			if !strings.HasPrefix((*sent)[0], test.want) {
				t.Errorf("announced %q, want %s", *sent, test.want)
			}
			port := listened.Port()
			if test.outside != nil {
				port = test.outside(int(port))
			}
			if target.Port() != port || listened.Addr() != loopback {
				t.Errorf("announced %s for %s, want port %d", target, listened, port)
			}
			if p := test.options.ActivePorts; p.First > 0 && (listened.Port() < p.First || listened.Port() > p.Last) {
				t.Errorf("listens on %s, want a port in %v", listened, p)
			}
		})
	}
}

func TestActiveWaysWithoutAnythingToAnnounce(t *testing.T) {
	view := Options{View: natAddress}
	with := func(o Options, mapping extip.Mapping, err error) Options {
		o.Mapper = &router{mapping: mapping, err: err}
		return o
	}
	external := func(address string) extip.Mapping {
		m := granted
		m.External = netip.AddrPortFrom(netip.MustParseAddr(address), 50002)
		return m
	}
	// The local end stays IPv4, for machines without the other.
	ends6 := Endpoints{Local: ends.Local, Server: netip.MustParseAddrPort("[::1]:21")}
	external6 := Options{External: netip.MustParseAddr("2001:db8::1")}
	tests := []struct {
		name    string
		way     Way
		ends    Endpoints
		options Options
		want    string // "" when it is announced
	}{
		{"no configured address", Way{Configured, PORT}, ends, Options{}, "no external address"},
		{"no detected address", Way{Forwarded, PORT}, ends, Options{}, "no external address"},
		{"no gateway", Way{Mapped, PORT}, ends, view, "nobody is there"},
		{"a gateway that refuses", Way{Mapped, PORT}, ends, with(view, granted, extip.ErrRefused), "refused by the gateway"},
		{"a gateway that is silent", Way{Mapped, PORT}, ends, with(view, granted, context.DeadlineExceeded), "deadline"},
		{"a gateway without an address", Way{Mapped, PORT}, ends, with(view, extip.Mapping{Gateway: granted.Gateway}, nil), "router 10.10.0.1 does not know its external address"},
		{"a gateway behind another one", Way{Mapped, PORT}, ends, with(view, external("10.64.0.2"), nil),
			"router 10.10.0.1 says 10.64.0.2, the server sees 203.0.113.2: two NATs"},
		{"a gateway behind another one, and a server that tells nothing", Way{Mapped, PORT}, ends, with(Options{}, external("100.64.0.2"), nil),
			"router 10.10.0.1 says 100.64.0.2, which is private: two NATs"},
		{"a gateway with another address than STUN sees", Way{Mapped, PORT}, ends, with(Options{Detected: otherAddress}, granted, nil),
			"router 10.10.0.1 says 203.0.113.2, others see 203.0.113.3: two NATs"},
		{"a gateway that opens a port which servers refuse", Way{Mapped, PORT}, ends, with(view, extip.Mapping{
			Gateway: granted.Gateway, External: netip.AddrPortFrom(granted.External.Addr(), 22)}, nil), "opened port 22"},
		{"a private address outside that the server sees", Way{Mapped, PORT}, ends, with(Options{View: netip.MustParseAddr("10.64.0.2")}, external("10.64.0.2"), nil), ""},
		{"a public address that nobody disputes", Way{Mapped, PORT}, ends, with(Options{}, granted, nil), ""},
		{"IPv4 to a server that is reached by IPv6", Way{Configured, EPRT}, ends6, Options{External: natAddress}, "one is IPv4 and the other IPv6"},
		{"IPv6 by PORT", Way{Configured, PORT}, ends6, external6, "IPv4 only"},
		{"IPv6 by EPRT", Way{Configured, EPRT}, ends6, external6, ""},
		{"IPv6 to a server that is reached by IPv4", Way{Configured, EPRT}, ends, external6, "one is IPv4 and the other IPv6"},
		{"a hole without knowing the address outside", Way{Punched, PORT}, ends, Options{Detected: natAddress}, "hole punching"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			do, sent := answering(200, "ok")
			pending, err := Prepare(t.Context(), test.way, test.ends, do, test.options)
			if err == nil {
				pending.Close()
			}
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) || StageOf(err) != Unusable || Fatal(err) || len(*sent) > 0 {
				t.Errorf("%v, stage %d, after %q; want %q", err, StageOf(err), *sent, test.want)
			}
			if r, ok := test.options.Mapper.(*router); ok && r.lent != nil && (r.listens() || len(r.voided) == 0) {
				t.Errorf("the gateway's listener was not given back, or would be lent again: voided %v", r.voided)
			}
		})
	}
}

func TestAMappingThatStayedSilentIsVoid(t *testing.T) {
	do, _ := answering(200, "ok")
	open := func(t *testing.T, ctx context.Context, r *router) {
		t.Helper()
		pending, err := Prepare(t.Context(), Way{Mapped, PORT}, ends, do, Options{Mapper: r, View: natAddress, Patience: 10 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		defer pending.Close()
		if _, err := pending.Open(ctx); err == nil || r.listens() {
			t.Errorf("%v; still listening: %v", err, r.listens())
		}
	}
	t.Run("after a time-out", func(t *testing.T) {
		r := &router{mapping: granted}
		open(t, t.Context(), r)
		if !slices.Equal(r.voided, []netip.AddrPort{granted.External}) {
			t.Errorf("voided %v", r.voided)
		}
	})
	t.Run("not when the caller gave up", func(t *testing.T) {
		r := &router{mapping: granted}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		open(t, ctx, r)
		if r.voided != nil {
			t.Errorf("voided %v", r.voided)
		}
	})
}

// TestAGatewayThatHasGotAnotherAddress named its last one when it opened the ports that are there.
func TestAGatewayThatHasGotAnotherAddress(t *testing.T) {
	old := extip.Mapping{Gateway: granted.Gateway, External: netip.MustParseAddrPort("203.0.113.9:51001"), Granted: time.Now().Add(-time.Minute)}
	older := old
	older.External = netip.MustParseAddrPort("203.0.113.9:51000")
	r := &router{mapping: granted, older: []extip.Mapping{older, old}}
	do, sent := answering(200, "ok")
	pending, err := Prepare(t.Context(), Way{Mapped, PORT}, ends, do, Options{Mapper: r, View: natAddress})
	if err != nil {
		t.Fatal(err)
	}
	pending.Close()
	if !slices.Equal(r.voided, []netip.AddrPort{older.External, old.External}) || len(*sent) != 1 {
		t.Errorf("voided %v, sent %q", r.voided, *sent)
	}
}

func TestStrangersAreNamed(t *testing.T) {
	do, _ := answering(200, "ok")
	pending, err := Prepare(t.Context(), Way{Direct, PORT}, ends, do, Options{Patience: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// They wait in the queue until the call is awaited.
	for _, from := range []string{"127.0.0.2", "127.0.0.3", "127.0.0.2"} {
		stranger := dialFrom(t, from, pending.Target())
		if stranger == nil {
			return
		}
		defer stranger.Close()
	}
	_, err = pending.Open(t.Context())
	if !errors.Is(err, ErrNotCalled) || !errors.Is(err, ErrStranger) || StageOf(err) != Silent || !strings.HasSuffix(err.Error(), ": 127.0.0.2, 127.0.0.3") {
		t.Errorf("%v", err)
	}
}

func TestPeersMayCallToo(t *testing.T) {
	for _, peers := range []string{"127.0.0.2/32", "127.0.0.0/8", "0.0.0.0/0"} {
		t.Run(peers, func(t *testing.T) {
			do, _ := answering(200, "ok")
			o := Options{Patience: 2 * time.Minute, Peers: []netip.Prefix{netip.MustParsePrefix("::/0"), netip.MustParsePrefix(peers)}}
			pending, err := Prepare(t.Context(), Way{Direct, PORT}, ends, do, o)
			if err != nil {
				t.Fatal(err)
			}
			friend := dialFrom(t, "127.0.0.2", pending.Target())
			if friend == nil {
				return
			}
			defer friend.Close()
			conn, err := pending.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
		})
	}
}

func TestAServerMayConnectBeforeItReplies(t *testing.T) {
	var early net.Conn
	do := func(_ context.Context, _, argument string) (control.Reply, error) {
		to, err := ParsePASV(argument)
		if err != nil {
			return control.Reply{}, err
		}
		if early = dialFrom(t, "127.0.0.1", to.String()); early != nil {
			io.WriteString(early, "hello")
			early.Close()
		}
		return control.Reply{Code: 200, Lines: []string{"ok"}}, nil
	}
	pending, err := Prepare(t.Context(), Way{Direct, PORT}, ends, do, Options{Patience: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pending.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestAServerThatNeitherConnectsNorReplies(t *testing.T) {
	deaf := func(ctx context.Context, _, _ string) (control.Reply, error) {
		<-ctx.Done()
		return control.Reply{}, fmt.Errorf("%w", context.Cause(ctx))
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := Prepare(t.Context(), Way{Direct, PORT}, ends, deaf, Options{Patience: 8 * time.Second})
		if StageOf(err) != Silent || Fatal(err) || time.Since(began) != 13*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := Prepare(ctx, Way{Direct, PORT}, ends, deaf, Options{Patience: 8 * time.Second}); !Fatal(err) {
			t.Errorf("the caller's own end: %v", err)
		}
	})
}

func TestPortsAreNotPredictable(t *testing.T) {
	ports := freePorts(t)
	seen := map[uint16]bool{}
	for range 40 {
		l, err := listen(t.Context(), loopback, ports)
		if err != nil {
			t.Fatal(err)
		}
		seen[portOf(l)] = true
		l.Close()
	}
	if len(seen) < 3 {
		t.Errorf("40 times one of %v", seen)
	}
}
