package ftpclient_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ftpferry/ftpferry/ftpclient"
	"github.com/ftpferry/ftpferry/ftpclient/extip"
	"github.com/ftpferry/ftpferry/ftpclient/ftptest"
)

// TestAServerThatHangsUpAfterEachProof is not asked for another one after each login.
func TestAServerThatHangsUpAfterEachProof(t *testing.T) {
	tooMany := strings.Repeat(strings.Repeat("n", 998)+"\r\n", 1100) // more than a proof reads to the end
	conn, _ := connect(t, open("", surveyed.then(talk("CWD /d", "250 ok", "PORT *", "200 ok")...).then(
		ftptest.Step{Expect: "NLST", Send: "150 go", Data: &ftptest.Data{Send: tooMany, End: ftptest.Close}},
		ftptest.Step{Expect: "ABOR", End: ftptest.Close})).then(session("", storing("PORT"))...), activeOnly)
	if err := putHello(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
}

// TestOneFailureDoesNotCondemnAProvenWay: it is proven anew, and still remembered. The second one does.
func TestOneFailureDoesNotCondemnAProvenWay(t *testing.T) {
	failing := talk("SIZE /d/f", "550 no such file", "PORT *", "200 ok", "STOR /d/f", "425 cannot connect for once", "SIZE /d/f", "550 no such file")
	proven := provenWay("/d", "PORT")
	conn, _ := connect(t, session("", surveyed.then(proven...).then(failing...).then(proven...).then(failing...)), activeOnly, func(o *ftpclient.Options) {
		o.Facts.Channels = remembered("direct PORT")
	})
	for i, want := range []string{"direct PORT", ""} {
		outcome{code: 425, class: ftpclient.ClassConnection}.check(t, putHello(t.Context(), conn))
		if got := conn.Facts().Channels[0].Way; got != want {
			t.Errorf("after failure %d the way %q is remembered, want %q", i+1, got, want)
		}
	}
}

// TestAFailureOfAnEarlierTransferIsNoneOfTheNext: where nothing else is left, it is tried again.
func TestAFailureOfAnEarlierTransferIsNoneOfTheNext(t *testing.T) {
	control := &ftptest.TLS{Config: certified(t, tls.VersionTLS13)}
	data := &ftptest.TLS{Config: control.Config}
	broken := steps{passive, {Expect: "RETR /d/f", Send: "150 go", Data: &ftptest.Data{End: ftptest.Close}}, {Send: "451 for once"}}
	whole := steps{passive, {Expect: "RETR /d/f", Send: "150 go", Data: &ftptest.Data{TLS: data, Send: "hello", End: ftptest.Close}}, {Send: "226 done"}}
	conn, _ := connect(t, secureSession(control, broken.then(whole...)), secure, passiveOnly)
	if _, _, err := get(t.Context(), conn, "/d/f"); err == nil {
		t.Fatal("the first transfer works")
	}
	if content, _, err := get(t.Context(), conn, "/d/f"); err != nil || content != "hello" {
		t.Errorf("%q, %v", content, err)
	}
}

// TestBusyPortsCondemnNoWay: they are in use for a moment, by other connections of this client.
func TestBusyPortsCondemnNoWay(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	known := remembered("direct PORT")
	conn, _ := connect(t, session("", surveyed.then(talk("CWD /d", "250 ok")...).then(provenWay("/d", "PORT")...).then(storing("PORT")...)), activeOnly,
		func(o *ftpclient.Options) {
			o.Data.ActivePorts = ftpclient.PortRange{First: uint16(other.Addr().(*net.TCPAddr).Port)}
			o.Facts.Channels = known
			o.ConnectTimeout = 2 * time.Second
		})
	err = putHello(t.Context(), conn)
	outcome{class: ftpclient.ClassSetup}.check(t, err)
	if err == nil || !strings.Contains(err.Error(), "all ports are in use") || !strings.Contains(err.Error(), "more ports in data.active_ports") {
		t.Errorf("the error does not say so: %v", err)
	}
	if diff := cmp.Diff(known, conn.Facts().Channels); diff != "" {
		t.Errorf("remembered (-want +got):\n%s", diff)
	}
	time.AfterFunc(100*time.Millisecond, func() { other.Close() })
	if err := putHello(t.Context(), conn); err != nil {
		t.Error(err)
	}
}

// TestASTATThatEndsTheSession by a farewell is the end of nothing either.
func TestASTATThatEndsTheSession(t *testing.T) {
	conn, _ := connect(t, open("", steps{{Expect: "STAT", Send: "421 What a question", End: ftptest.Close}}).
		then(session("", provenWay("/d", "PORT").then(storing("PORT")...))...), activeOnly)
	if err := putHello(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
	if got := conn.Facts().Status; got != "broke off" {
		t.Errorf("status %q", got)
	}
}

// TestAServerThatDidNotTellItsView is asked once more where nothing works without.
func TestAServerThatDidNotTellItsView(t *testing.T) {
	refusal := talk("CWD /d", "250 ok", "PORT *", "500 no", "CWD /d", "250 ok", "EPRT *", "500 no")
	conn, _ := connect(t, session("", refusal), activeOnly, func(o *ftpclient.Options) { o.Facts.Status = "none" })
	outcome{class: ftpclient.ClassSetup}.check(t, putHello(t.Context(), conn))
	facts := conn.Facts()
	conn.Close()
	conn, _ = connect(t, session("", talk("STAT", "502 no").then(refusal...)), activeOnly, func(o *ftpclient.Options) { o.Facts = facts })
	outcome{class: ftpclient.ClassSetup}.check(t, putHello(t.Context(), conn))
	if got := conn.Facts().Status; got != "none" {
		t.Errorf("status %q", got)
	}
}

// TestAReconnectThroughAnotherInterface: what is remembered of that network counts.
func TestAReconnectThroughAnotherInterface(t *testing.T) {
	from := 0
	conn, _ := connect(t, open("", steps{{Expect: "STAT", End: ftptest.Close}}).
		then(session("", surveyed.then(provenWay("/d", "PORT")...).then(storing("PORT")...))...), func(o *ftpclient.Options) {
		o.Facts.Channels = remembered("direct PORT")
		o.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			from++
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(from))}}
			return dialer.DialContext(ctx, network, address)
		}
	})
	if err := putHello(t.Context(), conn); err != nil {
		t.Fatal(err)
	}
}

// TestASurveyThatIsCutShort is no whole one.
func TestASurveyThatIsCutShort(t *testing.T) {
	t.Parallel()
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	nowhere := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(refusedPort(t)))
	locator := extip.NewLocator(extip.Options{Router: nowhere, UPnPSearch: nowhere, STUN: []string{silent.LocalAddr().String()}})
	defer locator.Close(context.Background())
	conn, _ := connect(t, session("", surveyed), func(o *ftpclient.Options) { o.Data.Locator = locator })
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		silent.ReadFrom(make([]byte, 100))
		cancel()
	}()
	if _, err := conn.Survey(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	survey, err := conn.Survey(t.Context())
	if err != nil || survey.SourceErrors["STUN"] == nil || errors.Is(survey.SourceErrors["STUN"], context.Canceled) {
		t.Errorf("%+v, %v", survey, err)
	}
}

func TestPortRangesThatCannotWork(t *testing.T) {
	tests := []struct {
		name              string
		active, announced ftpclient.PortRange
		ok                bool
	}{
		{"none", ftpclient.PortRange{}, ftpclient.PortRange{}, true},
		{"one port each", ftpclient.PortRange{First: 50000}, ftpclient.PortRange{First: 51000, Last: 51000}, true},
		{"as many", ftpclient.PortRange{First: 50000, Last: 50010}, ftpclient.PortRange{First: 65525, Last: 65535}, true},
		{"less announced", ftpclient.PortRange{First: 50000, Last: 50010}, ftpclient.PortRange{First: 51000, Last: 51009}, false},
		{"announced and not listened on", ftpclient.PortRange{}, ftpclient.PortRange{First: 51000, Last: 51009}, false},
		{"the wrong way round", ftpclient.PortRange{First: 50010, Last: 50000}, ftpclient.PortRange{}, false},
		{"without a beginning", ftpclient.PortRange{Last: 50000}, ftpclient.PortRange{}, false},
	}
	for _, test := range tests {
		o := testOptions()
		o.Data.ActivePorts, o.Data.AnnouncedPorts = test.active, test.announced
		_, err := ftpclient.Dial(t.Context(), fmt.Sprintf("127.0.0.1:%d", refusedPort(t)), o)
		if errors.Is(err, ftpclient.ErrOptions) == test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}
