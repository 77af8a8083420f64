package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ftpferry/ftpferry/ftpclient/internal/control"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// ends are those of a control connection on loopback.
var ends = Endpoints{Local: netip.AddrPortFrom(loopback, 40000), Server: netip.AddrPortFrom(loopback, 21)}

// answering returns a Control that gives the same reply to everything, and the commands that it got.
func answering(code int, text string) (Control, *[]string) {
	var sent []string
	return func(_ context.Context, verb, argument string) (control.Reply, error) {
		sent = append(sent, strings.TrimSpace(verb+" "+argument))
		return control.Reply{Code: code, Lines: []string{text}}, nil
	}, &sent
}

func listenOn(t *testing.T, address string) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

func TestPassiveConnectsWhereItMay(t *testing.T) {
	pasv := func(ip string, port uint16) string {
		return fmt.Sprintf("ok (%s,%d,%d)", strings.ReplaceAll(ip, ".", ","), port>>8, port&0xff)
	}
	tests := []struct {
		name   string
		mode   Mode
		listen string
		reply  func(port uint16) string
		trust  bool
	}{
		{name: "EPSV connects to the control peer", mode: EPSV, listen: "127.0.0.1",
			reply: func(port uint16) string { return fmt.Sprintf("ok (|||%d|)", port) }},
		{name: "PASV connects to the control peer", mode: PASV, listen: "127.0.0.1",
			reply: func(port uint16) string { return pasv("127.0.0.1", port) }},
		{name: "PASV connects to the control peer where the reply names another address", mode: PASV, listen: "127.0.0.1",
			reply: func(port uint16) string { return pasv("192.0.2.7", port) }},
		{name: "PASV connects to another address where that is trusted", mode: PASV, listen: "127.0.0.2", trust: true,
			reply: func(port uint16) string { return pasv("127.0.0.2", port) }},
		{name: "PASV connects to the control peer where the reply names no address", mode: PASV, listen: "127.0.0.1", trust: true,
			reply: func(port uint16) string { return pasv("0.0.0.0", port) }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			l := listenOn(t, test.listen)
			do, sent := answering(227, test.reply(portOf(l)))
			pending, err := Prepare(t.Context(), wayOf(test.mode), ends, do, Options{Patience: 2 * time.Minute, TrustPASVAddress: test.trust})
			if err != nil {
				t.Fatal(err)
			}
			defer pending.Close()
			if want := l.Addr().String(); pending.Target() != want || (*sent)[0] != test.mode.String() {
				t.Errorf("connected to %s after %q, want %s", pending.Target(), *sent, want)
			}
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			// Servers refuse data connections from elsewhere than the control connection.
			if from := server.RemoteAddr().(*net.TCPAddr).IP.String(); from != "127.0.0.1" {
				t.Errorf("the connection comes from %s", from)
			}
			if conn, err := pending.Open(t.Context()); err != nil || conn == nil {
				t.Errorf("open: %v", err)
			}
		})
	}
}

func TestPassiveRefusesWhatNoServerHasToSay(t *testing.T) {
	public, private := netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("10.20.0.10")
	pasv := func(address string) string {
		return fmt.Sprintf("Entering Passive Mode (%s,200,1)", strings.ReplaceAll(address, ".", ","))
	}
	farm := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24")}
	tests := []struct {
		name   string
		mode   Mode
		reply  string
		server netip.Addr
		trust  bool
		peers  []netip.Prefix
		want   error // nil when it is dialled
	}{
		{"EPSV with a privileged port", EPSV, "(|||25|)", public, false, nil, ErrPrivilegedPort},
		{"EPSV with the last privileged port", EPSV, "(|||1023|)", public, false, nil, ErrPrivilegedPort},
		{"EPSV with the first other port", EPSV, "(|||1024|)", public, false, nil, nil},
		{"PASV with a privileged port", PASV, "(198,51,100,10,0,25)", public, false, nil, ErrPrivilegedPort},
		{"PASV with a privileged port, on loopback", PASV, "(127,0,0,1,3,255)", loopback, true, nil, ErrPrivilegedPort},
		{"EPSV with an address", EPSV, "(|1|198.51.100.10|6446|)", public, false, nil, ErrEPSVAddress},
		{"EPSV with a third host's address", EPSV, "(|1|192.0.2.7|6446|)", public, false, nil, ErrEPSVAddress},

		{"trusted PASV with the own address", PASV, pasv("198.51.100.10"), public, true, nil, nil},
		{"trusted PASV with a public address", PASV, pasv("192.0.2.7"), public, true, nil, nil},
		{"trusted PASV with loopback", PASV, pasv("127.0.0.1"), public, true, nil, ErrThirdHost},
		{"trusted PASV with loopback from a private server", PASV, pasv("127.0.0.1"), private, true, nil, ErrThirdHost},
		{"trusted PASV with loopback, where anybody may call", PASV, pasv("127.0.0.1"), public, true, []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}, ErrThirdHost},
		{"trusted PASV with a private address from a public server", PASV, pasv("10.20.0.11"), public, true, nil, ErrThirdHost},
		{"trusted PASV with a private address of the farm", PASV, pasv("10.20.0.11"), public, true, farm, nil},
		{"trusted PASV with a private address from a private server", PASV, pasv("192.168.0.1"), private, true, nil, nil},
		{"trusted PASV with a provider's inner address from a public server", PASV, pasv("100.64.0.1"), public, true, nil, ErrThirdHost},
		{"trusted PASV with a link-local address", PASV, pasv("169.254.169.254"), private, true, nil, ErrThirdHost},
		{"trusted PASV with a multicast address", PASV, pasv("224.0.0.1"), private, true, nil, ErrThirdHost},
		{"trusted PASV with the broadcast address", PASV, pasv("255.255.255.255"), private, true, nil, ErrThirdHost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			do, _ := answering(227, test.reply)
			client, server := net.Pipe()
			defer server.Close()
			dialled := ""
			o := Options{TrustPASVAddress: test.trust, Peers: test.peers, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				dialled = address
				return client, nil
			}}
			pending, err := Prepare(t.Context(), wayOf(test.mode), Endpoints{Server: netip.AddrPortFrom(test.server, 21), Host: "ftp.example"}, do, o)
			if err == nil {
				pending.Close()
			}
			if !errors.Is(err, test.want) || (err == nil) != (dialled != "") {
				t.Errorf("%v, dialled %q; want %v", err, dialled, test.want)
			}
			if stage := StageOf(err); test.want != nil && stage != Unusable && (stage != Refused || test.want != ErrEPSVAddress) {
				t.Errorf("stage %d of %v", stage, err)
			}
		})
	}
}

func TestAReplyToPASVThatNamesAnotherHostIsPartOfTheError(t *testing.T) {
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	tests := []struct {
		name, reply string
		third       bool
		want        string
	}{
		{"the server itself", "(198,51,100,10,200,1)", false, "dial: connection refused"},
		{"no address", "(0,0,0,0,200,1)", false, "dial: connection refused"},
		{"another host", "(192,0,2,7,200,1)", true, "dial: connection refused; the server names another host for data: 192.0.2.7:51201"},
		{"a server behind NAT", "(10,20,0,10,200,1)", false, "dial: connection refused (the reply to PASV names 10.20.0.10:51201)"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			do, _ := answering(227, test.reply)
			o := Options{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
				if address != "ftp.example:51201" {
					t.Errorf("dialled %s", address)
				}
				return nil, refused
			}}
			_, err := Prepare(t.Context(), wayOf(PASV), Endpoints{Server: netip.MustParseAddrPort("198.51.100.10:21"), Host: "ftp.example"}, do, o)
			if err == nil || err.Error() != test.want || errors.Is(err, ErrThirdHost) != test.third || StageOf(err) != Rejected {
				t.Errorf("%v, stage %d; want %s", err, StageOf(err), test.want)
			}
		})
	}
}

func TestPrepareTellsRefusalsFromTheEndOfTheControlConnection(t *testing.T) {
	for _, mode := range []Mode{EPSV, PASV, EPRT, PORT} {
		do, _ := answering(500, "no")
		_, err := Prepare(t.Context(), wayOf(mode), ends, do, Options{})
		var refusal *ReplyError
		if !errors.As(err, &refusal) || refusal.Reply.Code != 500 || Fatal(err) {
			t.Errorf("%s refused: %v", mode, err)
		}
		dead := func(context.Context, string, string) (control.Reply, error) { return control.Reply{}, io.EOF }
		if _, err := Prepare(t.Context(), wayOf(mode), ends, dead, Options{}); !Fatal(err) || !errors.Is(err, io.EOF) {
			t.Errorf("%s on a dead connection: %v", mode, err)
		}
	}
	do, _ := answering(227, "here and there")
	for _, mode := range []Mode{EPSV, PASV, Mode(9)} {
		_, err := Prepare(t.Context(), wayOf(mode), ends, do, Options{})
		if err == nil || Fatal(err) || mode.Passive() && StageOf(err) != Refused {
			t.Errorf("%s with a reply of nonsense: %v", mode, err)
		}
	}
}

// dialFrom connects to what PORT announced.
func dialFrom(t *testing.T, ip, target string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := dialer.Dial("tcp", target)
	if err != nil {
		t.Error(err)
		return nil
	}
	return conn
}

func TestActiveTakesTheCallOfTheServerAlone(t *testing.T) {
	do, sent := answering(200, "ok")
	pending, err := Prepare(t.Context(), wayOf(PORT), ends, do, Options{Patience: 2 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	announced, err := ParsePASV(strings.TrimPrefix((*sent)[0], "PORT "))
	if err != nil || announced.String() != pending.Target() {
		t.Errorf("announced %q, %v; target %s", *sent, err, pending.Target())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		stranger := dialFrom(t, "127.0.0.2", pending.Target())
		if stranger == nil {
			return
		}
		defer stranger.Close()
		stranger.SetDeadline(time.Now().Add(time.Minute))
		if _, err := stranger.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a stranger was not turned away: %v", err)
		}
		if server := dialFrom(t, "127.0.0.1", pending.Target()); server != nil {
			io.WriteString(server, "hello")
			server.Close()
		}
	}()
	conn, err := pending.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	<-done
	if again, err := net.Dial("tcp", pending.Target()); err == nil {
		again.Close()
		t.Error("somebody else can still call")
	}
}

func TestActiveGivesUp(t *testing.T) {
	do, _ := answering(200, "ok")
	t.Run("when nobody calls in time", func(t *testing.T) {
		pending, err := Prepare(t.Context(), wayOf(EPRT), ends, do, Options{Patience: 20 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		var timeout net.Error
		if _, err := pending.Open(t.Context()); !errors.As(err, &timeout) || !timeout.Timeout() || !strings.Contains(err.Error(), pending.Target()) {
			t.Errorf("%v", err)
		}
	})
	t.Run("when the context ends", func(t *testing.T) {
		pending, err := Prepare(t.Context(), wayOf(EPRT), ends, do, Options{Patience: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		why := errors.New("enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		go cancel(why)
		if _, err := pending.Open(ctx); !errors.Is(err, why) {
			t.Errorf("%v", err)
		}
	})
	t.Run("when it is closed", func(t *testing.T) {
		pending, err := Prepare(t.Context(), wayOf(EPRT), ends, do, Options{Patience: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		pending.Close()
		pending.Close()
		if _, err := pending.Open(t.Context()); err == nil {
			t.Error("open after close")
		}
	})
}

func TestActiveAnnouncesWhatTheOperatorSays(t *testing.T) {
	do, sent := answering(200, "ok")
	external := netip.MustParseAddr("192.0.2.9")
	pending, err := Prepare(t.Context(), Way{Configured, EPRT}, ends, do, Options{External: external})
	if err != nil {
		t.Fatal(err)
	}
	defer pending.Close()
	if !strings.HasPrefix((*sent)[0], "EPRT |1|192.0.2.9|") {
		t.Errorf("announced %q", *sent)
	}
	if _, err := Prepare(t.Context(), Way{Configured, PORT}, ends, do, Options{External: netip.MustParseAddr("2001:db8::1")}); err == nil || len(*sent) != 1 {
		t.Errorf("PORT with IPv6: %v after %q", err, *sent)
	}
}

func TestActivePorts(t *testing.T) {
	taken := listenOn(t, "127.0.0.1")
	first := portOf(taken)
	if first > 65000 {
		t.Fatalf("port %d leaves no room", first)
	}
	t.Run("a port that is taken is passed over", func(t *testing.T) {
		l, err := listen(t.Context(), loopback, PortRange{first, first + 100})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if got := portOf(l); got <= first || got > first+100 {
			t.Errorf("port %d of %d-%d", got, first, first+100)
		}
	})
	t.Run("a range without a free port is an error that names it", func(t *testing.T) {
		l, err := listen(t.Context(), loopback, PortRange{first, first})
		if err == nil {
			l.Close()
			t.Fatal("no error")
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("%d-%d", first, first)) {
			t.Error(err)
		}
	})
	t.Run("without a range the system chooses", func(t *testing.T) {
		l, err := listen(t.Context(), loopback, PortRange{})
		if err != nil {
			t.Fatal(err)
		}
		l.Close()
	})
}

func TestAProxyIsToldTheHost(t *testing.T) {
	tests := []struct {
		name  string
		mode  Mode
		reply string
		trust bool
		want  string
	}{
		{"EPSV", EPSV, "ok (|||2000|)", false, "ftp.example:2000"},
		{"PASV, whose address is ignored", PASV, "ok (10,0,0,7,7,208)", false, "ftp.example:2000"},
		{"PASV without an address", PASV, "ok (0,0,0,0,7,208)", true, "ftp.example:2000"},
		{"PASV whose address is trusted", PASV, "ok (10,0,0,7,7,208)", true, "10.0.0.7:2000"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			var asked string
			o := Options{TrustPASVAddress: test.trust, Patience: time.Minute, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if _, ok := ctx.Deadline(); !ok || network != "tcp" {
					t.Errorf("%s, with a deadline: %v", network, ok)
				}
				asked = address
				return client, nil
			}}
			do, _ := answering(227, test.reply)
			behind := Endpoints{Server: netip.AddrPortFrom(netip.IPv4Unspecified(), 0), Host: "ftp.example"}
			pending, err := Prepare(t.Context(), wayOf(test.mode), behind, do, o)
			if err != nil {
				t.Fatal(err)
			}
			defer pending.Close()
			if asked != test.want || pending.Target() != test.want {
				t.Errorf("dialled %q, told %q, want %q", asked, pending.Target(), test.want)
			}
		})
	}
}

func TestActiveModeIsImpossibleBehindAProxy(t *testing.T) {
	for _, mode := range []Mode{EPRT, PORT} {
		do, sent := answering(200, "ok")
		_, err := Prepare(t.Context(), wayOf(mode), ends, do, Options{Dial: new(net.Dialer).DialContext})
		if err == nil || !strings.Contains(err.Error(), "proxy") || len(*sent) != 0 {
			t.Errorf("%s: %v after %q", mode, err, *sent)
		}
	}
}

func wayOf(mode Mode) Way {
	if mode.Passive() {
		return Way{Passive, mode}
	}
	return Way{Direct, mode}
}
