package data

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"time"
)

// On loopback nothing translates and the call gets as far as the server; that holes open NATs is
// seen in network namespaces. What can be seen here is that both ways to a connection work.

func preparePunched(t *testing.T, patience time.Duration) Pending {
	t.Helper()
	do, sent := answering(200, "ok")
	pending, err := Prepare(t.Context(), Way{Punched, PORT}, ends, do, Options{View: loopback, Detected: otherAddress, Patience: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pending.Close() })
	if got, err := ParsePASV((*sent)[0]); err != nil || got.String() != pending.Target() || pending.Listened() != pending.Target() {
		t.Fatalf("announced %q, %v; listens on %s", *sent, err, pending.Listened())
	}
	return pending
}

func TestPunchedTakesACallThatFindsTheListener(t *testing.T) {
	pending := preparePunched(t, 2*time.Minute)
	server := dialFrom(t, "127.0.0.1", pending.Target())
	if server == nil {
		return
	}
	defer server.Close()
	stranger := dialFrom(t, "127.0.0.2", pending.Target())
	if stranger == nil {
		return
	}
	defer stranger.Close()
	conn, err := pending.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.RemoteAddr().String() != server.LocalAddr().String() {
		t.Errorf("a connection with %s, want %s", conn.RemoteAddr(), server.LocalAddr())
	}
}

func TestPunchedGivesUp(t *testing.T) {
	_, err := preparePunched(t, 20*time.Millisecond).Open(t.Context())
	if StageOf(err) != Silent {
		t.Errorf("stage %d: %v", StageOf(err), err)
	}
	pending := preparePunched(t, time.Minute)
	pending.Close()
	if _, err := pending.Open(t.Context()); err == nil {
		t.Error("open after close")
	}
	if again, err := net.Dial("tcp", pending.Target()); err == nil {
		again.Close()
		t.Error("somebody still listens")
	}
}

func TestACallIsRepeatedUntilItIsCompleted(t *testing.T) {
	// A port on which nobody listens refuses the first calls.
	reserved := listenOn(t, "127.0.0.1")
	to := netip.AddrPortFrom(loopback, portOf(reserved))
	reserved.Close()
	c, l, err := share(t.Context(), netip.AddrPortFrom(loopback, freePorts(t).First), to)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server, err := listen(t.Context(), loopback, PortRange{First: to.Port()})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	conn, err := c.wait(t.Context(), time.Now().Add(2*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	other, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(other, "hello")
	other.Close()
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if conn.LocalAddr().String() != l.Addr().String() {
		t.Errorf("called from %s, listening on %s", conn.LocalAddr(), l.Addr())
	}
}

func TestAPortThatIsTakenIsNotPunched(t *testing.T) {
	taken := listenOn(t, "127.0.0.1")
	do, _ := answering(200, "ok")
	_, err := Prepare(t.Context(), Way{Punched, PORT}, ends, do, Options{View: loopback, ActivePorts: PortRange{First: portOf(taken)}})
	if StageOf(err) != Unusable {
		t.Errorf("%v", err)
	}
}
